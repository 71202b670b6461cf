//! When a store is too large, told by what can be known cheaply.
//!
//! What counts is what the file takes from its volume: its allocated blocks. redb reuses freed pages, so that number
//! stands still while the store loses as much as it gains, and never falls. How many pages inside the file are free only
//! a walk over all of it would tell. So the store is weighed instead (see `Writer::weight`): while the file is well below
//! its limit, nothing is dropped. When it comes near, it is full with what it holds then: that weight becomes
//! the ceiling, and whatever is recorded more has to be made room for. If the file grows all the same (what is recorded
//! compresses less well than before), the ceiling comes down to what would have fitted before it came near the limit. So
//! it settles below.

use crate::limits::{SIZE_HEADROOM_BYTES_MAX, SIZE_HEADROOM_BYTES_MIN};

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
}

/// What a store holds, measured page by page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Measured {
    pub(super) used_bytes: u64,
    pub(super) weight: u64,
}

/// The part of the headroom after which dropping has to be faster than recording.
const PRESSED_PART: u64 = 4;

/// Parts of the ceiling that are dropped at once, so that the store is below it for a while.
const HYSTERESIS: u64 = 64;

impl SizeGovernor {
    pub(super) fn new(limit_bytes: u64) -> Self {
        let headroom = (limit_bytes / 8).clamp(SIZE_HEADROOM_BYTES_MIN, SIZE_HEADROOM_BYTES_MAX);
        Self {
            limit_bytes,
            full_bytes: limit_bytes.saturating_sub(headroom).max(limit_bytes / 2),
            seen_bytes: None,
            ceiling: None,
        }
    }

    /// For a file that is beyond its limit when it is opened: it must lose what does not fit, and only what does not.
    pub(super) fn set_measured(&mut self, measured: Measured) {
        let full = u128::from(self.full_bytes);
        let fitting = u128::from(measured.weight) * full / u128::from(measured.used_bytes.max(1));
        self.ceiling = Some(u64::try_from(fitting).unwrap_or(u64::MAX));
    }

    /// The volume has no more room, whatever the limit says.
    pub(super) fn set_full(&mut self, allocated_bytes: u64, weight: u64) {
        self.full_bytes = self.full_bytes.min(allocated_bytes);
        self.seen_bytes = Some(allocated_bytes);
        self.ceiling = Some(self.ceiling.unwrap_or(weight).min(weight));
    }

    /// The weight to come down to, if anything has to be dropped.
    pub(super) fn look(&mut self, allocated_bytes: u64, weight: u64) -> Option<u64> {
        let seen = self.seen_bytes.replace(allocated_bytes);
        if allocated_bytes < self.full_bytes {
            // It was compacted, or is small.
            self.ceiling = None;
            return None;
        }
        let grown = seen.map_or(0, |seen| allocated_bytes.saturating_sub(seen));
        if grown > 0 {
            // It needed more room: so it is full. A file that was opened like this may well have room inside. What it
            // holds has to fit into less again, and the further it has grown, the longer that lasts.
            let wanted = self.full_bytes.saturating_sub(grown.saturating_mul(2));
            let fitting = u128::from(weight) * u128::from(wanted) / u128::from(allocated_bytes);
            let fitting = u64::try_from(fitting).unwrap_or(weight);
            self.ceiling = Some(self.ceiling.unwrap_or(fitting).min(fitting));
        }
        let ceiling = self.ceiling?;
        (weight > ceiling).then(|| ceiling.saturating_sub(ceiling / HYSTERESIS))
    }

    /// Whether the file has left its headroom: exports no longer hold retention back then.
    pub(super) fn is_beyond(&self, allocated_bytes: u64) -> bool {
        allocated_bytes >= self.limit_bytes
    }

    /// Whether so much of the headroom is gone that dropping has to be faster than recording.
    pub(super) fn is_pressing(&self, allocated_bytes: u64) -> bool {
        let headroom = self.limit_bytes.saturating_sub(self.full_bytes);
        allocated_bytes >= self.full_bytes.saturating_add(headroom / PRESSED_PART)
    }
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
        fn write(&mut self, weight: u64) {
            self.weight += weight;
            let used = (self.weight as f64 * self.bytes_a_unit) as u64;
            self.allocated = self.allocated.max(used);
        }

        fn obey(&mut self, governor: &mut SizeGovernor) {
            if let Some(target) = governor.look(self.allocated, self.weight) {
                self.weight = self.weight.min(target);
            }
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
            file.obey(&mut governor);
            assert!(
                file.allocated < 100 * MIB,
                "turn {turn}: {}",
                file.allocated
            );
        }
        let used = (file.weight as f64 * file.bytes_a_unit) as u64;
        assert!(used > 75 * MIB, "only {used} bytes are used");
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
            file.obey(&mut governor);
            assert!(
                file.allocated < 100 * MIB,
                "turn {turn}: {}",
                file.allocated
            );
        }
    }

    #[test]
    fn a_file_that_is_opened_full_drops_nothing_before_it_grows() {
        let mut governor = SizeGovernor::new(100 * MIB);
        assert_eq!(governor.look(95 * MIB, 1_000), None);
        assert_eq!(governor.look(95 * MIB, 1_500), None, "it had room inside");
        let target = governor.look(96 * MIB, 2_000).unwrap();
        assert!(target < 2_000 && target > 1_700, "{target}");
    }

    #[test]
    fn a_full_volume_is_a_limit_of_its_own() {
        let mut governor = SizeGovernor::new(100 * MIB);
        assert_eq!(governor.look(40 * MIB, 1_000), None);
        governor.set_full(40 * MIB, 1_000);
        assert_eq!(governor.look(40 * MIB, 1_000), None);
        assert!(governor.look(40 * MIB, 1_001).is_some());
    }

    #[test]
    fn a_file_that_is_opened_beyond_its_limit_loses_what_does_not_fit() {
        let mut governor = SizeGovernor::new(80 * MIB);
        governor.set_measured(Measured {
            used_bytes: 140 * MIB,
            weight: 1_400,
        });
        let target = governor.look(200 * MIB, 1_400).unwrap();
        assert!(target < 700 && target > 600, "{target}");
        assert_eq!(governor.look(200 * MIB, target), None);
        assert!(governor.is_beyond(200 * MIB) && governor.is_pressing(77 * MIB));
        // Compacted.
        assert_eq!(governor.look(60 * MIB, target), None);
        assert_eq!(governor.look(65 * MIB, 2 * target), None);
    }
}
