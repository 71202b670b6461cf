//! Counts as people write them: `10k`, `1M`, `1_000_000`.

/// Reads a count of at least 1.
pub(super) fn count(text: &str) -> Result<u64, String> {
    let (digits, factor) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (text.get(..at), 1_000),
        Some((at, 'm' | 'M')) => (text.get(..at), 1_000_000),
        _ => (Some(text), 1),
    };
    let digits = digits.unwrap_or_default().replace('_', "");
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let count = digits
        .parse::<u64>()
        .ok()
        .filter(|_| is_number)
        .and_then(|count| count.checked_mul(factor));
    match count {
        Some(0) => Err("must be at least 1".to_owned()),
        Some(count) => Ok(count),
        None => Err("expected a count such as 10k, 1M or 1_000_000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn counts_have_suffixes_and_underscores() {
        for (text, number) in [
            ("1", 1),
            ("256", 256),
            ("10k", 10_000),
            ("1M", 1_000_000),
            ("2m", 2_000_000),
            ("1_000_000", 1_000_000),
            ("1_0K", 10_000),
        ] {
            assert_eq!(count(text), Ok(number), "{text}");
        }
    }

    #[test]
    fn what_is_no_count_is_refused() {
        for text in [
            "",
            "k",
            "0",
            "0k",
            "x",
            "-1",
            "+1",
            "1.5M",
            "1G",
            "1 k",
            "1kk",
            "_",
            "99999999999999999999",
            "18446744073709551615M",
        ] {
            assert!(count(text).is_err(), "{text}");
        }
    }
}
