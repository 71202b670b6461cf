//! Every table, once. The name says what maps to what; docs/format.md says the bytes.
//!
//! [`WriteTables`] holds all tables of one write transaction, [`ReadTables`] all tables of one read transaction, and
//! the trait [`Tables`] serves code that reads either.

use redb::{Key, ReadOnlyTable, Table, TableDefinition};
/// How tables are read, for rooms that do not know redb.
pub(crate) use redb::{ReadableTable, ReadableTableMetadata};

use super::StoreError;
use super::codec::{self, Row};

macro_rules! tables {
    ($($(#[$doc:meta])* $field:ident, $definition:ident, $name:literal, $key:ty;)*) => {
        $(
            $(#[$doc])*
            pub(crate) const $definition: TableDefinition<'static, $key, &'static [u8]> = TableDefinition::new($name);
        )*

        /// All tables of one write transaction.
        pub(crate) struct WriteTables<'txn> {
            $($(#[$doc])* pub(crate) $field: Table<'txn, $key, &'static [u8]>,)*
        }

        impl<'txn> WriteTables<'txn> {
            /// Opens every table, creating those that do not exist.
            pub(crate) fn open(txn: &'txn redb::WriteTransaction) -> Result<Self, StoreError> {
                Ok(Self { $($field: txn.open_table($definition)?,)* })
            }
        }

        /// All tables of one read transaction: one consistent snapshot.
        pub(crate) struct ReadTables {
            $($(#[$doc])* pub(crate) $field: ReadOnlyTable<$key, &'static [u8]>,)*
        }

        impl ReadTables {
            /// Opens every table of the snapshot.
            pub(crate) fn open(txn: &redb::ReadTransaction) -> Result<Self, StoreError> {
                Ok(Self { $($field: txn.open_table($definition)?,)* })
            }
        }

        #[cfg(test)]
        impl ReadTables {
            /// Table, key and value of the first rows of every table.
            pub(crate) fn first_rows(&self, limit: usize) -> Result<Vec<(&'static str, Vec<u8>, Vec<u8>)>, StoreError> {
                let mut rows = Vec::new();
                $(for entry in self.$field.iter()?.take(limit) {
                    let (key, value) = entry?;
                    rows.push(($name, key.value().seal_bytes().into_owned(), value.value().to_vec()));
                })*
                Ok(rows)
            }
        }

        /// The tables of a transaction, for reading.
        #[allow(dead_code, reason = "complete, whether or not code for both kinds of transaction reads a table")]
        pub(crate) trait Tables {
            $($(#[$doc])* fn $field(&self) -> &impl ReadableTable<$key, &'static [u8]>;)*
        }

        impl Tables for WriteTables<'_> {
            $(fn $field(&self) -> &impl ReadableTable<$key, &'static [u8]> { &self.$field })*
        }

        impl Tables for ReadTables {
            $(fn $field(&self) -> &impl ReadableTable<$key, &'static [u8]> { &self.$field })*
        }

        /// Shows every table to a visitor, in the order in which they are listed.
        pub(crate) fn each_table(visitor: &mut impl TableVisitor) -> Result<(), StoreError> {
            $(visitor.table($name, $definition)?;)*
            Ok(())
        }

        /// Names and stored sizes of every table.
        pub(crate) fn sizes(txn: &redb::ReadTransaction) -> Result<Vec<super::TableSize>, StoreError> {
            Ok(vec![$({
                let table = txn.open_table($definition)?;
                let stats = table.stats()?;
                super::TableSize {
                    name: $name,
                    rows: table.len()?,
                    stored_bytes: stats.stored_bytes(),
                    overhead_bytes: stats.metadata_bytes() + stats.fragmented_bytes(),
                }
            }),*])
        }
    };
}

tables! {
    /// What changed: time and sequence number of the first change -> a chunk of [`super::headers`].
    events, EVENTS, "event_to_headers", &'static [u8; 16];
    /// The versions of objects with their bodies: object id, time, sequence number of the first version -> a group of
    /// [`super::versions`].
    versions, VERSIONS, "object_and_event_to_versions", &'static [u8; 24];
    /// Base number -> a body that keyframes refer to (see [`super::versions::base`]).
    bases, BASES, "base_to_body", u64;
    /// Owner UID, kind number -> [`super::rows::SiblingRow`]: what its next object of that kind is compared with.
    siblings, SIBLINGS, "owner_and_kind_to_sibling", &'static [u8];
    /// Dictionary number -> a zstd dictionary.
    dictionaries, DICTIONARIES, "dictionary_to_bytes", u64;
    /// The spec-hash index: object name, id -> [`super::rows::ObjectRow`], one row an incarnation.
    objects, OBJECTS, "object_to_row", &'static [u8];
    /// Object id -> [`super::rows::IncarnationRow`]: the way from an event to its object's name.
    incarnations, INCARNATIONS, "id_to_incarnation", u64;
    /// Epoch number -> [`super::rows::EpochRow`].
    epochs, EPOCHS, "epoch_to_row", u64;
    /// Every object that was alive at some time in an epoch: epoch, kind number, object id -> nothing.
    alive, ALIVE, "epoch_and_object_to_unit", &'static [u8];
    /// Every pod that had not ended at some time in an epoch: epoch, namespace, name, uid -> nothing.
    alive_pods, ALIVE_PODS, "epoch_and_pod_to_unit", &'static [u8];
    /// UID -> [`super::rows::OwnerRow`]: what owner chains are walked along.
    owners, OWNERS, "uid_to_owner", &'static [u8];
    /// UID -> [`super::rows::WantedRow`]: owners that are referred to, of kinds that are not tracked, and still unknown.
    wanted, WANTED, "uid_to_wanted_owner", &'static str;
    /// Pod UID -> [`super::rows::PodRow`]: its lifecycle.
    pods, PODS, "uid_to_pod", &'static [u8];
    /// Run number -> [`super::rows::RunRow`].
    runs, RUNS, "run_to_row", u64;
    /// Gap number -> [`super::rows::GapRow`].
    gaps, GAPS, "gap_to_row", u64;
    /// Watched kind -> [`super::rows::WatchRow`], written together with the rows it covers.
    watches, WATCHES, "kind_to_watch", &'static str;
    /// Kind number -> [`super::rows::KindRow`].
    kinds, KINDS, "kind_id_to_kind", u64;
    /// Name -> bytes: what the file is (see [`super::meta`]).
    meta, META, "meta", &'static str;
}

/// What is done to every table, whatever its keys are.
pub(crate) trait TableVisitor {
    /// Does it to one table.
    fn table<K>(
        &mut self,
        name: &'static str,
        definition: TableDefinition<'static, K, &'static [u8]>,
    ) -> Result<(), StoreError>
    where
        K: Key + 'static,
        for<'k> K::SelfType<'k>: SealedKey;
}

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

/// Reads the row at a key.
pub(crate) fn get<'k, K, R>(
    table: &impl ReadableTable<K, &'static [u8]>,
    key: K::SelfType<'k>,
) -> Result<Option<R>, StoreError>
where
    K: Key + 'static,
    K::SelfType<'k>: SealedKey + Copy,
    R: Row,
{
    match table.get(key)? {
        None => Ok(None),
        Some(bytes) => codec::decode(&key.seal_bytes(), bytes.value()).map(Some),
    }
}

/// Writes the row at a key, replacing what was there.
pub(crate) fn put<'k, K, R>(
    table: &mut Table<'_, K, &'static [u8]>,
    key: K::SelfType<'k>,
    row: &R,
) -> Result<(), StoreError>
where
    K: Key + 'static,
    K::SelfType<'k>: SealedKey + Copy,
    R: Row,
{
    let bytes = codec::encode(&key.seal_bytes(), row)?;
    table.insert(key, bytes.as_slice())?;
    Ok(())
}

/// The row of a range scan's entry.
pub(crate) fn row<'k, K, R>(key: K::SelfType<'k>, bytes: &[u8]) -> Result<R, StoreError>
where
    K: Key + 'static,
    K::SelfType<'k>: SealedKey,
    R: Row,
{
    codec::decode(&key.seal_bytes(), bytes)
}
