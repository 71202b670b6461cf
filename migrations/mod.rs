//! From an older schema version to the one in force (see README.md beside this file).
//!
//! An older file is read with the types of its own version, which are frozen here, and everything in it is written into a
//! new file beside it with the live ones. The new file takes the old one's place by a rename when it is complete, closed
//! and synced: so whatever happens on the way, the file is the old one or the new one, and a full disk leaves the old
//! one working. Where all that is in a file is valid as it is, only its version cell changes, in one transaction.

mod from_v1;
mod from_v3;
mod lifecycles;
mod v1;
mod v3;

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use redb::Database;

use crate::limits::WRITER_CACHE_BYTES;
use crate::store::{Room, StorageFailure, StoreError, WriteTables, set_schema, sync_folder_of};

/// Writes what is in a store of an older version into a new one.
type Rewrite = fn(from: &Database, to: &Database) -> Result<(), StoreError>;

/// How an older version is brought to the one in force.
#[derive(Clone, Copy)]
enum Convert {
    /// Everything is read and written into a new, empty database; all but the version cell.
    Rewrite(Rewrite),
    /// Everything is valid as it is: only older releases could not read what will be written.
    AsItIs,
}

/// Every older version, and how to bring it to the one in force.
const CONVERSIONS: &[(u32, Convert)] = &[
    (1, Convert::Rewrite(from_v1::convert)),
    (2, Convert::Rewrite(from_v3::convert)),
    (3, Convert::Rewrite(from_v3::convert)),
    // A version of an object may have its change hash behind it: then the object's row is not written with it.
    (4, Convert::AsItIs),
];

/// Brings the store at `path` from schema version `found` to `wanted`. `old` is that file, open for writing, which
/// keeps every other process from writing it meanwhile.
///
/// Where it is written anew, it needs room for the new file beside the old one.
///
/// # Errors
/// What the file system says; [`StoreError::Refused`] when nothing leads on from the file's version. The old file is
/// then as it was.
pub(crate) fn migrate(
    path: &Path,
    old: Database,
    found: u32,
    wanted: u32,
) -> Result<(), StoreError> {
    migrate_with(path, old, found, wanted, CONVERSIONS)
}

fn migrate_with(
    path: &Path,
    old: Database,
    found: u32,
    wanted: u32,
    conversions: &[(u32, Convert)],
) -> Result<(), StoreError> {
    let Some((_, convert)) = conversions.iter().find(|(version, _)| *version == found) else {
        return Err(StoreError::Refused(format!(
            "schema version {found} is older than any that this release can migrate"
        )));
    };
    let convert = match convert {
        Convert::Rewrite(convert) => *convert,
        Convert::AsItIs => return set_version(old, wanted),
    };
    // A link keeps pointing to where it did.
    let path = &fs::canonicalize(path).map_err(StoreError::io(path, "cannot be found"))?;
    tracing::info!(path = %path.display(), from = found, to = wanted, "migrating the store");
    let new = path_beside(path);
    rewrite(path, &old, &new, wanted, convert).map_err(|error| {
        // The error that is told is the first one.
        let _ = fs::remove_file(&new);
        match error.storage_failure() {
            Some(StorageFailure::NoSpace) => no_room(path, found, wanted, error),
            _ => error,
        }
    })
}

/// The version cell is all that changes, in one transaction.
fn set_version(store: Database, version: u32) -> Result<(), StoreError> {
    let mut txn = store.begin_write()?;
    txn.set_quick_repair(true);
    set_schema(&txn, version)?;
    txn.commit()?;
    store
        .close()
        .map_err(|error| StoreError::Database(Box::new(error.into())))
}

/// Says how much room a migration takes. It is measured when the half of the new file is gone.
fn no_room(path: &Path, found: u32, wanted: u32, error: StoreError) -> StoreError {
    match Room::of(path) {
        Ok(room) => StoreError::NoRoomToMigrate {
            path: path.to_owned(),
            found,
            wanted,
            needed_bytes: room.allocated_bytes,
            available_bytes: room.available_bytes,
            source: Box::new(error),
        },
        Err(_) => error,
    }
}

fn rewrite(
    path: &Path,
    old: &Database,
    new: &Path,
    wanted: u32,
    convert: Rewrite,
) -> Result<(), StoreError> {
    let failed = |error: redb::DatabaseError| StoreError::Database(Box::new(error.into()));
    // Left by a migration that was killed: nobody else can be at work here, for the old file is ours.
    match fs::remove_file(new) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(StoreError::io(new, "cannot be removed")(error));
        }
        _ => {}
    }
    let database = redb::Builder::new()
        .set_cache_size(WRITER_CACHE_BYTES)
        .create(new)
        .map_err(failed)?;
    convert(old, &database)?;
    let mut txn = database.begin_write()?;
    txn.set_quick_repair(true);
    set_schema(&txn, wanted)?;
    txn.commit()?;
    database.close().map_err(failed)?;
    let permissions = fs::metadata(path)
        .map_err(StoreError::io(path, "cannot be read"))?
        .permissions();
    fs::set_permissions(new, permissions)
        .and_then(|()| File::open(new)?.sync_all())
        .map_err(StoreError::io(new, "cannot be synced"))?;
    fs::rename(new, path).map_err(StoreError::io(path, "cannot be replaced"))?;
    sync_folder_of(path)
}

/// Writes to all tables of the new file in one transaction.
fn write(
    to: &Database,
    work: impl FnOnce(&mut WriteTables<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut txn = to.begin_write()?;
    // Nothing of it counts before the whole file is synced and renamed; but many small commits must not pile up unsynced.
    txn.set_quick_repair(false);
    work(&mut WriteTables::open(&txn)?)?;
    txn.commit()?;
    Ok(())
}

/// Where the new file grows: beside the old one, so that a rename can put it into its place.
fn path_beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
    name.push(".migrating");
    path.with_file_name(name)
}

#[cfg(test)]
mod tests;
