//! When a store is too large.
//!
//! What counts is what the file takes from its volume: its allocated blocks. redb reuses freed pages, so that number
//! stands still while the store loses as much as it gains, and never falls. How many pages inside the file are in use
//! only a walk over all of it tells: so that is done seldom, and beside the writer ([`super::measuring`]). Between two walks
//! the store is weighed (see `Writer::weight`): while the file is well below its limit, nothing is dropped. When it
//! comes near, it is measured, and the weight of what fits becomes the ceiling. What fits is less than the limit: rows
//! that were dropped take their room until their chunks are made anew, and pages that were freed take theirs as long as
//! they are kept for copies.
//!
//! A file that keeps growing all the same is cut at once, without waiting for a walk: but not before the pins have been
//! given up and what they held is used again, because dropping more would give no room meanwhile.

use crate::limits::{
    SIZE_GROWING_SECONDS, SIZE_HEADROOM_BYTES_MAX, SIZE_HEADROOM_BYTES_MIN,
    SIZE_MEASURE_SECONDS_MIN, SIZE_USED_PERCENT,
};
use crate::model::{MICROS_PER_SECOND, Timestamp};

/// Weighs a store against its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SizeGovernor {
    limit_bytes: u64,
    /// Allocated bytes from which on the file counts as full.
    full_bytes: u64,
    /// Allocated bytes when they were last looked at.
    seen_bytes: Option<u64>,
    /// The weight to stay below.
    ceiling: Option<u64>,
    /// When the file was last seen to have grown.
    grown_at: Option<Timestamp>,
    /// Since when it has been growing in its last room, or when it was last cut for that.
    growing_since: Option<Timestamp>,
    /// When it was last measured, and how many passes of packing there had been.
    measured: Option<(Timestamp, u64)>,
}

/// What a store holds, measured page by page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Measured {
    pub(super) used_bytes: u64,
    pub(super) weight: u64,
    /// Passes of packing that had come to their end when the walk began.
    pub(super) passes: u64,
}

/// The part of the headroom after which dropping has to be faster than recording.
const PRESSED_PART: u64 = 4;

/// Parts of the ceiling that are dropped at once, so that the store is below it for a while.
const HYSTERESIS: u64 = 64;

/// Parts of the weight of which one is cut where a file grows in its last room.
const CUT_PARTS: u64 = 16;

impl SizeGovernor {
    pub(super) fn new(limit_bytes: u64) -> Self {
        let headroom = (limit_bytes / 8).clamp(SIZE_HEADROOM_BYTES_MIN, SIZE_HEADROOM_BYTES_MAX);
        Self {
            limit_bytes,
            full_bytes: limit_bytes.saturating_sub(headroom).max(limit_bytes / 2),
            seen_bytes: None,
            ceiling: None,
            grown_at: None,
            growing_since: None,
            measured: None,
        }
    }

    /// It was measured: it must lose what does not fit, and only what does not.
    pub(super) fn set_measured(&mut self, measured: Measured, now: Timestamp) {
        let fits = u128::from(self.full_bytes) * u128::from(SIZE_USED_PERCENT) / 100;
        let fitting = u128::from(measured.weight) * fits / u128::from(measured.used_bytes.max(1));
        self.ceiling = Some(u64::try_from(fitting).unwrap_or(u64::MAX));
        self.measured = Some((now, measured.passes));
    }

    /// The volume has no more room, whatever the limit says.
    pub(super) fn set_full(&mut self, allocated_bytes: u64, weight: u64) {
        self.full_bytes = self.full_bytes.min(allocated_bytes);
        self.seen_bytes = Some(allocated_bytes);
        self.ceiling = Some(self.ceiling.unwrap_or(weight).min(weight));
    }

    /// The weight to come down to, if anything has to be dropped.
    pub(super) fn look(
        &mut self,
        allocated_bytes: u64,
        weight: u64,
        now: Timestamp,
    ) -> Option<u64> {
        self.see(allocated_bytes, now);
        if allocated_bytes < self.full_bytes {
            // It was compacted, or is small.
            self.ceiling = None;
            self.measured = None;
            return None;
        }
        if self.is_pressing(allocated_bytes, now) {
            let since = *self.growing_since.get_or_insert(now);
            // Dropping makes the file grow, too, before it gives room.
            if has_passed(SIZE_GROWING_SECONDS, since, now) {
                let ceiling = self.ceiling.unwrap_or(weight).min(weight);
                self.ceiling = Some(ceiling - ceiling / CUT_PARTS);
                self.growing_since = Some(now);
            }
        } else {
            self.growing_since = None;
        }
        let ceiling = self.ceiling?;
        (weight > ceiling).then(|| ceiling.saturating_sub(ceiling / HYSTERESIS))
    }

    /// Takes note of how large the file is.
    pub(super) fn see(&mut self, allocated_bytes: u64, now: Timestamp) {
        let seen = self.seen_bytes.replace(allocated_bytes);
        if seen.is_some_and(|seen| seen < allocated_bytes) {
            self.grown_at = Some(now);
        }
    }

    /// Whether a walk over the store would tell something new: between two passes of packing, what was dropped weighs nothing
    /// and takes its room.
    pub(super) fn is_measure_due(&self, allocated_bytes: u64, passes: u64, now: Timestamp) -> bool {
        if allocated_bytes < self.full_bytes {
            return false;
        }
        let Some((at, then)) = self.measured else {
            return true;
        };
        has_passed(SIZE_MEASURE_SECONDS_MIN, at, now) && passes != then
    }

    /// Whether the file has left its headroom: exports no longer hold retention back then.
    pub(super) fn is_beyond(&self, allocated_bytes: u64) -> bool {
        allocated_bytes >= self.limit_bytes
    }

    /// Whether so much of the headroom is gone, and the file grows, that dropping has to be faster than recording.
    pub(super) fn is_pressing(&self, allocated_bytes: u64, now: Timestamp) -> bool {
        allocated_bytes >= self.pressing_bytes()
            && self
                .grown_at
                .is_some_and(|grown| !has_passed(SIZE_GROWING_SECONDS, grown, now))
    }

    /// Allocated bytes from which on growth is pressing.
    pub(super) fn pressing_bytes(&self) -> u64 {
        let headroom = self.limit_bytes.saturating_sub(self.full_bytes);
        self.full_bytes.saturating_add(headroom / PRESSED_PART)
    }
}

/// Whether so many seconds have passed. A clock that was set back has started anew.
fn has_passed(seconds: i64, since: Timestamp, now: Timestamp) -> bool {
    now < since || now >= since.plus_micros(seconds * MICROS_PER_SECOND)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    //! Guards against a store that grows beyond its limit, and against one that drops what would have fitted.

    use super::*;

    const MIB: u64 = 1 << 20;

    /// A file that reuses what is freed in it, and holds a unit of weight in so many bytes.
    struct File {
        allocated: u64,
        weight: u64,
        bytes_a_unit: f64,
    }

    impl File {
        fn used(&self) -> u64 {
            (self.weight as f64 * self.bytes_a_unit) as u64
        }

        fn write(&mut self, weight: u64) {
            self.weight += weight;
            self.allocated = self.allocated.max(self.used());
        }

        fn obey(&mut self, governor: &mut SizeGovernor, now: Timestamp) {
            let passes = now.as_seconds() as u64;
            if governor.is_measure_due(self.allocated, passes, now) {
                let measured = Measured {
                    used_bytes: self.used(),
                    weight: self.weight,
                    passes,
                };
                governor.set_measured(measured, now);
            }
            if let Some(target) = governor.look(self.allocated, self.weight, now) {
                self.weight = self.weight.min(target);
            }
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_seconds(second)
    }

    #[test]
    fn a_file_settles_below_its_limit_and_keeps_most_of_it() {
        let mut governor = SizeGovernor::new(100 * MIB);
        let mut file = File {
            allocated: 0,
            weight: 0,
            bytes_a_unit: 0.1,
        };
        for turn in 0..20_000 {
            file.write(MIB);
            file.obey(&mut governor, at(turn));
            assert!(file.allocated < 90 * MIB, "turn {turn}: {}", file.allocated);
        }
        assert!(
            file.used() > 55 * MIB,
            "only {} bytes are used",
            file.used()
        );
    }

    #[test]
    fn what_compresses_less_well_makes_the_ceiling_come_down() {
        let mut governor = SizeGovernor::new(100 * MIB);
        let mut file = File {
            allocated: 0,
            weight: 0,
            bytes_a_unit: 0.1,
        };
        for turn in 0..4_000 {
            if turn >= 1_000 {
                file.bytes_a_unit = (file.bytes_a_unit * 1.001).min(0.4);
            }
            file.write(MIB);
            file.obey(&mut governor, at(turn));
            assert!(
                file.allocated < 100 * MIB,
                "turn {turn}: {}",
                file.allocated
            );
        }
        assert!(
            file.used() > 55 * MIB,
            "only {} bytes are used",
            file.used()
        );
    }

    /// Pins, packing: pages that are in use for a while, whatever is dropped.
    #[test]
    fn a_file_that_grows_for_a_moment_does_not_lose_its_past() {
        let mut governor = SizeGovernor::new(100 * MIB);
        governor.set_measured(
            Measured {
                used_bytes: 60 * MIB,
                weight: 600,
                passes: 0,
            },
            at(0),
        );
        let fits = 600 * 875 * u64::from(SIZE_USED_PERCENT) / 100 / 600;
        for second in 0..SIZE_GROWING_SECONDS {
            let allocated = (91 * MIB) + second as u64 * 1_024;
            assert_eq!(governor.look(allocated, 600.min(fits), at(second)), None);
        }
        // It does not stop: a sixteenth, once in a while.
        let mut weight = 600.min(fits);
        let mut cuts = 0;
        for second in SIZE_GROWING_SECONDS..4 * SIZE_GROWING_SECONDS {
            let allocated = (92 * MIB) + second as u64 * 1_024;
            if let Some(target) = governor.look(allocated, weight, at(second)) {
                weight = target;
                cuts += 1;
            }
        }
        assert!((2..=3).contains(&cuts), "{cuts}");
        // It has stopped, and stays as large as it is.
        let later = at(10 * SIZE_GROWING_SECONDS);
        let allocated = 92 * MIB + (4 * SIZE_GROWING_SECONDS as u64 - 1) * 1_024;
        assert_eq!(governor.look(allocated, weight, later), None);
        assert!(!governor.is_pressing(allocated, later));
    }

    #[test]
    fn a_file_that_is_opened_full_drops_nothing_before_it_is_measured() {
        let mut governor = SizeGovernor::new(100 * MIB);
        assert_eq!(governor.look(95 * MIB, 1_000, at(0)), None);
        assert!(governor.is_measure_due(95 * MIB, 0, at(0)));
        let measured = Measured {
            used_bytes: 30 * MIB,
            weight: 1_000,
            passes: 7,
        };
        governor.set_measured(measured, at(1));
        assert_eq!(
            governor.look(95 * MIB, 2_000, at(2)),
            None,
            "it had room inside"
        );
        assert!(governor.look(95 * MIB, 2_400, at(3)).is_some());
    }

    #[test]
    fn a_walk_is_made_when_it_can_tell_something_new() {
        let mut governor = SizeGovernor::new(100 * MIB);
        assert!(!governor.is_measure_due(50 * MIB, 0, at(0)));
        let measured = Measured {
            used_bytes: 60 * MIB,
            weight: 1_000,
            passes: 7,
        };
        governor.set_measured(measured, at(0));
        let later = at(SIZE_MEASURE_SECONDS_MIN);
        assert!(!governor.is_measure_due(90 * MIB, 7, later));
        assert!(governor.is_measure_due(90 * MIB, 8, later));
        assert!(!governor.is_measure_due(90 * MIB, 8, at(1)));
        // The clock was set back.
        assert!(governor.is_measure_due(90 * MIB, 8, at(-100)));
    }

    #[test]
    fn a_full_volume_is_a_limit_of_its_own() {
        let mut governor = SizeGovernor::new(100 * MIB);
        assert_eq!(governor.look(40 * MIB, 1_000, at(0)), None);
        governor.set_full(40 * MIB, 1_000);
        assert_eq!(governor.look(40 * MIB, 1_000, at(1)), None);
        assert!(governor.look(40 * MIB, 1_001, at(2)).is_some());
    }

    #[test]
    fn a_file_that_is_opened_beyond_its_limit_loses_what_does_not_fit() {
        let mut governor = SizeGovernor::new(80 * MIB);
        let measured = Measured {
            used_bytes: 140 * MIB,
            weight: 1_400,
            passes: 0,
        };
        governor.set_measured(measured, at(0));
        let target = governor.look(200 * MIB, 1_400, at(0)).unwrap();
        assert!(target < 600 && target > 450, "{target}");
        assert_eq!(governor.look(200 * MIB, target, at(1)), None);
        assert!(governor.is_beyond(200 * MIB));
        // Compacted.
        assert_eq!(governor.look(60 * MIB, target, at(2)), None);
        assert_eq!(governor.look(65 * MIB, 2 * target, at(3)), None);
    }
}
