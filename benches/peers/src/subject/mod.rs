//! What is compared: stores that take batches of changes durably and give them back in time order.
//!
//! Every peer keeps what an ordinary implementer would keep: the changes in the order of their time, and an index by name with
//! each object's last hash and last change, written in the same transaction. They are spared what sk-tracedb does
//! besides: comparing the hash with the last one, pod lifecycles, owners, resource versions. All have the same page cache.

mod append_only_file;
mod fjall;
mod sk_tracedb;
mod sqlite;

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Result;

use crate::change::{Change, Row};
use crate::stream::Stream;

pub use append_only_file::AppendOnlyFile;
pub use fjall::Fjall;
pub use sk_tracedb::{Counter, Observations, SkTracedb, export_all};
pub use sqlite::{SqliteFull, SqliteNormal};

/// Page or block cache of every subject that has one: that of sk-tracedb's recorder, bytes.
pub const CACHE_BYTES: usize = ::sk_tracedb::limits::WRITER_CACHE_BYTES;

/// A store under test.
pub trait Subject: Sized {
    /// A batch in the form in which the store's program would have it in hand.
    type Batch;

    /// Makes an empty store in a folder.
    fn create(folder: &Path, stream: &Stream) -> Result<Self>;

    /// Brings a batch into its form. Not timed.
    fn prepare(changes: Vec<Change>) -> Self::Batch;

    /// Writes a batch as one transaction; when this returns, it is acknowledged.
    fn append(&mut self, batch: &Self::Batch) -> Result<()>;

    /// What the store's program does on the same thread between two batches. It takes from the rate, and not from the
    /// acknowledgement.
    fn between(&mut self) -> Result<()> {
        Ok(())
    }

    /// Closes the store in good order.
    fn close(self) -> Result<()>;

    /// Reads everything in time order, bodies included.
    fn scan(folder: &Path, stream: &Stream) -> Result<Scanned> {
        let mut scanned = Scanned::default();
        Self::visit(folder, stream, &mut |row| {
            scanned.rows += 1;
            scanned.bytes += std::hint::black_box(row.body).len() as u64;
            Ok(())
        })?;
        Ok(scanned)
    }

    /// Reads every row in another way, if there is one: a name of it, what was read, and how long that took.
    fn other_scan(
        _folder: &Path,
        _stream: &Stream,
    ) -> Result<Option<(&'static str, Scanned, Duration)>> {
        Ok(None)
    }

    /// Shows every row.
    fn visit(
        folder: &Path,
        stream: &Stream,
        each: &mut dyn FnMut(Row<'_>) -> Result<()>,
    ) -> Result<()>;

    /// How many rows the index by name has, where there is one.
    fn names(folder: &Path, stream: &Stream) -> Result<Option<u64>>;
}

/// What a scan has read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Rows.
    pub rows: u64,
    /// Bytes of them that were handed on.
    pub bytes: u64,
}

/// Names a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// sk-tracedb.
    SkTracedb,
    /// SQLite with a write-ahead log, synced with every commit.
    SqliteFull,
    /// SQLite with a write-ahead log, synced at checkpoints only: the last commits may be lost when power is.
    SqliteNormal,
    /// fjall, synced with every batch.
    Fjall,
    /// A file to which records are appended, synced with every batch.
    AppendOnlyFile,
}

impl Name {
    /// All of them, sk-tracedb first.
    pub const ALL: [Self; 5] = [
        Self::SkTracedb,
        Self::SqliteFull,
        Self::SqliteNormal,
        Self::Fjall,
        Self::AppendOnlyFile,
    ];
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::SkTracedb => "sk-tracedb",
            Self::SqliteFull => "sqlite-wal-full",
            Self::SqliteNormal => "sqlite-wal-normal",
            Self::Fjall => "fjall-sync",
            Self::AppendOnlyFile => "append-only-file",
        })
    }
}

impl FromStr for Name {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|name| name.to_string() == text)
            .ok_or_else(|| anyhow::anyhow!("{text:?} is not a subject"))
    }
}
