//! The writer's view of a table of two parts.

use std::ops::Bound;
use std::sync::Arc;

use redb::{ReadableTable, Table};

use super::key::{KeyBytes, RowKey, bytes_of};
use super::part::Part;
use super::read::{Rows, TwoParts, grown, misfit, sealed};
use super::{Parts, Prefixes, TOMBSTONE};
use crate::store::journal::{Change, Edit, EditRef, Edits, Pending, View};
use crate::store::{StoreError, codec};

/// A table of two parts in a write transaction.
pub(crate) struct PackedWrite<'txn, K: RowKey> {
    pub(super) hot: Table<'txn, K, &'static [u8]>,
    pub(super) packed: Part<Table<'txn, &'static [u8], &'static [u8]>>,
    pending: Pending,
    /// What this transaction does, for the journal. `None`: rows are written to the hot part at once.
    batch: Option<Edits>,
}

impl<'txn, K: RowKey> TwoParts<K> for PackedWrite<'txn, K> {
    type Packed = Table<'txn, &'static [u8], &'static [u8]>;

    fn hot(&self) -> &impl ReadableTable<K, &'static [u8]> {
        &self.hot
    }

    fn packed(&self) -> &Part<Self::Packed> {
        &self.packed
    }

    fn view(&self) -> View<'_> {
        View::new(
            self.packed.parts.number,
            self.pending.layers(),
            self.batch.as_ref(),
        )
    }
}

/// How much of a table one piece of a fold takes: it ends with the row that reaches either.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FoldedMost {
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
}

/// What one piece of a fold did to a table.
pub(crate) struct FoldedRows {
    /// Rows folded.
    pub(crate) rows: usize,
    /// What they have now, bytes.
    pub(crate) bytes: usize,
    /// The last of them; `None`: the table has no more.
    pub(crate) last: Option<KeyBytes>,
}

impl<'txn, K: RowKey> PackedWrite<'txn, K> {
    /// Rows are written to the hot part at once. For stores whose journal is empty, and for what moves rows about.
    pub(crate) fn new(
        hot: Table<'txn, K, &'static [u8]>,
        packed: Table<'txn, &'static [u8], &'static [u8]>,
        parts: &'static Parts,
    ) -> Self {
        Self {
            hot,
            packed: Part::new(packed, parts),
            pending: Pending::default(),
            batch: None,
        }
    }

    /// What is written from here on goes into the journal; `pending` is what it says so far, `prefixes` what is known of names
    /// in chunks.
    pub(crate) fn begin_journal(&mut self, pending: Pending, prefixes: &Arc<Prefixes>) {
        self.packed.remember(prefixes);
        self.pending = pending;
        self.batch = Some(Edits::new());
    }

    /// What was done to rows since [`PackedWrite::begin_journal`], and the table's number.
    pub(crate) fn edits(&self) -> (usize, Option<&Edits>) {
        (self.packed.parts.number, self.batch.as_ref())
    }

    /// The same, taken.
    pub(crate) fn take_edits(&mut self) -> (usize, Edits) {
        let edits = self.batch.take().unwrap_or_default();
        (self.packed.parts.number, edits)
    }

    /// Writes a row, replacing what had its key.
    pub(crate) fn insert(&mut self, key: K::SelfType<'_>, value: &[u8]) -> Result<(), StoreError> {
        let Some(batch) = &mut self.batch else {
            self.hot.insert(key, value)?;
            return Ok(());
        };
        let payload = if self.packed.parts.sealed {
            // It has just been sealed: no need to check it.
            value.get(codec::SEAL_BYTES..).unwrap_or_default()
        } else {
            value
        };
        batch.insert(bytes_of::<K>(&key), Edit::Whole(payload.to_vec()));
        Ok(())
    }

    /// The same, of a row's payload: the journal has no use for a seal.
    pub(crate) fn insert_payload(
        &mut self,
        key: K::SelfType<'_>,
        payload: Vec<u8>,
    ) -> Result<(), StoreError> {
        let name = bytes_of::<K>(&key);
        match &mut self.batch {
            Some(batch) => {
                batch.insert(name, Edit::Whole(payload));
            }
            None => {
                let stored = sealed(self.packed.parts, &name, &payload);
                self.hot.insert(key, stored.as_slice())?;
            }
        }
        Ok(())
    }

    /// Keeps the first `at` bytes of a row's payload, and puts others behind them.
    pub(crate) fn grow(
        &mut self,
        key: K::SelfType<'_>,
        at: usize,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let parts = self.packed.parts;
        let name = bytes_of::<K>(&key);
        let edit = EditRef::Grown { at, bytes };
        if let Some(batch) = &mut self.batch {
            let fits = match batch.get_mut(&name) {
                Some(before) => before.then(edit),
                None => {
                    batch.insert(name.clone(), edit.to_owned());
                    true
                }
            };
            return if fits {
                Ok(())
            } else {
                Err(misfit(parts, &name))
            };
        }
        let mut payload = self
            .stored_payload(&name)?
            .filter(|payload| at <= payload.len())
            .ok_or_else(|| misfit(parts, &name))?;
        payload.truncate(at);
        payload.extend_from_slice(bytes);
        self.hot
            .insert(key, sealed(parts, &name, &payload).as_slice())?;
        Ok(())
    }

    /// Adds a key to a table that is a list of keys. Returns whether it was not there.
    pub(crate) fn add(&mut self, key: &[u8]) -> Result<bool, StoreError>
    where
        K: for<'k> redb::Value<SelfType<'k> = &'k [u8]>,
    {
        if self.get(key)?.is_some() {
            return Ok(false);
        }
        self.insert(key, &[])?;
        Ok(true)
    }

    /// Removes all rows of a table that has none in its packed part, and whose rows are not journaled.
    pub(crate) fn clear(&mut self) -> Result<(), StoreError> {
        Ok(self.hot.retain(|_, _| false)?)
    }

    /// Removes a row. Returns whether there was one.
    pub(crate) fn remove(&mut self, key: K::SelfType<'_>) -> Result<bool, StoreError> {
        let name = bytes_of::<K>(&key);
        let view = self.view();
        if !view.contains(&name) {
            // Nothing in the journal would bring it back.
            return self.remove_stored(key, &name);
        }
        let existed = self.get(&key)?.is_some();
        // A row that came and went within this transaction was never there.
        let never_was = !view.is_in_layers(&name) && self.stored_payload(&name)?.is_none();
        if let Some(batch) = &mut self.batch {
            if never_was {
                batch.remove(&name);
            } else {
                batch.insert(name, Edit::Removed);
            }
        }
        Ok(existed)
    }

    fn remove_stored(&mut self, key: K::SelfType<'_>, name: &[u8]) -> Result<bool, StoreError> {
        let packed = self.packed.contains(name)?;
        let Some(hot) = self.hot.get(&key)?.map(|value| value.value() != TOMBSTONE) else {
            if packed {
                self.hot.insert(key, TOMBSTONE)?;
            }
            return Ok(packed);
        };
        if packed {
            self.hot.insert(key, TOMBSTONE)?;
        } else {
            self.hot.remove(key)?;
        }
        Ok(hot)
    }

    /// Brings one row up to what the journal says of it. Returns the bytes that it has now.
    pub(crate) fn fold_one(&mut self, journal: &Pending, name: &[u8]) -> Result<usize, StoreError> {
        let parts = self.packed.parts;
        let view = View::new(parts.number, journal.layers(), None);
        let key = K::of_bytes(name);
        let payload = match view.get(name) {
            None => return Ok(0),
            Some(Change::Removed) => {
                self.remove_stored(key, name)?;
                return Ok(0);
            }
            Some(Change::Whole(payload)) => payload,
            Some(Change::Grown(growth)) => {
                let stored = self.stored_payload(name)?;
                grown(parts, name, &growth, stored.as_deref())?.into()
            }
            Some(Change::Misfit) => return Err(misfit(parts, name)),
        };
        let stored = sealed(parts, name, &payload);
        self.hot.insert(key, stored.as_slice())?;
        Ok(stored.len())
    }

    /// Brings rows behind a key that have edits in `frozen` up to what the journal says of them: until they are so many, or
    /// have so many bytes.
    pub(crate) fn fold(
        &mut self,
        frozen: &Pending,
        journal: &Pending,
        after: &Bound<KeyBytes>,
        most: FoldedMost,
    ) -> Result<FoldedRows, StoreError> {
        let view = View::new(self.packed.parts.number, frozen.layers(), None);
        let mut folded = FoldedRows {
            rows: 0,
            bytes: 0,
            last: None,
        };
        for name in view.keys(after.as_ref().map(KeyBytes::as_slice), Bound::Unbounded) {
            folded.bytes += self.fold_one(journal, name)?;
            folded.rows += 1;
            if folded.rows >= most.rows || folded.bytes >= most.bytes {
                folded.last = Some(name.into());
                break;
            }
        }
        Ok(folded)
    }
}
