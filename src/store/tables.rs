//! Every table, once. The name says what maps to what; docs/format.md says the bytes.
//!
//! [`WriteTables`] holds all tables of one write transaction, [`ReadTables`] all tables of one read transaction, and
//! the trait [`Tables`] serves code that reads either.

use std::sync::Arc;

use redb::{Key, ReadOnlyTable, Table, TableDefinition};
/// How tables are read, for rooms that do not know redb.
pub(crate) use redb::{ReadableTable, ReadableTableMetadata};

use super::StoreError;
use super::journal::{Journal, Journaled, Pending};
use super::keys;
/// How tables of two parts are read.
pub(crate) use super::packed::Rows;
use super::packed::{
    FoldedMost, FoldedRows, KeyBytes, PackedRead, PackedWrite, Packer, Parts, Prefix, Prefixes,
};
pub(crate) use super::sealed_rows::{SealedKey, StoredRows, WriteRows, get, put, row};

macro_rules! tables {
    (
        plain { $($(#[$doc:meta])* $field:ident, $definition:ident, $name:literal, $key:ty;)* }
        packed { $($(#[$pdoc:meta])* $pfield:ident, $hot:ident, $packed:ident, $parts:ident,
            $pname:literal, $packed_name:literal, $pkey:ty, $sealed:literal, $prefix:expr;)* }
    ) => {
        $(
            $(#[$doc])*
            pub(crate) const $definition: TableDefinition<'static, $key, &'static [u8]> = TableDefinition::new($name);
        )*
        $(
            $(#[$pdoc])*
            pub(crate) const $hot: TableDefinition<'static, $pkey, &'static [u8]> = TableDefinition::new($pname);
            /// The packed part of that table.
            pub(crate) const $packed: TableDefinition<'static, &'static [u8], &'static [u8]> =
                TableDefinition::new($packed_name);
            const $parts: &Parts = &Parts {
                hot: $pname,
                packed: $packed_name,
                sealed: $sealed,
                number: PackedNumber::$pfield as usize,
                prefix: $prefix,
            };
        )*

        /// The tables of two parts.
        pub(crate) const PACKED_TABLES: &[&Parts] = &[$($parts),*];
        /// How many they are.
        pub(crate) const PACKED_TABLES_COUNT: usize = PACKED_TABLES.len();

        /// Their places in that list.
        #[allow(non_camel_case_types, reason = "named like the tables")]
        enum PackedNumber { $($pfield),* }

        /// All tables of one write transaction.
        pub(crate) struct WriteTables<'txn> {
            $($(#[$doc])* pub(crate) $field: Table<'txn, $key, &'static [u8]>,)*
            $($(#[$pdoc])* pub(crate) $pfield: PackedWrite<'txn, $pkey>,)*
        }

        impl<'txn> WriteTables<'txn> {
            /// Opens every table, creating those that do not exist. Rows are written where they belong at once: for stores
            /// whose journal is empty.
            pub(crate) fn open(txn: &'txn redb::WriteTransaction) -> Result<Self, StoreError> {
                Ok(Self {
                    $($field: txn.open_table($definition)?,)*
                    $($pfield: PackedWrite::new(txn.open_table($hot)?, txn.open_table($packed)?, $parts),)*
                })
            }

            /// The same for what goes into the journal; `pending` is what it says so far, `prefixes` what is known of names in
            /// chunks.
            pub(crate) fn open_journaled(
                txn: &'txn redb::WriteTransaction,
                pending: &Pending,
                prefixes: &Arc<Prefixes>,
            ) -> Result<Self, StoreError> {
                let mut tables = Self::open(txn)?;
                $(tables.$pfield.begin_journal(pending.clone(), prefixes);)*
                Ok(tables)
            }

            /// Writes what was done to rows into the journal.
            pub(crate) fn write_journal(&mut self, journal: &Journal) -> Result<Journaled, StoreError> {
                let edits = [$(self.$pfield.edits()),*].into_iter();
                let edits = edits.filter_map(|(table, edits)| Some((table, edits.filter(|edits| !edits.is_empty())?)));
                let next = journal.write(&mut self.journal, edits)?;
                let edits = [$(self.$pfield.take_edits()),*];
                let edits = edits.into_iter().filter(|(_, edits)| !edits.is_empty()).collect();
                Ok(Journaled { edits, next })
            }

            /// Folds some rows of a table, by its number. `None`: there is no table of that number.
            pub(crate) fn fold(
                &mut self,
                table: usize,
                frozen: &Pending,
                journal: &Pending,
                after: &std::ops::Bound<KeyBytes>,
                most: FoldedMost,
            ) -> Result<Option<FoldedRows>, StoreError> {
                $(if table == PackedNumber::$pfield as usize {
                    return self.$pfield.fold(frozen, journal, after, most).map(Some);
                })*
                Ok(None)
            }

            /// Folds one row of a table, by its number.
            pub(crate) fn fold_one(
                &mut self,
                table: usize,
                journal: &Pending,
                key: &[u8],
            ) -> Result<(), StoreError> {
                $(if table == PackedNumber::$pfield as usize {
                    return self.$pfield.fold_one(journal, key).map(drop);
                })*
                Ok(())
            }

            /// Fills the chunks of every packed table anew.
            pub(crate) fn repack(&mut self) -> Result<(), StoreError> {
                $(self.$pfield.repack(&mut Packer::default())?;)*
                Ok(())
            }
        }

        /// All tables of one read transaction: one consistent snapshot.
        pub(crate) struct ReadTables {
            $($(#[$doc])* pub(crate) $field: ReadOnlyTable<$key, &'static [u8]>,)*
            $($(#[$pdoc])* pub(crate) $pfield: PackedRead<$pkey>,)*
        }

        impl ReadTables {
            /// Opens every table of the snapshot of a store whose journal is empty.
            pub(crate) fn open(txn: &redb::ReadTransaction) -> Result<Self, StoreError> {
                Self::open_with(txn, &Pending::default())
            }

            /// Opens every table of the snapshot; `pending` is what its journal says.
            pub(crate) fn open_with(txn: &redb::ReadTransaction, pending: &Pending) -> Result<Self, StoreError> {
                Ok(Self {
                    $($field: txn.open_table($definition)?,)*
                    $($pfield: PackedRead::new(
                        txn.open_table($hot)?,
                        txn.open_table($packed)?,
                        $parts,
                        pending.clone(),
                    ),)*
                })
            }
        }

        #[cfg(test)]
        impl ReadTables {
            /// Table, key and value of the first rows of every table, wherever they lie.
            pub(crate) fn first_rows(&self, limit: usize) -> Result<Vec<(&'static str, Vec<u8>, Vec<u8>)>, StoreError> {
                let mut rows = Vec::new();
                $(for entry in self.$field.iter()?.take(limit) {
                    let (key, value) = entry?;
                    rows.push(($name, key.value().seal_bytes().into_owned(), value.value().to_vec()));
                })*
                $(for entry in Rows::iter(&self.$pfield)?.take(limit) {
                    let (key, value) = entry?;
                    let key = key.value().seal_bytes().into_owned();
                    let parts = PACKED_TABLES.iter().find(|parts| parts.hot == $pname);
                    let stored = parts.map(|parts| value.stored(parts, &key)).unwrap_or_default();
                    rows.push(($pname, key, stored));
                })*
                Ok(rows)
            }
        }

        /// The tables of a transaction, for reading.
        #[allow(dead_code, reason = "complete, whether or not code for both kinds of transaction reads a table")]
        pub(crate) trait Tables {
            $($(#[$doc])* fn $field(&self) -> &(impl ReadableTable<$key, &'static [u8]> + StoredRows<$key>);)*
            $($(#[$pdoc])* fn $pfield(&self) -> &(impl Rows<$pkey> + StoredRows<$pkey>);)*
        }

        impl Tables for WriteTables<'_> {
            $(fn $field(&self) -> &(impl ReadableTable<$key, &'static [u8]> + StoredRows<$key>) { &self.$field })*
            $(fn $pfield(&self) -> &(impl Rows<$pkey> + StoredRows<$pkey>) { &self.$pfield })*
        }

        impl Tables for ReadTables {
            $(fn $field(&self) -> &(impl ReadableTable<$key, &'static [u8]> + StoredRows<$key>) { &self.$field })*
            $(fn $pfield(&self) -> &(impl Rows<$pkey> + StoredRows<$pkey>) { &self.$pfield })*
        }

        /// Shows every table of redb's to a visitor, in the order in which they are listed.
        pub(crate) fn each_table(visitor: &mut impl TableVisitor) -> Result<(), StoreError> {
            $(visitor.table($name, $definition)?;)*
            $(
                visitor.table($pname, $hot)?;
                visitor.table($packed_name, $packed)?;
            )*
            Ok(())
        }

        /// Names and stored sizes of every table of redb's.
        pub(crate) fn sizes(txn: &redb::ReadTransaction) -> Result<Vec<super::TableSize>, StoreError> {
            Ok(vec![
                $(size($name, &txn.open_table($definition)?)?,)*
                $(
                    size($pname, &txn.open_table($hot)?)?,
                    size($packed_name, &txn.open_table($packed)?)?,
                )*
            ])
        }
    };
}

fn size(
    name: &'static str,
    table: &impl ReadableTableMetadata,
) -> Result<super::TableSize, StoreError> {
    let stats = table.stats()?;
    Ok(super::TableSize {
        name,
        rows: table.len()?,
        stored_bytes: stats.stored_bytes(),
        overhead_bytes: stats.metadata_bytes() + stats.fragmented_bytes(),
    })
}

tables! {
    plain {
        /// What changed: time and sequence number of the first change -> a chunk of [`super::headers`].
        events, EVENTS, "event_to_headers", &'static [u8; 16];
        /// Number of a record -> what transactions did to the rows of tables of two parts, and is not in them yet
        /// ([`super::journal`]).
        journal, JOURNAL, "journal", u64;
        /// Dictionary number -> a zstd dictionary.
        dictionaries, DICTIONARIES, "dictionary_to_bytes", u64;
        /// Epoch number -> [`super::rows::EpochRow`].
        epochs, EPOCHS, "epoch_to_row", u64;
        /// UID -> [`super::rows::WantedRow`]: owners that are referred to, of kinds that are not tracked, and still unknown.
        wanted, WANTED, "uid_to_wanted_owner", &'static str;
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
    packed {
        /// The versions of objects with their bodies: object id, time, sequence number of the first version -> a group of
        /// [`super::versions`].
        versions, VERSIONS, VERSIONS_PACKED, VERSIONS_PARTS,
            "object_and_event_to_versions", "object_and_event_to_versions_packed", &'static [u8; 24], true, Prefix::None;
        /// Base number -> a body that keyframes refer to (see [`super::versions::base`]).
        bases, BASES, BASES_PACKED, BASES_PARTS, "base_to_body", "base_to_body_packed", u64, true, Prefix::None;
        /// Owner UID, kind number -> [`super::rows::SiblingRow`]: what its next object of that kind is compared with.
        siblings, SIBLINGS, SIBLINGS_PACKED, SIBLINGS_PARTS,
            "owner_and_kind_to_sibling", "owner_and_kind_to_sibling_packed", &'static [u8], true, Prefix::None;
        /// The spec-hash index: object name, id -> [`super::rows::ObjectRow`], one row an incarnation.
        objects, OBJECTS, OBJECTS_PACKED, OBJECTS_PARTS,
            "object_to_row", "object_to_row_packed", &'static [u8], true, Prefix::AllBut(8);
        /// Object id -> [`super::rows::IncarnationRow`]: the way from an event to its object's name.
        incarnations, INCARNATIONS, INCARNATIONS_PACKED, INCARNATIONS_PARTS,
            "id_to_incarnation", "id_to_incarnation_packed", u64, true, Prefix::None;
        /// Every object that was alive at some time in an epoch: epoch, kind number, object id -> nothing.
        alive, ALIVE, ALIVE_PACKED, ALIVE_PARTS,
            "epoch_and_object_to_unit", "epoch_and_object_to_unit_packed", &'static [u8], false, Prefix::None;
        /// Every pod that had not ended at some time in an epoch: epoch, pod number -> nothing.
        alive_pods, ALIVE_PODS, ALIVE_PODS_PACKED, ALIVE_PODS_PARTS,
            "epoch_and_pod_to_unit", "epoch_and_pod_to_unit_packed", &'static [u8], false, Prefix::None;
        /// Pod number -> [`super::rows::PodRow`]: its lifecycle. Numbers are given in the order in which pods appear.
        pods, PODS, PODS_PACKED, PODS_PARTS,
            "number_to_pod", "number_to_pod_packed", u64, true, Prefix::None;
        /// The way from a UID to its pod: hash of the UID, pod number -> nothing.
        pod_uids, POD_UIDS, POD_UIDS_PACKED, POD_UIDS_PARTS,
            "uid_hash_and_pod_to_unit", "uid_hash_and_pod_to_unit_packed", &'static [u8], false, Prefix::First(keys::POD_HASH_BYTES);
        /// The pods that are not known to be gone: namespace, name, pod number -> nothing.
        pod_names, POD_NAMES, POD_NAMES_PACKED, POD_NAMES_PARTS,
            "name_and_pod_to_unit", "name_and_pod_to_unit_packed", &'static [u8], false, Prefix::AllBut(8);
        /// UID -> [`super::rows::OwnerRow`]: what owner chains are walked along.
        owners, OWNERS, OWNERS_PACKED, OWNERS_PARTS,
            "uid_to_owner", "uid_to_owner_packed", &'static [u8], true, Prefix::None;
    }
}

/// The number of the table of two parts whose hot part has this name.
pub(crate) fn packed_table(hot: &[u8]) -> Option<usize> {
    PACKED_TABLES
        .iter()
        .position(|parts| parts.hot.as_bytes() == hot)
}

/// The parts of the table whose packed part has this name.
pub(crate) fn packed_parts(packed: &str) -> Option<&'static Parts> {
    PACKED_TABLES
        .iter()
        .copied()
        .find(|parts| parts.packed == packed)
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
