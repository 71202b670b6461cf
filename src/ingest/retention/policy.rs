//! What a store shall keep.

use super::size::SizeGovernor;
use crate::limits::{
    AGE_STEP_SECONDS_MAX, AGE_STEPS, RETENTION_SIZE_BYTES_MIN, VOLUME_SHARE_PERCENT_MAX,
};
use crate::model::{Horizon, MICROS_PER_SECOND, Timestamp};
use crate::store::Room;

/// What a store shall keep; whichever is reached first makes it drop its oldest changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// Age up to which changes are kept, microseconds; `None`: however old.
    pub age_us: Option<i64>,
    /// Bytes that the file may take from its volume; `None`: as many as there are.
    pub size_bytes: Option<u64>,
}

impl RetentionPolicy {
    /// The size for a file that may have its volume to itself: at most [`VOLUME_SHARE_PERCENT_MAX`] of what it could grow
    /// to.
    pub fn size_for(room: Room) -> u64 {
        let whole = room.available_bytes.saturating_add(room.allocated_bytes);
        let share = u128::from(whole) * u128::from(VOLUME_SHARE_PERCENT_MAX) / 100;
        u64::try_from(share)
            .unwrap_or(u64::MAX)
            .max(RETENTION_SIZE_BYTES_MIN)
    }

    /// Bytes that the file may take while its pages are kept for copies ([`crate::store::CopyGraceOptions`]); `None`: any.
    pub fn copies_bytes_max(&self) -> Option<u64> {
        // Between two looks at the pins, the file may grow by what a pass of packing writes.
        Some(self.size_bytes? / 4 * 3)
    }

    /// Bytes from which on growth of the file is taken for a lack of room, and what it may take at all; `None`: any.
    pub fn full_bytes(&self) -> Option<(u64, u64)> {
        let limit = self.size_bytes?;
        Some((SizeGovernor::new(limit).pressing_bytes(), limit))
    }

    /// How far the age alone lets the horizon go; `None`: not beyond `current`, or by too little to be worth a commit.
    pub(super) fn aged(&self, now: Timestamp, current: Horizon) -> Option<Horizon> {
        let age_us = self.age_us?;
        let target = now.plus_micros(age_us.saturating_neg());
        let longest = AGE_STEP_SECONDS_MAX * MICROS_PER_SECOND;
        let step = (age_us / AGE_STEPS).clamp(MICROS_PER_SECOND, longest);
        let due = current.first_start().plus_micros(step);
        (target >= due).then_some(Horizon::at(target))
    }
}

#[cfg(test)]
mod tests {
    //! Guards against a default that fills the volume, and against a commit for each second that passes.

    use super::*;

    const DAY_US: i64 = 86_400 * MICROS_PER_SECOND;

    #[test]
    fn the_default_size_leaves_a_fifth_of_the_volume_and_counts_what_the_file_has() {
        let gib = 1 << 30;
        let room = |allocated_bytes, available_bytes| Room {
            allocated_bytes,
            available_bytes,
        };
        assert_eq!(RetentionPolicy::size_for(room(0, 100 * gib)), 80 * gib);
        // It does not shrink as the file grows.
        assert_eq!(
            RetentionPolicy::size_for(room(60 * gib, 40 * gib)),
            80 * gib
        );
        assert_eq!(
            RetentionPolicy::size_for(room(0, 0)),
            RETENTION_SIZE_BYTES_MIN
        );
    }

    #[test]
    fn the_horizon_follows_the_clock_in_steps() {
        let policy = RetentionPolicy {
            age_us: Some(30 * DAY_US),
            size_bytes: None,
        };
        let now = Timestamp::from_micros(40 * DAY_US);
        let aged = policy.aged(now, Horizon::NONE);
        assert_eq!(aged, Some(Horizon::at(Timestamp::from_micros(10 * DAY_US))));
        let current = Horizon::at(Timestamp::from_micros(10 * DAY_US));
        assert_eq!(
            policy.aged(now.plus_micros(59 * MICROS_PER_SECOND), current),
            None
        );
        assert!(
            policy
                .aged(now.plus_micros(60 * MICROS_PER_SECOND), current)
                .is_some()
        );
        // The clock jumps back: nothing.
        assert_eq!(policy.aged(now.plus_micros(-DAY_US), current), None);
        assert_eq!(RetentionPolicy::default().aged(now, Horizon::NONE), None);
    }

    #[test]
    fn a_short_age_moves_in_short_steps() {
        let policy = RetentionPolicy {
            age_us: Some(90 * MICROS_PER_SECOND),
            size_bytes: None,
        };
        let current = Horizon::at(Timestamp::from_seconds(10));
        assert_eq!(policy.aged(Timestamp::from_seconds(101), current), None);
        assert!(policy.aged(Timestamp::from_seconds(102), current).is_some());
    }
}
