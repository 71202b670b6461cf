//! Packing: rows move from the hot part of a table into chunks of the packed part.
//!
//! [`super::loose`] has the rows that may move. A chunk fills a page of [`PACKED_PAGE_BYTES`], as nearly as can be guessed
//! from how well the chunks before it were compressed. Rows that move into the midst of the table are merged with the chunk
//! around them, which is split evenly where it grows too large; at the table's end chunks are filled one after the other.
//! [`PackedWrite::repack`] fills those that were split.

use std::iter::Peekable;
use std::ops::Bound;

use redb::ReadableTable;
use zstd_safe::DCtx;

use super::chunk::{self, ChunkWriter, PackedRow};
use super::key::{KeyBytes, RowKey};
use super::loose::{Edited, Loose, LooseRow, LooseRows};
use super::read::{RowValue, payload_of};
use super::write::PackedWrite;
use crate::limits::{
    PACKED_CHUNK_ROWS_BYTES_MAX, PACKED_PAGE_BYTES, PACKED_PIECE_BYTES_MAX, PACKED_ROW_BYTES_MAX,
};
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

/// What one piece of packing did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    /// Rows that moved, or were removed from chunks.
    pub(crate) rows: u64,
    /// Rows looked at.
    pub(crate) looked_at: usize,
    /// Bytes of packed rows whose chunks were written anew for those that moved.
    pub(crate) rewritten_bytes: usize,
    /// The last key that was looked at; `None`: the end of the table was reached.
    pub(crate) last: Option<KeyBytes>,
}

/// What becomes of a row that is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It stays in the hot part.
    Not,
    /// It moves.
    AsItIs,
    /// It moves with another payload that says the same, and that is smaller among its neighbours.
    As(Vec<u8>),
}

impl From<bool> for Settled {
    fn from(settled: bool) -> Self {
        if settled { Self::AsItIs } else { Self::Not }
    }
}

/// A row that moves; without payload: one that is removed from its chunk.
type Move = (KeyBytes, Option<Vec<u8>>);

/// What one piece of packing does to a table.
#[derive(Default)]
struct Piece {
    moves: Vec<Move>,
    /// Rows that leave the hot part.
    leaving: Vec<KeyBytes>,
    /// Rows that are brought up to what the journal says of them and stay, with their stored bytes.
    staying: Vec<(KeyBytes, Vec<u8>)>,
}

impl<K: RowKey> PackedWrite<'_, K> {
    /// Looks at up to `rows` rows behind a key that are not packed, and moves those that are settled: `settled` is asked with
    /// the row's key and stored bytes, and the key behind it. `edited`: what becomes of those that the journal has more to
    /// say of.
    pub(crate) fn pack(
        &mut self,
        packer: &mut Packer,
        after: &Bound<KeyBytes>,
        rows: usize,
        edited: Edited,
        mut settled: impl FnMut(&[u8], &[u8], Option<&[u8]>) -> Result<Settled, StoreError>,
    ) -> Result<Moved, StoreError> {
        let mut moved = Moved::default();
        let mut piece = Piece::default();
        {
            let mut bytes = 0;
            let mut loose = LooseRows::behind(self, after, edited)?;
            while let Some(row) = loose.next()? {
                let next = loose.peek_key();
                moved.looked_at += 1;
                bytes += self.judge(row, next.as_deref(), &mut settled, &mut piece)?;
                if moved.looked_at >= rows || bytes >= PACKED_PIECE_BYTES_MAX {
                    moved.last = loose.place();
                    break;
                }
            }
        }
        let Piece {
            moves,
            leaving,
            staying,
        } = piece;
        moved.rows = moves.len() as u64;
        for key in &leaving {
            self.hot.remove(K::of_bytes(key))?;
        }
        for (key, stored) in &staying {
            self.hot.insert(K::of_bytes(key), stored.as_slice())?;
        }
        self.packed.forget();
        let mut moves = moves.into_iter().peekable();
        while moves.peek().is_some() {
            moved.rewritten_bytes += self.merge(packer, &mut moves)?;
        }
        Ok(moved)
    }

    /// Decides what becomes of a row. Returns how many bytes are written for it.
    fn judge(
        &self,
        row: LooseRow<'_>,
        next: Option<&[u8]>,
        settled: &mut impl FnMut(&[u8], &[u8], Option<&[u8]>) -> Result<Settled, StoreError>,
        piece: &mut Piece,
    ) -> Result<usize, StoreError> {
        let LooseRow { key, is_hot, state } = row;
        let (value, is_edited) = match state {
            // Its turn comes when the journal is folded.
            Loose::Waits => return Ok(0),
            Loose::Gone => {
                if self.packed.contains(&key)? {
                    piece.moves.push((key.clone(), None));
                }
                piece.leaving.extend(is_hot.then_some(key));
                return Ok(0);
            }
            Loose::Stored(value) => (RowValue::Hot(value), false),
            Loose::Edited(value) => (value, true),
        };
        let stored = value.value();
        let payload = if stored.len() > PACKED_ROW_BYTES_MAX {
            None
        } else {
            match settled(&key, stored, next)? {
                Settled::Not => None,
                Settled::As(payload) if payload.len() <= PACKED_ROW_BYTES_MAX => Some(payload),
                Settled::As(_) | Settled::AsItIs => {
                    Some(payload_of(self.packed.parts, &key, stored)?.to_vec())
                }
            }
        };
        let Some(payload) = payload else {
            let bytes = if is_edited { stored.len() } else { 0 };
            if is_edited {
                piece.staying.push((key, value.into_bytes()));
            }
            return Ok(bytes);
        };
        let bytes = key.len() + payload.len();
        piece.leaving.extend(is_hot.then(|| key.clone()));
        piece.moves.push((key, Some(payload)));
        Ok(bytes)
    }

    /// Merges the next moves into the chunk around the first of them. Returns how many bytes of rows it had.
    fn merge(
        &mut self,
        packer: &mut Packer,
        moves: &mut Peekable<std::vec::IntoIter<Move>>,
    ) -> Result<usize, StoreError> {
        let Some((first, _)) = moves.peek() else {
            return Ok(0);
        };
        let table = &self.packed.table;
        let around = match table.range::<&[u8]>(..=first.as_slice())?.next_back() {
            Some(entry) => Some(KeyBytes::from_slice(entry?.0.value())),
            None => None,
        };
        let behind = around.as_ref().unwrap_or(first).as_slice();
        let end = table
            .range::<&[u8]>((Bound::Excluded(behind), Bound::Unbounded))?
            .next()
            .transpose()?
            .map(|(key, _)| KeyBytes::from_slice(key.value()));
        let old = match &around {
            Some(key) => self.take(key)?,
            None => Vec::new(),
        };
        let rewritten_bytes = old.iter().map(PackedRow::weight).sum();
        let mut rows: Vec<PackedRow> = Vec::with_capacity(old.len());
        let mut old = old.into_iter().peekable();
        while let Some((key, payload)) =
            moves.next_if(|(key, _)| end.as_ref().is_none_or(|end| key < end))
        {
            while let Some(row) = old.next_if(|row| row.key < key) {
                rows.push(row);
            }
            old.next_if(|row| row.key == key);
            rows.extend(payload.map(|payload| PackedRow { key, payload }));
        }
        rows.extend(old);
        self.store(packer, &rows, end.is_none())?;
        Ok(rewritten_bytes)
    }

    /// Removes a chunk and returns its rows.
    fn take(&mut self, key: &[u8]) -> Result<Vec<PackedRow>, StoreError> {
        self.packed.changes(key, &[]);
        let chunk = match self.packed.table.remove(key)? {
            Some(stored) => {
                chunk::read(self.packed.parts, key, stored.value(), &mut DCtx::create())?
            }
            None => return Ok(Vec::new()),
        };
        Ok(chunk.into_rows())
    }

    /// Writes rows as chunks; at the end of the table all but the last one full, else all of them alike.
    fn store(
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

impl Packer {
    /// About how many bytes of rows fill a page.
    fn rows_bytes_of_a_page(&self) -> usize {
        PACKED_PAGE_BYTES * self.ratio_percent / 100 * 97 / 100
    }
}
