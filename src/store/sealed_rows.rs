//! Rows with their checksums, in tables of either form: how they are read and written.

use redb::{Key, ReadOnlyTable, ReadableTable, Table};

use super::StoreError;
use super::codec::{self, Row, RowBytes};
use super::packed::{PackedRead, PackedWrite, RowKey, Rows};

/// The bytes by which a key goes into a row's checksum.
pub(crate) trait SealedKey {
    /// Those bytes.
    fn seal_bytes(&self) -> std::borrow::Cow<'_, [u8]>;
}

impl SealedKey for &[u8] {
    fn seal_bytes(&self) -> std::borrow::Cow<'_, [u8]> {
        std::borrow::Cow::Borrowed(self)
    }
}

impl<const N: usize> SealedKey for &[u8; N] {
    fn seal_bytes(&self) -> std::borrow::Cow<'_, [u8]> {
        std::borrow::Cow::Borrowed(self.as_slice())
    }
}

impl SealedKey for &str {
    fn seal_bytes(&self) -> std::borrow::Cow<'_, [u8]> {
        std::borrow::Cow::Borrowed(self.as_bytes())
    }
}

impl SealedKey for u64 {
    fn seal_bytes(&self) -> std::borrow::Cow<'_, [u8]> {
        std::borrow::Cow::Owned(self.to_be_bytes().to_vec())
    }
}

/// Stored bytes by key, of a table of either form.
pub(crate) trait StoredRows<K: Key + 'static> {
    /// Hands the row at a key to `read`.
    fn read_row<'k, R>(
        &self,
        key: K::SelfType<'k>,
        read: impl FnOnce(RowBytes<'_>) -> Result<R, StoreError>,
    ) -> Result<Option<R>, StoreError>;
}

macro_rules! stored_rows {
    ($(($($generics:tt)*) $table:ty, $get:path;)*) => {$(
        impl<$($generics)*> StoredRows<K> for $table {
            fn read_row<'k, R>(
                &self,
                key: K::SelfType<'k>,
                read: impl FnOnce(RowBytes<'_>) -> Result<R, StoreError>,
            ) -> Result<Option<R>, StoreError> {
                match $get(self, &key)? {
                    None => Ok(None),
                    Some(bytes) => read(bytes.value().into()).map(Some),
                }
            }
        }
    )*};
}

stored_rows! {
    (K: Key + 'static) ReadOnlyTable<K, &'static [u8]>, ReadableTable::get;
    (K: Key + 'static) Table<'_, K, &'static [u8]>, ReadableTable::get;
    (K: RowKey) PackedRead<K>, Rows::get;
    (K: RowKey) PackedWrite<'_, K>, Rows::get;
}

/// Reads the row at a key.
pub(crate) fn get<'k, K, R>(
    table: &impl StoredRows<K>,
    key: K::SelfType<'k>,
) -> Result<Option<R>, StoreError>
where
    K: Key + 'static,
    K::SelfType<'k>: SealedKey + Copy,
    R: Row,
{
    table.read_row(key, |bytes| codec::decode(&key.seal_bytes(), bytes))
}

/// A table of either form that rows are written to.
pub(crate) trait WriteRows<K: Key + 'static> {
    /// Writes stored bytes at a key.
    fn write_row(&mut self, key: K::SelfType<'_>, bytes: &[u8]) -> Result<(), StoreError>;

    /// Writes a row at a key.
    fn put_row<'k, R: Row>(&mut self, key: K::SelfType<'k>, row: &R) -> Result<(), StoreError>
    where
        K::SelfType<'k>: SealedKey + Copy,
    {
        let bytes = codec::encode(&key.seal_bytes(), row)?;
        self.write_row(key, &bytes)
    }
}

impl<K: Key + 'static> WriteRows<K> for Table<'_, K, &'static [u8]> {
    fn write_row(&mut self, key: K::SelfType<'_>, bytes: &[u8]) -> Result<(), StoreError> {
        self.insert(key, bytes)?;
        Ok(())
    }
}

impl<K: RowKey> WriteRows<K> for PackedWrite<'_, K> {
    fn write_row(&mut self, key: K::SelfType<'_>, bytes: &[u8]) -> Result<(), StoreError> {
        self.insert(key, bytes)
    }

    fn put_row<'k, R: Row>(&mut self, key: K::SelfType<'k>, row: &R) -> Result<(), StoreError>
    where
        K::SelfType<'k>: SealedKey + Copy,
    {
        self.insert_payload(key, codec::payload(&key.seal_bytes(), row)?)
    }
}

/// Writes the row at a key, replacing what was there.
pub(crate) fn put<'k, K, R>(
    table: &mut impl WriteRows<K>,
    key: K::SelfType<'k>,
    row: &R,
) -> Result<(), StoreError>
where
    K: Key + 'static,
    K::SelfType<'k>: SealedKey + Copy,
    R: Row,
{
    table.put_row(key, row)
}

/// The row of a range scan's entry.
pub(crate) fn row<'k, 'b, K, R>(
    key: K::SelfType<'k>,
    bytes: impl Into<RowBytes<'b>>,
) -> Result<R, StoreError>
where
    K: Key + 'static,
    K::SelfType<'k>: SealedKey,
    R: Row,
{
    codec::decode(&key.seal_bytes(), bytes)
}
