//! Guards the way from one schema version to the next: a file that is half old and half new, or that an older program
//! opens as if it were its own, has lost months of record. Versions beyond the real one are played with made-up steps.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;

use redb::{Database, ReadableDatabase, ReadableTableMetadata, TableDefinition};

use super::{CONVERSIONS, Convert, Rewrite, migrate_with, path_beside};
use crate::store::{Reader, SCHEMA_VERSION, Store, StoreError};

const NOTES: TableDefinition<'static, u64, u64> = TableDefinition::new("notes_of_a_made_up_step");
const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");
/// A version that there never will be.
const MADE_UP: u32 = 1_000;

fn copy_meta_and_note(from: &Database, to: &Database) -> Result<(), StoreError> {
    let txn = to.begin_write()?;
    {
        let mut meta = txn.open_table(META)?;
        for entry in from.begin_read()?.open_table(META)?.range::<&str>(..)? {
            let (key, value) = entry?;
            meta.insert(key.value(), value.value())?;
        }
        txn.open_table(NOTES)?.insert(1, 1)?;
    }
    txn.commit()?;
    Ok(())
}

fn write_and_fail(from: &Database, to: &Database) -> Result<(), StoreError> {
    copy_meta_and_note(from, to)?;
    Err(StoreError::Refused("the conversion failed".to_owned()))
}

fn open(path: &Path) -> Database {
    redb::Builder::new()
        .set_concurrency_mode(redb::ConcurrencyMode::SingleWriter)
        .open(path)
        .unwrap()
}

fn migrate(path: &Path, convert: Rewrite) -> Result<(), StoreError> {
    let conversions = [(SCHEMA_VERSION, Convert::Rewrite(convert))];
    migrate_with(path, open(path), SCHEMA_VERSION, MADE_UP, &conversions)
}

fn version(path: &Path) -> u32 {
    let table = open(path).begin_read().unwrap().open_table(META).unwrap();
    let bytes = table.get("schema_version").unwrap().unwrap();
    u32::from_le_bytes(bytes.value().try_into().unwrap())
}

fn notes(path: &Path) -> u64 {
    match open(path).begin_read().unwrap().open_table(NOTES) {
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
fn every_older_version_can_be_brought_to_the_one_in_force() {
    let mut from: Vec<u32> = CONVERSIONS.iter().map(|(version, _)| *version).collect();
    from.sort_unstable();
    assert_eq!(from, (1..SCHEMA_VERSION).collect::<Vec<_>>());
}

#[test]
fn the_new_file_takes_the_place_of_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = new_store(&folder);
    // What a migration that was killed has left.
    std::fs::write(path_beside(&path), b"half a file").unwrap();
    migrate(&path, copy_meta_and_note).unwrap();
    assert_eq!((version(&path), notes(&path)), (MADE_UP, 1));
    assert!(!path_beside(&path).exists());
}

#[test]
fn what_is_valid_as_it_is_stays_the_same_file() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().unwrap();
    let path = new_store(&folder);
    let before = std::fs::metadata(&path).unwrap().ino();
    let conversions = [(SCHEMA_VERSION, Convert::AsItIs)];
    migrate_with(&path, open(&path), SCHEMA_VERSION, MADE_UP, &conversions).unwrap();
    assert_eq!((version(&path), notes(&path)), (MADE_UP, 0));
    assert_eq!(std::fs::metadata(&path).unwrap().ino(), before);
    // Nothing of it is lost.
    set_version(&path, SCHEMA_VERSION);
    Store::open(&path).unwrap().close().unwrap();
}

#[test]
fn a_link_to_the_file_stays_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let path = new_store(&folder);
    let link = folder.path().join("link.redb");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    migrate(&link, copy_meta_and_note).unwrap();
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(version(&path), MADE_UP);
}

#[test]
fn a_conversion_that_fails_leaves_the_old_file_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = new_store(&folder);
    let error = migrate(&path, write_and_fail).unwrap_err();
    assert_eq!(error.to_string(), "the conversion failed");
    assert_eq!((version(&path), notes(&path)), (SCHEMA_VERSION, 0));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    Store::open(&path).unwrap().close().unwrap();
}

#[test]
fn the_old_file_is_locked_while_it_is_converted() {
    let folder = tempfile::tempdir().unwrap();
    let path = new_store(&folder);
    let other = path.clone();
    thread_local! {
        static OTHER: std::cell::RefCell<Option<std::path::PathBuf>> = const { std::cell::RefCell::new(None) };
    }
    OTHER.set(Some(other));
    fn open_meanwhile(from: &Database, to: &Database) -> Result<(), StoreError> {
        let path = OTHER.take().unwrap();
        assert!(matches!(Store::open(path), Err(StoreError::Busy { .. })));
        copy_meta_and_note(from, to)
    }
    migrate(&path, open_meanwhile).unwrap();
    assert_eq!(version(&path), MADE_UP);
}

#[test]
fn a_version_that_no_conversion_starts_from_is_refused_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = new_store(&folder);
    let error = migrate_with(&path, open(&path), 0, SCHEMA_VERSION, CONVERSIONS).unwrap_err();
    assert!(error.to_string().contains("schema version 0"), "{error}");
    assert_eq!(version(&path), SCHEMA_VERSION);
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
    set_version(&path, 0);
    let before = std::fs::read(&path).unwrap();
    let error = Reader::open(&path).err().unwrap();
    assert!(
        matches!(&error, StoreError::OlderSchema { found: 0, .. }),
        "{error:?}"
    );
    assert!(before == std::fs::read(&path).unwrap());
    // Nothing leads on from version 0, and nothing ever will.
    let error = Store::open(&path).err().unwrap();
    assert!(matches!(error, StoreError::Refused(_)), "{error:?}");
    assert_eq!(version(&path), 0);
}
