//! Which file a store is: what tells the recorder's own file, and a backup that lies where it was made, from a copy.
//!
//! A copy has another inode or another time of birth than the file that its mark names, so it is checked as a whole
//! before it is believed. So is a file that was changed after it was closed (`cp copy.redb live.redb` keeps inode and
//! birth): its mark names another time. A recorder takes that time out of the mark before it writes anything else, so
//! the file that it leaves behind when it is killed is told from one that somebody else has changed. What cannot be
//! told (a file system without times of birth) counts as a copy: the price is a check, never wrong data.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redb::{Database, Durability};

use super::StoreError;
use super::rows::MarkRow;
use super::tables::{META, StoredRows, get, put};

/// Meta key: [`MarkRow`].
pub(super) const MARK: &str = "mark";

/// Which file, on its file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileIdentity {
    inode: u64,
    born_ns: i64,
}

/// What is known of a file from its mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The very file that was marked, not changed since it was closed.
    AsLeft,
    /// The very file that was marked. Whoever wrote it last opened it for writing in good order.
    Own,
    /// The very file that was marked, and closed; somebody else has changed it since.
    Changed,
    /// A copy, or a file without a mark.
    Copy,
}

impl FileIdentity {
    /// `None` where the file system does not tell when a file was born.
    fn of(metadata: &Metadata) -> Option<Self> {
        let born = metadata.created().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(Self {
            inode: metadata.ino(),
            born_ns: i64::try_from(born.as_nanos()).ok()?,
        })
    }
}

fn metadata_of(path: &Path) -> Result<Metadata, StoreError> {
    std::fs::metadata(path).map_err(StoreError::io(path, "cannot be read"))
}

/// What the mark in a file says of the file at `path`.
pub(super) fn origin(
    meta: &impl StoredRows<&'static str>,
    path: &Path,
) -> Result<Origin, StoreError> {
    let metadata = metadata_of(path)?;
    let Some(identity) = FileIdentity::of(&metadata) else {
        return Ok(Origin::Copy);
    };
    // A damaged mark is no mark: what else is damaged is found by the check.
    let Ok(Some(mark)) = get::<_, MarkRow>(meta, MARK) else {
        return Ok(Origin::Copy);
    };
    if (mark.inode, mark.born_ns) != (identity.inode, identity.born_ns) {
        return Ok(Origin::Copy);
    }
    let modified_ns =
        i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
    Ok(match mark.closed_us {
        Some(closed_us) if i128::from(closed_us) * 1_000 == modified_ns => Origin::AsLeft,
        Some(_) => Origin::Changed,
        None => Origin::Own,
    })
}

/// Marks the file at `path` as what this database is, and as open for writing. Durable: what is killed from here on left
/// behind a file of its own.
pub(super) fn adopt(database: &Database, path: &Path) -> Result<(), StoreError> {
    let Some(identity) = FileIdentity::of(&metadata_of(path)?) else {
        return Ok(());
    };
    let txn = database.begin_write()?;
    commit(txn, identity, None)
}

fn commit(
    mut txn: redb::WriteTransaction,
    identity: FileIdentity,
    closed_us: Option<i64>,
) -> Result<(), StoreError> {
    txn.set_durability(Durability::Immediate)?;
    txn.set_quick_repair(true);
    let mark = MarkRow {
        inode: identity.inode,
        born_ns: identity.born_ns,
        closed_us,
    };
    put(&mut txn.open_table(META)?, MARK, &mark)?;
    Ok(txn.commit()?)
}

/// Closes a file so that it is believed when it is found again as it was left: the time of its last change is set to
/// the one that its mark names.
pub(super) fn close(database: Database, path: &Path) -> Result<(), StoreError> {
    let closed_us = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_micros()).ok());
    let identity = metadata_of(path)
        .ok()
        .and_then(|file| FileIdentity::of(&file));
    // A transaction that is still alive, or a database that failed, is no reason not to close; without a mark of its
    // last moment the file is checked when it is opened next.
    let marked = match (identity, database.try_begin_write()) {
        (Some(identity), Ok(txn)) => commit(txn, identity, closed_us).is_ok().then_some(identity),
        _ => None,
    };
    database.close().map_err(super::open::open_error(path))?;
    let (Some(identity), Some(closed_us)) = (marked, closed_us) else {
        return Ok(());
    };
    let failed = || StoreError::io(path, "cannot set the time of the last change");
    let file = File::options().write(true).open(path).map_err(failed())?;
    if FileIdentity::of(&file.metadata().map_err(failed())?) == Some(identity) {
        let since = Duration::from_micros(closed_us.unsigned_abs());
        file.set_modified(UNIX_EPOCH + since).map_err(failed())?;
    }
    Ok(())
}

/// A database that is closed when it is dropped, with the mark of its file.
pub(super) struct OwnFile {
    /// There until the file is closed.
    database: Option<Database>,
    path: PathBuf,
    marked: bool,
}

impl OwnFile {
    pub(super) fn new(database: Database, path: &Path) -> Self {
        Self {
            database: Some(database),
            path: path.to_owned(),
            marked: true,
        }
    }

    /// Of something that is no file.
    pub(super) fn unmarked(database: Database, path: &Path) -> Self {
        let mut own = Self::new(database, path);
        own.marked = false;
        own
    }

    /// The database.
    pub(super) fn database(&self) -> Result<&Database, StoreError> {
        self.database
            .as_ref()
            .ok_or_else(|| StoreError::Refused("the store has been closed".to_owned()))
    }

    /// The database, for what needs it alone.
    pub(super) fn database_mut(&mut self) -> Result<&mut Database, StoreError> {
        self.database
            .as_mut()
            .ok_or_else(|| StoreError::Refused("the store has been closed".to_owned()))
    }

    /// Closes it now, and tells what goes wrong.
    pub(super) fn close(mut self) -> Result<(), StoreError> {
        self.close_once()
    }

    /// Lets go of a database that has failed.
    pub(super) fn abandon(mut self) {
        drop(self.database.take());
    }

    fn close_once(&mut self) -> Result<(), StoreError> {
        match self.database.take() {
            // Whatever it was, it is no reason to believe the file.
            Some(database) if std::thread::panicking() => {
                drop(database);
                Ok(())
            }
            Some(database) if self.marked => close(database, &self.path),
            Some(database) => database
                .close()
                .map_err(super::open::open_error(&self.path)),
            None => Ok(()),
        }
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        if let Err(error) = self.close_once() {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the store was not closed cleanly; it is repaired when it is opened next"
            );
        }
    }
}
