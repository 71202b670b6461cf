//! Resource versions: opaque texts that are numbers in practice, and comparable since Kubernetes declared them so.

/// Whether a position `have` lies at or behind `goal`. Versions that are not numbers are only equal or not.
pub(super) fn reached(have: &str, goal: &str) -> bool {
    match numbers(have, goal) {
        Some((have, goal)) => have >= goal,
        None => have == goal,
    }
}

/// Whether `stored` is newer than the newest version that the server has: its history was replaced (R16).
pub(super) fn ahead(stored: &str, current: &str) -> bool {
    numbers(stored, current).is_some_and(|(stored, current)| stored > current)
}

/// Whether two versions can be ordered.
pub(super) fn comparable(a: &str, b: &str) -> bool {
    numbers(a, b).is_some()
}

fn numbers(a: &str, b: &str) -> Option<(u64, u64)> {
    Some((a.parse().ok()?, b.parse().ok()?))
}

#[cfg(test)]
mod tests {
    //! Guards against texts being compared as texts: "9" > "10" would relist after every tenth change.

    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(reached("10", "9") && reached("9", "9") && !reached("9", "10"));
        assert!(ahead("10", "9") && !ahead("9", "9") && !ahead("9", "10"));
    }

    #[test]
    fn versions_that_are_no_numbers_are_only_equal_or_not() {
        assert!(reached("abc", "abc") && !reached("abd", "abc") && !ahead("b", "a"));
        assert!(!comparable("a", "1") && comparable("2", "1"));
    }
}
