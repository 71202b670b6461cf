//! Opening a store for writing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{
    Database, DatabaseError, Durability, ReadableDatabase, StorageBackend, StorageError,
    WriteTransaction,
};

use super::journal::{Journal, Journaled};
use super::lookup::Lookup;
use super::mark::{self, OwnFile};
use super::packed::Prefixes;
use super::place::{Handles, Place};
use super::read_handle::ReadHandle;
use super::volume::allocated_bytes;
use super::{
    Pins, ReadTables, Reader, SCHEMA_VERSION, StoreError, WriteTables, check, create, meta, reader,
    recognize, tables,
};
use crate::limits::{CLOSE_COMPACT_BYTES_MAX, CLOSE_MEASURE_BYTES_MAX, WRITER_CACHE_BYTES};
use crate::migrations;

/// One process's handle on a store that it may write. There is at most one per file, in any process.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("trace.redb");
/// use sk_tracedb::Store;
///
/// let store = Store::open(&path)?; // made if it does not exist
/// assert_eq!(store.reader().snapshot()?.info()?.changes, 0);
/// # Ok(())
/// # }
/// ```
pub struct Store {
    /// `None` only after [`Store::reopen`] has failed.
    database: Option<OwnFile>,
    /// A handle of its own, which outlives the writer's failures.
    reader: Reader,
    place: Place,
    pins: Arc<Pins>,
    journal: Arc<Journal>,
    prefixes: Arc<Prefixes>,
    path: PathBuf,
    cache_bytes: usize,
}

/// How to open a store.
#[derive(Clone, Copy, Debug)]
pub struct OpenOptions {
    /// Make the file if it does not exist (default: yes).
    pub create: bool,
    /// Page cache, bytes.
    pub cache_bytes: usize,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            create: true,
            cache_bytes: WRITER_CACHE_BYTES,
        }
    }
}

impl Store {
    /// Opens a store for writing, makes it if it does not exist, and migrates it if it is of an older schema.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when another process writes it, [`StoreError::NotAStore`] and [`StoreError::NewerSchema`]
    /// (the file is then untouched), or what the file system says.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with(path, OpenOptions::default())
    }

    /// Opens a store for writing.
    ///
    /// # Errors
    /// As [`Store::open`]; [`StoreError::Missing`] when the file does not exist and shall not be made.
    pub fn open_with(path: impl AsRef<Path>, options: OpenOptions) -> Result<Self, StoreError> {
        let path = path.as_ref();
        if !path
            .try_exists()
            .map_err(StoreError::io(path, "cannot look for the file"))?
        {
            if !options.create {
                return Err(StoreError::Missing {
                    path: path.to_owned(),
                });
            }
            create::create(path)?;
        }
        recognize::check_magic(path)?;
        // Read first: a file that is not ours, or newer than we are, must not change by a byte.
        let reader::Peeked {
            schema,
            is_believed,
        } = reader::peek(path)?;
        if schema > SCHEMA_VERSION {
            return Err(StoreError::NewerSchema {
                path: path.to_owned(),
                found: schema,
                supported: SCHEMA_VERSION,
            });
        }
        if !is_believed {
            drop(check::open_checked(path)?);
        }
        let open = || {
            Place::File
                .write(path, options.cache_bytes)
                .map_err(open_error(path))
        };
        // What is believed without a check may have lost a bit since.
        check::guarded(path, || {
            let mut database = open()?;
            if schema < SCHEMA_VERSION {
                migrations::migrate(path, database, schema, SCHEMA_VERSION)?;
                database = open()?;
            }
            // A migrated store is another file, too.
            if let Err(error) = mark::adopt(&database, path) {
                // A full disk keeps nobody from opening what is his. What is killed before the next clean close is
                // checked, then.
                if is_believed && error.storage_failure().is_some() && schema == SCHEMA_VERSION {
                    drop(database);
                    database = open()?;
                } else {
                    return Err(error);
                }
            }
            Self::with(database, Place::File, path, options.cache_bytes)
        })
    }

    /// Opens a store on storage of the caller's, and makes one where it is empty. `backend` is called for every handle
    /// that is opened on it, now and after failures; all of its backends show the same bytes and hold byte-range locks
    /// against each other, as two open files do. `name` stands for the path in messages.
    ///
    /// # Errors
    /// As [`Store::open`]. A store of another schema version is refused, not migrated; one whose making was cut short
    /// cannot be opened.
    pub fn open_on<B: StorageBackend>(
        name: impl AsRef<Path>,
        backend: impl Fn() -> std::io::Result<B> + Send + Sync + 'static,
        options: OpenOptions,
    ) -> Result<Self, StoreError> {
        let name = name.as_ref();
        let empty = backend
            .is_empty()
            .map_err(StoreError::io(name, "cannot be opened"))?;
        if empty && !options.create {
            return Err(StoreError::Missing {
                path: name.to_owned(),
            });
        }
        let place = Place::Custom(Arc::new(backend));
        let database = place
            .write(name, options.cache_bytes)
            .map_err(open_error(name))?;
        if empty {
            create::initialize(&database, name)?;
        }
        let found = schema_of(&database, name)?;
        if found != SCHEMA_VERSION {
            return Err(StoreError::Refused(format!(
                "{}: schema version {found} cannot be opened on this storage",
                name.display()
            )));
        }
        Self::with(database, place, name, options.cache_bytes)
    }

    fn with(
        database: Database,
        place: Place,
        path: &Path,
        cache_bytes: usize,
    ) -> Result<Self, StoreError> {
        // After the writer: a file that was not closed cleanly is repaired now.
        let reader = ReadHandle::open(place.clone(), path.to_owned())?;
        let txn = database.begin_read()?;
        let horizon = ReadTables::open(&txn)?.horizon()?;
        let pins = Arc::new(Pins::new(horizon));
        let journal = Arc::<Journal>::default();
        journal.load(&txn)?;
        drop(txn);
        Ok(Self {
            database: Some(place.own(database, path)),
            reader: Reader::beside_writer(reader, Arc::clone(&pins), Arc::clone(&journal), path),
            pins,
            journal,
            prefixes: Arc::default(),
            place,
            path: path.to_owned(),
            cache_bytes,
        })
    }

    /// Opens the place again, which redb asks for after a failed I/O. Readers and their snapshots live on.
    ///
    /// # Errors
    /// As [`Store::open`]; a file that has gone is not made again. The store cannot be written then, but this may be
    /// tried again.
    pub(crate) fn reopen(&mut self) -> Result<(), StoreError> {
        // Its locks have to go first.
        if let Some(failed) = self.database.take() {
            failed.abandon();
        }
        // Without the locks, others may write.
        self.prefixes.clear();
        let database = self
            .place
            .write(&self.path, self.cache_bytes)
            .map_err(open_error(&self.path))?;
        self.journal.load(&database.begin_read()?)?;
        self.database = Some(self.place.own(database, &self.path));
        Ok(())
    }

    /// Makes a new store.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when the file exists, or what the file system says.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        create::create(path.as_ref())?;
        Self::open(path)
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A write transaction that is durable when it is committed, and quick to recover from.
    pub(crate) fn begin_write(&self) -> Result<WriteTransaction, StoreError> {
        let mut txn = self.database()?.begin_write()?;
        txn.set_durability(Durability::Immediate)?;
        txn.set_quick_repair(true);
        Ok(txn)
    }

    /// All tables of a transaction, whose rows go into the journal first.
    pub(crate) fn write_tables<'txn>(
        &self,
        txn: &'txn WriteTransaction,
    ) -> Result<WriteTables<'txn>, StoreError> {
        self.prefixes.begin();
        WriteTables::open_journaled(txn, &self.journal.pending(), &self.prefixes)
    }

    /// A transaction of [`Store::write_tables`] is durable.
    ///
    /// # Errors
    /// As [`Journal::committed`].
    pub(crate) fn committed(&self, journaled: Journaled) -> Result<(), StoreError> {
        self.prefixes.committed();
        self.journal.committed(journaled)
    }

    /// What is not in the tables yet.
    pub(crate) fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    /// All tables as they are now. For the writer: nobody writes meanwhile.
    pub(crate) fn read_tables(&self) -> Result<ReadTables, StoreError> {
        ReadTables::open_with(&self.database()?.begin_read()?, &self.journal.pending())
    }

    fn database(&self) -> Result<&Database, StoreError> {
        match &self.database {
            Some(own) => own.database(),
            None => Err(StoreError::Refused(format!(
                "{}: closed after a failure",
                self.path.display()
            ))),
        }
    }

    /// A handle for reading this store while it is written. Cheap to clone; snapshots never block the writer, and live
    /// on when it fails or is closed.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// What is being exported of it.
    pub(crate) fn pins(&self) -> &Pins {
        &self.pins
    }

    /// Gives free pages inside the file back to the file system. Everything stands still meanwhile: about a second for
    /// each 200 MB. Returns whether anything moved.
    ///
    /// A crash on the way loses nothing, but the next open takes as long again.
    ///
    /// # Errors
    /// [`StoreError::Refused`] while anybody reads the store, in this process or another; what redb says.
    pub fn compact(&mut self) -> Result<bool, StoreError> {
        let path = self.path.clone();
        let read = || {
            StoreError::Refused(format!(
                "{}: the store is being read, which keeps it from being compacted\nhint: try again when exports and queries \
                 are done",
                path.display()
            ))
        };
        let database = self.database.as_mut().ok_or_else(read)?.database_mut()?;
        self.prefixes.clear();
        repack(database)?;
        database.compact().map_err(|error| match error {
            redb::CompactionError::TransactionInProgress => read(),
            other => StoreError::Database(Box::new(other.into())),
        })
    }

    /// Commits leave behind the pages that they replaced: many, compared with what a small file holds. What is moved bounds the
    /// time, and not what is free.
    fn compact_small(&mut self) -> Result<(), StoreError> {
        if !self.place.is_file() {
            return Ok(());
        }
        let Ok(allocated) = allocated_bytes(&self.path) else {
            return Ok(());
        };
        if allocated > CLOSE_MEASURE_BYTES_MAX {
            return Ok(());
        }
        let used: u64 = tables::sizes(&self.database()?.begin_read()?)?
            .iter()
            .map(|table| table.stored_bytes + table.overhead_bytes)
            .sum();
        let is_worth_it = allocated >= used + (used / 4).max(CLOSE_FREE_BYTES_MIN);
        if !is_worth_it || used > CLOSE_COMPACT_BYTES_MAX {
            return Ok(());
        }
        match self.compact() {
            // It is being read: it stays as it is.
            Ok(_) | Err(StoreError::Refused(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Closes the file cleanly, which makes the next open instant. Readers live on. A file that holds much free room, and not
    /// more than [`CLOSE_COMPACT_BYTES_MAX`] besides, gives it back first, unless somebody is reading it.
    ///
    /// # Errors
    /// What redb says.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.compact_small()?;
        match self.database {
            Some(database) => database.close(),
            None => Ok(()),
        }
    }
}

/// Fills the chunks of packed rows.
fn repack(database: &Database) -> Result<(), StoreError> {
    let mut txn = database.begin_write()?;
    txn.set_quick_repair(true);
    WriteTables::open(&txn)?.repack()?;
    Ok(txn.commit()?)
}

/// The least free room that a file gives back when it is closed, bytes.
const CLOSE_FREE_BYTES_MIN: u64 = 1 << 20;

/// What an error while opening means for this path.
pub(super) fn open_error(path: &Path) -> impl Fn(DatabaseError) -> StoreError {
    let path = path.to_owned();
    move |error| match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            StoreError::Busy { path: path.clone() }
        }
        DatabaseError::Storage(StorageError::Corrupted(reason)) => StoreError::DamagedFile {
            path: path.clone(),
            reason,
        },
        DatabaseError::UpgradeRequired(version) => StoreError::NotAStore {
            path: path.clone(),
            found: format!("a redb database of the old file format {version}"),
        },
        DatabaseError::Storage(StorageError::Io(source)) => StoreError::Io {
            path: path.clone(),
            operation: "cannot be opened",
            source,
        },
        other => StoreError::Database(Box::new(other.into())),
    }
}

/// The schema version, read through any open database.
pub(super) fn schema_of(database: &impl ReadableDatabase, path: &Path) -> Result<u32, StoreError> {
    meta::schema(&database.begin_read()?, path)
}
