//! Why a watch was blind: what was said first and what was said last always stand in a gap's row.

use crate::limits::GAP_REASON_CHARS_MAX;

const CUT: &str = "...";
const AND: &str = "; ";

/// The reason for which a gap begins.
pub(super) fn first(reason: &str) -> String {
    cut(reason, GAP_REASON_CHARS_MAX)
}

/// The reasons of a gap that is open, with one more. Where that is too much, the end of the earlier ones is cut off, as
/// the last one often tells what it was all about; never more than a third of the room.
pub(super) fn with(earlier: &str, reason: &str) -> String {
    let room = GAP_REASON_CHARS_MAX.saturating_sub(AND.len());
    let said = reason.chars().count().min(room / 3 * 2);
    let earlier = cut(earlier, room - said);
    let room = room.saturating_sub(earlier.chars().count());
    format!("{earlier}{AND}{}", cut(reason, room))
}

/// At most so many characters of a text.
fn cut(text: &str, chars_max: usize) -> String {
    if text.chars().nth(chars_max).is_none() {
        return text.to_owned();
    }
    let kept = chars_max.saturating_sub(CUT.len());
    text.chars().take(kept).chain(CUT.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_reasons_all_stand() {
        assert_eq!(with(&first("a"), "b"), "a; b");
    }

    #[test]
    fn the_first_and_the_last_of_many_long_reasons_are_there() {
        let mut reasons = first("refused");
        for n in 0..100 {
            let reason = format!("{n} {} ü", "said at length ".repeat(20));
            reasons = with(&reasons, &reason);
            assert!(reasons.starts_with("refused; "), "{reasons}");
            assert!(reasons.ends_with(&reason), "{reasons}");
            assert!(reasons.chars().count() <= GAP_REASON_CHARS_MAX);
        }
        assert!(reasons.contains("...; 99 said"), "{reasons}");
    }

    #[test]
    fn a_reason_that_is_longer_than_all_the_room_leaves_a_third_of_it() {
        let long = "ü".repeat(3 * GAP_REASON_CHARS_MAX);
        let alone = first(&long);
        assert_eq!(alone.chars().count(), GAP_REASON_CHARS_MAX);
        assert!(alone.ends_with("ü..."), "{alone}");
        let both = with(&alone, &"o".repeat(3 * GAP_REASON_CHARS_MAX));
        assert_eq!(both.chars().count(), GAP_REASON_CHARS_MAX);
        assert!(both.starts_with('ü') && both.ends_with("o..."), "{both}");
        assert_eq!(
            both.split(AND)
                .map(|half| half.chars().count())
                .collect::<Vec<_>>(),
            [166, 332]
        );
    }
}
