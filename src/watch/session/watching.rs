//! A watch that is open: what it delivers, and how it ends.

use std::time::Duration;

use super::super::decode::{Event, Unreadable};
use super::super::version::{ahead, comparable, reached};
use super::{Class, Phase, Session, Sight, Trouble, other};
use crate::limits::{
    EARLY_ENDS_BEFORE_BLIND, POISONED_EVENT_TRIES_MAX, WATCH_SECONDS, WATCH_SECONDS_MIN,
};
use crate::model::Observation;

impl Session {
    pub(super) fn on_event(&mut self, out: &mut Vec<Observation>, event: Event) {
        let watch = self.watch.clone();
        match event {
            Event::Applied(item, version) => {
                out.push(Observation::Applied {
                    watch,
                    item,
                    resource_version: Some(version.clone()),
                });
                self.advance(out, version, false);
            }
            Event::Deleted(item, version) => {
                out.push(Observation::Deleted {
                    watch,
                    item,
                    resource_version: Some(version.clone()),
                });
                self.advance(out, version, false);
            }
            Event::Bookmark(version) => {
                let back = self
                    .version
                    .as_ref()
                    .is_some_and(|stored| ahead(stored, &version));
                if !back {
                    out.push(Observation::Bookmark {
                        watch,
                        resource_version: version.clone(),
                    });
                    self.advance(out, version, true);
                }
            }
            Event::Expired(reason) => self.fail(
                out,
                Trouble {
                    class: Class::Gone,
                    reason,
                    retry_after: None,
                },
            ),
            Event::Error(reason) => self.fail(out, other(reason)),
            Event::Unreadable(unreadable) => self.on_unreadable(out, unreadable),
        }
    }

    /// An event that cannot be read is asked for again, unless it came as it was sent; in the end it is skipped.
    pub(super) fn on_unreadable(&mut self, out: &mut Vec<Observation>, event: Unreadable) {
        if !event.intact && self.poisoned < POISONED_EVENT_TRIES_MAX {
            self.poisoned += 1;
            self.failures = self.failures.max(self.poisoned);
            self.pause(Phase::Open, Duration::ZERO);
            return;
        }
        self.poisoned = 0;
        self.skipped = self.skipped.saturating_add(1);
        let reason = format!("an event could not be read: {}", event.reason);
        match event.version {
            // What it told of one object is lost; the watch goes on behind it.
            Some(version) if !event.deleted => {
                if !event.intact {
                    // Nobody knows what was in it: the record says that it did not see this moment.
                    self.blind(out, &reason);
                }
                out.push(Observation::Bookmark {
                    watch: self.watch.clone(),
                    resource_version: version.clone(),
                });
                self.advance(out, version, false);
            }
            // A deletion is found by the next list; and from an unknown version no watch can go on. Many of them
            // must not mean one list after the other.
            _ => {
                self.failures = self.failures.max(self.sweeps);
                self.sweeps = self.sweeps.saturating_add(1);
                self.relist(out, reason, None);
            }
        }
    }

    pub(super) fn on_end(
        &mut self,
        out: &mut Vec<Observation>,
        asked_seconds: u32,
        lasted_seconds: u32,
    ) {
        if self.sight != Sight::Sighted {
            self.catch_ups = self.catch_ups.saturating_add(1);
            self.caught_seconds = self.caught_seconds.saturating_add(lasted_seconds);
            // Watched for that long, whatever was current at the start has arrived, even if no version says so.
            if self.caught_seconds >= WATCH_SECONDS {
                self.sighted(out);
            }
        }
        if u64::from(lasted_seconds) * 10 >= u64::from(asked_seconds) * 9 {
            self.failures = 0;
            self.sweeps = 0;
            self.phase = Phase::Open;
        } else if lasted_seconds >= WATCH_SECONDS_MIN {
            // Cut by something on the way, most likely; or by a server that was replaced by one with another history.
            self.failures = 0;
            self.phase = Phase::Ask;
        } else {
            self.failures = self.failures.saturating_add(1);
            if self.failures > EARLY_ENDS_BEFORE_BLIND {
                let reason = "watches end as soon as they begin";
                self.blind(out, reason);
                self.trouble = Some(reason.to_owned());
            }
            self.pause(Phase::Ask, Duration::ZERO);
        }
    }

    /// Everything up to `version` was delivered.
    fn advance(&mut self, out: &mut Vec<Observation>, version: String, bookmark: bool) {
        self.failures = 0;
        self.poisoned = 0;
        if self.sight != Sight::Sighted {
            let caught_up = self.goal.as_ref().is_none_or(|goal| {
                // Where versions cannot be compared, a bookmark says that what was missed has been sent.
                reached(&version, goal) || (bookmark && !comparable(&version, goal))
            });
            if caught_up {
                self.sighted(out);
            }
        }
        self.version = Some(version);
    }
}
