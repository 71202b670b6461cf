//! Where a store's bytes are: a file, or whatever storage a caller brings.

use std::io;
use std::path::Path;
use std::sync::Arc;

use redb::{ConcurrencyMode, Database, DatabaseError, ReadOnlyDatabase, StorageBackend};

use super::mark::OwnFile;
use crate::limits::READER_CACHE_BYTES;

/// How processes share a store: one writes, others may read meanwhile (S1). Every open uses this mode.
pub(super) const MODE: ConcurrencyMode = ConcurrencyMode::SingleWriter;

/// Opens handles of redb on one place. The handle that writes and the one that reads share nothing in memory: redb
/// gives up a handle for good after its first failed I/O, and readers shall not notice that the writer's is gone.
#[derive(Clone)]
pub(super) enum Place {
    /// The file at the store's path.
    File,
    /// Storage of the caller's.
    Custom(Arc<dyn Handles>),
}

/// See [`Place::Custom`].
pub(super) trait Handles: Send + Sync {
    fn write(&self, cache_bytes: usize) -> Result<Database, DatabaseError>;
    fn read(&self) -> Result<ReadOnlyDatabase, DatabaseError>;
    fn is_empty(&self) -> io::Result<bool>;
}

impl<B, F> Handles for F
where
    B: StorageBackend,
    F: Fn() -> io::Result<B> + Send + Sync,
{
    fn write(&self, cache_bytes: usize) -> Result<Database, DatabaseError> {
        builder(cache_bytes).create_with_backend(self().map_err(redb::StorageError::Io)?)
    }

    fn read(&self) -> Result<ReadOnlyDatabase, DatabaseError> {
        builder(READER_CACHE_BYTES)
            .open_read_only_with_backend(self().map_err(redb::StorageError::Io)?)
    }

    fn is_empty(&self) -> io::Result<bool> {
        Ok(self()?.len()? == 0)
    }
}

impl Place {
    pub(super) fn is_file(&self) -> bool {
        matches!(self, Self::File)
    }

    pub(super) fn write(&self, path: &Path, cache_bytes: usize) -> Result<Database, DatabaseError> {
        match self {
            Self::File => builder(cache_bytes).open(path),
            Self::Custom(handles) => handles.write(cache_bytes),
        }
    }

    /// A database of this place that is closed when it is dropped; a file gets its mark then.
    pub(super) fn own(&self, database: Database, path: &Path) -> OwnFile {
        match self {
            Self::File => OwnFile::new(database, path),
            Self::Custom(_) => OwnFile::unmarked(database, path),
        }
    }

    pub(super) fn read(&self, path: &Path) -> Result<ReadOnlyDatabase, DatabaseError> {
        match self {
            Self::File => builder(READER_CACHE_BYTES).open_read_only(path),
            Self::Custom(handles) => handles.read(),
        }
    }
}

fn builder(cache_bytes: usize) -> redb::Builder {
    let mut builder = redb::Builder::new();
    builder
        .set_concurrency_mode(MODE)
        .set_cache_size(cache_bytes);
    builder
}
