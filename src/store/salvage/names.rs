//! Names of objects whose own row is lost: the lifecycle of a pod, or the row that finds an object by its name, tells the
//! same.

use redb::{Database, ReadableDatabase};

use crate::limits::SALVAGE_ROWS_PER_COMMIT;
use crate::model::Uid;
use crate::store::lookup::Lookup;
use crate::store::rows::{IncarnationRow, ObjectRow, PodRow};
use crate::store::tables::{ReadTables, Rows, WriteTables, put, row};
use crate::store::{StoreError, keys};

/// Makes the missing rows of object ids anew. Without one, no version of the object can be told whose it is.
pub(super) fn remake(database: &Database) -> Result<(), StoreError> {
    from_pods(database)?;
    from_objects(database)
}

fn read(database: &Database) -> Result<ReadTables, StoreError> {
    ReadTables::open(&database.begin_read()?)
}

fn from_pods(database: &Database) -> Result<(), StoreError> {
    let tables = read(database)?;
    let mut missing = Vec::new();
    for entry in tables.pods.iter()? {
        let (number, value) = entry?;
        let pod: PodRow = row::<u64, _>(number.value(), value.value())?;
        if let Some(id) = pod.object
            && tables.incarnations.get(id)?.is_none()
        {
            missing.push((id, IncarnationRow::Pod(number.value())));
        }
        if missing.len() >= SALVAGE_ROWS_PER_COMMIT {
            write(database, &mut missing)?;
        }
    }
    write(database, &mut missing)
}

/// Also of pods whose lifecycle is lost. Of those that are deleted, the UID is lost with it: it gets one that no API server
/// gives.
fn from_objects(database: &Database) -> Result<(), StoreError> {
    let tables = read(database)?;
    let mut missing = Vec::new();
    for entry in tables.objects.iter()? {
        let (key, value) = entry?;
        let (object, id) = keys::object_of("object_to_row", key.value())?;
        match tables.incarnation(id) {
            Ok(Some(_)) => {}
            Ok(None) | Err(StoreError::Damaged { .. }) => {
                let found: ObjectRow = row::<&[u8], _>(key.value(), value.value())?;
                let uid = match &found.uid {
                    Some(uid) => Uid::from(uid),
                    None => Uid(format!("salvaged-{id}")),
                };
                missing.push((id, IncarnationRow::new(&object, &uid)));
            }
            Err(error) => return Err(error),
        }
        if missing.len() >= SALVAGE_ROWS_PER_COMMIT {
            write(database, &mut missing)?;
        }
    }
    write(database, &mut missing)?;
    drop(tables);
    without_name(database)
}

/// Removes the rows that refer to lifecycles which are lost, where nothing else tells the name either.
fn without_name(database: &Database) -> Result<(), StoreError> {
    let tables = read(database)?;
    let mut nameless = Vec::new();
    for entry in tables.incarnations.iter()? {
        let (id, value) = entry?;
        let found: IncarnationRow = row::<u64, _>(id.value(), value.value())?;
        if let IncarnationRow::Pod(number) = found
            && tables.pods.get(number)?.is_none()
        {
            nameless.push(id.value());
        }
    }
    drop(tables);
    let txn = database.begin_write()?;
    {
        let mut tables = WriteTables::open(&txn)?;
        for id in nameless {
            tables.incarnations.remove(id)?;
        }
    }
    Ok(txn.commit()?)
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
