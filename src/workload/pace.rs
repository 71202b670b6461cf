//! When steps happen.

use super::rng::Rng;
use crate::model::Timestamp;

/// Spreads the steps over the time that they shall cover.
///
/// What is planned (pods that start, controllers that react) happens when it is due; something new is begun only when
/// the clock of the steps, `start + duration * steps / changes`, has come by. So bursts stay bursts, and in the long
/// run the steps cover the duration.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    start: Timestamp,
    duration_us: i128,
    changes: i128,
    now: Timestamp,
}

impl Pace {
    pub(super) fn new(start: Timestamp, duration_us: u64, changes: u64) -> Self {
        Self {
            start,
            duration_us: i128::from(duration_us),
            changes: i128::from(changes.max(1)),
            now: start,
        }
    }

    /// The time of the last step.
    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    /// The mean time between steps, microseconds.
    pub(super) fn gap_us(&self) -> u64 {
        u64::try_from(self.duration_us / self.changes).unwrap_or(u64::MAX)
    }

    /// When the next new thing can begin, if `steps` have been made.
    pub(super) fn next_beginning(&self, steps: u64, rng: &mut Rng) -> Timestamp {
        let gap_us = self.gap_us();
        let ideal_us = self.duration_us * i128::from(steps) / self.changes;
        let jitter_us = i128::from(rng.below(gap_us.saturating_mul(2))) - i128::from(gap_us);
        let at = i128::from(self.start.as_micros()) + ideal_us + jitter_us;
        let at = Timestamp::from_micros(i64::try_from(at).unwrap_or(i64::MAX));
        at.max(self.now.plus_micros(1))
    }

    /// When something that is due at `due` can happen: then, or just after the last step where that was later.
    pub(super) fn earliest(&self, due: Timestamp) -> Timestamp {
        due.max(self.now.plus_micros(1))
    }

    /// A step happened at this time.
    pub(super) fn move_to(&mut self, at: Timestamp) {
        self.now = at;
    }
}
