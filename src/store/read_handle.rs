//! The handle on which a process reads the store that it writes.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use redb::{ReadOnlyDatabase, ReadTransaction, ReadableDatabase};

use super::StoreError;
use super::open::open_error;
use super::place::Place;

/// A read-only handle of redb that is replaced once a read has failed on it: redb gives up a handle for good after a
/// failed I/O, and a recorder's readers live as long as it does.
pub(super) struct ReadHandle {
    place: Place,
    path: PathBuf,
    database: RwLock<Arc<ReadOnlyDatabase>>,
}

impl ReadHandle {
    /// Opens the handle, beside a writer that is open.
    ///
    /// # Errors
    /// As [`super::Reader::open`].
    pub(super) fn open(place: Place, path: PathBuf) -> Result<Self, StoreError> {
        let database = place.read(&path).map_err(open_error(&path))?;
        Ok(Self {
            place,
            path,
            database: RwLock::new(Arc::new(database)),
        })
    }

    /// Everything committed so far.
    pub(super) fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        let database = Arc::clone(&self.database.read().unwrap_or_else(PoisonError::into_inner));
        match database.begin_read().map_err(StoreError::from) {
            Err(error) if error.storage_failure().is_some() => {
                Ok(self.replace(&database)?.begin_read()?)
            }
            other => other,
        }
    }

    /// Opens the handle again, unless somebody else has done so since `failed` failed. Snapshots on the old one keep it
    /// until they are dropped.
    fn replace(&self, failed: &Arc<ReadOnlyDatabase>) -> Result<Arc<ReadOnlyDatabase>, StoreError> {
        let mut database = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&database, failed) {
            let opened = self
                .place
                .read(&self.path)
                .map_err(open_error(&self.path))?;
            *database = Arc::new(opened);
        }
        Ok(Arc::clone(&database))
    }
}
