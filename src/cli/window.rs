//! A window of time, as arguments.

use clap::Args;

use super::exit::usage;
use crate::clock::{Clock, WallClock};
use crate::model::timestamp::{MICROS_PER_SECOND, TimeSpec};
use crate::model::{TimeRange, Timestamp};
use crate::store::Snapshot;

/// The window [start, end).
#[derive(Args, Debug)]
pub(super) struct WindowArgs {
    /// Start of the window: RFC 3339, Unix seconds, or a duration before its end (-30m) [default: where the record
    /// begins].
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    start: Option<TimeSpec>,

    /// End of the window: RFC 3339, Unix seconds, `now`, or a duration before now (-5m) [default: just behind the last
    /// change].
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    end: Option<TimeSpec>,
}

impl WindowArgs {
    /// Whether a start was given.
    pub(super) fn has_start(&self) -> bool {
        self.start.is_some()
    }

    /// The window in whole seconds, widened where it has to be: the unit of a trace.
    pub(super) fn in_seconds(&self, snapshot: &Snapshot) -> anyhow::Result<TimeRange> {
        let window = self.resolve(snapshot)?;
        let ceil = window
            .end
            .as_micros()
            .saturating_add(MICROS_PER_SECOND - 1)
            .div_euclid(MICROS_PER_SECOND);
        Ok(TimeRange {
            start: Timestamp::from_seconds(window.start.as_seconds()),
            end: Timestamp::from_seconds(ceil),
        })
    }

    /// The window as given.
    pub(super) fn resolve(&self, snapshot: &Snapshot) -> anyhow::Result<TimeRange> {
        let now = WallClock.now();
        let (first, last) = snapshot.extent().unwrap_or((now, now));
        let end = self
            .end
            .map_or(last.plus_micros(1), |end| end.resolve(now, now));
        let start = self
            .start
            .map_or(first.min(end), |start| start.resolve(now, end));
        TimeRange::new(start, end).map_err(usage)
    }
}
