//! Which names are in no chunk, told without decompressing one.
//!
//! What appears has a name and a UID that nothing had before it. The writer looks for both, and each look would decompress
//! the chunk that might have them. So of the chunks that it reads and writes it keeps two bytes for each row: a hash of the
//! *prefix* of its key, which is the part that is looked for ([`Prefix`]). One new name in a hundred looks known by it, and
//! costs what it did before. What there is memory for helps in a store of some hundred thousand pods; in a larger one, as
//! far as it goes.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use quick_cache::Weighter;
use quick_cache::unsync::Cache;

use super::key::KeyBytes;
use crate::limits::PACKED_PREFIXES_BYTES_MAX;

/// The part of a table's keys that is looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Prefix {
    /// Rows are looked for by whole keys, or are known to exist.
    None,
    /// So many bytes.
    First(usize),
    /// All but so many bytes.
    AllBut(usize),
}

impl Prefix {
    /// The prefix of a key.
    fn of(self, key: &[u8]) -> Option<&[u8]> {
        match self {
            Self::None => None,
            Self::First(bytes) => key.get(..bytes),
            Self::AllBut(bytes) => key.get(..key.len().checked_sub(bytes)?),
        }
    }
}

/// Hashes of the prefixes of a chunk's rows, in rising order.
type Marks = Box<[u16]>;

/// A chunk: number of its table, key at which it stands.
type Place = (usize, KeyBytes);

/// See the [module](self). It may forget at any time; what it knows is true of the store, or of the transaction under way.
pub(crate) struct Prefixes(Mutex<State>);

struct State {
    hasher: RandomState,
    chunks: Cache<Place, Marks, MarksWeighter>,
    /// A transaction that is not known to be durable has written chunks.
    unsettled: bool,
}

#[derive(Clone)]
struct MarksWeighter;

impl Weighter<Place, Marks> for MarksWeighter {
    fn weight(&self, (_, key): &Place, marks: &Marks) -> u64 {
        /// Key, pointers, and the cache's own books.
        const OVERHEAD_BYTES: usize = 128;
        (OVERHEAD_BYTES + key.len() + size_of_val::<[u16]>(marks)) as u64
    }
}

impl Default for Prefixes {
    fn default() -> Self {
        /// What a chunk's marks take, about.
        const MARKS_BYTES_ABOUT: usize = 1 << 10;
        Self(Mutex::new(State {
            hasher: RandomState::new(),
            chunks: Cache::with_weighter(
                PACKED_PREFIXES_BYTES_MAX / MARKS_BYTES_ABOUT,
                PACKED_PREFIXES_BYTES_MAX as u64,
                MarksWeighter,
            ),
            unsettled: false,
        }))
    }
}

impl std::fmt::Debug for Prefixes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prefixes").finish_non_exhaustive()
    }
}

impl State {
    fn mark(&self, prefix: &[u8]) -> u16 {
        // The part of a hash that fits.
        (self.hasher.hash_one(prefix) & 0xffff) as u16
    }
}

impl Prefixes {
    /// Whether a row of the chunk at this place may have the prefix. `None`: nothing is known of the chunk.
    pub(super) fn may_have(&self, table: usize, chunk: &[u8], prefix: &[u8]) -> Option<bool> {
        let state = self.lock();
        let marks = state.chunks.get(&(table, KeyBytes::from_slice(chunk)))?;
        Some(marks.binary_search(&state.mark(prefix)).is_ok())
    }

    /// The chunk at this place has these keys.
    pub(super) fn learn<'k>(
        &self,
        table: usize,
        chunk: &[u8],
        prefix: Prefix,
        keys: impl Iterator<Item = &'k [u8]>,
    ) {
        let mut state = self.lock();
        let marks = keys.filter_map(|key| Some(state.mark(prefix.of(key)?)));
        let mut marks: Vec<u16> = marks.collect();
        marks.sort_unstable();
        marks.dedup();
        let place = (table, KeyBytes::from_slice(chunk));
        state.chunks.insert(place, marks.into_boxed_slice());
    }

    /// A transaction writes the chunk at this place, or removes it.
    pub(super) fn changes(&self, table: usize, chunk: &[u8]) {
        let mut state = self.lock();
        state.unsettled = true;
        state.chunks.remove(&(table, KeyBytes::from_slice(chunk)));
    }

    /// A transaction begins: if the last one that wrote chunks came to no commit, all that is known counts for nothing.
    pub(crate) fn begin(&self) {
        let mut state = self.lock();
        if std::mem::take(&mut state.unsettled) {
            state.chunks.clear();
        }
    }

    /// The transaction is durable.
    pub(crate) fn committed(&self) {
        self.lock().unsettled = false;
    }

    /// Chunks are written by others, or may have been.
    pub(crate) fn clear(&self) {
        self.lock().chunks.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    //! Guards against a pod that is counted twice because its first row was not found.

    use super::*;

    const NAMES: [&[u8]; 3] = [b"a1", b"b22", b"bb3"];

    fn known() -> Prefixes {
        let prefixes = Prefixes::default();
        prefixes.learn(7, b"a", Prefix::AllBut(1), NAMES.into_iter());
        prefixes
    }

    #[test]
    fn what_a_chunk_has_is_never_said_to_be_absent_and_hardly_anything_else_is_said_to_be_there() {
        let prefixes = known();
        for prefix in [b"a".as_slice(), b"b2", b"bb"] {
            assert_eq!(prefixes.may_have(7, b"a", prefix), Some(true));
        }
        let others = (0..10_000u32).map(u32::to_be_bytes);
        let wrong = others
            .filter(|other| prefixes.may_have(7, b"a", other).unwrap())
            .count();
        assert!(wrong < 100, "{wrong}");
        assert_eq!(prefixes.may_have(7, b"b", b"a"), None);
        assert_eq!(prefixes.may_have(6, b"a", b"a"), None);
    }

    #[test]
    fn what_was_not_committed_is_forgotten() {
        let prefixes = known();
        prefixes.begin();
        assert!(prefixes.may_have(7, b"a", b"a").is_some());
        prefixes.changes(7, b"a");
        assert!(prefixes.may_have(7, b"a", b"a").is_none());
        prefixes.learn(7, b"c", Prefix::First(1), [b"c".as_slice()].into_iter());
        prefixes.committed();
        prefixes.begin();
        assert_eq!(prefixes.may_have(7, b"c", b"c"), Some(true));
        prefixes.changes(7, b"d");
        prefixes.begin();
        assert_eq!(prefixes.may_have(7, b"c", b"c"), None);
    }

    #[test]
    fn it_is_bounded() {
        let prefixes = Prefixes::default();
        let keys: Vec<[u8; 4]> = (0..1_000u32).map(u32::to_be_bytes).collect();
        let chunks = PACKED_PREFIXES_BYTES_MAX / 1_000;
        for chunk in 0..chunks as u32 {
            let keys = keys.iter().map(<[u8; 4]>::as_slice);
            prefixes.learn(0, &chunk.to_be_bytes(), Prefix::First(4), keys);
        }
        assert!(prefixes.lock().chunks.weight() <= PACKED_PREFIXES_BYTES_MAX as u64);
        assert!(prefixes.lock().chunks.len() > chunks / 4);
    }
}
