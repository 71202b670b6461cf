//! One consistent view of a store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::ReadableTable;

use super::body::compress::Decompressor;
use super::journal::Pending;
use super::lookup::Lookup;
use super::reader::Source;
use super::rows::{KindRow, WatchRow, WriterRow};
use super::tables::{ReadTables, row};
use super::{StoreError, codec, versions};
use crate::model::{EventKey, Gvk, Horizon};

/// Everything that had been committed at one moment. Later commits do not change it.
///
/// While it lives, pages that it can see are not reused: take a new one for each piece of work.
pub struct Snapshot {
    tables: ReadTables,
    txn: redb::ReadTransaction,
    writer: WriterRow,
    kinds: BTreeMap<u64, KindRow>,
    horizon: Horizon,
    path: PathBuf,
    decompressor: Arc<Decompressor>,
    /// Last: what is read goes before what it is read from.
    _source: Source,
}

impl Snapshot {
    pub(super) fn new(
        txn: redb::ReadTransaction,
        pending: &Pending,
        source: Source,
        path: PathBuf,
        decompressor: Arc<Decompressor>,
    ) -> Result<Self, StoreError> {
        let tables = ReadTables::open_with(&txn, pending)?;
        let writer = tables.writer_row()?;
        let kinds = read_kinds(&tables.kinds)?;
        let horizon = tables.horizon()?;
        Ok(Self {
            tables,
            txn,
            writer,
            kinds,
            horizon,
            path,
            decompressor,
            _source: source,
        })
    }

    /// An object after a change, as MessagePack.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when there is no such version, or the bytes are not what was written.
    pub(crate) fn body(&self, object: u64, event: EventKey) -> Result<Vec<u8>, StoreError> {
        versions::body(&self.tables, &self.decompressor, object, event)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How far retention has dropped: what lies before cannot be asked for.
    pub fn horizon(&self) -> Horizon {
        self.horizon
    }

    pub(crate) fn tables(&self) -> &ReadTables {
        &self.tables
    }

    pub(super) fn txn(&self) -> &redb::ReadTransaction {
        &self.txn
    }

    pub(crate) fn writer(&self) -> &WriterRow {
        &self.writer
    }

    pub(crate) fn kinds(&self) -> &BTreeMap<u64, KindRow> {
        &self.kinds
    }

    /// The one kind number that there is of a group and kind; `None` where it was read in several versions.
    pub(crate) fn only_number_of(&self, group: &str, kind: &str) -> Option<u64> {
        let mut numbers = self
            .kinds
            .iter()
            .filter(|(_, row)| row.group == group && row.kind == kind)
            .map(|(number, _)| *number);
        let only = numbers.next()?;
        numbers.next().is_none().then_some(only)
    }

    /// The kind behind a kind number.
    pub(crate) fn gvk(&self, kind: u64) -> Result<Gvk, StoreError> {
        self.kinds
            .get(&kind)
            .map(KindRow::gvk)
            .ok_or_else(|| StoreError::Damaged {
                table: "kind_id_to_kind",
                key: codec::hex(&kind.to_be_bytes()),
                reason: "the kind is missing, but others refer to it".to_owned(),
            })
    }
}

/// All kinds. Bounded by the configs that were ever in force.
pub(crate) fn read_kinds(
    table: &impl ReadableTable<u64, &'static [u8]>,
) -> Result<BTreeMap<u64, KindRow>, StoreError> {
    let mut kinds = BTreeMap::new();
    for entry in table.iter()? {
        let (number, value) = entry?;
        kinds.insert(
            number.value(),
            row::<u64, _>(number.value(), value.value())?,
        );
    }
    Ok(kinds)
}

/// All watches that there ever were.
pub(crate) fn read_watches(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<BTreeMap<Gvk, WatchRow>, StoreError> {
    let mut watches = BTreeMap::new();
    for entry in table.iter()? {
        let (name, value) = entry?;
        let watch = name
            .value()
            .parse::<Gvk>()
            .map_err(|error| StoreError::Damaged {
                table: "kind_to_watch",
                key: codec::hex(name.value().as_bytes()),
                reason: error.to_string(),
            })?;
        watches.insert(watch, row::<&str, _>(name.value(), value.value())?);
    }
    Ok(watches)
}
