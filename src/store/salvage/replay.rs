//! What the journal's records say of rows, done to the rows that were found.

use std::ops::Bound;

use redb::{Database, ReadableDatabase};

use super::newer::put;
use crate::limits::BACKUP_COMMIT_BYTES;
use crate::store::journal::EditRef;
use crate::store::journal::record::RecordReader;
use crate::store::packed::{Parts, Rows};
use crate::store::progress::Counter;
use crate::store::tables::{JOURNAL, PACKED_TABLES, Tables, WriteTables};
use crate::store::{StoreError, codec};

/// Does what the records say that were found, oldest first, and forgets them. Records of long ago may be among them, which
/// the rows have seen: a row never becomes older by one. Removals are left out, as rows that were removed and are found
/// all the same are kept.
pub(super) fn replay(to: &Database, counter: &mut Counter<'_>) -> Result<(), StoreError> {
    counter.begin("reading the journal", 0)?;
    let txn = to.begin_read()?;
    let records = txn.open_table(JOURNAL)?;
    let mut reader = RecordReader::default();
    let mut after = Bound::Unbounded;
    let mut more = true;
    while more {
        let write = to.begin_write()?;
        {
            let mut tables = WriteTables::open(&write)?;
            let mut bytes = 0;
            let mut range = records.range((after, Bound::Unbounded))?;
            while bytes < BACKUP_COMMIT_BYTES / 4 {
                let Some(entry) = range.next() else {
                    more = false;
                    break;
                };
                let (number, stored) = entry?;
                let number = number.value();
                after = Bound::Excluded(number);
                bytes += stored.value().len();
                // What cannot be read was never written, or not all of it is left.
                let edits = reader.take(number, stored.value()).unwrap_or_default();
                for (table, key, edit) in edits.unwrap_or_default() {
                    apply(&mut tables, table, key, edit)?;
                }
                counter.row()?;
            }
        }
        write.commit()?;
    }
    let write = to.begin_write()?;
    WriteTables::open(&write)?.journal.retain(|_, _| false)?;
    Ok(write.commit()?)
}

fn apply(
    tables: &mut WriteTables<'_>,
    table: usize,
    key: &[u8],
    edit: EditRef<'_>,
) -> Result<(), StoreError> {
    let Some(parts) = PACKED_TABLES.get(table) else {
        return Ok(());
    };
    let payload = match edit {
        EditRef::Removed => return Ok(()),
        EditRef::Whole(payload) => payload.to_vec(),
        EditRef::Grown { at, bytes } => match grown(tables, parts, key, at, bytes)? {
            Some(payload) => payload,
            None => return Ok(()),
        },
    };
    if !parts.sealed {
        // Lists are made anew.
        return Ok(());
    }
    let row = codec::seal(parts.hot, key, &payload);
    put(tables, parts.hot, key, &row)
}

/// What a row grows to. `None`: it was not found, or what was found is too short: what lies between is lost.
fn grown(
    tables: &WriteTables<'_>,
    parts: &Parts,
    key: &[u8],
    at: usize,
    bytes: &[u8],
) -> Result<Option<Vec<u8>>, StoreError> {
    // Only groups of versions grow.
    let Ok(name) = <&[u8; 24]>::try_from(key) else {
        return Ok(None);
    };
    let Some(row) = tables.versions().get(name)? else {
        return Ok(None);
    };
    let mut payload = row.value().open(parts.hot, key)?.to_vec();
    if at > payload.len() {
        return Ok(None);
    }
    payload.truncate(at);
    payload.extend_from_slice(bytes);
    Ok(Some(payload))
}
