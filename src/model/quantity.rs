//! Amounts as a person gives them: bytes (`10GiB`, `500MB`, Kubernetes' `10Gi`) and ages (`30d`, `12h`).

use std::fmt;
use std::str::FromStr;

use super::timestamp::duration_micros;

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// A text that is no number of bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a size: expected bytes with a unit, such as 10GiB, 500MB or 10Gi")]
pub struct InvalidByteSize {
    /// The text as given.
    pub text: String,
}

/// Digits behind the point that count.
const FRACTION_DIGITS_MAX: usize = 9;

impl FromStr for ByteSize {
    type Err = InvalidByteSize;

    fn from_str(text: &str) -> Result<Self, InvalidByteSize> {
        bytes_of(text).map(Self).ok_or_else(|| InvalidByteSize {
            text: text.to_owned(),
        })
    }
}

fn bytes_of(text: &str) -> Option<u64> {
    let number_len = text.len()
        - text
            .trim_start_matches(|c: char| c.is_ascii_digit() || c == '.')
            .len();
    let (number, unit) = text.split_at_checked(number_len)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.len() > FRACTION_DIGITS_MAX {
        return None;
    }
    let whole: u128 = whole.parse().ok()?;
    let scale = 10u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let fraction: u128 = fraction.parse().ok()?;
    let unit = unit_bytes(unit.trim_start_matches(' '))?;
    let bytes = whole
        .checked_mul(unit)?
        .checked_add(fraction.checked_mul(unit)? / scale)?;
    u64::try_from(bytes).ok()
}

/// Bytes of a unit. As Kubernetes has it, `Gi` is 1024^3 and `G` is 1000^3; a `B` may follow both.
fn unit_bytes(unit: &str) -> Option<u128> {
    const PREFIXES: &str = "KMGTP";
    let prefix = unit.strip_suffix('B').unwrap_or(unit);
    let (prefix, base) = match prefix.strip_suffix('i') {
        Some(prefix) => (prefix, 1024u128),
        None if prefix.is_empty() => return Some(1),
        None => (prefix, 1000),
    };
    let mut letters = prefix.chars();
    // A small m would be a thousandth.
    let letter = match letters.next()? {
        'k' => 'K',
        letter => letter,
    };
    let power = PREFIXES.find(letter)? + 1;
    if letters.next().is_some() {
        return None;
    }
    base.checked_pow(u32::try_from(power).ok()?)
}

impl fmt::Display for ByteSize {
    /// `1.4 GiB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        let mut value = self.0 as f64 / 1024.0;
        let mut unit = "KiB";
        for next in UNITS.into_iter().skip(1) {
            if value < 1024.0 {
                break;
            }
            value /= 1024.0;
            unit = next;
        }
        write!(f, "{value:.1} {unit}")
    }
}

/// How old something may become; or no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// However old.
    Unlimited,
    /// So many microseconds; more than 0.
    Micros(i64),
}

/// A text that is no age.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an age: expected a duration such as 30d, 12h or 1h30m, or none")]
pub struct InvalidAge {
    /// The text as given.
    pub text: String,
}

impl Age {
    /// Microseconds; `None`: no limit.
    pub fn micros(self) -> Option<i64> {
        match self {
            Self::Unlimited => None,
            Self::Micros(micros) => Some(micros),
        }
    }
}

impl fmt::Display for Age {
    /// As it is given: `1d12h`, `none`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS_MS: [(&str, i64); 5] = [
            ("d", 86_400_000),
            ("h", 3_600_000),
            ("m", 60_000),
            ("s", 1_000),
            ("ms", 1),
        ];
        let Self::Micros(micros) = self else {
            return f.write_str("none");
        };
        let mut rest = micros / 1_000;
        if rest == 0 {
            return write!(f, "{micros}us");
        }
        for (unit, ms) in UNITS_MS {
            if rest >= ms {
                write!(f, "{}{unit}", rest / ms)?;
                rest %= ms;
            }
        }
        Ok(())
    }
}

impl FromStr for Age {
    type Err = InvalidAge;

    fn from_str(text: &str) -> Result<Self, InvalidAge> {
        if text == "none" {
            return Ok(Self::Unlimited);
        }
        match duration_micros(text) {
            Some(micros) if micros > 0 => Ok(Self::Micros(micros)),
            _ => Err(InvalidAge {
                text: text.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    //! Guards against `10G` read as 10 bytes, or `30` as 30 days: both lose a record.

    use super::*;

    #[test]
    fn sizes_are_read_in_every_common_unit() {
        for (text, bytes) in [
            ("0", 0),
            ("1024", 1024),
            ("7B", 7),
            ("10GiB", 10 << 30),
            ("10Gi", 10 << 30),
            ("10 GiB", 10 << 30),
            ("500MB", 500_000_000),
            ("500M", 500_000_000),
            ("64k", 64_000),
            ("64Ki", 65_536),
            ("1.5Gi", 3 << 29),
            ("0.25TB", 250_000_000_000),
            ("2PiB", 2 << 50),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused_by_name() {
        for text in [
            "",
            "Gi",
            "10Q",
            "10 G iB",
            "-1",
            "1..2",
            "1.Gi",
            ".5Gi",
            "10GGi",
            "100000PiB",
            "1e3",
            "10m",
            "i",
            "5iB",
        ] {
            let error = text.parse::<ByteSize>().unwrap_err();
            assert_eq!(error.text, text);
        }
    }

    #[test]
    fn sizes_print_as_people_read_them() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (10 << 30, "10.0 GiB"),
        ] {
            assert_eq!(ByteSize(bytes).to_string(), text);
        }
    }

    #[test]
    fn ages_print_as_they_are_given() {
        for text in ["10s", "1d12h", "30d", "1h30m", "1m500ms", "none"] {
            assert_eq!(text.parse::<Age>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn ages_are_durations_or_none() {
        const SECOND: i64 = 1_000_000;
        for (text, micros) in [
            ("30d", Some(30 * 86_400 * SECOND)),
            ("12h", Some(12 * 3_600 * SECOND)),
            ("90s", Some(90 * SECOND)),
            ("1h30m", Some(5_400 * SECOND)),
            ("none", None),
        ] {
            assert_eq!(text.parse::<Age>().unwrap().micros(), micros, "{text}");
        }
        for text in ["", "0s", "30", "-5m", "d", "None", "5y"] {
            assert_eq!(text.parse::<Age>().unwrap_err().text, text);
        }
    }
}
