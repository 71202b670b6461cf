//! Names of objects whose own row is lost: the row that finds an object by its name tells the same.

use redb::{Database, ReadableDatabase};

use crate::limits::SALVAGE_ROWS_PER_COMMIT;
use crate::model::Uid;
use crate::store::lookup::Lookup;
use crate::store::rows::{IncarnationRow, ObjectRow};
use crate::store::tables::{ReadTables, Rows, WriteTables, put, row};
use crate::store::{StoreError, keys};

/// Makes the missing rows of object ids anew. Without one, no version of the object can be told whose it is.
pub(super) fn remake(database: &Database) -> Result<(), StoreError> {
    let tables = ReadTables::open(&database.begin_read()?)?;
    let mut missing = Vec::new();
    for entry in tables.objects.iter()? {
        let (key, value) = entry?;
        let (object, id) = keys::object_of("object_to_row", key.value())?;
        if tables.incarnation(id)?.is_none() {
            let found: ObjectRow = row::<&[u8], _>(key.value(), value.value())?;
            missing.push((id, IncarnationRow::new(&object, &Uid::from(&found.uid))));
        }
        if missing.len() >= SALVAGE_ROWS_PER_COMMIT {
            write(database, &mut missing)?;
        }
    }
    write(database, &mut missing)
}

fn write(database: &Database, missing: &mut Vec<(u64, IncarnationRow)>) -> Result<(), StoreError> {
    let txn = database.begin_write()?;
    {
        let mut tables = WriteTables::open(&txn)?;
        for (id, incarnation) in missing.drain(..) {
            put(&mut tables.incarnations, id, &incarnation)?;
        }
    }
    Ok(txn.commit()?)
}
