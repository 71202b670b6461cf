//! A watch that is open: its lines, one after the other.

use std::time::Duration;

use bytes::BytesMut;
use tokio::time::{Instant, timeout_at};

use super::Kind;
use crate::ingest::QueueClosed;
use crate::limits::{
    WATCH_LAST_LATE_MS_MAX, WATCH_LAST_MS, WATCH_LINE_BYTES_MAX, WATCH_SLACK_SECONDS,
};
use crate::model::Observation;
use crate::watch::decode::{Event, Unreadable};
use crate::watch::lines::{Line, Lines};
use crate::watch::session::{Action, Input, Standing};

/// A watch that is open.
pub(super) struct Open {
    pub(super) lines: Lines,
    pub(super) since: Instant,
    pub(super) asked_seconds: u32,
}

impl Kind {
    /// Waits for what the open watch brings.
    pub(super) async fn read(&mut self) -> Input {
        let Some(open) = &mut self.open else {
            // Not reached: the session reads only what is open.
            return Input::Silent;
        };
        let patience = Duration::from_secs(u64::from(open.asked_seconds) + WATCH_SLACK_SECONDS);
        let line = tokio::time::timeout(patience, open.lines.next(&self.shared.rest)).await;
        let ended = Input::Ended {
            asked_seconds: open.asked_seconds,
            lasted_seconds: u32::try_from(open.since.elapsed().as_secs()).unwrap_or(u32::MAX),
        };
        let line: BytesMut = match line {
            Ok(Ok(Line::Whole(line))) => line,
            Ok(Ok(Line::TooLong)) => {
                let reason = format!("a line of more than {WATCH_LINE_BYTES_MAX} bytes");
                return self.event(Event::Unreadable(Unreadable {
                    reason,
                    uid: None,
                    version: None,
                    deleted: false,
                    intact: false,
                }));
            }
            Ok(Ok(Line::End)) => return ended,
            Ok(Err(error)) => {
                tracing::info!(kind = %self.gvk, %error, "the watch broke off");
                return ended;
            }
            Err(_) => {
                self.count(|counters| counters.failures += 1);
                return Input::Silent;
            }
        };
        let event = self.decoder.event(&line);
        self.event(event)
    }

    /// Reads for a moment what had happened before it was told to stop, and says that this is complete: unless the watch is
    /// not open, or there is still more to read.
    pub(super) async fn end(&mut self) -> Result<(), QueueClosed> {
        let complete_until = self.shared.told_to_stop_at();
        let end = Instant::now() + Duration::from_millis(WATCH_LAST_MS);
        if let Some(open) = &mut self.open {
            open.lines.read_at_once();
        }
        while self.is_open() && Instant::now() < end {
            if let Ok(input) = timeout_at(end, self.read()).await {
                self.tell(input).await?;
                continue;
            }
            // A process that was held up has not looked whether there is more.
            let in_time = end.elapsed() <= Duration::from_millis(WATCH_LAST_LATE_MS_MAX);
            let between_lines = |open: &Open| open.lines.is_between_lines();
            if in_time
                && self.session.standing() == Standing::Watching
                && self.open.as_ref().is_some_and(between_lines)
            {
                let watch = self.gvk.clone();
                let ended = Observation::Ended {
                    watch,
                    complete_until,
                };
                self.shared.queue.send(ended).await?;
            }
            break;
        }
        Ok(())
    }

    /// Whether a watch is open, of a history that is believed.
    fn is_open(&self) -> bool {
        self.session.action() == Action::Read && !self.replaced.has_changed().unwrap_or(true)
    }

    fn event(&self, event: Event) -> Input {
        if let Event::Unreadable(unreadable) = &event {
            tracing::warn!(
                kind = %self.gvk, object = %unreadable.reason, intact = unreadable.intact,
                "an event cannot be read"
            );
        }
        self.count(|counters| match &event {
            Event::Applied(..) | Event::Deleted(..) => counters.events += 1,
            Event::Bookmark(_) => counters.bookmarks += 1,
            Event::Expired(_) => counters.expired += 1,
            Event::Error(_) => counters.failures += 1,
            Event::Unreadable(_) => counters.unreadable += 1,
        });
        Input::Event(event)
    }
}
