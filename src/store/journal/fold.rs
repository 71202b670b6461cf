//! Folding: edits go into their tables, in the order of their keys, a bounded piece at a time.

use std::ops::Bound;

use redb::{ReadTransaction, ReadableTable, TableError};

use super::record::{RecordReader, rows_behind};
use super::{Journal, Pending, View};
use crate::store::packed::{FoldedMost, KeyBytes};
use crate::store::tables::{META, WriteTables};
use crate::store::{StoreError, codec, meta};

/// How far a fold has come.
#[derive(Clone, Debug)]
pub(crate) struct Folding {
    /// The oldest layers are folded.
    layers: usize,
    /// Their records lie before this number.
    end: u64,
    /// The table under way, and the last key of it that was folded.
    table: usize,
    after: Bound<KeyBytes>,
    /// Edits folded so far.
    edits: usize,
    /// Rows of the records before `end`, and how many of them are still in the table.
    rows: u64,
    rows_left: u64,
    /// What the records take that lie before `end`, bytes.
    stored_bytes: usize,
}

impl Folding {
    /// How many of the oldest layers are folded: nothing is added to them.
    pub(super) fn layers(&self) -> usize {
        self.layers
    }

    /// What the records take whose edits are folded, bytes.
    pub(super) fn stored_bytes(&self) -> usize {
        self.stored_bytes
    }

    /// What has been done so far: edits folded, and rows of records removed.
    pub(super) fn done(&self) -> u64 {
        self.edits as u64 + (self.rows - self.rows_left)
    }

    /// What there is to do, done or not, where so many edits are folded.
    pub(super) fn work(&self, edits: usize) -> u64 {
        edits as u64 + self.rows
    }
}

/// What a piece of folding did, in a transaction that is not durable yet.
#[derive(Clone, Debug)]
pub(crate) struct Folded {
    folding: Folding,
    /// All edits are folded, and their records removed.
    done: bool,
}

/// The oldest record was folded by itself, in a transaction that is not durable yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FoldedOldest {
    /// The number of its last row.
    number: u64,
    /// Bytes that its rows had more than the record.
    pub(crate) bytes_more: usize,
}

impl Journal {
    /// Folds edits until `go_on` says no: it is told how many were folded since it was asked last; or until the rows have as
    /// many bytes as the journal may take: a row of many versions is written anew for each that it gets, and what it took before
    /// gives its room back only to a later transaction. `None`: there are none.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) fn fold(
        &self,
        tables: &mut WriteTables<'_>,
        mut go_on: impl FnMut(usize) -> bool,
    ) -> Result<Option<Folded>, StoreError> {
        // Rows are written as they are now: a record behind the frozen layers may be gone already ([`Journal::fold_oldest`]).
        let all = self.pending();
        let (mut folding, frozen, next, mut bytes_left) = {
            let state = self.lock();
            if state.layers.is_empty() {
                return Ok(None);
            }
            let (first, end) = state.span.unwrap_or((state.next, state.next));
            let rows = end.saturating_sub(first);
            let folding = state.folding.clone().unwrap_or(Folding {
                layers: state.layers.len(),
                end,
                table: 0,
                after: Bound::Unbounded,
                edits: 0,
                rows,
                rows_left: rows,
                stored_bytes: state.stored_bytes,
            });
            let layers = state.layers.get(..folding.layers).unwrap_or_default();
            let frozen = Pending {
                layers: layers.into(),
            };
            (folding, frozen, state.next, state.stored_bytes_max())
        };
        loop {
            let piece = tables.fold(
                folding.table,
                &frozen,
                &all,
                &folding.after,
                FoldedMost {
                    rows: FOLD_STRIDE_ROWS,
                    bytes: bytes_left,
                },
            )?;
            let Some(piece) = piece else {
                break;
            };
            folding.edits += piece.rows;
            match piece.last {
                Some(last) => folding.after = Bound::Excluded(last),
                None => {
                    folding.table += 1;
                    folding.after = Bound::Unbounded;
                }
            }
            bytes_left = bytes_left.saturating_sub(piece.bytes);
            if !go_on(piece.rows) || bytes_left == 0 {
                return Ok(Some(Folded {
                    folding,
                    done: false,
                }));
            }
        }
        // Every row has seen all edits: the records go, the oldest first, as many as there is time for. Those that are left
        // may be read and done again.
        let mut done = false;
        while !done {
            let removed = remove_oldest(tables, folding.end)?;
            // The edits go with the last of their records: a snapshot without any has none.
            done = removed.is_none_or(|removed| removed.next >= folding.end);
            folding.rows_left =
                removed.map_or(0, |removed| folding.end.saturating_sub(removed.next));
            if !done && !go_on(removed.map_or(0, |removed| removed.rows)) {
                break;
            }
        }
        write_next(tables, next)?;
        Ok(Some(Folded { folding, done }))
    }

    /// Folds the rows of the oldest record and removes it: that gives its room back at once, and needs little where most of
    /// its rows have been removed since. Its edits stay in memory. `None`: there is none, or what is left of its rows has more
    /// bytes than the record and `bytes_more` besides.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) fn fold_oldest(
        &self,
        tables: &mut WriteTables<'_>,
        bytes_more: usize,
    ) -> Result<Option<FoldedOldest>, StoreError> {
        let pending = self.pending();
        let Some(oldest) = oldest(tables)? else {
            return Ok(None);
        };
        let change = |(table, key): &(usize, KeyBytes)| {
            let view = View::new(*table, pending.layers(), None);
            view.get(key).map_or(0, |change| change.bytes())
        };
        let left_bytes: usize = oldest.rows.iter().map(change).sum();
        let more = left_bytes.saturating_sub(oldest.stored_bytes);
        if more > bytes_more {
            return Ok(None);
        }
        for (table, key) in oldest.rows {
            tables.fold_one(table, &pending, &key)?;
        }
        tables.journal.retain_in(..=oldest.number, |_, _| false)?;
        let next = self.lock().next;
        write_next(tables, next)?;
        Ok(Some(FoldedOldest {
            number: oldest.number,
            bytes_more: more,
        }))
    }

    /// The transaction in which the oldest record was folded is durable.
    pub(crate) fn folded_oldest(&self, folded: FoldedOldest) {
        let mut state = self.lock();
        state.span = state
            .span
            .map(|(_, next)| (folded.number + 1, next))
            .filter(|(first, next)| first < next);
    }

    /// Removes all records, where everything that they say has been done to the tables by other means
    /// ([`Edited::AsTheyAre`](crate::store::packed::Edited)), by transactions that are durable.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) fn remove_all(&self, tables: &mut WriteTables<'_>) -> Result<(), StoreError> {
        while tables.journal.pop_first()?.is_some() {}
        write_next(tables, self.lock().next)
    }

    /// The transaction in which all records were removed is durable.
    pub(crate) fn removed_all(&self) {
        let mut state = self.lock();
        state.layers.clear();
        state.folding = None;
        state.stored_bytes = 0;
        state.span = None;
    }

    /// The transaction of a piece is durable.
    pub(crate) fn folded(&self, folded: Folded) {
        let mut state = self.lock();
        if !folded.done {
            let first_left = folded.folding.end - folded.folding.rows_left;
            state.span = state
                .span
                .map(|(first, next)| (first.max(first_left), next));
            state.folding = Some(folded.folding);
            return;
        }
        let layers = folded.folding.layers.min(state.layers.len());
        state.layers.drain(..layers);
        state.folding = None;
        state.stored_bytes = state
            .stored_bytes
            .saturating_sub(folded.folding.stored_bytes);
        let end = folded.folding.end;
        state.span = state
            .span
            .map(|(first, next)| (first.max(end), next))
            .filter(|(first, next)| first < next);
    }
}

/// The oldest record, whole.
struct Oldest {
    /// The number of its last row.
    number: u64,
    stored_bytes: usize,
    /// The rows that it has edits of, and the numbers of their tables.
    rows: Vec<(usize, KeyBytes)>,
}

fn oldest(tables: &WriteTables<'_>) -> Result<Option<Oldest>, StoreError> {
    let mut records = RecordReader::default();
    let mut stored_bytes = 0;
    for entry in tables.journal.iter()? {
        let (number, stored) = entry?;
        let (number, stored) = (number.value(), stored.value());
        stored_bytes += stored.len();
        if let Some(edits) = records.take(number, stored)? {
            let rows = edits.into_iter().map(|(table, key, _)| (table, key.into()));
            return Ok(Some(Oldest {
                number,
                stored_bytes,
                rows: rows.collect(),
            }));
        }
    }
    records.finish()?;
    Ok(None)
}

/// The oldest record has been removed.
#[derive(Clone, Copy)]
struct Removed {
    rows: usize,
    /// The number behind its last row.
    next: u64,
}

/// Removes the oldest record, all of its rows: what is left has to begin with a whole one. `None`: there is none before `end`.
fn remove_oldest(tables: &mut WriteTables<'_>, end: u64) -> Result<Option<Removed>, StoreError> {
    let mut removed = None;
    let mut rows = 0;
    loop {
        let first = tables.journal.first()?.map(|(number, _)| number.value());
        if first.is_none_or(|first| first >= end) {
            return Ok(removed);
        }
        let Some((number, stored)) = tables.journal.pop_first()? else {
            return Ok(removed);
        };
        let (number, behind) = (number.value(), rows_behind(number.value(), stored.value()));
        rows += 1;
        removed = Some(Removed {
            rows,
            next: number + 1,
        });
        // One that cannot be read was not needed, or its edits would not be in memory.
        if behind == Some(0) {
            return Ok(removed);
        }
    }
}

fn write_next(tables: &mut WriteTables<'_>, next: u64) -> Result<(), StoreError> {
    let cell = meta::JOURNAL_NEXT;
    let row = codec::seal(META_TABLE, cell.as_bytes(), &next.to_le_bytes());
    tables.meta.insert(cell, row.as_slice())?;
    Ok(())
}

/// Name of the table, as it goes into checksums.
const META_TABLE: &str = "meta";

/// Rows between two looks at the clock.
const FOLD_STRIDE_ROWS: usize = 64;

/// The number that the next record has to have at least, as the last fold left it.
pub(super) fn next_number(txn: &ReadTransaction) -> Result<u64, StoreError> {
    let table = match txn.open_table(META) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(0),
        Err(error) => return Err(error.into()),
    };
    let Some(row) = table.get(meta::JOURNAL_NEXT)? else {
        return Ok(0);
    };
    let payload = codec::unseal(META_TABLE, meta::JOURNAL_NEXT.as_bytes(), row.value())?;
    let damaged = || StoreError::Damaged {
        table: META_TABLE,
        key: codec::hex(meta::JOURNAL_NEXT.as_bytes()),
        reason: "no number".to_owned(),
    };
    payload
        .try_into()
        .map(u64::from_le_bytes)
        .map_err(|_| damaged())
}
