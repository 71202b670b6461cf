//! What can go wrong with a store, grouped by what the caller can do.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::model::{ByteSize, Timestamp};

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such file.
    #[error("{}: no such file", path.display())]
    Missing {
        /// The path as given.
        path: PathBuf,
    },
    /// The file is something else.
    #[error(
        "{}: not a trace store: {found}\nhint: give the file that a recorder wrote, or a backup or copy of it; if it is one \
         and has lost its beginning, `sk-tracedb salvage --db FILE -o RESCUED` saves what is readable", path.display()
    )]
    NotAStore {
        /// The path as given.
        path: PathBuf,
        /// What was found instead.
        found: String,
    },
    /// The file was written by a newer release.
    #[error(
        "{}: schema version {found} is newer than {supported}, the newest that this release reads; the file was not \
         touched\nhint: use the release that wrote it, or a newer one", path.display()
    )]
    NewerSchema {
        /// The path as given.
        path: PathBuf,
        /// Schema version of the file.
        found: u32,
        /// Newest schema version known here.
        supported: u32,
    },
    /// The file was written by an older release and could only be opened for reading.
    #[error(
        "{}: schema version {found} is older than {supported} and must be migrated before it is read\nhint: open it \
         once for writing (`sk-tracedb migrate --db FILE`, or start the recorder on it)", path.display()
    )]
    OlderSchema {
        /// The path as given.
        path: PathBuf,
        /// Schema version of the file.
        found: u32,
        /// Schema version needed.
        supported: u32,
    },
    /// The volume is too full for the new file of a migration, which grows beside the old one.
    #[error(
        "{}: cannot be migrated from schema version {found} to {wanted} for want of room on its volume; its record \
         is as it was\nhint: make room for a second file of its size, {} ({} are free), and start again; or go on with the release \
         that wrote it", path.display(), ByteSize(*needed_bytes), ByteSize(*available_bytes)
    )]
    NoRoomToMigrate {
        /// The path as given.
        path: PathBuf,
        /// Schema version of the file.
        found: u32,
        /// Schema version that it should have got.
        wanted: u32,
        /// Room that is enough for the new file, bytes: what the old one takes.
        needed_bytes: u64,
        /// What the volume has, bytes.
        available_bytes: u64,
        /// What the storage said.
        source: Box<StoreError>,
    },
    /// Another process writes the file.
    #[error("{}: another process is writing this store\nhint: stop that recorder, or work on a copy", path.display())]
    Busy {
        /// The path as given.
        path: PathBuf,
    },
    /// The file exists and must not.
    #[error("{}: already exists\nhint: choose another path, or remove the file first", path.display())]
    Exists {
        /// The path as given.
        path: PathBuf,
    },
    /// The record belongs to another cluster (R16).
    #[error(
        "this store belongs to the cluster {stored} (UID of kube-system), but the API server is that of {found}\nhint: \
         give each cluster its own --db file"
    )]
    OtherCluster {
        /// Cluster that the store belongs to.
        stored: String,
        /// Cluster that was found.
        found: String,
    },
    /// Stored bytes are not what was written.
    #[error("damaged row in table {table} at key {key}: {reason}")]
    Damaged {
        /// Table name.
        table: &'static str,
        /// The key, in hex.
        key: String,
        /// What is wrong with the bytes.
        reason: String,
    },
    /// The file is damaged, or was torn when it was copied.
    #[error(
        "{}: the file is damaged or was torn while it was copied: {reason}\nhint: copy it again with `sk-tracedb backup`, \
         or save what is readable with `sk-tracedb salvage --db FILE -o RESCUED`", path.display()
    )]
    DamagedFile {
        /// The path as given.
        path: PathBuf,
        /// What redb says of it.
        reason: String,
    },
    /// A question about what retention has dropped.
    #[error(
        "what was recorded before {horizon} has been dropped by retention; {at} lies before that\nhint: ask for \
         {horizon} or later, or look into a backup"
    )]
    BeforeHorizon {
        /// The time that was asked for.
        at: Timestamp,
        /// From where on the record is complete.
        horizon: Timestamp,
    },
    /// The system gave no random bytes.
    #[error("the system gives no random bytes for the key under which Secrets are digested")]
    Random(#[source] std::io::Error),
    /// A request that cannot be carried out on this store.
    #[error("{0}")]
    Refused(String),
    /// The caller asked to stop.
    #[error("stopped before it was done")]
    Stopped,
    /// The storage failed while observations waited, and the recorder was told to stop.
    #[error(
        "{observations} observations are not recorded\nhint: make room or mend the storage, then start again: what they \
         told is seen again, as far as it still holds"
    )]
    NotRecorded {
        /// How many.
        observations: u64,
        /// What the storage said.
        source: Box<StoreError>,
    },
    /// An error of the file system.
    #[error("{}: {operation}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was being done.
        operation: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// An error of redb, most often of the file system below it.
    #[error("the database failed")]
    Database(#[source] Box<redb::Error>),
}

/// What a failed I/O means for those who want to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageFailure {
    /// The disk is full, or a quota or the largest file size has been reached.
    NoSpace,
    /// Anything else that the storage said.
    Io,
}

impl StorageFailure {
    /// What an error of the file system means.
    pub fn of(error: &std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                Self::NoSpace
            }
            _ => Self::Io,
        }
    }
}

impl StoreError {
    /// Whether the storage failed, rather than what is stored or asked for: what failed may be tried again once the
    /// store has been opened again.
    pub fn storage_failure(&self) -> Option<StorageFailure> {
        let error = match self {
            Self::Io { source, .. } => source,
            Self::Database(error) => match &**error {
                redb::Error::Io(error) => error,
                redb::Error::PreviousIo | redb::Error::DatabaseClosed => {
                    return Some(StorageFailure::Io);
                }
                _ => return None,
            },
            Self::NoRoomToMigrate { .. } => return Some(StorageFailure::NoSpace),
            _ => return None,
        };
        Some(StorageFailure::of(error))
    }

    /// The error and its causes, in one line, without hints.
    pub(crate) fn with_causes(&self) -> String {
        let mut lines = vec![self.to_string()];
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            lines.push(error.to_string());
            cause = error.source();
        }
        let text: Vec<&str> = lines
            .iter()
            .flat_map(|text| text.lines())
            .filter(|line| !line.starts_with("hint:"))
            .collect();
        text.join(": ")
    }

    /// Whether the bytes of a file are not what was written, and the error does not name the file.
    pub(crate) fn is_unnamed_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } => true,
            Self::Database(error) => match &**error {
                redb::Error::Corrupted(_) => true,
                // The page that names the tables is damaged: a store of a known schema has them all.
                redb::Error::TableDoesNotExist(_)
                | redb::Error::TableTypeMismatch { .. }
                | redb::Error::TableIsMultimap(_)
                | redb::Error::TableIsNotMultimap(_)
                | redb::Error::TypeDefinitionChanged { .. } => true,
                // A damaged page refers to what lies behind the end of the file.
                redb::Error::Io(error) => error.kind() == ErrorKind::UnexpectedEof,
                _ => false,
            },
            _ => false,
        }
    }

    /// Whether a read or write failed before, and what was said of it went to somebody else, or nowhere: the disk has
    /// failed, or a damaged page refers to what lies behind the end of the file.
    pub(crate) fn is_aftermath(&self) -> bool {
        matches!(self, Self::Database(error) if matches!(**error, redb::Error::PreviousIo))
    }

    /// Whether the database failed, and the error does not name the file.
    pub(crate) fn is_unnamed_failure(&self) -> bool {
        matches!(self, Self::Database(_))
    }

    /// The same, of a new file at `path`: redb names none.
    pub(crate) fn while_writing(self, path: &Path) -> Self {
        self.of_new_file(path, "cannot be written")
    }

    /// The same, of a file or folder, with what cannot be done there.
    pub(crate) fn of_new_file(self, path: &Path, operation: &'static str) -> Self {
        match self {
            Self::Database(error) => match *error {
                redb::Error::Io(source) => Self::io(path, operation)(source),
                other => Self::Database(Box::new(other)),
            },
            other => other,
        }
    }

    pub(crate) fn io(path: &Path, operation: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            path,
            operation,
            source,
        }
    }
}

macro_rules! from_redb {
    ($($error:ident),*) => {$(
        impl From<redb::$error> for StoreError {
            fn from(error: redb::$error) -> Self {
                Self::Database(Box::new(error.into()))
            }
        }
    )*};
}
from_redb!(
    StorageError,
    TableError,
    TransactionError,
    CommitError,
    SetDurabilityError
);
