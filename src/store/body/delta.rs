//! A body as the difference to a base: pieces copied from the base, and literal bytes between them.
//!
//! Versions of one object, and pods of one owner, differ in a few short places, so what is left is a few dozen bytes:
//! too few for a general compressor, whose own frame is as long. Layout, repeated until the body is complete:
//! `literal length | literal bytes | copy length | copy offset`, lengths as varints, the offset as a zigzag varint
//! relative to where the base would be read on if nothing had been inserted or left out. A copy of length 0 has no offset.

use super::varint::{read_signed, read_varint, write_signed, write_varint};

/// Shortest copy that is looked for, bytes: what a copy costs at most is less.
const MATCH_BYTES_MIN: usize = 8;
/// Every so many bytes of the base one position is indexed. A match of `MATCH_BYTES_MIN + INDEX_STEP - 1` is found for sure.
const INDEX_STEP: usize = 4;
/// Largest number of slots of the index.
const INDEX_SLOTS_MAX: usize = 1 << 16;

/// Appends the difference between `base` and `target` to `out`.
pub(crate) fn encode(base: &[u8], target: &[u8], out: &mut Vec<u8>) {
    // Most edits leave everything in front of them and behind them alone.
    let front = common_prefix(base, target);
    let (base_rest, target_rest) = (
        base.get(front..).unwrap_or_default(),
        target.get(front..).unwrap_or_default(),
    );
    let back = common_suffix(base_rest, target_rest);
    let middle_end = target.len() - back;
    let mut ops = Ops {
        writer: Writer::new(out),
        target,
        literal_from: 0,
    };
    let mut at = front;
    if front > 0 {
        ops.copy(0, 0, front);
    }
    if at + MATCH_BYTES_MIN <= middle_end {
        let index = Index::new(base, front, base.len() - back);
        while at + MATCH_BYTES_MIN <= middle_end {
            let found = index.get(target, at).and_then(|base_at| {
                extend(base, target, base_at, at, ops.literal_from, middle_end)
            });
            match found {
                Some((base_at, target_at, len)) => {
                    ops.copy(base_at, target_at, len);
                    at = target_at + len;
                }
                None => at += 1,
            }
        }
    }
    if back > 0 {
        ops.copy(base.len() - back, middle_end, back);
    }
    ops.finish();
}

/// A piece of a body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Piece<'a> {
    /// Bytes that the base does not have there.
    Literal(&'a [u8]),
    /// Bytes of the base, which has them.
    Copy {
        /// Offset in the base.
        from: usize,
        /// Length, at least 1.
        len: usize,
    },
}

/// Calls `each` with the pieces of a body of `len` bytes, as the difference to a base of `base_len` bytes tells them.
/// `None`: the bytes are no difference to such a base; pieces may have been told by then.
pub(crate) fn pieces<'a>(
    base_len: usize,
    mut delta: &'a [u8],
    len: usize,
    mut each: impl FnMut(Piece<'a>) -> Option<()>,
) -> Option<()> {
    let mut missing = len;
    let mut expected = 0usize;
    while missing > 0 {
        let literals = usize::try_from(read_varint(&mut delta)?).ok()?;
        let (literal, rest) = delta.split_at_checked(literals)?;
        missing = missing.checked_sub(literals)?;
        if literals > 0 {
            each(Piece::Literal(literal))?;
        }
        delta = rest;
        if missing == 0 {
            break;
        }
        let copied = usize::try_from(read_varint(&mut delta)?).ok()?;
        if copied == 0 {
            if literals == 0 {
                return None;
            }
            continue;
        }
        let from = usize::try_from(
            i64::try_from(expected.checked_add(literals)?)
                .ok()?
                .checked_add(read_signed(&mut delta)?)?,
        )
        .ok()?;
        let to = from.checked_add(copied)?;
        missing = missing.checked_sub(copied)?;
        if to > base_len {
            return None;
        }
        each(Piece::Copy { from, len: copied })?;
        expected = to;
    }
    delta.is_empty().then_some(())
}

/// Rebuilds a body of `len` bytes, appended to `out`. `None`: the bytes are no difference to this base.
pub(crate) fn decode(base: &[u8], delta: &[u8], len: usize, out: &mut Vec<u8>) -> Option<()> {
    pieces(base.len(), delta, len, |piece| {
        match piece {
            Piece::Literal(bytes) => out.extend_from_slice(bytes),
            Piece::Copy { from, len } => out.extend_from_slice(base.get(from..from + len)?),
        }
        Some(())
    })
}

/// Rebuilds a body that fills `out`. `None`: the bytes are no difference between this base and such a body.
pub(crate) fn make(base: &[u8], delta: &[u8], out: &mut [u8]) -> Option<()> {
    let len = out.len();
    let mut rest = out;
    pieces(base.len(), delta, len, |piece| {
        let bytes = match piece {
            Piece::Literal(bytes) => bytes,
            Piece::Copy { from, len } => base.get(from..from + len)?,
        };
        rest.split_off_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(())
    })
}

/// Writes a difference piece by piece.
pub(crate) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// Where in the base the last copy ended.
    expected: usize,
    /// Literal bytes that no copy has followed yet.
    literal: &'a [u8],
}

impl<'a> Writer<'a> {
    /// What is written is appended to `out`.
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        Self {
            out,
            expected: 0,
            literal: &[],
        }
    }

    /// Literal bytes. Two such pieces must not follow each other.
    pub(crate) fn literal(&mut self, bytes: &'a [u8]) {
        self.literal = bytes;
    }

    /// Bytes of the base.
    pub(crate) fn copy(&mut self, from: usize, len: usize) {
        let literals = self.literals();
        write_varint(self.out, len as u64);
        let ahead = from as i64 - (self.expected + literals) as i64;
        write_signed(self.out, ahead);
        self.expected = from + len;
    }

    /// Nothing follows.
    pub(crate) fn finish(mut self) {
        if !self.literal.is_empty() {
            self.literals();
        }
    }

    fn literals(&mut self) -> usize {
        let literal = std::mem::take(&mut self.literal);
        write_varint(self.out, literal.len() as u64);
        self.out.extend_from_slice(literal);
        literal.len()
    }
}

struct Ops<'a> {
    writer: Writer<'a>,
    target: &'a [u8],
    /// Where in the target the bytes begin that no operation has covered yet.
    literal_from: usize,
}

impl Ops<'_> {
    fn literals(&mut self, to: usize) {
        let literal = self.target.get(self.literal_from..to).unwrap_or_default();
        self.writer.literal(literal);
    }

    fn copy(&mut self, base_at: usize, target_at: usize, len: usize) {
        self.literals(target_at);
        self.writer.copy(base_at, len);
        self.literal_from = target_at + len;
    }

    fn finish(mut self) {
        self.literals(self.target.len());
        self.writer.finish();
    }
}

/// Positions of the base by a hash of the bytes there. The last position of a hash wins.
struct Index {
    slots: Vec<u32>,
    shift: u32,
}

impl Index {
    fn new(base: &[u8], from: usize, to: usize) -> Self {
        // The middle of the base with some context: what was moved is found, and so is text repeated from the front.
        let from = from.saturating_sub(MATCH_BYTES_MIN);
        let positions = to.saturating_sub(from) / INDEX_STEP + 1;
        let slots = (positions * 2)
            .next_power_of_two()
            .clamp(64, INDEX_SLOTS_MAX);
        let mut index = Self {
            slots: vec![0; slots],
            shift: 64 - slots.trailing_zeros(),
        };
        let mut at = from;
        while let Some(slot) = index.slot(base, at) {
            if at >= to {
                break;
            }
            if let Some(entry) = index.slots.get_mut(slot) {
                *entry = u32::try_from(at + 1).unwrap_or(0);
            }
            at += INDEX_STEP;
        }
        index
    }

    fn slot(&self, bytes: &[u8], at: usize) -> Option<usize> {
        let window = bytes.get(at..)?.first_chunk::<MATCH_BYTES_MIN>()?;
        let hash = u64::from_le_bytes(*window).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Some((hash >> self.shift) as usize)
    }

    /// A position of the base whose bytes may be those of the target at `at`.
    fn get(&self, target: &[u8], at: usize) -> Option<usize> {
        let entry = *self.slots.get(self.slot(target, at)?)?;
        (entry > 0).then(|| entry as usize - 1)
    }
}

/// The longest equal stretch around two positions: (base position, target position, length); `None` if it is too short.
fn extend(
    base: &[u8],
    target: &[u8],
    base_at: usize,
    target_at: usize,
    target_min: usize,
    target_max: usize,
) -> Option<(usize, usize, usize)> {
    let ahead = common_prefix(base.get(base_at..)?, target.get(target_at..target_max)?);
    if ahead < MATCH_BYTES_MIN {
        return None;
    }
    let behind = common_suffix(base.get(..base_at)?, target.get(target_min..target_at)?);
    Some((base_at - behind, target_at - behind, ahead + behind))
}

fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let (a_words, b_words) = (a.as_chunks::<8>().0, b.as_chunks::<8>().0);
    let words = a_words
        .iter()
        .zip(b_words)
        .take_while(|(a, b)| a == b)
        .count()
        * 8;
    let (a, b) = (
        a.get(words..).unwrap_or_default(),
        b.get(words..).unwrap_or_default(),
    );
    words + a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

fn common_suffix(a: &[u8], b: &[u8]) -> usize {
    let (a_words, b_words) = (a.as_rchunks::<8>().1, b.as_rchunks::<8>().1);
    let words = a_words
        .iter()
        .rev()
        .zip(b_words.iter().rev())
        .take_while(|(a, b)| a == b)
        .count()
        * 8;
    let (a, b) = (
        a.get(..a.len() - words).unwrap_or_default(),
        b.get(..b.len() - words).unwrap_or_default(),
    );
    words
        + a.iter()
            .rev()
            .zip(b.iter().rev())
            .take_while(|(a, b)| a == b)
            .count()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn delta(base: &[u8], target: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(base, target, &mut out);
        let mut decoded = b"before".to_vec();
        decode(base, &out, target.len(), &mut decoded).unwrap();
        assert_eq!(decoded.strip_prefix(b"before").unwrap(), target);
        out
    }

    #[test]
    fn an_equal_body_is_a_few_bytes() {
        let body: Vec<u8> = (0..3_000u32).flat_map(u32::to_le_bytes).collect();
        assert!(delta(&body, &body).len() <= 5);
    }

    #[test]
    fn a_short_edit_costs_little_more_than_what_it_says() {
        let base: Vec<u8> = (0..600u32).flat_map(u32::to_le_bytes).collect();
        let mut target = base.clone();
        target.splice(1_000..1_004, *b"another tag");
        target.splice(2_001..2_003, *b"x");
        assert!(
            delta(&base, &target).len() <= 30,
            "{}",
            delta(&base, &target).len()
        );
    }

    #[test]
    fn what_moved_is_copied() {
        let base: Vec<u8> = (0..600u32).flat_map(u32::to_le_bytes).collect();
        let (front, back) = base.split_at(1_200);
        assert!(delta(&base, &[back, front].concat()).len() <= 30);
    }

    proptest! {
        #[test]
        fn whatever_was_edited_is_rebuilt(
            base in proptest::collection::vec(0u8..4, 0..400),
            edits in proptest::collection::vec((0usize..400, 0usize..40, proptest::collection::vec(any::<u8>(), 0..30)), 0..6),
        ) {
            let mut target = base.clone();
            for (at, cut, insert) in edits {
                let at = at.min(target.len());
                let to = (at + cut).min(target.len());
                target.splice(at..to, insert);
            }
            delta(&base, &target);
        }

        #[test]
        fn unrelated_bodies_are_rebuilt(
            base in proptest::collection::vec(any::<u8>(), 0..200),
            target in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            delta(&base, &target);
        }

        /// Bytes that are no difference are refused or give a body of the asked length; they never panic.
        #[test]
        fn any_bytes_can_be_given(
            base in proptest::collection::vec(any::<u8>(), 0..50),
            bytes in proptest::collection::vec(any::<u8>(), 0..60),
            len in 0usize..200,
        ) {
            let mut out = Vec::new();
            if decode(&base, &bytes, len, &mut out).is_some() {
                prop_assert_eq!(out.len(), len);
            }
        }
    }
}
