//! Numbers for people.

/// A whole number in groups of three.
pub fn whole(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with about three digits that count, and in a larger unit where it is one of bytes.
pub fn figure(value: f64, unit: &str) -> String {
    if unit.starts_with("bytes") {
        return bytes(value);
    }
    plain(value)
}

/// A number with about three digits that count.
pub fn plain(value: f64) -> String {
    let size = value.abs();
    if size >= 1_000.0 {
        let sign = if value < 0.0 { "-" } else { "" };
        return format!("{sign}{}", whole(size.round() as u64));
    }
    let digits = match size {
        0.0 => 0,
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

fn bytes(value: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = value;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        if value.abs() < 1_024.0 {
            break;
        }
        value /= 1_024.0;
        unit = next;
    }
    format!("{} {unit}", plain(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_keep_their_size() {
        assert_eq!(whole(1_234_567), "1,234,567");
        assert_eq!(whole(12), "12");
        assert_eq!(whole(100), "100");
        assert_eq!(plain(84_123.4), "84,123");
        assert_eq!(plain(123.4), "123");
        assert_eq!(plain(12.34), "12.3");
        assert_eq!(plain(1.234), "1.23");
        assert_eq!(plain(0.012_34), "0.012");
        assert_eq!(plain(0.0), "0");
        assert_eq!(figure(3.0 * 1_048_576.0, "bytes"), "3.00 MiB");
        assert_eq!(figure(1_000.0, "bytes"), "1,000 B");
        assert_eq!(figure(7.0, "ms"), "7.00");
    }
}
