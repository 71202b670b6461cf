//! The bytes of a chunk.
//!
//! Payload: `length of the last key | last key | length of the rows | zstd frame`. The rows, in the order of their keys:
//! `bytes that the key shares with the one before | length of the rest | the rest | length of the value | value`, where a
//! value is the row's payload, without its seal: the chunk has one for all of them. Numbers are varints. A chunk stands
//! at its first key.

use zstd_safe::{CCtx, CParameter, DCtx};

use super::{KeyBytes, Parts};
use crate::limits::{PACKED_CHUNK_ROWS_BYTES_MAX, PACKED_ROW_BYTES_MAX};
use crate::store::body::varint::{read_varint, write_varint};
use crate::store::{StoreError, codec};

/// Level 5 makes files smaller by 1 to 2 %, but takes three times as long: a tenth of the CPU of recording 50,000 objects.
const LEVEL: i32 = 3;

/// What a chunk holds, about: rows, and bytes of their keys.
const ROWS_ABOUT: usize = 512;
const KEYS_BYTES_ABOUT: usize = 8 << 10;

/// A row as it is packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PackedRow {
    /// Its key, as bytes in the order of keys.
    pub(crate) key: KeyBytes,
    /// Its payload.
    pub(crate) payload: Vec<u8>,
}

impl PackedRow {
    /// The bytes that it adds to a chunk before compression, at most.
    pub(super) fn weight(&self) -> usize {
        self.key.len() + self.payload.len() + 8
    }
}

/// A chunk as it was read.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    keys: Vec<u8>,
    rows: Vec<u8>,
    entries: Vec<Entry>,
}

/// Where a row lies. There are thousands in a chunk of small rows.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// End of the key in `keys`.
    key_end: u32,
    /// Where the value lies in `rows`.
    from: u32,
    to: u32,
}

impl Chunk {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Key and payload of a row.
    pub(crate) fn row(&self, at: usize) -> Option<(&[u8], &[u8])> {
        let entry = self.entries.get(at)?;
        let value = self.rows.get(entry.from as usize..entry.to as usize)?;
        Some((self.key_between(at, entry)?, value))
    }

    fn key_between(&self, at: usize, entry: &Entry) -> Option<&[u8]> {
        let start = match at.checked_sub(1) {
            Some(before) => self.entries.get(before)?.key_end,
            None => 0,
        };
        self.keys.get(start as usize..entry.key_end as usize)
    }

    fn key(&self, at: usize) -> &[u8] {
        let entry = self.entries.get(at);
        entry
            .and_then(|entry| self.key_between(at, entry))
            .unwrap_or_default()
    }

    /// Memory that it takes, bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        let entries = self.entries.capacity() * size_of::<Entry>();
        size_of::<Self>() + self.keys.capacity() + self.rows.capacity() + entries
    }

    /// Its last key.
    pub(crate) fn last_key(&self) -> &[u8] {
        self.len().checked_sub(1).map_or(&[], |at| self.key(at))
    }

    /// How many rows have keys below this one.
    pub(crate) fn rank(&self, key: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.key(middle) < key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The payload at a key.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let (found, payload) = self.row(self.rank(key))?;
        (found == key).then_some(payload)
    }

    /// All rows.
    pub(crate) fn into_rows(self) -> Vec<PackedRow> {
        let row = |at| {
            let (key, payload) = self.row(at)?;
            Some(PackedRow {
                key: key.into(),
                payload: payload.to_vec(),
            })
        };
        (0..self.len()).filter_map(row).collect()
    }
}

/// The last key of a stored chunk, without decompressing it: what lies behind it is not in the chunk.
pub(crate) fn last_key<'a>(
    parts: &Parts,
    key: &[u8],
    stored: &'a [u8],
) -> Result<&'a [u8], StoreError> {
    let mut payload = codec::unseal(parts.packed, key, stored)?;
    read_last_key(&mut payload).ok_or_else(|| damaged(parts, key, "the chunk has no last key"))
}

fn read_last_key<'a>(payload: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(read_varint(payload)?).ok()?;
    let (last, rest) = payload.split_at_checked(len)?;
    *payload = rest;
    Some(last)
}

fn damaged(parts: &Parts, key: &[u8], reason: &str) -> StoreError {
    StoreError::Damaged {
        table: parts.packed,
        key: codec::hex(key),
        reason: reason.to_owned(),
    }
}

/// Reads a stored chunk. What it returns is well-formed: its keys rise, and the first one is the chunk's.
///
/// # Errors
/// [`StoreError::Damaged`].
pub(crate) fn read(
    parts: &Parts,
    key: &[u8],
    stored: &[u8],
    context: &mut DCtx<'static>,
) -> Result<Chunk, StoreError> {
    let mut payload = codec::unseal(parts.packed, key, stored)?;
    let mut parse = || -> Option<Chunk> {
        let last = read_last_key(&mut payload)?;
        let len = usize::try_from(read_varint(&mut payload)?).ok()?;
        if len > PACKED_CHUNK_ROWS_BYTES_MAX + PACKED_ROW_BYTES_MAX {
            return None;
        }
        let mut rows = Vec::with_capacity(len);
        context.decompress(&mut rows, payload).ok()?;
        let chunk = parse_rows(rows, len)?;
        let ends_meet = chunk.key(0) == key && chunk.key(chunk.len().checked_sub(1)?) == last;
        ends_meet.then_some(chunk)
    };
    parse().ok_or_else(|| damaged(parts, key, "the rows of the chunk cannot be read"))
}

fn parse_rows(rows: Vec<u8>, len: usize) -> Option<Chunk> {
    if rows.len() != len {
        return None;
    }
    let mut chunk = Chunk {
        keys: Vec::with_capacity(len.min(KEYS_BYTES_ABOUT)),
        entries: Vec::with_capacity(ROWS_ABOUT),
        ..Chunk::default()
    };
    let mut rest = rows.as_slice();
    let mut before = 0..0;
    while !rest.is_empty() {
        let shared = usize::try_from(read_varint(&mut rest)?).ok()?;
        let more = usize::try_from(read_varint(&mut rest)?).ok()?;
        let (suffix, behind) = rest.split_at_checked(more)?;
        rest = behind;
        let start = chunk.keys.len();
        if shared > before.len() {
            return None;
        }
        chunk
            .keys
            .extend_from_within(before.start..before.start + shared);
        chunk.keys.extend_from_slice(suffix);
        let end = chunk.keys.len();
        if !chunk.entries.is_empty() && chunk.keys.get(before)? >= chunk.keys.get(start..end)? {
            return None;
        }
        before = start..end;
        let value = usize::try_from(read_varint(&mut rest)?).ok()?;
        let at = len - rest.len();
        (_, rest) = rest.split_at_checked(value)?;
        chunk.entries.push(Entry {
            key_end: u32::try_from(end).ok()?,
            from: u32::try_from(at).ok()?,
            to: u32::try_from(at + value).ok()?,
        });
    }
    chunk.rows = rows;
    Some(chunk)
}

/// Makes chunks.
pub(crate) struct ChunkWriter {
    context: Option<CCtx<'static>>,
}

impl Default for ChunkWriter {
    fn default() -> Self {
        let mut context = CCtx::try_create();
        if let Some(context) = &mut context {
            // Out of memory: the default level will do.
            let _ = context.set_parameter(CParameter::CompressionLevel(LEVEL));
        }
        Self { context }
    }
}

impl std::fmt::Debug for ChunkWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChunkWriter")
    }
}

impl ChunkWriter {
    /// The stored form of a chunk of these rows, in the order of their keys; `None` without rows, or without memory.
    pub(crate) fn write(&mut self, parts: &Parts, rows: &[PackedRow]) -> Option<Vec<u8>> {
        let (first, last) = (rows.first()?, rows.last()?);
        let mut bytes = Vec::with_capacity(rows.iter().map(PackedRow::weight).sum());
        let mut before: &[u8] = &[];
        for row in rows {
            let shared = before
                .iter()
                .zip(&row.key)
                .take_while(|(a, b)| a == b)
                .count();
            let rest = row.key.get(shared..).unwrap_or_default();
            write_varint(&mut bytes, shared as u64);
            write_varint(&mut bytes, rest.len() as u64);
            bytes.extend_from_slice(rest);
            write_varint(&mut bytes, row.payload.len() as u64);
            bytes.extend_from_slice(&row.payload);
            before = &row.key;
        }
        let mut payload = Vec::new();
        write_varint(&mut payload, last.key.len() as u64);
        payload.extend_from_slice(&last.key);
        write_varint(&mut payload, bytes.len() as u64);
        let mut frame = Vec::with_capacity(zstd_safe::compress_bound(bytes.len()));
        self.context.as_mut()?.compress2(&mut frame, &bytes).ok()?;
        payload.extend_from_slice(&frame);
        Some(codec::seal(parts.packed, &first.key, &payload))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::tests::PARTS;
    use super::*;
    use proptest::prelude::*;

    fn rows(map: &BTreeMap<Vec<u8>, Vec<u8>>) -> Vec<PackedRow> {
        let row = |(key, payload): (&Vec<u8>, &Vec<u8>)| PackedRow {
            key: key.as_slice().into(),
            payload: payload.clone(),
        };
        map.iter().map(row).collect()
    }

    fn map() -> impl Strategy<Value = BTreeMap<Vec<u8>, Vec<u8>>> {
        let bytes = || proptest::collection::vec(0u8..4, 0..6);
        proptest::collection::btree_map(bytes(), bytes(), 1..40)
    }

    proptest! {
        #[test]
        fn rows_come_back(map in map(), probe in proptest::collection::vec(0u8..4, 0..6)) {
            let rows = rows(&map);
            let stored = ChunkWriter::default().write(PARTS, &rows).unwrap();
            let first = &rows.first().unwrap().key;
            prop_assert_eq!(last_key(PARTS, first, &stored).unwrap(), rows.last().unwrap().key.as_slice());
            let chunk = read(PARTS, first, &stored, &mut DCtx::create()).unwrap();
            prop_assert_eq!(chunk.get(&probe), map.get(&probe).map(Vec::as_slice));
            prop_assert_eq!(chunk.rank(&probe), map.range(..probe).count());
            prop_assert_eq!(chunk.into_rows(), rows);
        }

        #[test]
        fn any_rows_end_in_a_chunk_or_in_none(bytes in proptest::collection::vec(0u8..9, 0..60)) {
            let len = bytes.len();
            if let Some(chunk) = parse_rows(bytes, len) {
                for at in 1..chunk.len() {
                    prop_assert!(chunk.key(at - 1) < chunk.key(at));
                }
            }
        }
    }

    #[test]
    fn a_chunk_under_another_key_is_refused() {
        let map = BTreeMap::from([(vec![1], vec![2]), (vec![3], vec![4])]);
        let stored = ChunkWriter::default().write(PARTS, &rows(&map)).unwrap();
        assert!(read(PARTS, &[1], &stored, &mut DCtx::create()).is_ok());
        assert!(read(PARTS, &[2], &stored, &mut DCtx::create()).is_err());
        let payload = codec::unseal(PARTS.packed, &[1], &stored).unwrap();
        let elsewhere = codec::seal(PARTS.packed, &[0], payload);
        assert!(read(PARTS, &[0], &elsewhere, &mut DCtx::create()).is_err());
    }
}
