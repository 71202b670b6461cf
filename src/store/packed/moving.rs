//! Packing: rows move from the hot part of a table into chunks of the packed part.
//!
//! [`super::loose`] has the rows that may move. Those that move into the midst of the table are merged with the chunk around
//! them; [`super::filling`] writes the chunks.

use std::iter::Peekable;
use std::ops::Bound;

use redb::ReadableTable;
use zstd_safe::DCtx;

use super::chunk::{self, PackedRow};
use super::filling::Packer;
use super::key::{KeyBytes, RowKey};
use super::loose::{Edited, Loose, LooseRow, LooseRows};
use super::read::RowValue;
use super::write::PackedWrite;
use crate::limits::{PACKED_PIECE_BYTES_MAX, PACKED_ROW_BYTES_MAX};
use crate::store::StoreError;
use crate::store::codec::RowBytes;

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
    /// the row's key and bytes, and the key behind it. `edited`: what becomes of those that the journal has more to
    /// say of.
    pub(crate) fn pack(
        &mut self,
        packer: &mut Packer,
        after: &Bound<KeyBytes>,
        rows: usize,
        edited: Edited,
        mut settled: impl FnMut(&[u8], RowBytes<'_>, Option<&[u8]>) -> Result<Settled, StoreError>,
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
        settled: &mut impl FnMut(&[u8], RowBytes<'_>, Option<&[u8]>) -> Result<Settled, StoreError>,
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
        let parts = self.packed.parts;
        // A row that stays is not opened, unless `settled` does: recording must not end with what it does not need.
        let bytes = value.bytes(parts);
        let payload = if bytes.payload_len() > PACKED_ROW_BYTES_MAX {
            None
        } else {
            match settled(&key, bytes, next)? {
                Settled::Not => None,
                Settled::As(other) if other.len() <= PACKED_ROW_BYTES_MAX => Some(other),
                Settled::As(_) | Settled::AsItIs => Some(value.payload(parts, &key)?.to_vec()),
            }
        };
        let Some(payload) = payload else {
            if !is_edited {
                return Ok(0);
            }
            let stored = value.stored(parts, &key);
            let bytes = stored.len();
            piece.staying.push((key, stored));
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
    pub(super) fn take(&mut self, key: &[u8]) -> Result<Vec<PackedRow>, StoreError> {
        self.packed.changes(key, &[]);
        let chunk = match self.packed.table.remove(key)? {
            Some(stored) => {
                chunk::read(self.packed.parts, key, stored.value(), &mut DCtx::create())?
            }
            None => return Ok(Vec::new()),
        };
        Ok(chunk.into_rows())
    }
}
