//! The journal: what transactions did to rows all over the tables, in the order in which they did it.
//!
//! A change of an object touches a row among millions, and with it a whole page. So a transaction does not write such
//! rows: it appends one [`record`] to the table `journal` that says what it did to them, and keeps the [`edit`]s in
//! memory. Later, when many have gathered, they are *folded* into their tables in the order of their keys ([`fold`]), each
//! page once for many changes, and their records go. Before a store is closed, they are packed instead
//! ([`super::packed::Edited`]). A reader sees a table of three parts: what the journal says of a row
//! ([`view`]), its hot part, its packed part ([`super::packed`]).
//!
//! Invariants:
//! - Of a row that a record in the table has an edit of, all edits are in memory. (Not the other way around: a record may go
//!   before the edits do, once its rows are in their tables.)
//! - Edits may be done again: a row that has seen some of them is as it should be when it has seen all. So it does not
//!   matter how far a fold had come when a reader began or the power went.
//! - Layers of edits are never changed under a reader: one that somebody reads is left as it is, and another begun.

mod block;
mod edit;
mod edit_map;
mod fold;
mod layer;
mod load;
pub(crate) mod record;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod view;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{ReadTransaction, ReadableTable, TableError};

use super::StoreError;
use super::tables::JOURNAL;
use crate::limits::{
    JOURNAL_LAYERS_MAX, JOURNAL_MEMORY_BYTES_MAX, JOURNAL_STORED_BYTES_MAX,
    JOURNAL_STORED_BYTES_MIN,
};

pub(crate) use edit::{Edit, EditRef, Edits};
use fold::Folding;
pub(crate) use layer::Layer;
use load::Loaded;
use record::RecordWriter;
pub(crate) use view::{Change, Growth, Keys, View};

/// The numbers of the records in the table: first, and behind the last. Together with the snapshot that they were read in
/// they say what the journal says.
pub(crate) type Span = (u64, u64);

/// The edits that one snapshot's tables may not have seen: oldest layer first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pending {
    layers: Arc<[Arc<Layer>]>,
}

/// What a transaction under way has written into the journal: see [`Journal::committed`].
#[derive(Debug, Default)]
pub(crate) struct Journaled {
    /// By the number of the table.
    pub(crate) edits: Vec<(usize, Edits)>,
    /// The number behind its last record.
    pub(crate) next: u64,
}

impl Pending {
    /// Reads the journal of a snapshot.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], or what redb says.
    pub(crate) fn read(txn: &ReadTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            layers: layers(load::load(txn)?).into(),
        })
    }

    /// Oldest first.
    pub(crate) fn layers(&self) -> &[Arc<Layer>] {
        &self.layers
    }
}

/// The records in a snapshot's journal. `None`: there are none.
pub(crate) fn span(txn: &ReadTransaction) -> Result<Option<Span>, StoreError> {
    let table = match txn.open_table(JOURNAL) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let (Some((first, _)), Some((last, _))) = (table.first()?, table.last()?) else {
        return Ok(None);
    };
    Ok(Some((first.value(), last.value() + 1)))
}

/// What the writer's process knows of the journal: the writer adds to it, readers beside it take what belongs to their
/// snapshots.
#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Records in the table.
    span: Option<Span>,
    /// The number of the next record: numbers are never used twice.
    next: u64,
    layers: Vec<Arc<Layer>>,
    folding: Option<Folding>,
    records: RecordWriter,
    /// What the records take in the table, bytes; and those of the transaction under way.
    stored_bytes: usize,
    writing_bytes: usize,
    /// What they may take before they are folded, bytes; 0: [`JOURNAL_STORED_BYTES_MAX`].
    stored_bytes_max: usize,
}

impl Journal {
    /// Reads the journal anew; what was known of it counts for nothing.
    ///
    /// # Errors
    /// As [`Pending::read`].
    pub(crate) fn load(&self, txn: &ReadTransaction) -> Result<(), StoreError> {
        let span = span(txn)?;
        let loaded = load::load(txn)?;
        let stored_bytes = loaded.iter().map(|part| part.stored_bytes).sum();
        let next = span
            .map_or(0, |(_, next)| next)
            .max(fold::next_number(txn)?);
        let mut state = self.lock();
        *state = State {
            span,
            next,
            layers: layers(loaded),
            stored_bytes,
            stored_bytes_max: state.stored_bytes_max,
            ..State::default()
        };
        Ok(())
    }

    /// Everything, for the writer.
    pub(crate) fn pending(&self) -> Pending {
        Pending {
            layers: self.lock().layers.as_slice().into(),
        }
    }

    /// What belongs to a snapshot with these records; `None` where the journal is not as it was then: it has been added to
    /// since, or is about to be.
    pub(crate) fn pending_at(&self, span: Option<Span>) -> Option<Pending> {
        let state = self.lock();
        (state.span == span).then(|| Pending {
            layers: state.layers.as_slice().into(),
        })
    }

    /// Writes the records of a transaction into its table; [`Journal::committed`] is told of them once they are durable.
    pub(crate) fn write<'a>(
        &self,
        table: &mut redb::Table<'_, u64, &'static [u8]>,
        edits: impl Iterator<Item = (usize, &'a Edits)>,
    ) -> Result<u64, StoreError> {
        let state = &mut *self.lock();
        let mut bytes = 0;
        let next = state.records.write(state.next, edits, |number, stored| {
            bytes += stored.len();
            table.insert(number, stored)?;
            Ok(())
        })?;
        state.writing_bytes = bytes;
        Ok(next)
    }

    /// A transaction is durable.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where they do not fit what was there; what they were made from was something else.
    pub(crate) fn committed(&self, journaled: Journaled) -> Result<(), StoreError> {
        let Journaled { edits, next } = journaled;
        let mut state = self.lock();
        if edits.is_empty() {
            return Ok(());
        }
        let frozen = state.folding.as_ref().map_or(0, Folding::layers);
        let newest = if state.layers.len() > frozen {
            state.layers.last_mut().and_then(Arc::get_mut)
        } else {
            None
        };
        let mut fits = true;
        let add = |layer: &mut Layer| {
            for (table, edits) in edits {
                for (key, edit) in edits {
                    fits &= layer.add(table, &key, edit.as_ref());
                }
            }
        };
        match newest {
            Some(layer) => add(layer),
            None => {
                let mut layer = Layer::default();
                add(&mut layer);
                state.layers.push(Arc::new(layer));
            }
        }
        state.span = Some((state.span.map_or(state.next, |(first, _)| first), next));
        state.next = next;
        state.stored_bytes += std::mem::take(&mut state.writing_bytes);
        state.join(frozen)?;
        if fits { Ok(()) } else { Err(misfit()) }
    }

    /// Whether edits should be folded before more are added: all of them are kept in memory, about this many bytes before a
    /// fold begins.
    pub(crate) fn is_fold_due(&self, bytes_max: usize) -> bool {
        let state = self.lock();
        let stored_max = state.stored_bytes_max();
        // How much there is, in thousandths of what may gather before a fold begins.
        let gathered = |layers: &[Arc<Layer>], stored: usize| {
            let bytes = layers.iter().map(|layer| layer.bytes()).sum::<usize>();
            let of = |part: usize, whole: usize| part as u128 * 1_000 / whole as u128;
            of(bytes, bytes_max).max(of(stored, stored_max))
        };
        match &state.folding {
            // A fold is to be done by the time that as much has gathered behind it.
            Some(folding) => {
                let layers = folding.layers().min(state.layers.len());
                let (frozen, behind) = state.layers.split_at(layers);
                let edits: usize = frozen.iter().map(|layer| layer.len()).sum();
                let stored = state.stored_bytes.saturating_sub(folding.stored_bytes());
                u128::from(folding.done()) * 1_000
                    < u128::from(folding.work(edits)) * gathered(behind, stored)
            }
            None => gathered(&state.layers, state.stored_bytes) >= 1_000,
        }
    }

    /// Has the journal folded when its records take this much, bytes: a file that must stay small has no room for a long one.
    pub(crate) fn set_stored_bytes_max(&self, bytes: usize) {
        self.lock().stored_bytes_max =
            bytes.clamp(JOURNAL_STORED_BYTES_MIN, JOURNAL_STORED_BYTES_MAX);
    }

    /// Whether there is as much in memory as may be.
    pub(crate) fn is_full(&self) -> bool {
        let state = self.lock();
        state
            .layers
            .iter()
            .map(|layer| layer.bytes())
            .sum::<usize>()
            >= JOURNAL_MEMORY_BYTES_MAX
    }

    /// The number of the next record: nothing has been added as long as it stays the same.
    pub(crate) fn next(&self) -> u64 {
        self.lock().next
    }

    /// Whether there are no edits.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().layers.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked held it for a moment; the writer reads all of it again after a failure.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn stored_bytes_max(&self) -> usize {
        match self.stored_bytes_max {
            0 => JOURNAL_STORED_BYTES_MAX,
            bytes => bytes,
        }
    }

    /// Readers leave layers behind: too many are joined. The first `frozen` ones are being folded.
    fn join(&mut self, frozen: usize) -> Result<(), StoreError> {
        if self.layers.len() < frozen + JOURNAL_LAYERS_MAX {
            return Ok(());
        }
        let mut joined = Layer::default();
        let mut fits = true;
        for layer in self.layers.drain(frozen..) {
            fits &= joined.absorb(&layer);
        }
        self.layers.push(Arc::new(joined));
        if fits { Ok(()) } else { Err(misfit()) }
    }
}

/// Those parts in which there is something.
fn layers(loaded: Vec<Loaded>) -> Vec<Arc<Layer>> {
    let layers = loaded.into_iter().map(|part| part.layer);
    layers
        .filter(|layer| layer.len() > 0)
        .map(Arc::new)
        .collect()
}

fn misfit() -> StoreError {
    StoreError::Damaged {
        table: record::TABLE,
        key: String::new(),
        reason: "a change does not fit the changes before it".to_owned(),
    }
}
