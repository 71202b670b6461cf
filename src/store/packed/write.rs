//! The writer's view of a table of two parts.

use redb::{ReadableTable, Table};

use super::key::{RowKey, bytes_of};
use super::part::Part;
use super::read::{Rows, TwoParts};
use super::{Parts, TOMBSTONE};
use crate::store::StoreError;

/// A table of two parts in a write transaction.
pub(crate) struct PackedWrite<'txn, K: RowKey> {
    pub(super) hot: Table<'txn, K, &'static [u8]>,
    pub(super) packed: Part<Table<'txn, &'static [u8], &'static [u8]>>,
}

impl<'txn, K: RowKey> TwoParts<K> for PackedWrite<'txn, K> {
    type Packed = Table<'txn, &'static [u8], &'static [u8]>;

    fn hot(&self) -> &impl ReadableTable<K, &'static [u8]> {
        &self.hot
    }

    fn packed(&self) -> &Part<Self::Packed> {
        &self.packed
    }
}

impl<'txn, K: RowKey> PackedWrite<'txn, K> {
    pub(crate) fn new(
        hot: Table<'txn, K, &'static [u8]>,
        packed: Table<'txn, &'static [u8], &'static [u8]>,
        parts: &'static Parts,
    ) -> Self {
        Self {
            hot,
            packed: Part::new(packed, parts),
        }
    }

    /// Writes a row, replacing what had its key.
    pub(crate) fn insert(&mut self, key: K::SelfType<'_>, value: &[u8]) -> Result<(), StoreError> {
        self.hot.insert(key, value)?;
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
        self.hot.insert(key, [].as_slice())?;
        Ok(true)
    }

    /// Removes all rows of a table that has none in its packed part.
    pub(crate) fn clear(&mut self) -> Result<(), StoreError> {
        Ok(self.hot.retain(|_, _| false)?)
    }

    /// Removes a row. Returns whether there was one.
    pub(crate) fn remove(&mut self, key: K::SelfType<'_>) -> Result<bool, StoreError> {
        let packed = self.packed.contains(&bytes_of::<K>(&key))?;
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
}
