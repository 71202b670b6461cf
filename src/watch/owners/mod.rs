//! Looks up owners that the record does not know: the metadata of an object, believed only if its UID is the one that
//! was asked for (R12).
//!
//! Every second the store is asked which owners it misses. An answer, also that there is no such object, goes to the
//! ingest like everything else; a failure is no answer, and is tried again later. A kind that fails, or never
//! answers, waits for itself: the kinds are looked up side by side. When to ask is decided here, what is asked in [`job`].

mod job;
mod metadata;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use self::job::{Answer, Job, Outcome};
use super::retry::backoff;
use super::shared::Shared;
use crate::ingest::QueueClosed;
use crate::limits::{
    OWNER_GONE_SECONDS_MAX, OWNER_GONE_SECONDS_MIN, OWNER_KINDS_MAX, OWNER_LOOKUPS_BEFORE_LIST,
    OWNER_LOOKUPS_MAX, OWNERS_ASKED_MAX, OWNERS_WANTED_MAX,
};
use crate::model::{Gvk, Uid};

/// An owner that the record does not know: what an owner reference says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedOwner {
    /// Its UID.
    pub uid: Uid,
    /// Its kind.
    pub gvk: Gvk,
    /// Namespace of what it owns: its own, unless it is cluster-scoped.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Knows which owners are unknown: the store.
pub trait WantedOwners: Send + Sync + 'static {
    /// At most `limit` owners that are referred to and unknown. Called every second from an async task: it must not
    /// block. Those that were never answered should come first: an owner that was answered with "no such object" may
    /// be named again, and is looked for again from time to time.
    fn wanted(&self, limit: usize) -> Vec<WantedOwner>;
}

/// When an owner may be looked up (again).
#[derive(Clone, Copy)]
struct Asked {
    due: Instant,
    /// Failed tries, or answers that it is gone, in a row.
    tries: u32,
}

/// A kind of owners.
#[derive(Clone, Copy)]
struct KindState {
    due: Instant,
    failures: u32,
    list_due: Instant,
    busy: bool,
}

/// Looks up owners for as long as the writer lives.
pub(super) async fn resolve(shared: Arc<Shared>, wanted: Arc<dyn WantedOwners>) -> QueueClosed {
    let mut resolver = Resolver {
        shared,
        wanted,
        lookups: Arc::new(Semaphore::new(OWNER_LOOKUPS_MAX)),
        asked: BTreeMap::new(),
        kinds: BTreeMap::new(),
        under_way: JoinSet::new(),
    };
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => resolver.begin(),
            Some(ended) = resolver.under_way.join_next() => match ended {
                Ok(Ok(outcome)) => resolver.note(outcome),
                Ok(Err(closed)) => return closed,
                Err(error) => {
                    // Cancelled or crashed. Which kind it was is not known any more: all may go on.
                    tracing::error!(%error, "a look-up of owners has crashed");
                    for kind in resolver.kinds.values_mut() {
                        kind.busy = false;
                    }
                }
            },
        }
    }
}

struct Resolver {
    shared: Arc<Shared>,
    wanted: Arc<dyn WantedOwners>,
    lookups: Arc<Semaphore>,
    asked: BTreeMap<Uid, Asked>,
    kinds: BTreeMap<Gvk, KindState>,
    under_way: JoinSet<Result<Outcome, QueueClosed>>,
}

impl Resolver {
    /// Starts look-ups of what is wanted and due, one task a kind.
    fn begin(&mut self) {
        let now = Instant::now();
        let wanted = self.wanted.wanted(OWNERS_WANTED_MAX);
        let more = wanted.len() >= OWNERS_WANTED_MAX;
        self.forget(&wanted, now);
        let mut due: BTreeMap<Gvk, Vec<(u32, WantedOwner)>> = BTreeMap::new();
        for owner in wanted.into_iter().take(OWNERS_WANTED_MAX) {
            let asked = self.asked.get(&owner.uid);
            if asked.is_none_or(|asked| asked.due <= now) {
                let tries = asked.map_or(0, |asked| asked.tries);
                let of_kind = due.entry(owner.gvk.clone()).or_default();
                of_kind.push((tries, owner));
            }
        }
        for (gvk, mut owners) in due {
            if !self.kinds.contains_key(&gvk) && self.kinds.len() >= OWNER_KINDS_MAX {
                continue;
            }
            let kind = self.kinds.entry(gvk.clone()).or_insert(KindState {
                due: now,
                failures: 0,
                list_due: now,
                busy: false,
            });
            if kind.busy || kind.due > now {
                continue;
            }
            kind.busy = true;
            // What keeps failing does not stand in the way of what was never tried.
            owners.sort_by_key(|(tries, _)| *tries);
            let job = Job {
                shared: Arc::clone(&self.shared),
                lookups: Arc::clone(&self.lookups),
                list: owners.len() > OWNER_LOOKUPS_BEFORE_LIST && kind.list_due <= now,
                more,
                gvk,
                answers: Vec::new(),
            };
            let owners = owners.into_iter().map(|(_, owner)| owner).collect();
            self.under_way.spawn(job.run(owners));
        }
    }

    /// Keeps the maps bounded: what is not wanted any more needs no backoff.
    fn forget(&mut self, wanted: &[WantedOwner], now: Instant) {
        if self.asked.len() > OWNERS_ASKED_MAX {
            let wanted: BTreeSet<_> = wanted.iter().map(|owner| &owner.uid).collect();
            self.asked.retain(|uid, _| wanted.contains(uid));
        }
        if self.kinds.len() >= OWNER_KINDS_MAX {
            self.kinds
                .retain(|_, kind| kind.busy || kind.due > now || kind.list_due > now);
        }
    }

    /// Remembers when to ask again.
    fn note(&mut self, outcome: Outcome) {
        let now = Instant::now();
        for (uid, answer) in outcome.answers {
            let asked = self
                .asked
                .entry(uid)
                .or_insert(Asked { due: now, tries: 0 });
            match answer {
                // The store needs a moment until it has taken it in.
                Answer::Found => {
                    asked.tries = 0;
                    asked.due = now + Duration::from_secs(OWNER_GONE_SECONDS_MIN);
                }
                Answer::Gone => {
                    let seconds = OWNER_GONE_SECONDS_MIN
                        .saturating_mul(1 << asked.tries.min(16))
                        .min(OWNER_GONE_SECONDS_MAX);
                    asked.tries = asked.tries.saturating_add(1);
                    asked.due = now + Duration::from_secs(seconds);
                }
                Answer::Failed => {
                    asked.tries = asked.tries.saturating_add(1);
                    asked.due = now + backoff(asked.tries);
                }
            }
        }
        if let Some(kind) = self.kinds.get_mut(&outcome.gvk) {
            kind.busy = false;
            if let Some(wait) = outcome.list_wait {
                kind.list_due = now + wait;
            }
            if outcome.failed {
                kind.failures = kind.failures.saturating_add(1);
                kind.due = now + backoff(kind.failures);
            } else {
                kind.failures = 0;
            }
        }
    }
}
