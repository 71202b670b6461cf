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
//! A file that keeps growing all the same is cut at once, without waiting for a walk: but not before a pass of packing has
//! come to its end, because what is dropped gives no room before that; and not as long as pages are kept for copies,
//! unless that lasts too long. Passes are counted rather than seconds, because how long one takes depends on the load.

use crate::limits::{
    SIZE_GROWING_SECONDS, SIZE_HEADROOM_BYTES_MAX, SIZE_HEADROOM_BYTES_MIN,
    SIZE_MEASURE_SECONDS_MIN, SIZE_USED_PERCENT,
};
use crate::model::{MICROS_PER_SECOND, Timestamp};

/// Weighs a store against its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SizeGovernor {
    /// The limit that was given.
    given_bytes: u64,
    /// That in force: less where the volume has no room for it.
    limit_bytes: u64,
    /// Allocated bytes from which on the file counts as full.
    full_bytes: u64,
    /// Allocated bytes when they were last looked at.
    seen_bytes: Option<u64>,
    /// The weight to stay below.
    ceiling: Option<u64>,
    /// When the file was last seen to have grown.
    grown: Option<Moment>,
    /// Since when it has been growing in its last room, or when it was last cut for that.
    growing_since: Option<Moment>,
    /// When it was last measured.
    measured: Option<Moment>,
}

/// A look at the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// What its file takes.
    pub(super) allocated_bytes: u64,
    /// Pages are kept for copies.
    pub(super) pinned: bool,
    pub(super) moment: Moment,
}

/// When something was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) at: Timestamp,
    /// Passes of packing that had come to their end.
    pub(super) passes: u64,
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

/// The part of the headroom that the objects of one batch may have.
const BATCH_PART: u64 = 8;

/// Passes of packing that begin and end after the file has grown, before that counts as over: the one under way is none.
const PASSES_TO_SETTLE: u64 = 2;

/// Parts of the ceiling that are dropped at once, so that the store is below it for a while.
const HYSTERESIS: u64 = 64;

/// Parts of the weight of which one is cut where a file grows in its last room.
const CUT_PARTS: u64 = 16;

impl SizeGovernor {
    pub(super) fn new(limit_bytes: u64) -> Self {
        let headroom = (limit_bytes / 8).clamp(SIZE_HEADROOM_BYTES_MIN, SIZE_HEADROOM_BYTES_MAX);
        Self {
            given_bytes: limit_bytes,
            limit_bytes,
            full_bytes: limit_bytes.saturating_sub(headroom).max(limit_bytes / 2),
            seen_bytes: None,
            ceiling: None,
            grown: None,
            growing_since: None,
            measured: None,
        }
    }

    /// It was measured: it must lose what does not fit, and only what does not.
    pub(super) fn set_measured(&mut self, measured: Measured, now: Timestamp) {
        let fits = u128::from(self.full_bytes) * u128::from(SIZE_USED_PERCENT) / 100;
        let fitting = u128::from(measured.weight) * fits / u128::from(measured.used_bytes.max(1));
        self.ceiling = Some(u64::try_from(fitting).unwrap_or(u64::MAX));
        self.measured = Some(Moment {
            at: now,
            passes: measured.passes,
        });
    }

    /// The volume has no more room, whatever the limit says: so this is the limit.
    pub(super) fn set_full(&mut self, allocated_bytes: u64, weight: u64) {
        if allocated_bytes < self.limit_bytes {
            let Self {
                limit_bytes,
                full_bytes,
                ..
            } = Self::new(allocated_bytes);
            (self.limit_bytes, self.full_bytes) = (limit_bytes, full_bytes);
            self.measured = None;
        }
        self.seen_bytes = Some(allocated_bytes);
        self.ceiling = Some(self.ceiling.unwrap_or(weight).min(weight));
    }

    /// The weight to come down to, if anything has to be dropped.
    pub(super) fn weigh(&mut self, look: Look, weight: u64) -> Option<u64> {
        self.see(look);
        if look.allocated_bytes < self.full_bytes {
            // It was compacted, or is small.
            self.ceiling = None;
            self.measured = None;
            return None;
        }
        if self.is_pressing(look) {
            let since = *self.growing_since.get_or_insert(look.moment);
            let grown = self.grown.is_some_and(|grown| grown.passes > since.passes);
            let waited = !look.pinned || has_passed(SIZE_GROWING_SECONDS, since.at, look.moment.at);
            if grown && waited {
                let ceiling = self.ceiling.unwrap_or(weight).min(weight);
                self.ceiling = Some(ceiling - ceiling / CUT_PARTS);
                self.growing_since = Some(look.moment);
            }
        } else {
            self.growing_since = None;
        }
        let ceiling = self.ceiling?;
        (weight > ceiling).then(|| ceiling.saturating_sub(ceiling / HYSTERESIS))
    }

    /// The volume has room again.
    pub(super) fn set_roomy(&mut self) {
        let given = Self::new(self.given_bytes);
        (self.limit_bytes, self.full_bytes) = (given.limit_bytes, given.full_bytes);
        self.measured = None;
    }

    /// Whether the volume has no room for what was given.
    pub(super) fn is_volume_full(&self) -> bool {
        self.limit_bytes < self.given_bytes
    }

    /// What the file may take, bytes.
    pub(super) fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    /// Takes note of how large the file is.
    pub(super) fn see(&mut self, look: Look) {
        let seen = self.seen_bytes.replace(look.allocated_bytes);
        if seen.is_some_and(|seen| seen < look.allocated_bytes) {
            self.grown = Some(look.moment);
        }
    }

    /// Whether a walk over the store would tell something new: between two passes of packing, what was dropped weighs nothing
    /// and takes its room.
    pub(super) fn is_measure_due(&self, look: Look) -> bool {
        if look.allocated_bytes < self.full_bytes {
            return false;
        }
        let Some(then) = self.measured else {
            return true;
        };
        has_passed(SIZE_MEASURE_SECONDS_MIN, then.at, look.moment.at)
            && look.moment.passes != then.passes
    }

    /// Whether the file has reached the limit that was given: exports no longer hold retention back then. (On a full volume
    /// they do, until there is no room for the next batch.)
    pub(super) fn is_beyond(&self, allocated_bytes: u64) -> bool {
        allocated_bytes >= self.given_bytes
    }

    /// Whether so much of the headroom is gone, and the file grows, or what made it grow may not be over, that dropping has to
    /// be faster than recording.
    pub(super) fn is_pressing(&self, look: Look) -> bool {
        self.is_growing(look)
            || look.allocated_bytes >= self.pressing_bytes()
                && self.grown.is_some_and(|grown| {
                    look.moment.passes < grown.passes.saturating_add(PASSES_TO_SETTLE)
                })
    }

    /// Whether so much of the headroom is gone, and the file has grown a moment ago.
    pub(super) fn is_growing(&self, look: Look) -> bool {
        look.allocated_bytes >= self.pressing_bytes()
            && self
                .grown
                .is_some_and(|grown| !has_passed(SIZE_GROWING_SECONDS, grown.at, look.moment.at))
    }

    /// Bytes of objects in one batch: what several of them write, to the journal and once more when it is folded, must fit
    /// into the headroom.
    pub(super) fn batch_bytes_max(&self) -> u64 {
        self.limit_bytes.saturating_sub(self.full_bytes) / BATCH_PART
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

        /// A pass of packing ends with every second.
        fn obey(&mut self, governor: &mut SizeGovernor, now: Timestamp) {
            let passes = now.as_seconds() as u64;
            let look = look(self.allocated, passes, now);
            if governor.is_measure_due(look) {
                let measured = Measured {
                    used_bytes: self.used(),
                    weight: self.weight,
                    passes,
                };
                governor.set_measured(measured, now);
            }
            if let Some(target) = governor.weigh(look, self.weight) {
                self.weight = self.weight.min(target);
            }
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_seconds(second)
    }

    fn measured(used_mib: u64, weight: u64, passes: u64) -> Measured {
        Measured {
            used_bytes: used_mib * MIB,
            weight,
            passes,
        }
    }

    fn look(allocated_bytes: u64, passes: u64, at: Timestamp) -> Look {
        Look {
            allocated_bytes,
            pinned: false,
            moment: Moment { at, passes },
        }
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

    /// A governor whose ceiling is what the store weighs: 60 MiB are in use, and 100 may be.
    fn measured_at_its_ceiling() -> (SizeGovernor, u64) {
        let mut governor = SizeGovernor::new(100 * MIB);
        governor.set_measured(measured(60, 600, 0), at(0));
        (governor, 600.min(875 * u64::from(SIZE_USED_PERCENT) / 100))
    }

    #[test]
    fn a_file_that_grows_for_a_moment_does_not_lose_its_past() {
        let (mut governor, weight) = measured_at_its_ceiling();
        // Packing writes anew what it packs.
        for second in 0..100 {
            let look = look(91 * MIB + second * 1_024, 5, at(second as i64));
            assert_eq!(governor.weigh(look, weight), None);
            assert!(second == 0 || governor.is_pressing(look));
        }
        // The pass has come to its end, and the file grows no more.
        for passes in [6, 7] {
            let later = look(91 * MIB + 99 * 1_024, passes, at(200));
            assert_eq!(governor.weigh(later, weight), None);
            assert_eq!(governor.is_pressing(later), passes == 6);
        }
    }

    #[test]
    fn a_file_that_does_not_stop_growing_loses_a_part_with_each_pass() {
        let (mut governor, mut weight) = measured_at_its_ceiling();
        let mut cuts = 0;
        for turn in 0..40 {
            // However short a time that is.
            let look = look(91 * MIB + turn * 1_024, turn / 10, at(0));
            if let Some(target) = governor.weigh(look, weight) {
                weight = target;
                cuts += 1;
            }
        }
        assert_eq!(cuts, 3);
    }

    #[test]
    fn while_pages_are_kept_for_copies_nothing_is_cut_for_a_while() {
        let (mut governor, weight) = measured_at_its_ceiling();
        let mut look = |second: i64, pinned| {
            let allocated = 91 * MIB + second as u64 * 1_024;
            let look = Look {
                pinned,
                ..look(allocated, second as u64, at(second))
            };
            governor.weigh(look, weight)
        };
        for second in 0..=SIZE_GROWING_SECONDS {
            assert_eq!(look(second, true), None, "{second}");
        }
        assert!(look(SIZE_GROWING_SECONDS + 1, true).is_some());
    }

    #[test]
    fn a_file_that_is_opened_full_drops_nothing_before_it_is_measured() {
        let mut governor = SizeGovernor::new(100 * MIB);
        assert_eq!(governor.weigh(look(95 * MIB, 0, at(0)), 1_000), None);
        assert!(governor.is_measure_due(look(95 * MIB, 0, at(0))));
        governor.set_measured(measured(30, 1_000, 7), at(1));
        assert_eq!(
            governor.weigh(look(95 * MIB, 0, at(2)), 2_000),
            None,
            "it had room inside"
        );
        assert!(governor.weigh(look(95 * MIB, 0, at(3)), 2_400).is_some());
    }

    #[test]
    fn a_walk_is_made_when_it_can_tell_something_new() {
        let mut governor = SizeGovernor::new(100 * MIB);
        assert!(!governor.is_measure_due(look(50 * MIB, 0, at(0))));
        governor.set_measured(measured(60, 1_000, 7), at(0));
        let later = at(SIZE_MEASURE_SECONDS_MIN);
        assert!(!governor.is_measure_due(look(90 * MIB, 7, later)));
        assert!(governor.is_measure_due(look(90 * MIB, 8, later)));
        assert!(!governor.is_measure_due(look(90 * MIB, 8, at(1))));
        // The clock was set back.
        assert!(governor.is_measure_due(look(90 * MIB, 8, at(-100))));
    }

    #[test]
    fn a_full_volume_is_a_limit_of_its_own() {
        let mut governor = SizeGovernor::new(100 * MIB);
        assert_eq!(governor.weigh(look(40 * MIB, 0, at(0)), 1_000), None);
        governor.set_full(40 * MIB, 1_000);
        assert_eq!(governor.weigh(look(40 * MIB, 0, at(1)), 1_000), None);
        assert!(governor.weigh(look(40 * MIB, 0, at(2)), 1_001).is_some());
        // As if it had been given.
        assert_eq!(governor.limit_bytes(), 40 * MIB);
        assert_eq!(
            governor.pressing_bytes(),
            SizeGovernor::new(40 * MIB).pressing_bytes()
        );
        assert!(governor.is_measure_due(look(40 * MIB, 0, at(2))));
        // It has got the room that the reserve had: that is no new limit.
        governor.set_full(44 * MIB, 1_000);
        assert_eq!(governor.limit_bytes(), 40 * MIB);
        // But exports are not cut for it.
        assert!(governor.is_volume_full() && !governor.is_beyond(44 * MIB));

        governor.set_roomy();
        assert!(!governor.is_volume_full());
        assert_eq!(governor.weigh(look(44 * MIB, 0, at(3)), 2_000), None);
        assert_eq!(
            governor.pressing_bytes(),
            SizeGovernor::new(100 * MIB).pressing_bytes()
        );
    }

    #[test]
    fn a_file_that_is_opened_beyond_its_limit_loses_what_does_not_fit() {
        let mut governor = SizeGovernor::new(80 * MIB);
        governor.set_measured(measured(140, 1_400, 0), at(0));
        let target = governor.weigh(look(200 * MIB, 0, at(0)), 1_400).unwrap();
        assert!(target < 600 && target > 450, "{target}");
        assert_eq!(governor.weigh(look(200 * MIB, 0, at(1)), target), None);
        assert!(governor.is_beyond(200 * MIB));
        // Compacted.
        assert_eq!(governor.weigh(look(60 * MIB, 0, at(2)), target), None);
        assert_eq!(governor.weigh(look(65 * MIB, 0, at(3)), 2 * target), None);
    }
}
