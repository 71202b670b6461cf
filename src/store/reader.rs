//! Opening a store for reading: this process's own, another process's while it writes, or a copy.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Database, ReadOnlyDatabase, ReadableDatabase};

use super::body::compress::Decompressor;
use super::check::{self, Found};
use super::journal::{self, Journal, Pending};
use super::mark::Origin;
use super::open::schema_of;
use super::progress::{Counter, Progress};
use super::read_handle::ReadHandle;
use super::recognize::check_magic;
use super::{Pin, Pins, SCHEMA_VERSION, Snapshot, StoreError};
use crate::limits::{JOURNAL_READ_TRIES_MAX, READ_OPEN_TRIES_MAX};
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
    /// The writer's where this process writes the store, else what was read last.
    journal: Arc<Journal>,
}

/// The work that is told of.
const CHECK: &str = "checking every page of the file";

/// A database, held open by everything that reads from it: redb closes a database under its read transactions when
/// the last handle on it goes.
#[derive(Clone)]
pub(super) enum Source {
    /// A private overlay over a file that was not closed cleanly.
    Overlay(Arc<Database>),
    /// A cleanly closed file, or one that another process is writing.
    ReadOnly(Arc<ReadOnlyDatabase>),
    /// What this process is writing.
    BesideWriter(Arc<ReadHandle>),
}

impl Reader {
    /// Opens a file for reading. It may be written by another process meanwhile. Any other file is checked as a whole
    /// first (about a second for each GB), and not changed, unless it is the very file that a recorder or a backup has
    /// closed and nobody has changed since.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::NotAStore`], [`StoreError::NewerSchema`], [`StoreError::OlderSchema`],
    /// [`StoreError::DamagedFile`] for a torn copy, or what the file system says.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_told(path, &mut |_| true)
    }

    /// The same, for those who want to know when it takes long: `go_on` is told before the file is checked as a whole, and
    /// says whether it shall be. How far the check has come is not known.
    ///
    /// # Errors
    /// As [`Reader::open`]; [`StoreError::Stopped`].
    pub fn open_told(
        path: impl AsRef<Path>,
        go_on: &mut dyn FnMut(Progress) -> bool,
    ) -> Result<Self, StoreError> {
        let path = path.as_ref();
        check_magic(path)?;
        let (source, schema) = open_source(path, &mut Counter::new(go_on))?;
        require_schema(schema, path)?;
        Ok(Self {
            source,
            pins: None,
            path: path.to_owned(),
            decompressor: Arc::default(),
            journal: Arc::default(),
        })
    }

    pub(super) fn beside_writer(
        handle: ReadHandle,
        pins: Arc<Pins>,
        journal: Arc<Journal>,
        path: &Path,
    ) -> Self {
        Self {
            source: Source::BesideWriter(Arc::new(handle)),
            pins: Some(pins),
            path: path.to_owned(),
            decompressor: Arc::default(),
            journal,
        }
    }

    /// Opens a file that has just been checked as a whole.
    pub(super) fn open_after_check(path: &Path) -> Result<Self, StoreError> {
        let source = match check::open_read_only(path)? {
            Found::BeingWritten(database) | Found::Closed(database, _) => {
                Source::ReadOnly(database)
            }
            Found::NotClosed => Source::Overlay(Arc::new(check::open_unchecked(path)?)),
        };
        Self::of_source(source, path)
    }

    /// Opens a file that is known to be damaged, as far as that goes. Reading it may panic.
    pub(super) fn open_damaged(path: &Path) -> Result<Self, StoreError> {
        let database = check::open_unchecked(path)?;
        Self::of_source(Source::Overlay(Arc::new(database)), path)
    }

    fn of_source(source: Source, path: &Path) -> Result<Self, StoreError> {
        let schema = match &source {
            Source::BesideWriter(_) => SCHEMA_VERSION,
            Source::Overlay(database) => schema_of(&**database, path)?,
            Source::ReadOnly(database) => schema_of(&**database, path)?,
        };
        require_schema(schema, path)?;
        Ok(Self {
            source,
            pins: None,
            path: path.to_owned(),
            decompressor: Arc::default(),
            journal: Arc::default(),
        })
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
        let (txn, pending) = self.begin_consistent()?;
        Snapshot::new(
            txn,
            &pending,
            self.source.clone(),
            self.path.clone(),
            Arc::clone(&self.decompressor),
        )
    }

    /// A read transaction, and what its journal says.
    fn begin_consistent(&self) -> Result<(redb::ReadTransaction, Pending), StoreError> {
        let shared = matches!(self.source, Source::BesideWriter(_));
        for _ in 1..JOURNAL_READ_TRIES_MAX {
            let txn = self.begin_read()?;
            let span = journal::span(&txn)?;
            if let Some(pending) = self.journal.pending_at(span) {
                return Ok((txn, pending));
            }
            if !shared {
                self.journal.load(&txn)?;
                return Ok((txn, self.journal.pending()));
            }
            // The writer has committed and is about to say so, or was quicker than this.
            std::thread::yield_now();
        }
        let txn = self.begin_read()?;
        let pending = Pending::read(&txn)?;
        Ok((txn, pending))
    }

    /// A read transaction. It must not outlive this handle and its clones.
    pub(super) fn begin_read(&self) -> Result<redb::ReadTransaction, StoreError> {
        Ok(match &self.source {
            Source::Overlay(database) => database.begin_read()?,
            Source::ReadOnly(database) => database.begin_read()?,
            Source::BesideWriter(handle) => handle.begin_read()?,
        })
    }
}

/// Refuses a file of another schema version.
fn require_schema(schema: u32, path: &Path) -> Result<(), StoreError> {
    let path = path.to_owned();
    match schema.cmp(&SCHEMA_VERSION) {
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(StoreError::NewerSchema {
            path,
            found: schema,
            supported: SCHEMA_VERSION,
        }),
        Ordering::Less => Err(StoreError::OlderSchema {
            path,
            found: schema,
            supported: SCHEMA_VERSION,
        }),
    }
}

/// What is known of a file before it is opened for writing.
pub(super) struct Peeked {
    pub(super) schema: u32,
    /// Whether it needs no check: its recorder closed it or was killed, and nobody else has changed it since.
    pub(super) is_believed: bool,
}

/// Looks at the first cells of a file without believing the rest of it, and without changing it.
pub(super) fn peek(path: &Path) -> Result<Peeked, StoreError> {
    let peeked = check::guarded(path, || match check::open_read_only(path)? {
        Found::Closed(database, origin) => Ok(Peeked {
            schema: schema_of(&*database, path)?,
            is_believed: origin == Origin::AsLeft,
        }),
        // Opening it for writing will be refused.
        Found::BeingWritten(database) => Ok(Peeked {
            schema: schema_of(&*database, path)?,
            is_believed: true,
        }),
        Found::NotClosed => {
            let database = check::open_unchecked(path)?;
            Ok(Peeked {
                schema: schema_of(&database, path)?,
                is_believed: check::origin_of(&database, path)? == Origin::Own,
            })
        }
    });
    peeked.map_err(|error| check::torn_or(path, error))
}

/// Opens a file for reading. A file that nobody writes is read as it stands; where a recorder turns up meanwhile (one
/// that opens its file again after a full disk, or is restarted), what was read is of two states and counts for nothing.
fn open_source(path: &Path, counter: &mut Counter<'_>) -> Result<(Source, u32), StoreError> {
    for _ in 1..READ_OPEN_TRIES_MAX {
        let before = (check::header(path)?, check::last_change(path)?);
        let result = open_source_once(path, counter);
        if matches!(result, Ok((Source::ReadOnly(_), _))) {
            return result;
        }
        let written = matches!(
            check::guarded(path, || check::open_read_only(path)),
            Ok(Found::BeingWritten(_))
        );
        if !written && (check::header(path)?, check::last_change(path)?) == before {
            return result;
        }
    }
    open_source_once(path, counter)
}

fn open_source_once(path: &Path, counter: &mut Counter<'_>) -> Result<(Source, u32), StoreError> {
    let opened = check::guarded(path, || match check::open_read_only(path)? {
        Found::BeingWritten(database) | Found::Closed(database, Origin::AsLeft) => {
            let schema = schema_of(&*database, path)?;
            Ok((Source::ReadOnly(database), schema))
        }
        Found::Closed(database, Origin::Own | Origin::Changed | Origin::Copy) => {
            counter.begin(CHECK, 0)?;
            let checked = check::open_checked(path)?;
            let schema = schema_of(&checked, path)?;
            // A recorder may start on the file: this handle follows what it writes, the overlay would not.
            Ok((Source::ReadOnly(database), schema))
        }
        Found::NotClosed => {
            counter.begin(CHECK, 0)?;
            let database = check::open_checked(path)?;
            let schema = schema_of(&database, path)?;
            Ok((Source::Overlay(Arc::new(database)), schema))
        }
    });
    opened.map_err(|error| check::torn_or(path, error))
}
