//! Filling chunks: how many rows go into each.
//!
//! A chunk fills a page of [`PACKED_PAGE_BYTES`], as nearly as can be guessed from how well the chunks before it were
//! compressed. One in the midst of the table that grows too large is split evenly; at the table's end chunks are filled one
//! after the other. [`PackedWrite::repack`] fills those that were split.

use std::ops::Bound;

use redb::ReadableTable;

use super::chunk::{ChunkWriter, PackedRow};
use super::key::{KeyBytes, RowKey};
use super::write::PackedWrite;
use crate::limits::{PACKED_CHUNK_ROWS_BYTES_MAX, PACKED_PAGE_BYTES};
use crate::store::StoreError;

/// What redb's leaf pages need besides one key and its value, bytes, and some to spare.
const PAGE_OVERHEAD_BYTES: usize = 24;
/// How often a chunk that came out too large or too small is made again.
const TRIES_MAX: usize = 4;
/// A chunk that fills so much of its page is full, percent.
const FULL_PERCENT: usize = 92;
/// Among this many full chunks one may stay that is not: to fill it, rows would have to be carried through all that follow.
const FULL_FOR_ONE_THAT_IS_NOT: usize = 16;

/// The bytes that a chunk at this key may take in its page.
fn room_of(key: &[u8]) -> usize {
    PACKED_PAGE_BYTES
        .saturating_sub(PAGE_OVERHEAD_BYTES + key.len())
        .max(1)
}

fn is_full(stored: usize, room: usize) -> bool {
    stored * 100 >= room * FULL_PERCENT
}

/// Makes chunks of the right size.
#[derive(Debug)]
pub(crate) struct Packer {
    chunks: ChunkWriter,
    /// Bytes of rows for each stored byte, as it was last, in percent.
    ratio_percent: usize,
}

impl Default for Packer {
    fn default() -> Self {
        Self {
            chunks: ChunkWriter::default(),
            ratio_percent: 300,
        }
    }
}

impl Packer {
    /// About how many bytes of rows fill a page.
    fn rows_bytes_of_a_page(&self) -> usize {
        PACKED_PAGE_BYTES * self.ratio_percent / 100 * 97 / 100
    }
}

impl<K: RowKey> PackedWrite<'_, K> {
    /// Writes rows as chunks; at the end of the table all but the last one full, else all of them alike.
    pub(super) fn store(
        &mut self,
        packer: &mut Packer,
        rows: &[PackedRow],
        at_end: bool,
    ) -> Result<(), StoreError> {
        let weight: usize = rows.iter().map(PackedRow::weight).sum();
        let full = packer.rows_bytes_of_a_page();
        let share = weight.div_ceil(weight.div_ceil(full).max(1));
        let mut rest = rows;
        while !rest.is_empty() {
            let goal = if at_end { full } else { share };
            let count = self.store_one(packer, rest, goal, at_end)?;
            rest = rest.get(count..).unwrap_or_default();
        }
        Ok(())
    }

    /// Writes the first of these rows as one chunk, of `goal` bytes of rows if it fits into its page then. Returns how many
    /// they are.
    fn store_one(
        &mut self,
        packer: &mut Packer,
        rows: &[PackedRow],
        mut goal: usize,
        fill: bool,
    ) -> Result<usize, StoreError> {
        let Some(first) = rows.first() else {
            return Ok(0);
        };
        let room = room_of(&first.key);
        let mut best: Option<(usize, Vec<u8>)> = None;
        for _ in 0..TRIES_MAX {
            let goal_now = goal.min(PACKED_CHUNK_ROWS_BYTES_MAX);
            let mut weight = 0;
            let count = rows
                .iter()
                .take_while(|row| {
                    weight += row.weight();
                    weight <= goal_now
                })
                .count()
                .max(1);
            let chosen = rows.get(..count).unwrap_or(rows);
            let weight: usize = chosen.iter().map(PackedRow::weight).sum();
            let stored = packer
                .chunks
                .write(self.packed.parts, chosen)
                .ok_or_else(|| {
                    StoreError::Refused("there is no memory to compress rows".to_owned())
                })?;
            packer.ratio_percent = (weight * 100 / stored.len().max(1)).clamp(50, 5_000);
            let fits = stored.len() <= room;
            let len = stored.len();
            let better = best.as_ref().is_none_or(|(known, _)| count > *known);
            if (fits || count == 1) && better {
                best = Some((count, stored));
            }
            let full = is_full(len, room);
            let whole = count == rows.len() || goal_now == PACKED_CHUNK_ROWS_BYTES_MAX;
            if count == 1 && !fits || fits && (full || whole || !fill) {
                break;
            }
            // A little less than would fit exactly.
            goal = (weight * room / len.max(1)) * 97 / 100;
        }
        let (count, stored) = match best {
            Some(best) => best,
            // Nothing fitted: the first row alone.
            None => {
                let chosen = rows.get(..1).unwrap_or(rows);
                let stored = packer.chunks.write(self.packed.parts, chosen);
                let no_memory =
                    || StoreError::Refused("there is no memory to compress rows".to_owned());
                (1, stored.ok_or_else(no_memory)?)
            }
        };
        let chosen = rows.get(..count).unwrap_or(rows);
        self.packed.changes(&first.key, chosen);
        self.packed
            .table
            .insert(first.key.as_slice(), stored.as_slice())?;
        Ok(count)
    }

    /// Fills the chunks of the whole packed part, one after the other. Full ones stay as they are, with a few between them that
    /// are not.
    pub(crate) fn repack(&mut self, packer: &mut Packer) -> Result<(), StoreError> {
        self.packed.forget();
        let mut after: Bound<KeyBytes> = Bound::Unbounded;
        let mut carried: Vec<PackedRow> = Vec::new();
        // Full chunks met since rows were left in one that is not full.
        let mut full_ones = FULL_FOR_ONE_THAT_IS_NOT;
        loop {
            let next = {
                let start = after.as_ref().map(KeyBytes::as_slice);
                let mut range = self
                    .packed
                    .table
                    .range::<&[u8]>((start, Bound::Unbounded))?;
                match range.next() {
                    Some(entry) => {
                        let (key, stored) = entry?;
                        let full = is_full(stored.value().len(), room_of(key.value()));
                        Some((KeyBytes::from_slice(key.value()), full))
                    }
                    None => None,
                }
            };
            let Some((key, full)) = next else { break };
            if full {
                if full_ones >= FULL_FOR_ONE_THAT_IS_NOT && !carried.is_empty() {
                    self.store(packer, &std::mem::take(&mut carried), true)?;
                    full_ones = 0;
                }
                full_ones += 1;
                if carried.is_empty() {
                    after = Bound::Excluded(key);
                    continue;
                }
            }
            carried.extend(self.take(&key)?);
            // Chunks that are written from here on stand at or before the last row that was taken.
            after = Bound::Excluded(carried.last().map_or(key, |row| row.key.clone()));
            // As long as there is surely more than one chunk of them.
            loop {
                let weight: usize = carried.iter().map(PackedRow::weight).sum();
                let goal = packer.rows_bytes_of_a_page();
                if weight < goal * 2 {
                    break;
                }
                let count = self.store_one(packer, &carried, goal, true)?;
                carried.drain(..count);
            }
        }
        self.store(packer, &carried, true)
    }
}
