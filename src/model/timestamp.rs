//! Time: microseconds since the Unix epoch, and half-open windows of it.

use std::fmt;
use std::str::FromStr;

/// Microseconds in a second.
pub const MICROS_PER_SECOND: i64 = 1_000_000;

/// Microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Before everything.
    pub const MIN: Self = Self(i64::MIN);
    /// After everything.
    pub const MAX: Self = Self(i64::MAX);

    /// From microseconds since the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From Unix seconds; saturates at the ends of the range.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(MICROS_PER_SECOND))
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Unix seconds, rounded down: the unit of a SimKube trace.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(MICROS_PER_SECOND)
    }

    /// This time moved by some microseconds; saturates.
    pub const fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, with as many digits of the second as it needs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(timestamp) => write!(f, "{timestamp}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A half-open window of time, [start, end).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// First instant inside.
    pub start: Timestamp,
    /// First instant outside.
    pub end: Timestamp,
}

/// A window whose start lies after its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the window starts at {start}, after its end at {end}")]
pub struct InvertedRange {
    /// The start as given.
    pub start: Timestamp,
    /// The end as given.
    pub end: Timestamp,
}

impl TimeRange {
    /// The window [start, end).
    ///
    /// # Errors
    /// When `start` lies after `end`. An empty window is fine.
    pub fn new(start: Timestamp, end: Timestamp) -> Result<Self, InvertedRange> {
        if start > end {
            Err(InvertedRange { start, end })
        } else {
            Ok(Self { start, end })
        }
    }

    /// Everything.
    pub const ALL: Self = Self {
        start: Timestamp::MIN,
        end: Timestamp::MAX,
    };

    /// Whether the instant lies inside.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }

    /// Whether [start, end) and [other.start, other.end) share an instant.
    pub fn touches(&self, start: Timestamp, end: Timestamp) -> bool {
        start < self.end && end > self.start
    }
}

/// A point in time as a person gives it: absolute, `now`, or relative to a reference.
///
/// Accepts RFC 3339 (`2026-11-22T03:12:00Z`), Unix seconds (`1764817920`), `now`, and signed durations in the units
/// that Prometheus and kubectl use (`-30m`, `-1h30m`, `+10s`, `-2d`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeSpec {
    /// A fixed instant.
    At(Timestamp),
    /// The present.
    Now,
    /// So many microseconds from the reference.
    Offset(i64),
}

/// A text that names no point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a time: expected RFC 3339 (2026-11-22T03:12:00Z), Unix seconds (1764817920), now, or a \
     duration (-30m, -1h30m, -2d)"
)]
pub struct InvalidTime {
    /// The text as given.
    pub text: String,
}

impl TimeSpec {
    /// The instant meant, where offsets count from `reference`.
    pub fn resolve(self, now: Timestamp, reference: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Now => now,
            Self::Offset(micros) => reference.plus_micros(micros),
        }
    }
}

impl FromStr for TimeSpec {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        let invalid = || InvalidTime {
            text: text.to_owned(),
        };
        if text == "now" {
            return Ok(Self::Now);
        }
        if let Ok(seconds) = text.parse::<i64>() {
            // A sign means an offset only together with a unit; -30 alone is more likely a slip than 1969.
            if text.starts_with(['-', '+']) {
                return Err(invalid());
            }
            return seconds
                .checked_mul(MICROS_PER_SECOND)
                .map(|us| Self::At(Timestamp(us)))
                .ok_or_else(invalid);
        }
        if let Some(rest) = text.strip_prefix('-') {
            return duration_micros(rest)
                .map(|us| Self::Offset(-us))
                .ok_or_else(invalid);
        }
        if let Some(rest) = text.strip_prefix('+') {
            return duration_micros(rest).map(Self::Offset).ok_or_else(invalid);
        }
        let timestamp: jiff::Timestamp = text.parse().map_err(|_| invalid())?;
        Ok(Self::At(Timestamp(timestamp.as_microsecond())))
    }
}

/// `1h30m` in microseconds; `None` when it is not a duration or does not fit.
pub(super) fn duration_micros(text: &str) -> Option<i64> {
    let mut total = 0i64;
    let mut rest = text;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at_checked(digits)?;
        let letters = tail.len()
            - tail
                .trim_start_matches(|c: char| c.is_ascii_alphabetic())
                .len();
        let (unit, tail) = tail.split_at_checked(letters)?;
        let unit_micros = match unit {
            "ms" => 1_000,
            "s" => MICROS_PER_SECOND,
            "m" => 60 * MICROS_PER_SECOND,
            "h" => 3_600 * MICROS_PER_SECOND,
            "d" => 86_400 * MICROS_PER_SECOND,
            "w" => 7 * 86_400 * MICROS_PER_SECOND,
            _ => return None,
        };
        total = total.checked_add(number.parse::<i64>().ok()?.checked_mul(unit_micros)?)?;
        rest = tail;
    }
    Some(total)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_form() {
        let at = |s: i64| TimeSpec::At(Timestamp::from_seconds(s));
        assert_eq!("1700000000".parse(), Ok(at(1_700_000_000)));
        assert_eq!("2023-11-14T22:13:20Z".parse(), Ok(at(1_700_000_000)));
        assert_eq!("2023-11-14T23:13:20+01:00".parse(), Ok(at(1_700_000_000)));
        assert_eq!("now".parse(), Ok(TimeSpec::Now));
        assert_eq!("-30m".parse(), Ok(TimeSpec::Offset(-1_800_000_000)));
        assert_eq!("-1h30m".parse(), Ok(TimeSpec::Offset(-5_400_000_000)));
        assert_eq!("+2d".parse(), Ok(TimeSpec::Offset(172_800_000_000)));
    }

    #[test]
    fn what_is_no_time_is_refused_by_name() {
        for text in [
            "",
            "-",
            "yesterday",
            "-30",
            "30m",
            "-30x",
            "-m",
            "99999999999999999999",
            "-9999999999999w",
            "-3é",
        ] {
            assert_eq!(
                text.parse::<TimeSpec>(),
                Err(InvalidTime {
                    text: text.to_owned()
                }),
                "{text}"
            );
        }
    }

    #[test]
    fn seconds_round_down_on_both_sides_of_the_epoch() {
        assert_eq!(Timestamp::from_micros(1_999_999).as_seconds(), 1);
        assert_eq!(Timestamp::from_micros(-1).as_seconds(), -1);
    }
}
