//! Chunks of one table that were read last, decompressed.

use std::sync::Arc;

use zstd_safe::DCtx;

use super::chunk::Chunk;
use crate::limits::{PACKED_CHUNKS_BYTES_MAX, PACKED_CHUNKS_CACHED_MAX};

/// A chunk and the key that it stands at.
pub(super) type Found = (Arc<[u8]>, Arc<Chunk>);

/// Chunks of which one is likely to be read again at once.
const NEWEST: usize = 4;

/// Chunks that were read last, newest first. Chunks of one transaction never change under their keys, unless they are
/// forgotten here.
#[derive(Default)]
pub(super) struct Cache {
    chunks: Vec<Found>,
    /// Memory that they take, bytes.
    bytes: usize,
    /// Those that no thread decompresses with just now.
    pub(super) contexts: Vec<DCtx<'static>>,
}

impl Cache {
    /// The chunk that stands at this key, if it is still there.
    pub(super) fn get(&mut self, key: &[u8]) -> Option<Found> {
        let at = self.chunks.iter().position(|(known, _)| **known == *key)?;
        self.chunks.get_mut(..=at)?.rotate_right(1);
        self.chunks.first().cloned()
    }

    /// Takes a chunk, in place of those that were not read for longest.
    pub(super) fn insert(&mut self, found: Found) {
        self.bytes += found.1.memory_bytes();
        self.chunks.insert(0, found);
        while self.chunks.len() > NEWEST && self.bytes > PACKED_CHUNKS_BYTES_MAX
            || self.chunks.len() > PACKED_CHUNKS_CACHED_MAX
        {
            let oldest = self.chunks.pop();
            let freed = oldest.map_or(0, |(_, chunk)| chunk.memory_bytes());
            self.bytes = self.bytes.saturating_sub(freed);
        }
    }

    /// Forgets all chunks.
    pub(super) fn clear(&mut self) {
        self.chunks.clear();
        self.bytes = 0;
    }

    /// The chunk that was read last by one of the threads and has this key between its first and its last one: reading in
    /// order, it is most often the one, and nothing has to be looked up.
    pub(super) fn newest_around(&self, key: &[u8]) -> Option<Found> {
        let mut newest = self.chunks.iter().take(NEWEST);
        newest
            .find(|(first, chunk)| **first <= *key && chunk.last_key() >= key)
            .cloned()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::chunk::{ChunkWriter, PackedRow, read};
    use super::super::tests::PARTS;
    use super::*;

    /// A chunk of so many small rows, behind `n` others.
    fn chunk(n: u32, rows: u32) -> Found {
        let row = |row: u32| PackedRow {
            key: [n.to_be_bytes(), row.to_be_bytes()].concat().into(),
            payload: vec![7; 8],
        };
        let rows: Vec<_> = (0..rows).map(row).collect();
        let stored = ChunkWriter::default().write(PARTS, &rows).unwrap();
        let key = &rows.first().unwrap().key;
        let chunk = read(PARTS, key, &stored, &mut DCtx::create()).unwrap();
        (Arc::from(key.as_slice()), Arc::new(chunk))
    }

    /// What is kept of a hundred chunks.
    fn kept(rows: u32) -> Cache {
        let mut cache = Cache::default();
        for n in 0..100 {
            let found = chunk(n, rows);
            cache.insert(Found::clone(&found));
            // The last one is there, whatever had to go for it.
            assert!(Arc::ptr_eq(&cache.get(&found.0).unwrap().1, &found.1));
            let bytes = cache.chunks.iter().map(|(_, chunk)| chunk.memory_bytes());
            assert_eq!(cache.bytes, bytes.sum::<usize>());
            assert!(cache.bytes <= PACKED_CHUNKS_BYTES_MAX);
        }
        cache
    }

    #[test]
    fn as_many_are_kept_as_number_and_memory_allow() {
        assert_eq!(kept(2).chunks.len(), PACKED_CHUNKS_CACHED_MAX);
        let cache = kept(5_000);
        let of_one = chunk(0, 5_000).1.memory_bytes();
        assert_eq!(cache.chunks.len(), PACKED_CHUNKS_BYTES_MAX / of_one);
        assert!((NEWEST..PACKED_CHUNKS_CACHED_MAX).contains(&cache.chunks.len()));
    }
}
