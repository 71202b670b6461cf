//! SQLite with a write-ahead log, as rusqlite bundles it: one transaction a batch, statements prepared once, automatic
//! checkpoints as by default. `.cargo/config.toml` has it built to sync with `fdatasync`.

use std::path::Path;

use anyhow::{Result, ensure};
use rusqlite::{Connection, params};

use super::{CACHE_BYTES, Subject};
use crate::change::{Change, Row};
use crate::stream::Stream;

/// The number of a change is the key by which rows lie in the file, which SQLite appends fastest; the index by time serves
/// windows. Keyed by (time, number) itself, without row ids, ingest was slower.
const SCHEMA: &str = "
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY, ts_us INTEGER NOT NULL, object INTEGER NOT NULL, deleted INTEGER NOT NULL,
        spec_hash INTEGER NOT NULL, body BLOB NOT NULL);
    CREATE UNIQUE INDEX event_by_time ON events (ts_us, seq);
    CREATE TABLE objects (
        api_group TEXT NOT NULL, kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
        object INTEGER NOT NULL, uid TEXT NOT NULL, version TEXT NOT NULL, deleted INTEGER NOT NULL,
        hash BLOB NOT NULL, last_ts_us INTEGER NOT NULL, last_seq INTEGER NOT NULL,
        PRIMARY KEY (api_group, kind, namespace, name)) WITHOUT ROWID;
";
const INSERT: &str = "
    INSERT INTO events (seq, ts_us, object, deleted, spec_hash, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const UPSERT: &str = "
    INSERT INTO objects (api_group, kind, namespace, name, object, uid, version, deleted, hash, last_ts_us, last_seq)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
    ON CONFLICT (api_group, kind, namespace, name) DO UPDATE SET
        object = excluded.object, uid = excluded.uid, version = excluded.version, deleted = excluded.deleted,
        hash = excluded.hash, last_ts_us = excluded.last_ts_us, last_seq = excluded.last_seq";
/// Numbers and times grow together, so the order of the numbers is that of the times: no detour through the index.
const SCAN: &str = "SELECT ts_us, seq, deleted, body FROM events ORDER BY seq";

/// `synchronous = FULL`: the log is synced with every commit.
pub struct SqliteFull(Connection);

/// `synchronous = NORMAL`: the log is synced before a checkpoint only.
pub struct SqliteNormal(Connection);

fn create(folder: &Path, synchronous: &str) -> Result<Connection> {
    let connection = open(folder)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| {
        row.get("journal_mode")
    })?;
    ensure!(mode == "wal", "SQLite has not taken to its log: {mode}");
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.execute_batch(SCHEMA)?;
    Ok(connection)
}

fn open(folder: &Path) -> Result<Connection> {
    let connection = Connection::open(folder.join("changes.sqlite"))?;
    // Negative: KiB, not pages.
    let cache_kib = i64::try_from(CACHE_BYTES >> 10)?;
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    Ok(connection)
}

fn append(connection: &mut Connection, batch: &[Change]) -> Result<()> {
    let transaction = connection.transaction()?;
    {
        let mut insert = transaction.prepare_cached(INSERT)?;
        let mut upsert = transaction.prepare_cached(UPSERT)?;
        for change in batch {
            let seq = change.seq.cast_signed();
            insert.execute(params![
                seq,
                change.at_us,
                change.object.cast_signed(),
                change.deleted,
                change.spec_hash.cast_signed(),
                change.body,
            ])?;
            upsert.execute(params![
                change.group,
                change.kind,
                change.namespace,
                change.name,
                change.object.cast_signed(),
                change.uid,
                change.version,
                change.deleted,
                change.hash,
                change.at_us,
                seq,
            ])?;
        }
    }
    Ok(transaction.commit()?)
}

fn close(connection: Connection) -> Result<()> {
    connection.close().map_err(|(_, error)| error.into())
}

fn visit(folder: &Path, each: &mut dyn FnMut(Row<'_>) -> Result<()>) -> Result<()> {
    let connection = open(folder)?;
    let mut statement = connection.prepare(SCAN)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        each(Row {
            at_us: row.get(0)?,
            seq: row.get::<_, i64>(1)?.cast_unsigned(),
            deleted: row.get(2)?,
            body: row.get_ref(3)?.as_blob()?,
        })?;
    }
    Ok(())
}

fn names(folder: &Path) -> Result<Option<u64>> {
    let names: i64 =
        open(folder)?.query_row("SELECT count(*) FROM objects", [], |row| row.get(0))?;
    Ok(Some(names.cast_unsigned()))
}

impl Subject for SqliteFull {
    type Batch = Vec<Change>;

    fn create(folder: &Path, _stream: &Stream) -> Result<Self> {
        create(folder, "FULL").map(Self)
    }

    fn prepare(changes: Vec<Change>) -> Vec<Change> {
        changes
    }

    fn append(&mut self, batch: &Vec<Change>) -> Result<()> {
        append(&mut self.0, batch)
    }

    fn close(self) -> Result<()> {
        close(self.0)
    }

    fn visit(
        folder: &Path,
        _stream: &Stream,
        each: &mut dyn FnMut(Row<'_>) -> Result<()>,
    ) -> Result<()> {
        visit(folder, each)
    }

    fn names(folder: &Path, _stream: &Stream) -> Result<Option<u64>> {
        names(folder)
    }
}

impl Subject for SqliteNormal {
    type Batch = Vec<Change>;

    fn create(folder: &Path, _stream: &Stream) -> Result<Self> {
        create(folder, "NORMAL").map(Self)
    }

    fn prepare(changes: Vec<Change>) -> Vec<Change> {
        changes
    }

    fn append(&mut self, batch: &Vec<Change>) -> Result<()> {
        append(&mut self.0, batch)
    }

    fn close(self) -> Result<()> {
        close(self.0)
    }

    fn visit(
        folder: &Path,
        _stream: &Stream,
        each: &mut dyn FnMut(Row<'_>) -> Result<()>,
    ) -> Result<()> {
        visit(folder, each)
    }

    fn names(folder: &Path, _stream: &Stream) -> Result<Option<u64>> {
        names(folder)
    }
}
