//! How near a store is to its limit, and what recording, dropping and packing may do meanwhile.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::size::{Look, SizeGovernor};
use crate::limits::{
    BATCH_OBSERVATIONS_MAX, BATCH_OBSERVATIONS_PRESSED, BATCH_OBSERVATIONS_PRESSED_MIN,
    PACKING_HELD_SECONDS, RETENTION_SHARE_PERCENT, RETENTION_SHARE_PERCENT_PRESSED,
    RETENTION_WORK_MS_MAX, RETENTION_WORK_MS_PRESSED,
};
use crate::model::{MICROS_PER_SECOND, Timestamp};
use crate::store::CopyGraceStats;

/// What is known of a store's last room.
#[derive(Debug, Default)]
pub(super) struct Pressure {
    /// The file is about to reach its limit: dropping has to be faster than recording.
    is_high: bool,
    /// So much of the headroom is gone that this is so where the file grows or the store weighs too much.
    pub(super) is_near: bool,
    /// Since when it has been growing there.
    grows_since: Option<Timestamp>,
    /// The store weighs more than fits.
    pub(super) overweight: bool,
    /// Changes that the last piece dropped.
    pub(super) dropped: u64,
    /// What keeps pages for copies beside it, if anything does.
    pub(super) copies: Option<Arc<CopyGraceStats>>,
}

/// What one piece of retention may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    /// Of the writer's time, in the long run.
    pub(super) percent: u32,
    pub(super) work_ms: u64,
}

impl Pressure {
    /// Takes note of how large the file is.
    pub(super) fn see(&mut self, size: Option<&mut SizeGovernor>, look: Look) {
        let (mut grows, mut is_pressing, mut is_near) = (false, false, false);
        if let Some(size) = size {
            size.see(look);
            grows = size.is_growing(look);
            is_pressing = size.is_pressing(look);
            is_near = look.allocated_bytes >= size.pressing_bytes();
        }
        self.is_near = is_near;
        self.is_high = is_pressing || is_near && self.overweight;
        // Growth that comes after a rest is waited for anew: there may be new pins.
        self.grows_since = grows.then(|| self.grows_since.unwrap_or(look.moment.at));
    }

    /// See [`Retention::holds_packing`](super::Retention::holds_packing).
    pub(super) fn holds_packing(&self, now: Timestamp) -> bool {
        self.is_pinned()
            && self.grows_since.is_some_and(|since| {
                now >= since && now < since.plus_micros(PACKING_HELD_SECONDS * MICROS_PER_SECOND)
            })
    }

    /// Whether pages are kept for copies now.
    pub(super) fn is_pinned(&self) -> bool {
        self.copies
            .as_ref()
            .is_some_and(|copies| copies.pins.load(Ordering::Relaxed) > 0)
    }

    /// What a piece may take now.
    pub(super) fn allowance(&self) -> Allowance {
        let (percent, work_ms) = if self.is_high {
            (RETENTION_SHARE_PERCENT_PRESSED, RETENTION_WORK_MS_PRESSED)
        } else {
            (RETENTION_SHARE_PERCENT, RETENTION_WORK_MS_MAX)
        };
        Allowance { percent, work_ms }
    }

    /// Observations that one batch may have now. Near the limit a piece of retention goes with each, and more goes than
    /// comes; what has to wait for that waits in the queue, and behind it at the API server.
    pub(super) fn batch_observations_max(&self) -> usize {
        match (self.is_high, self.overweight) {
            (false, _) => BATCH_OBSERVATIONS_MAX,
            (true, false) => BATCH_OBSERVATIONS_PRESSED,
            (true, true) => usize::try_from(self.dropped / 2)
                .unwrap_or(usize::MAX)
                .clamp(BATCH_OBSERVATIONS_PRESSED_MIN, BATCH_OBSERVATIONS_PRESSED),
        }
    }
}

#[cfg(test)]
mod tests {
    //! Guards against a writer that is quicker than retention, and against packing that waits for nothing.

    use super::super::size::{Measured, Moment};
    use super::*;

    const MIB: u64 = 1 << 20;

    fn look(allocated_mib: u64, second: i64) -> Look {
        Look {
            allocated_bytes: allocated_mib * MIB,
            pinned: false,
            moment: Moment {
                at: Timestamp::from_seconds(second),
                passes: 0,
            },
        }
    }

    #[test]
    fn near_the_limit_less_comes_than_goes() {
        let mut size = SizeGovernor::new(80 * MIB);
        let mut pressure = Pressure::default();
        pressure.see(Some(&mut size), look(60, 0));
        assert_eq!(pressure.batch_observations_max(), BATCH_OBSERVATIONS_MAX);
        assert_eq!(pressure.allowance().percent, RETENTION_SHARE_PERCENT);

        // It has grown.
        pressure.see(Some(&mut size), look(75, 1));
        assert_eq!(
            pressure.batch_observations_max(),
            BATCH_OBSERVATIONS_PRESSED
        );
        assert_eq!(pressure.allowance().work_ms, RETENTION_WORK_MS_PRESSED);

        // It grows no more, however long it takes to drop what does not fit.
        pressure.overweight = true;
        pressure.dropped = 500;
        let mut later = look(75, 1_000);
        later.moment.passes = 10;
        pressure.see(Some(&mut size), later);
        assert_eq!(pressure.batch_observations_max(), 250);
        pressure.dropped = 0;
        assert_eq!(
            pressure.batch_observations_max(),
            BATCH_OBSERVATIONS_PRESSED_MIN
        );
        pressure.overweight = false;
        pressure.see(Some(&mut size), later);
        assert_eq!(pressure.batch_observations_max(), BATCH_OBSERVATIONS_MAX);
    }

    #[test]
    fn packing_waits_for_pins_only_and_not_for_long() {
        let mut size = SizeGovernor::new(80 * MIB);
        size.set_measured(
            Measured {
                used_bytes: 40 * MIB,
                weight: 1,
                passes: 0,
            },
            Timestamp::from_seconds(0),
        );
        let mut pressure = Pressure::default();
        pressure.see(Some(&mut size), look(74, 0));
        pressure.see(Some(&mut size), look(75, 1));
        let now = Timestamp::from_seconds(2);
        assert!(!pressure.holds_packing(now));
        let copies = Arc::new(CopyGraceStats::default());
        copies.pins.store(3, Ordering::Relaxed);
        pressure.copies = Some(Arc::clone(&copies));
        assert!(pressure.holds_packing(now));
        assert!(!pressure.holds_packing(Timestamp::from_seconds(1 + PACKING_HELD_SECONDS)));
        copies.pins.store(0, Ordering::Relaxed);
        assert!(!pressure.holds_packing(now));

        // No pass of packing has ended since, but pages are kept again, and it grows again.
        copies.pins.store(1, Ordering::Relaxed);
        pressure.see(Some(&mut size), look(75, 100));
        assert!(!pressure.holds_packing(Timestamp::from_seconds(100)));
        pressure.see(Some(&mut size), look(76, 101));
        assert!(pressure.holds_packing(Timestamp::from_seconds(102)));
    }
}
