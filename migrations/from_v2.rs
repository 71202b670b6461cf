//! From version 2: every row stays as it is. What can be packed is packed by the next recorder.

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition};

use super::v2;
use crate::limits::MIGRATION_BATCH_ROWS;
use crate::store::{StoreError, WriteTables};

/// Writes everything that is in `from` into the new file `to`.
pub(super) fn convert(from: &Database, to: &Database) -> Result<(), StoreError> {
    let txn = from.begin_read()?;
    let new = to.begin_write()?;
    // The tables that version 2 does not have.
    drop(WriteTables::open(&new)?);
    new.commit()?;
    copy(&txn, to, v2::EVENTS)?;
    copy(&txn, to, v2::VERSIONS)?;
    copy(&txn, to, v2::BASES)?;
    copy(&txn, to, v2::SIBLINGS)?;
    copy(&txn, to, v2::DICTIONARIES)?;
    copy(&txn, to, v2::OBJECTS)?;
    copy(&txn, to, v2::INCARNATIONS)?;
    copy(&txn, to, v2::EPOCHS)?;
    copy(&txn, to, v2::ALIVE)?;
    copy(&txn, to, v2::ALIVE_PODS)?;
    copy(&txn, to, v2::OWNERS)?;
    copy(&txn, to, v2::WANTED)?;
    copy(&txn, to, v2::PODS)?;
    copy(&txn, to, v2::RUNS)?;
    copy(&txn, to, v2::GAPS)?;
    copy(&txn, to, v2::WATCHES)?;
    copy(&txn, to, v2::KINDS)?;
    copy(&txn, to, v2::META)
}

fn copy<K: redb::Key + 'static>(
    txn: &ReadTransaction,
    to: &Database,
    definition: TableDefinition<'static, K, &'static [u8]>,
) -> Result<(), StoreError> {
    let table = txn.open_table(definition)?;
    let mut rows = table.iter()?.peekable();
    while rows.peek().is_some() {
        let mut txn = to.begin_write()?;
        // Nothing of it counts before the whole file is synced and renamed.
        txn.set_quick_repair(false);
        {
            let mut table = txn.open_table(definition)?;
            for entry in rows.by_ref().take(MIGRATION_BATCH_ROWS) {
                let (key, value) = entry?;
                table.insert(key.value(), value.value())?;
            }
        }
        txn.commit()?;
    }
    Ok(())
}
