//! Memory for what many cursors keep.
//!
//! They keep pieces of a few hundred bytes to some kilobytes, no two as long as one another, which become shorter and are given
//! up in no order. As allocations of their own they left holes that made an export of ten million changes take half as much
//! memory again. Here they lie one behind the other, and are moved together when the memory is full.

/// Bytes in an [`Arena`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Piece {
    at: u32,
    len: u32,
}

impl Piece {
    pub(super) fn len(self) -> usize {
        self.len as usize
    }

    /// Gives up what lies behind so many bytes. Returns how many bytes that is.
    pub(super) fn shorten(&mut self, len: usize) -> usize {
        let before = self.len;
        self.len = u32::try_from(len).map_or(before, |len| len.min(before));
        (before - self.len) as usize
    }

    fn range(self) -> std::ops::Range<usize> {
        let at = self.at as usize;
        at..at + self.len as usize
    }
}

/// See the [module](self). A piece given up, or a part of one, is free after the next [`Arena::move_together`].
pub(super) struct Arena {
    /// Allocated once, as long as it may become. Of that, only pages that were written to are memory of the process.
    bytes: Vec<u8>,
    limit_bytes: usize,
}

impl Arena {
    /// Nothing yet, and never more than so many bytes.
    pub(super) fn new(limit_bytes: usize) -> Self {
        Self {
            bytes: Vec::new(),
            limit_bytes,
        }
    }

    /// Bytes up to the end of the last piece.
    pub(super) fn used(&self) -> usize {
        self.bytes.len()
    }

    /// Copies the bytes behind the last piece. `None`: there is no room.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Option<Piece> {
        let at = self.bytes.len();
        if bytes.len() > self.limit_bytes.saturating_sub(at) {
            return None;
        }
        let piece = Piece {
            at: u32::try_from(at).ok()?,
            len: u32::try_from(bytes.len()).ok()?,
        };
        if self.bytes.capacity() == 0 {
            self.bytes.reserve_exact(self.limit_bytes);
        }
        self.bytes.extend_from_slice(bytes);
        Some(piece)
    }

    pub(super) fn get(&self, piece: Piece) -> &[u8] {
        self.bytes.get(piece.range()).unwrap_or_default()
    }

    pub(super) fn get_mut(&mut self, piece: Piece) -> &mut [u8] {
        self.bytes.get_mut(piece.range()).unwrap_or_default()
    }

    /// Moves pieces to the beginning, one behind the other. They must be all that are still used.
    pub(super) fn move_together(&mut self, mut pieces: Vec<&mut Piece>) {
        pieces.sort_unstable_by_key(|piece| piece.at);
        let mut to = 0;
        for piece in pieces {
            let range = piece.range();
            if range.end <= self.bytes.len() {
                self.bytes.copy_within(range, to);
            }
            piece.at = to as u32;
            to += piece.len();
        }
        self.bytes.truncate(to);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 300;

    proptest! {
        /// Whatever is pushed, shortened, given up and moved: each piece reads as it was written, and the limit holds.
        #[test]
        fn pieces_stay_what_they_are(steps in proptest::collection::vec((0..4u8, any::<u8>(), 0..90usize), 1..80)) {
            let mut arena = Arena::new(LIMIT);
            let mut kept: Vec<(Piece, Vec<u8>)> = Vec::new();
            for (step, fill, n) in steps {
                let at = n % kept.len().max(1);
                match step {
                    0 => {
                        let bytes: Vec<u8> = (0..n).map(|n| fill.wrapping_add(n as u8)).collect();
                        let used = arena.used();
                        match arena.push(&bytes) {
                            Some(piece) => kept.push((piece, bytes)),
                            None => prop_assert!(used + n > LIMIT),
                        }
                    }
                    1 if !kept.is_empty() => drop(kept.swap_remove(at)),
                    2 if !kept.is_empty() => {
                        let (piece, bytes) = &mut kept[at];
                        let len = usize::from(fill) % (bytes.len() + 1);
                        prop_assert_eq!(piece.shorten(len), bytes.len() - len);
                        bytes.truncate(len);
                        arena.get_mut(*piece).fill(fill);
                        bytes.fill(fill);
                    }
                    _ => {
                        arena.move_together(kept.iter_mut().map(|(piece, _)| piece).collect());
                        prop_assert_eq!(arena.used(), kept.iter().map(|(_, bytes)| bytes.len()).sum::<usize>());
                    }
                }
                prop_assert!(arena.used() <= LIMIT && arena.bytes.capacity() <= LIMIT);
                for (piece, bytes) in &kept {
                    prop_assert_eq!(arena.get(*piece), bytes.as_slice());
                }
            }
        }
    }
}
