//! Guards the way from one schema version to the next: a file that is half old and half new, or that an older program
//! opens as if it were its own, has lost months of record. Versions beyond the real one are played with made-up steps.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;

use redb::{Database, ReadableDatabase, ReadableTableMetadata, TableDefinition, WriteTransaction};

use super::{STEPS, Step, migrate};
use crate::store::{Reader, SCHEMA_VERSION, Store, StoreError};

const NOTES: TableDefinition<'static, u64, u64> = TableDefinition::new("notes_of_a_made_up_step");
const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");

fn note(txn: &WriteTransaction, step: u64) -> Result<(), StoreError> {
    txn.open_table(NOTES)?.insert(step, step)?;
    Ok(())
}

/// 1 -> 2 -> 3 -> 4, in a list that is not in order.
const MADE_UP: &[Step] = &[
    Step {
        from: 2,
        run: |txn| note(txn, 2),
    },
    Step {
        from: 1,
        run: |txn| note(txn, 1),
    },
    Step {
        from: 3,
        run: |txn| note(txn, 3),
    },
];

/// Its second step writes and then fails.
const BROKEN: &[Step] = &[
    Step {
        from: 1,
        run: |txn| note(txn, 1),
    },
    Step {
        from: 2,
        run: |txn| {
            note(txn, 2)?;
            Err(StoreError::Refused("the step failed".to_owned()))
        },
    },
];

fn open(path: &Path) -> Database {
    redb::Builder::new()
        .set_concurrency_mode(redb::ConcurrencyMode::SingleWriter)
        .open(path)
        .unwrap()
}

fn version(database: &Database) -> u32 {
    let table = database.begin_read().unwrap().open_table(META).unwrap();
    let bytes = table.get("schema_version").unwrap().unwrap();
    u32::from_le_bytes(bytes.value().try_into().unwrap())
}

fn notes(database: &Database) -> u64 {
    match database.begin_read().unwrap().open_table(NOTES) {
        Ok(table) => table.len().unwrap(),
        Err(redb::TableError::TableDoesNotExist(_)) => 0,
        Err(error) => panic!("{error}"),
    }
}

fn new_store(folder: &tempfile::TempDir) -> std::path::PathBuf {
    let path = folder.path().join("trace.redb");
    Store::create(&path).unwrap().close().unwrap();
    path
}

fn set_version(path: &Path, version: u32) {
    let database = open(path);
    let txn = database.begin_write().unwrap();
    crate::store::set_schema(&txn, version).unwrap();
    txn.commit().unwrap();
    database.close().unwrap();
}

#[test]
fn the_steps_lead_from_every_version_to_the_next() {
    let mut from: Vec<u32> = STEPS.iter().map(|step| step.from).collect();
    from.sort_unstable();
    assert_eq!(from, (1..SCHEMA_VERSION).collect::<Vec<_>>());
}

#[test]
fn steps_run_one_after_the_other_each_once() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&new_store(&folder));
    migrate(&database, 1, 3, MADE_UP).unwrap();
    assert_eq!((version(&database), notes(&database)), (3, 2));
    migrate(&database, 3, 4, MADE_UP).unwrap();
    assert_eq!((version(&database), notes(&database)), (4, 3));
    // Nothing is left to do.
    migrate(&database, 4, 4, MADE_UP).unwrap();
    assert_eq!((version(&database), notes(&database)), (4, 3));
}

#[test]
fn a_step_that_fails_leaves_the_file_as_it_was_before_that_step() {
    let folder = tempfile::tempdir().unwrap();
    let path = new_store(&folder);
    let database = open(&path);
    let error = migrate(&database, 1, 3, BROKEN).unwrap_err();
    assert_eq!(error.to_string(), "the step failed");
    assert_eq!((version(&database), notes(&database)), (2, 1));
    // The next start goes on from there.
    database.close().unwrap();
    let database = open(&path);
    migrate(&database, version(&database), 3, MADE_UP).unwrap();
    assert_eq!((version(&database), notes(&database)), (3, 2));
}

#[test]
fn a_version_that_no_step_starts_from_is_refused_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&new_store(&folder));
    let error = migrate(&database, 1, 3, MADE_UP.get(..1).unwrap()).unwrap_err();
    assert!(error.to_string().contains("schema version 1"), "{error}");
    assert_eq!((version(&database), notes(&database)), (1, 0));
}

#[test]
fn a_newer_file_is_refused_and_not_touched_by_a_byte() {
    let folder = tempfile::tempdir().unwrap();
    let path = new_store(&folder);
    set_version(&path, SCHEMA_VERSION + 1);
    let before = std::fs::read(&path).unwrap();
    for error in [
        Store::open(&path).err().unwrap(),
        Reader::open(&path).err().unwrap(),
    ] {
        assert!(
            matches!(&error, StoreError::NewerSchema { found, supported, .. }
                if (*found, *supported) == (SCHEMA_VERSION + 1, SCHEMA_VERSION)),
            "{error:?}"
        );
    }
    assert!(before == std::fs::read(&path).unwrap());
}

#[test]
fn an_older_file_is_not_read_before_it_was_migrated() {
    let folder = tempfile::tempdir().unwrap();
    let path = new_store(&folder);
    set_version(&path, SCHEMA_VERSION - 1);
    let before = std::fs::read(&path).unwrap();
    let error = Reader::open(&path).err().unwrap();
    assert!(
        matches!(&error, StoreError::OlderSchema { found, .. } if *found == SCHEMA_VERSION - 1),
        "{error:?}"
    );
    assert!(before == std::fs::read(&path).unwrap());
    // There is no step from version 0, and there never will be.
    let error = Store::open(&path).err().unwrap();
    assert!(matches!(error, StoreError::Refused(_)), "{error:?}");
    let database = open(&path);
    assert_eq!(version(&database), SCHEMA_VERSION - 1);
}
