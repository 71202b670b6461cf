//! Where a record begins that has lost its beginning to retention.

use std::fmt;

use super::{EventKey, MICROS_PER_SECOND, Timestamp};

/// The end of what retention has dropped: every change before this place is gone, except the last version of each object
/// that was alive here. States, windows and histories from here on are complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Horizon(EventKey);

impl Horizon {
    /// Nothing has been dropped.
    pub const NONE: Self = Self(EventKey {
        at: Timestamp::MIN,
        seq: 0,
    });

    /// Everything before `event` has been dropped.
    pub const fn before(event: EventKey) -> Self {
        Self(event)
    }

    /// Everything up to `event` has been dropped.
    pub const fn behind(event: EventKey) -> Self {
        Self(EventKey {
            at: event.at,
            seq: event.seq.saturating_add(1),
        })
    }

    /// Everything before a time has been dropped.
    pub const fn at(at: Timestamp) -> Self {
        Self(EventKey { at, seq: 0 })
    }

    /// The first place that has not been dropped.
    pub const fn event(self) -> EventKey {
        self.0
    }

    /// Whether nothing has been dropped.
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// The earliest time at which a window may start. A horizon between two changes of one microsecond excludes that
    /// microsecond.
    pub fn first_start(self) -> Timestamp {
        match self.0.seq {
            0 => self.0.at,
            _ => self.0.at.plus_micros(1),
        }
    }

    /// The earliest whole second at which a window may start: the unit of a trace.
    pub fn first_second(self) -> Timestamp {
        let micros = self.first_start().as_micros();
        let second = micros.div_euclid(MICROS_PER_SECOND);
        let exact = micros.rem_euclid(MICROS_PER_SECOND) == 0;
        Timestamp::from_seconds(if exact {
            second
        } else {
            second.saturating_add(1)
        })
    }

    /// Whether the record is complete from `start` on.
    pub fn allows(self, start: Timestamp) -> bool {
        start >= self.first_start()
    }
}

impl fmt::Display for Horizon {
    /// The earliest time at which a window may start.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first_start().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_horizon_inside_a_microsecond_excludes_it() {
        let at = Timestamp::from_micros(7_000_000);
        let inside = Horizon::before(EventKey { at, seq: 3 });
        assert!(!inside.allows(at));
        assert!(inside.allows(at.plus_micros(1)));
        assert_eq!(inside.first_second(), Timestamp::from_seconds(8));
        let between = Horizon::at(at);
        assert!(between.allows(at));
        assert!(!between.allows(at.plus_micros(-1)));
        assert_eq!(between.first_second(), at);
        assert!(Horizon::NONE.allows(Timestamp::MIN) && Horizon::NONE < between);
    }
}
