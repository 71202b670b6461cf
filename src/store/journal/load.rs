//! Reading the journal of a snapshot: in two parts at once where it is long, with the older and the newer records.
//!
//! Each part becomes a layer. Whether the edits of one part fit those before it is found when a row is read or folded.

use std::panic::resume_unwind;
use std::thread::{self, Builder};

use redb::{ReadOnlyTable, ReadTransaction, ReadableTable};

use super::edit::EditRef;
use super::record::{RecordReader, rows_before};
use super::{Layer, misfit};
use crate::limits::{JOURNAL_GATHERED_BYTES_MAX, JOURNAL_ROWS_ALONE_MAX};
use crate::store::StoreError;
use crate::store::tables::JOURNAL;

/// What the records of a journal say.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    /// Their edits, oldest first.
    pub(super) layer: Layer,
    /// What the records take in their table, bytes.
    pub(super) stored_bytes: usize,
}

/// Reads all records: oldest first, by parts.
///
/// # Errors
/// [`StoreError::Damaged`], or what redb says.
pub(super) fn load(txn: &ReadTransaction) -> Result<Vec<Loaded>, StoreError> {
    let table = txn.open_table(JOURNAL)?;
    let parts = match middle(&table)? {
        None => vec![read(&table, 0, None, JOURNAL_GATHERED_BYTES_MAX)?],
        Some(middle) => thread::scope(|scope| {
            let read_older = || read(&table, 0, Some(middle), JOURNAL_GATHERED_BYTES_MAX);
            let older = Builder::new().spawn_scoped(scope, read_older);
            let newer = read(&table, middle, None, JOURNAL_GATHERED_BYTES_MAX);
            let older = match older {
                Ok(older) => older.join().unwrap_or_else(|panic| resume_unwind(panic)),
                // The system gives no thread.
                Err(_) => read_older(),
            };
            Ok::<_, StoreError>(vec![older?, newer?])
        })?,
    };
    Ok(parts)
}

/// The number at which a record begins in the middle of a long journal.
fn middle(table: &ReadOnlyTable<u64, &'static [u8]>) -> Result<Option<u64>, StoreError> {
    let (Some((first, _)), Some((last, _))) = (table.first()?, table.last()?) else {
        return Ok(None);
    };
    let (first, rows) = (first.value(), last.value().saturating_sub(first.value()));
    if rows <= JOURNAL_ROWS_ALONE_MAX {
        return Ok(None);
    }
    let number = first + rows / 2;
    let row = table.get(number)?;
    // Where it cannot be read, whoever reads all of them in a row says what is wrong.
    let before = row.and_then(|row| rows_before(number, row.value()));
    Ok(before
        .and_then(|before| number.checked_sub(before))
        .filter(|middle| *middle > first))
}

/// Reads the records from one number up to another, of which so many bytes of edits are put in the order of their keys at
/// once.
pub(super) fn read(
    table: &ReadOnlyTable<u64, &'static [u8]>,
    from: u64,
    to: Option<u64>,
    gathered_max: usize,
) -> Result<Loaded, StoreError> {
    let mut loaded = Loaded::default();
    let mut records = RecordReader::default();
    let mut gathered = Gathered::default();
    let range = match to {
        Some(to) => table.range(from..to)?,
        None => table.range(from..)?,
    };
    for entry in range {
        let (number, stored) = entry?;
        loaded.stored_bytes += stored.value().len();
        let edits = records.take(number.value(), stored.value())?;
        for (table, key, edit) in edits.unwrap_or_default() {
            gathered.push(table, key, edit);
        }
        if gathered.bytes() >= gathered_max {
            gathered.add_to(&mut loaded.layer)?;
        }
    }
    records.finish()?;
    gathered.add_to(&mut loaded.layer)?;
    Ok(loaded)
}

/// Edits of many records on their way into a layer. A record has them all over its tables; in the order of their keys, each
/// finds what it looks for where the one before it was, which takes half the time.
#[derive(Default)]
struct Gathered {
    written: Vec<u8>,
    /// The table, the first bytes of the key, and where the edit is in `written`.
    edits: Vec<(usize, u128, usize)>,
}

impl Gathered {
    fn push(&mut self, table: usize, key: &[u8], edit: EditRef<'_>) {
        let at = self.written.len();
        edit.write(&mut self.written, key);
        self.edits.push((table, beginning(key), at));
    }

    /// What they take, bytes.
    fn bytes(&self) -> usize {
        self.written.len() + self.edits.len() * size_of::<(usize, u128, usize)>()
    }

    fn at(&self, at: usize) -> Option<(&[u8], EditRef<'_>)> {
        EditRef::read(&mut self.written.get(at..)?)
    }

    /// Moves them into a layer.
    fn add_to(&mut self, layer: &mut Layer) -> Result<(), StoreError> {
        let mut edits = std::mem::take(&mut self.edits);
        let rest = |at: usize| EditRef::read_key(self.written.get(at..)?)?.get(KEY_BEGINNING..);
        edits.sort_unstable_by(|(table, key, at), (other_table, other_key, other_at)| {
            let order = (table, key).cmp(&(other_table, other_key));
            // Those of one key stay in their order.
            let order = order.then_with(|| rest(*at).cmp(&rest(*other_at)));
            order.then(at.cmp(other_at))
        });
        for (table, _, at) in edits.drain(..) {
            let fits = self
                .at(at)
                .is_some_and(|(key, edit)| layer.add(table, key, edit));
            if !fits {
                return Err(misfit());
            }
        }
        self.edits = edits;
        self.written.clear();
        Ok(())
    }
}

/// Bytes of a key that are compared without a look at the key.
const KEY_BEGINNING: usize = 16;

/// They order keys as the keys do, as far as they go: a shorter key is filled up with zeros, so one that ends in zeros may come
/// before a shorter one, which only takes longer.
fn beginning(key: &[u8]) -> u128 {
    let mut bytes = [0; KEY_BEGINNING];
    for (to, from) in bytes.iter_mut().zip(key) {
        *to = *from;
    }
    u128::from_be_bytes(bytes)
}
