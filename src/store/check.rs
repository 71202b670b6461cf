//! Checking a file as a whole before it is believed: redb verifies the checksum of every page that its trees reach,
//! about a second for each GB. What redb writes meanwhile stays in memory.

use std::cell::Cell;
use std::fs::File;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{Database, DatabaseError, ReadOnlyDatabase, ReadableDatabase};

use super::StoreError;
use super::mark::{self, Origin};
use super::open::open_error;
use super::overlay::{Changed, Overlay};
use super::place::Place;
use super::tables::META;
use crate::limits::READER_CACHE_BYTES;

/// Offset of the byte of redb's header that says, among others, whether the file was closed.
const STATE_BYTE: usize = 9;
/// The bit of it that is set while a database is open for writing, and after a crash.
const NOT_CLOSED: u8 = 2;

/// A file as it is found.
pub(super) enum Found {
    /// Another process writes it: it is what it is taken for.
    BeingWritten(Arc<ReadOnlyDatabase>),
    /// Closed cleanly.
    Closed(Arc<ReadOnlyDatabase>, Origin),
    /// Not closed cleanly, and nobody writes it.
    NotClosed,
}

/// Length of redb's header, with both of its commit slots, bytes.
const HEADER_BYTES: u64 = 512;

/// Opens a file as far as it can be without believing or changing it.
pub(super) fn open_read_only(path: &Path) -> Result<Found, StoreError> {
    // Before it is opened: a writer that closes it in between leaves a file that is checked once too often.
    let closed = is_closed(path)?;
    match Place::File.read(path) {
        Ok(database) if closed => {
            let origin = origin_of(&database, path)?;
            Ok(Found::Closed(Arc::new(database), origin))
        }
        Ok(database) => Ok(Found::BeingWritten(Arc::new(database))),
        Err(DatabaseError::RepairAborted) => Ok(Found::NotClosed),
        Err(error) => Err(open_error(path)(error)),
    }
}

/// Opens a file through an overlay, after all of it has been checked.
///
/// # Errors
/// [`StoreError::DamagedFile`], or what the file system says.
pub(super) fn open_checked(path: &Path) -> Result<Database, StoreError> {
    guarded(path, || open_overlay(path, true))
}

/// Opens a file that was not closed cleanly as redb repairs it, in memory. Nothing of it is believed.
pub(super) fn open_unchecked(path: &Path) -> Result<Database, StoreError> {
    open_overlay(path, false)
}

fn open_overlay(path: &Path, check: bool) -> Result<Database, StoreError> {
    let file = File::open(path).map_err(StoreError::io(path, "cannot be opened"))?;
    let overlay = Overlay::new(file).map_err(StoreError::io(path, "cannot be read"))?;
    redb::Builder::new()
        .set_cache_size(READER_CACHE_BYTES)
        .set_check_integrity_on_open(check)
        .create_with_backend(overlay)
        .map_err(open_error(path))
}

/// What is wrong with a redb file that does not look like a store, or cannot be read. One that is torn or damaged is no
/// other program's, and no disk's fault.
///
/// # Errors
/// What `looks` is, or [`StoreError::DamagedFile`].
pub(super) fn torn_or(path: &Path, looks: StoreError) -> StoreError {
    match looks {
        StoreError::NotAStore { .. } | StoreError::Database(_) => match open_checked(path) {
            Err(error @ StoreError::DamagedFile { .. }) => error,
            _ => looks,
        },
        other => other,
    }
}

/// What the mark in a file says of it.
pub(super) fn origin_of(
    database: &impl ReadableDatabase,
    path: &Path,
) -> Result<Origin, StoreError> {
    match database.begin_read()?.open_table(META) {
        Ok(meta) => mark::origin(&meta, path),
        // Another program's, or too damaged to tell: the check says.
        Err(_) => Ok(Origin::Copy),
    }
}

/// The first bytes of a file, which change with every commit and whenever a recorder opens or closes it.
pub(super) fn header(path: &Path) -> Result<Vec<u8>, StoreError> {
    let mut header = Vec::new();
    File::open(path)
        .and_then(|file| file.take(HEADER_BYTES).read_to_end(&mut header))
        .map_err(StoreError::io(path, "cannot be read"))?;
    Ok(header)
}

/// When a file was changed last.
pub(super) fn last_change(path: &Path) -> Result<Changed, StoreError> {
    let metadata = std::fs::metadata(path).map_err(StoreError::io(path, "cannot be read"))?;
    Ok(Changed::of(&metadata))
}

fn is_closed(path: &Path) -> Result<bool, StoreError> {
    let mut header = [0; STATE_BYTE + 1];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    read.map_err(StoreError::io(path, "cannot be read"))?;
    Ok(header.last().is_some_and(|state| state & NOT_CLOSED == 0))
}

thread_local! {
    /// Whether this thread is in [`guarded`].
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// What redb panicked at outside [`guarded`], in any thread, while [`guarded_run`] runs.
static AT_REDB: Mutex<Running> = Mutex::new(Running {
    is_guarded: false,
    reason: None,
});

struct Running {
    /// Whether [`guarded_run`] runs.
    is_guarded: bool,
    /// What redb said first.
    reason: Option<String>,
}

fn at_redb() -> MutexGuard<'static, Running> {
    AT_REDB.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps the panics that become errors here from being printed, for the whole process. All others are printed as before.
/// A library must not decide that; the program calls it.
pub fn hush_guarded_panics() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if GUARDED.get() {
            return;
        }
        if info.location().is_some_and(|at| is_of_redb(at.file())) {
            let mut running = at_redb();
            if running.is_guarded {
                let reason = reason_of(info.payload());
                tracing::error!(reason, "the store could not be read");
                running.reason.get_or_insert(reason);
                return;
            }
        }
        print(info);
    }));
}

/// Whether a source file is one of redb's.
fn is_of_redb(source: &str) -> bool {
    source
        .split(['/', '\\'])
        .any(|part| part == "redb" || part.starts_with("redb-"))
}

/// Runs work on the file at `path`, all of it, in whatever threads: if it fails because redb panics, that becomes
/// [`StoreError::DamagedFile`]. A file that is as its recorder left it is not checked before it is read, and a disk may
/// have lost a bit of it since. Other panics go on.
///
/// For the edge of a program that has called [`hush_guarded_panics`]: it does one such work, and ends.
///
/// # Errors
/// What `work` says, and [`StoreError::DamagedFile`].
pub fn guarded_run<E: From<StoreError>>(
    path: &Path,
    work: impl FnOnce() -> Result<(), E>,
) -> Result<(), E> {
    at_redb().is_guarded = true;
    let result = catch_unwind(AssertUnwindSafe(work));
    let reason = {
        let mut running = at_redb();
        running.is_guarded = false;
        running.reason.take()
    };
    match (result, reason) {
        (Ok(Ok(())), _) => Ok(()),
        (_, Some(reason)) => Err(StoreError::DamagedFile {
            path: path.to_owned(),
            reason,
        }
        .into()),
        (Ok(result), None) => result,
        (Err(panic), None) => std::panic::resume_unwind(panic),
    }
}

/// Runs what reads a file that may be damaged: redb may panic where it reads a file that it has not checked.
pub(super) fn guarded<T>(
    path: &Path,
    work: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let damaged = |reason| StoreError::DamagedFile {
        path: path.to_owned(),
        reason,
    };
    let before = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(before);
    match result {
        Ok(Err(error)) if ends_too_early(&error) => Err(damaged(
            "it ends before something that it refers to".to_owned(),
        )),
        Ok(result) => result,
        Err(panic) => Err(damaged(reason_of(&*panic))),
    }
}

/// Whether a read went behind the end of the file: it was cut off.
fn ends_too_early(error: &StoreError) -> bool {
    let source = match error {
        StoreError::Io { source, .. } => source,
        StoreError::Database(error) => match &**error {
            redb::Error::Io(source) => source,
            _ => return false,
        },
        _ => return false,
    };
    source.kind() == std::io::ErrorKind::UnexpectedEof
}

fn reason_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    format!("redb stopped with: {}", text.unwrap_or("no reason"))
}
