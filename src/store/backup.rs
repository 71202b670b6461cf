//! Backups: one read transaction, copied table by table into a fresh file.
//!
//! The copy is made under a temporary name, closed cleanly, checked as a whole, synced, and only then takes its name.
//! It does not stop the recorder. The pages that the read transaction sees are not reused until the copy is made, so
//! the live file grows by what is rewritten meanwhile; that room is used again afterwards.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use redb::{
    Database, Key, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata,
    TableDefinition,
};
use tempfile::NamedTempFile;

use super::progress::{Counter, Progress};
use super::rows::{BackupKept, BackupRow};
use super::tables::{META, SealedKey, TableVisitor, each_table, get, put};
use super::{
    Output, Reader, Snapshot, StoreError, check, codec, folder_of, mark, meta, refuse_itself,
    refuse_live, sync_folder_of,
};
use crate::limits::{BACKUP_CACHE_BYTES, BACKUP_COMMIT_BYTES};
use crate::model::Timestamp;

/// What is said of the folder where a copy cannot be made.
const UNWRITABLE: &str = "cannot write the copy here";

/// Where a backup comes from.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Provenance {
    /// Id of the store that was copied.
    pub store_id: String,
    /// When the copy was made.
    pub at: Timestamp,
    /// Where the record in it begins. What retention had dropped is not part of it.
    pub start: Timestamp,
    /// Where the record in it ends.
    pub end: Timestamp,
    /// Where retention had ended the record's past; `None`: nothing had been dropped.
    pub horizon: Option<Timestamp>,
    /// Changes in it.
    pub changes: u64,
    /// Sequence number of the last change in it.
    pub last_seq: u64,
    /// Release of the program that made it.
    pub program: String,
}

/// What a backup holds, and what it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupSummary {
    /// Where it comes from.
    pub provenance: Provenance,
    /// Rows of all tables.
    pub rows: u64,
    /// Length of the file, bytes.
    pub bytes: u64,
    /// How long the live file's pages were kept from being reused.
    pub pinned_for: Duration,
}

/// A finished and checked copy under a temporary name; removed unless it is given its own.
pub struct Backup {
    file: NamedTempFile,
    summary: BackupSummary,
}

impl Backup {
    /// Copies what has been committed to a store so far into a temporary file in `folder`, and checks the copy.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] for a damaged row of the store, [`StoreError::Stopped`] when `go_on` says so, or what the
    /// file system says. Nothing is left behind then.
    pub fn make(
        reader: &Reader,
        folder: &Path,
        at: Timestamp,
        go_on: &mut dyn FnMut(Progress) -> bool,
    ) -> Result<Self, StoreError> {
        let file = tempfile::Builder::new()
            .prefix(".sk-tracedb-backup-")
            .tempfile_in(folder)
            .map_err(StoreError::io(folder, UNWRITABLE))?;
        let unwritable = |error: StoreError| error.of_new_file(folder, UNWRITABLE);
        let database = redb::Builder::new()
            .set_cache_size(BACKUP_CACHE_BYTES)
            .create(file.path())
            .map_err(|error| unwritable(StoreError::Database(Box::new(error.into()))))?;

        let began = Instant::now();
        let snapshot = reader.snapshot()?;
        let provenance = provenance(&snapshot, at)?;
        let mut counter = Counter::new(go_on);
        counter.begin("copying", rows_of(&snapshot)?)?;
        let mut copying = Copying {
            from: snapshot.txn(),
            to: &database,
            folder,
            counter: &mut counter,
        };
        each_table(&mut copying)?;
        let rows = counter.done();
        drop(snapshot);
        let pinned_for = began.elapsed();

        write_provenance(&database, &provenance).map_err(unwritable)?;
        mark::close(database, file.path()).map_err(unwritable)?;
        check_copy(file.path(), rows, &mut counter)?;
        let failed = || StoreError::io(file.path(), "cannot be synced");
        file.as_file().sync_all().map_err(failed())?;
        let bytes = file.as_file().metadata().map_err(failed())?.len();
        let summary = BackupSummary {
            provenance,
            rows,
            bytes,
            pinned_for,
        };
        Ok(Self { file, summary })
    }

    /// What is in it.
    pub fn summary(&self) -> &BackupSummary {
        &self.summary
    }

    /// Gives the copy its name, replacing what had it. The folder must be the one that it was made in.
    ///
    /// # Errors
    /// A store that another process is writing is not replaced; what the file system says. The name stands for what it stood
    /// for before then.
    pub fn persist(self, path: &Path) -> Result<BackupSummary, StoreError> {
        let Self { file, summary } = self;
        refuse_live(path).map_err(StoreError::io(path, "cannot be written"))?;
        file.persist(path)
            .map_err(|error| StoreError::io(path, "cannot be written")(error.error))?;
        sync_folder_of(path)?;
        Ok(summary)
    }

    /// The copy as an open file without a name, to be read from its beginning.
    ///
    /// # Errors
    /// What the file system says.
    pub fn into_file(self) -> Result<File, StoreError> {
        let path = self.file.path().to_owned();
        File::open(&path).map_err(StoreError::io(&path, "cannot be read"))
    }

    /// Copies a store into a file; where its name is a symbolic link, into what that leads to.
    ///
    /// # Errors
    /// As [`Backup::make`]; [`StoreError::Refused`] when the file is the store itself, or a device or FIFO: a copy is not
    /// written from its beginning to its end. A store that another process is writing is not replaced.
    pub fn to_file(
        reader: &Reader,
        path: &Path,
        at: Timestamp,
        go_on: &mut dyn FnMut(Progress) -> bool,
    ) -> Result<BackupSummary, StoreError> {
        refuse_itself(reader.path(), path)?;
        match Output::find(path).map_err(StoreError::io(path, "cannot be written"))? {
            Output::File(file) => Self::make(reader, folder_of(&file), at, go_on)?.persist(&file),
            Output::Stream(_) => Err(StoreError::Refused(format!(
                "{}: is no file\nhint: make the copy elsewhere, and write it there",
                path.display()
            ))),
        }
    }
}

impl Snapshot {
    /// Where the store comes from, if it is a backup or was one.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], or what the file system says.
    pub fn provenance(&self) -> Result<Option<Provenance>, StoreError> {
        let row: Option<BackupRow> = get(&self.tables().meta, meta::BACKUP)?;
        Ok(row.map(|row| {
            // Earlier releases did not write it down: then it is that of the copy, as far as that was not recorded further.
            let kept = row.kept.unwrap_or_else(|| kept(self));
            let horizon = kept.horizon_us.map(Timestamp::from_micros);
            let first = Timestamp::from_micros(row.first_us);
            Provenance {
                store_id: row.store_id,
                at: Timestamp::from_micros(row.at_us),
                start: horizon.map_or(first, |horizon| horizon.max(first)),
                end: Timestamp::from_micros(row.last_us),
                horizon,
                changes: kept.changes,
                last_seq: row.last_seq,
                program: row.program,
            }
        }))
    }
}

fn provenance(snapshot: &Snapshot, at: Timestamp) -> Result<Provenance, StoreError> {
    let writer = snapshot.writer();
    let recorded = |us| Timestamp::from_micros(us);
    let (start, end) = snapshot
        .extent()
        .unwrap_or((recorded(writer.first_us), recorded(writer.last_us)));
    let BackupKept {
        horizon_us,
        changes,
    } = kept(snapshot);
    Ok(Provenance {
        store_id: meta::store_id(&snapshot.tables().meta)?,
        at,
        start,
        end,
        horizon: horizon_us.map(Timestamp::from_micros),
        changes,
        last_seq: writer.last_seq,
        program: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

fn kept(snapshot: &Snapshot) -> BackupKept {
    let horizon = snapshot.horizon();
    BackupKept {
        horizon_us: (!horizon.is_none()).then(|| horizon.first_start().as_micros()),
        changes: snapshot.writer().changes,
    }
}

fn write_provenance(database: &Database, provenance: &Provenance) -> Result<(), StoreError> {
    let row = BackupRow {
        store_id: provenance.store_id.clone(),
        at_us: provenance.at.as_micros(),
        first_us: provenance.start.as_micros(),
        last_us: provenance.end.as_micros(),
        last_seq: provenance.last_seq,
        program: provenance.program.clone(),
        kept: Some(BackupKept {
            horizon_us: provenance.horizon.map(Timestamp::as_micros),
            changes: provenance.changes,
        }),
    };
    let txn = database.begin_write()?;
    put(&mut txn.open_table(META)?, meta::BACKUP, &row)?;
    Ok(txn.commit()?)
}

/// Rows of all tables.
pub(super) fn rows_of(snapshot: &Snapshot) -> Result<u64, StoreError> {
    struct Rows<'a>(&'a ReadTransaction, u64);
    impl TableVisitor for Rows<'_> {
        fn table<K>(
            &mut self,
            _name: &'static str,
            definition: TableDefinition<'static, K, &'static [u8]>,
        ) -> Result<(), StoreError>
        where
            K: Key + 'static,
            for<'k> K::SelfType<'k>: SealedKey,
        {
            self.1 += self.0.open_table(definition)?.len()?;
            Ok(())
        }
    }
    let mut rows = Rows(snapshot.txn(), 0);
    each_table(&mut rows)?;
    Ok(rows.1)
}

/// Copies rows in the order of their keys, in transactions of bounded size.
struct Copying<'a, 'b> {
    from: &'a ReadTransaction,
    to: &'a Database,
    /// Where the copy is made, for errors.
    folder: &'a Path,
    counter: &'a mut Counter<'b>,
}

impl TableVisitor for Copying<'_, '_> {
    fn table<K>(
        &mut self,
        name: &'static str,
        definition: TableDefinition<'static, K, &'static [u8]>,
    ) -> Result<(), StoreError>
    where
        K: Key + 'static,
        for<'k> K::SelfType<'k>: SealedKey,
    {
        let from = self.from.open_table(definition)?;
        let mut rows = from.iter()?;
        let mut more = true;
        // The store that is read and the copy fail alike.
        let folder = self.folder;
        let unwritable = |error: StoreError| error.of_new_file(folder, UNWRITABLE);
        while more {
            let txn = self
                .to
                .begin_write()
                .map_err(|error| unwritable(error.into()))?;
            {
                let mut to = txn
                    .open_table(definition)
                    .map_err(|error| unwritable(error.into()))?;
                let mut bytes = 0;
                while bytes < BACKUP_COMMIT_BYTES {
                    let Some(row) = rows.next() else {
                        more = false;
                        break;
                    };
                    let (key, value) = row?;
                    let seal = key.value().seal_bytes().into_owned();
                    codec::check(name, &seal, value.value())?;
                    to.insert(key.value(), value.value())
                        .map_err(|error| unwritable(error.into()))?;
                    bytes += seal.len() + value.value().len();
                    self.counter.row()?;
                }
            }
            txn.commit().map_err(|error| unwritable(error.into()))?;
        }
        Ok(())
    }
}

/// Reads the copy back: every page, every row's checksum, and as many rows as were written.
fn check_copy(path: &Path, rows: u64, counter: &mut Counter<'_>) -> Result<(), StoreError> {
    struct Checking<'a, 'b>(ReadTransaction, &'a mut Counter<'b>);
    impl TableVisitor for Checking<'_, '_> {
        fn table<K>(
            &mut self,
            name: &'static str,
            definition: TableDefinition<'static, K, &'static [u8]>,
        ) -> Result<(), StoreError>
        where
            K: Key + 'static,
            for<'k> K::SelfType<'k>: SealedKey,
        {
            for row in self.0.open_table(definition)?.iter()? {
                let (key, value) = row?;
                codec::check(name, &key.value().seal_bytes(), value.value())?;
                self.1.row()?;
            }
            Ok(())
        }
    }
    counter.begin("checking the copy", rows)?;
    let database = check::open_checked(path)?;
    each_table(&mut Checking(database.begin_read()?, counter))?;
    // The copy has its provenance, and its mark where the original had none.
    if counter.done() < rows {
        return Err(StoreError::DamagedFile {
            path: path.to_owned(),
            reason: format!("{} rows of {rows} can be read back", counter.done()),
        });
    }
    Ok(())
}
