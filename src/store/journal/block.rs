//! A few kilobytes of edits.

use super::edit::EditRef;
use crate::limits::{JOURNAL_BLOCK_BYTES_MAX, JOURNAL_BLOCK_STEP_BYTES};

/// Edits of one table, as [`EditRef::write`] writes them, in the order in which they came; what has been replaced stays until
/// it is more than a part of all ([`REPLACED_PARTS`]). Only an edit that is alone may be longer than [`JOURNAL_BLOCK_BYTES_MAX`].
#[derive(Clone, Debug, Default)]
pub(super) struct Block {
    written: Vec<u8>,
    /// Where edits begin, in the order of their keys.
    places: Vec<u16>,
    /// What of `written` has been replaced, bytes.
    replaced: usize,
}

/// Of what is written, what has been replaced may be one in so many.
const REPLACED_PARTS: usize = 5;

/// Places fit: behind so many bytes, and those that have been replaced, no edit begins.
const _: () = assert!(3 * JOURNAL_BLOCK_BYTES_MAX <= u16::MAX as usize);

impl Block {
    /// How many edits there are.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// What it takes in memory, bytes.
    pub(super) fn bytes(&self) -> usize {
        self.written.capacity() + self.places.capacity() * size_of::<u16>()
    }

    /// One of the edits, by the order of their keys.
    pub(super) fn get(&self, at: usize) -> Option<(&[u8], EditRef<'_>)> {
        EditRef::read(&mut self.entry(at)?)
    }

    /// The last key.
    pub(super) fn last_key(&self) -> Option<&[u8]> {
        self.key(*self.places.last()?)
    }

    /// Where a key is, or would be.
    pub(super) fn find(&self, key: &[u8]) -> Result<usize, usize> {
        self.places
            .binary_search_by(|place| self.key(*place).cmp(&Some(key)))
    }

    /// The first edit whose key is not before this one.
    pub(super) fn first_from(&self, key: &[u8]) -> usize {
        self.find(key).unwrap_or_else(|at| at)
    }

    /// The first edit whose key is behind this one.
    pub(super) fn first_behind(&self, key: &[u8]) -> usize {
        self.find(key).map_or_else(|at| at, |at| at + 1)
    }

    /// Whether an entry of so many bytes can be [`put`](Self::put) there.
    pub(super) fn has_room(&self, place: Result<usize, usize>, bytes: usize) -> bool {
        let others = self.others(place);
        others == 0 || others + bytes <= JOURNAL_BLOCK_BYTES_MAX
    }

    /// Puts an entry where [`Block::find`] has found or not found its key; for which there has to be room.
    pub(super) fn put(&mut self, place: Result<usize, usize>, entry: &[u8]) {
        let replaced = self.entry_len(place);
        let begin = place.ok().and_then(|at| self.places.get(at).copied());
        let is_last = |begin: &u16| usize::from(*begin) + replaced == self.written.len();
        if let Some(begin) = begin.filter(is_last) {
            // As of a row that is changed several times in a row.
            self.written.truncate(usize::from(begin));
            if self.written.capacity() > JOURNAL_BLOCK_BYTES_MAX {
                // It was long; what comes may be short.
                self.written.shrink_to(self.written.len() + entry.len());
            }
        } else {
            self.replaced += replaced;
        }
        if self.replaced * REPLACED_PARTS > self.written.len() {
            self.rewrite(place.ok());
        }
        debug_assert!(self.written.len() <= usize::from(u16::MAX));
        let begin = u16::try_from(self.written.len()).unwrap_or(u16::MAX);
        let missing = entry
            .len()
            .saturating_sub(self.written.capacity() - self.written.len());
        if missing > 0 {
            let step = missing.next_multiple_of(JOURNAL_BLOCK_STEP_BYTES);
            self.written
                .reserve_exact(self.written.capacity() - self.written.len() + step);
        }
        self.written.extend_from_slice(entry);
        match place {
            Ok(at) => {
                if let Some(place) = self.places.get_mut(at) {
                    *place = begin;
                }
            }
            Err(at) => {
                if self.places.len() == self.places.capacity() {
                    self.places.reserve_exact(PLACES_STEP);
                }
                self.places.insert(at.min(self.places.len()), begin);
            }
        }
    }

    /// A block behind this one, which is full: what comes in the order of keys leaves full blocks behind.
    pub(super) fn followed_by(&mut self, entry: &[u8]) -> Self {
        self.rewrite(None);
        let mut next = Self::default();
        next.put(Err(0), entry);
        next
    }

    /// Puts an entry for which there is no room. What comes behind is in the blocks that are returned, each with something
    /// in it.
    pub(super) fn split(&mut self, place: Result<usize, usize>, entry: &[u8]) -> Vec<Self> {
        let at = place.unwrap_or_else(|at| at);
        let before = (0..at).filter_map(|at| self.entry(at));
        let behind = (at + usize::from(place.is_ok())..self.len()).filter_map(|at| self.entry(at));
        let most = (self.others(place) + entry.len())
            .div_ceil(2)
            .min(JOURNAL_BLOCK_BYTES_MAX);
        let mut blocks = vec![Self::default()];
        for entry in before.chain([entry]).chain(behind) {
            let full = blocks
                .last()
                .is_none_or(|block| block.len() > 0 && block.written.len() + entry.len() > most);
            if full {
                blocks.push(Self::default());
            }
            if let Some(block) = blocks.last_mut() {
                block.put(Err(block.len()), entry);
            }
        }
        let behind = blocks.split_off(1);
        *self = blocks.pop().unwrap_or_default();
        behind
    }

    /// Leaves out what has been replaced, and one of the edits, whose place counts for nothing afterwards.
    fn rewrite(&mut self, without: Option<usize>) {
        if self.replaced == 0 && without.is_none() {
            return self.written.shrink_to_fit();
        }
        let mut written = Vec::with_capacity(self.written.len() - self.replaced);
        for (at, place) in self.places.iter_mut().enumerate() {
            let entry = entry_from(&self.written, *place);
            if without != Some(at) {
                *place = u16::try_from(written.len()).unwrap_or(u16::MAX);
                written.extend_from_slice(entry.unwrap_or_default());
            }
        }
        self.written = written;
        self.replaced = 0;
    }

    /// What all entries take but the one at a place, bytes.
    fn others(&self, place: Result<usize, usize>) -> usize {
        self.written.len() - self.replaced - self.entry_len(place)
    }

    fn entry_len(&self, place: Result<usize, usize>) -> usize {
        let entry = place.ok().and_then(|at| self.entry(at));
        entry.map_or(0, <[u8]>::len)
    }

    fn entry(&self, at: usize) -> Option<&[u8]> {
        entry_from(&self.written, *self.places.get(at)?)
    }

    fn key(&self, place: u16) -> Option<&[u8]> {
        EditRef::read_key(self.written.get(usize::from(place)..)?)
    }
}

/// The entry that begins at a place.
fn entry_from(written: &[u8], place: u16) -> Option<&[u8]> {
    let from = written.get(usize::from(place)..)?;
    let mut rest = from;
    EditRef::read(&mut rest)?;
    from.get(..from.len() - rest.len())
}

/// Places that are made room for at once.
const PLACES_STEP: usize = 16;
