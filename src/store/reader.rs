//! Opening a store for reading: this process's own, another process's while it writes, or a copy.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Database, DatabaseError, ReadOnlyDatabase, ReadableDatabase};

use super::body::compress::Decompressor;
use super::open::{check_magic, open_error, schema_of};
use super::overlay::Overlay;
use super::place::Place;
use super::read_handle::ReadHandle;
use super::{Pin, Pins, SCHEMA_VERSION, Snapshot, StoreError};
use crate::limits::READER_CACHE_BYTES;
use crate::model::{Horizon, Timestamp};

/// A handle for reading a store. Cheap to clone. It never changes the file.
#[derive(Clone)]
pub struct Reader {
    source: Source,
    /// Where this process may drop rows: what is being exported of them.
    pins: Option<Arc<Pins>>,
    path: PathBuf,
    /// Its dictionaries, once loaded: they never change.
    decompressor: Arc<Decompressor>,
}

#[derive(Clone)]
enum Source {
    /// A private overlay over a file that was not closed cleanly.
    Database(Arc<Database>),
    /// A cleanly closed file, or one that another process is writing.
    ReadOnly(Arc<ReadOnlyDatabase>),
    /// What this process is writing.
    BesideWriter(Arc<ReadHandle>),
}

impl Reader {
    /// Opens a file for reading. It may be written by another process meanwhile; a file that was not closed cleanly
    /// (a copy of a live one, a recorder that was killed) is checked as a whole first, and not changed.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::NotAStore`], [`StoreError::NewerSchema`], [`StoreError::OlderSchema`],
    /// [`StoreError::DamagedFile`] for a torn copy, or what the file system says.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        check_magic(path)?;
        let (source, schema) = open_source(path, Trust::Verify)?;
        if schema != SCHEMA_VERSION {
            let path = path.to_owned();
            return Err(if schema > SCHEMA_VERSION {
                StoreError::NewerSchema {
                    path,
                    found: schema,
                    supported: SCHEMA_VERSION,
                }
            } else {
                StoreError::OlderSchema {
                    path,
                    found: schema,
                    supported: SCHEMA_VERSION,
                }
            });
        }
        Ok(Self {
            source,
            pins: None,
            path: path.to_owned(),
            decompressor: Arc::default(),
        })
    }

    pub(super) fn beside_writer(handle: ReadHandle, pins: Arc<Pins>, path: &Path) -> Self {
        Self {
            source: Source::BesideWriter(Arc::new(handle)),
            pins: Some(pins),
            path: path.to_owned(),
            decompressor: Arc::default(),
        }
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps retention in this process from dropping what a window from `start` on needs. `None`: nothing in this
    /// process drops anything of this store.
    ///
    /// # Errors
    /// The horizon, where it lies behind `start`.
    pub(crate) fn pin(&self, start: Timestamp) -> Result<Option<Pin>, Horizon> {
        self.pins.as_ref().map(|pins| pins.pin(start)).transpose()
    }

    /// Whether another process may be writing the store, and drop rows without asking.
    pub(crate) fn is_of_another_process(&self) -> bool {
        matches!(self.source, Source::ReadOnly(_))
    }

    /// A consistent view of everything that has been committed so far. Holding it keeps pages from being reused, so
    /// long work should take a new one from time to time.
    ///
    /// # Errors
    /// What the file system says.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let txn = match &self.source {
            Source::Database(database) => database.begin_read()?,
            Source::ReadOnly(database) => database.begin_read()?,
            Source::BesideWriter(handle) => handle.begin_read()?,
        };
        Snapshot::new(txn, self.path.clone(), Arc::clone(&self.decompressor))
    }
}

/// How far a file that was not closed cleanly is believed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// Only after every page has been checked: it may be a copy that was torn.
    Verify,
    /// As the database it was: only its first cell is wanted, and it will be opened properly next.
    Peek,
}

/// The schema version of a file that is about to be opened for writing.
pub(super) fn peek_schema(path: &Path) -> Result<u32, StoreError> {
    Ok(open_source(path, Trust::Peek)?.1)
}

fn open_source(path: &Path, trust: Trust) -> Result<(Source, u32), StoreError> {
    match Place::File.read(path) {
        Ok(database) => {
            let schema = schema_of(&database, path)?;
            Ok((Source::ReadOnly(Arc::new(database)), schema))
        }
        // Not closed cleanly, and nobody is writing it.
        Err(DatabaseError::RepairAborted) => {
            let file = File::open(path).map_err(StoreError::io(path, "cannot be opened"))?;
            let overlay = Overlay::new(file).map_err(StoreError::io(path, "cannot be read"))?;
            let database = redb::Builder::new()
                .set_cache_size(READER_CACHE_BYTES)
                .set_check_integrity_on_open(trust == Trust::Verify)
                .create_with_backend(overlay)
                .map_err(open_error(path))?;
            let schema = schema_of(&database, path)?;
            Ok((Source::Database(Arc::new(database)), schema))
        }
        Err(error) => Err(open_error(path)(error)),
    }
}
