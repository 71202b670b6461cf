//! How large a store is.

use std::os::unix::fs::MetadataExt;

use super::{Snapshot, StoreError, tables};

/// Bytes and rows of one table.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct TableSize {
    /// Table name, as in docs/format.md.
    pub name: &'static str,
    /// Rows.
    pub rows: u64,
    /// Bytes of keys and values.
    pub stored_bytes: u64,
    /// Bytes of index pages and of unused space in pages.
    pub overhead_bytes: u64,
}

/// How large a store is on disk.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SizeOnDisk {
    /// Length of the file, bytes. Files are sparse: see `allocated_bytes`.
    pub file_bytes: u64,
    /// Bytes that the file system has allocated for it.
    pub allocated_bytes: u64,
    /// The tables.
    pub tables: Vec<TableSize>,
}

impl SizeOnDisk {
    /// Bytes of all tables. What the file has allocated beyond them is free for what comes, or belongs to the database.
    pub fn used_bytes(&self) -> u64 {
        let bytes = |table: &TableSize| table.stored_bytes.saturating_add(table.overhead_bytes);
        self.tables.iter().map(bytes).fold(0, u64::saturating_add)
    }
}

impl Snapshot {
    /// Measures the store. Reads every table's index pages: about 10 ms for each 100 MB.
    ///
    /// # Errors
    /// What the file system says.
    pub fn size_on_disk(&self) -> Result<SizeOnDisk, StoreError> {
        let metadata = std::fs::metadata(self.path())
            .map_err(StoreError::io(self.path(), "cannot be measured"))?;
        Ok(SizeOnDisk {
            file_bytes: metadata.len(),
            allocated_bytes: metadata.blocks() * 512,
            tables: tables::sizes(self.txn())?,
        })
    }
}
