//! Finding rows.

use std::fs::File;
use std::path::Path;

use redb::{Database, Key, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition};
use zstd_safe::DCtx;

use super::Salvage;
use super::newer::put;
use super::pages::{self, Keys, PAGE_BYTES};
use super::replay;
use crate::limits::BACKUP_COMMIT_BYTES;
use crate::store::codec;
use crate::store::packed::{TOMBSTONE, chunk};
use crate::store::progress::Counter;
use crate::store::rows::WriterRow;
use crate::store::tables::{
    ALIVE, ALIVE_PACKED, ALIVE_PODS, ALIVE_PODS_PACKED, EPOCHS, META, POD_NAMES, POD_NAMES_PACKED,
    POD_UIDS, POD_UIDS_PACKED, SIBLINGS, SIBLINGS_PACKED, SealedKey, TableVisitor, WriteTables,
    each_table, get, packed_parts,
};
use crate::store::{StoreError, WRITER, check, meta};

/// Copies every row that checks out into the tables of `to`.
pub(super) fn collect(
    broken: &Path,
    to: &Database,
    counter: &mut Counter<'_>,
    salvage: &mut Salvage,
) -> Result<(), StoreError> {
    counter.begin("reading tables", 0)?;
    // Nested, so that what was stopped is not taken for damage.
    let tables = check::guarded(broken, || {
        let database = check::open_unchecked(broken)?;
        let txn = database.begin_read()?;
        Ok(each_table(&mut FromTables {
            broken,
            from: &txn,
            to,
            counter,
            salvage,
        }))
    });
    match tables {
        Ok(copied) => copied?,
        Err(error) => salvage.notes.push(format!(
            "the tables cannot be read as such: {}",
            error.with_causes()
        )),
    }
    salvage.is_intact &= salvage.notes.is_empty();
    // A whole file has everything in its tables; what else is in it was dropped or written anew.
    if !salvage.is_intact {
        let current = writer_row(to)?;
        from_pages(broken, to, counter)?;
        if current.is_none() && writer_row(to)?.is_some() {
            salvage.notes.push(
                "the row of the writer is one of an earlier commit: what was recorded after it is not counted as lost, and what \
                 retention dropped after it may be back"
                    .to_owned(),
            );
        }
    }
    replay::replay(to, counter)
}

fn writer_row(to: &Database) -> Result<Option<WriterRow>, StoreError> {
    get(&to.begin_read()?.open_table(META)?, WRITER)
}

/// What is made anew instead of being saved.
fn is_derived(table: &str) -> bool {
    use redb::TableHandle;
    [
        ALIVE.name(),
        ALIVE_PACKED.name(),
        ALIVE_PODS.name(),
        ALIVE_PODS_PACKED.name(),
        EPOCHS.name(),
        POD_NAMES.name(),
        POD_NAMES_PACKED.name(),
        POD_UIDS.name(),
        POD_UIDS_PACKED.name(),
        SIBLINGS.name(),
        SIBLINGS_PACKED.name(),
    ]
    .contains(&table)
}

/// Rows as redb finds them: from the beginning up to the first damage, and from the end down to the last.
struct FromTables<'a, 'b> {
    broken: &'a Path,
    from: &'a ReadTransaction,
    to: &'a Database,
    counter: &'a mut Counter<'b>,
    salvage: &'a mut Salvage,
}

impl TableVisitor for FromTables<'_, '_> {
    fn table<K>(
        &mut self,
        name: &'static str,
        definition: TableDefinition<'static, K, &'static [u8]>,
    ) -> Result<(), StoreError>
    where
        K: Key + 'static,
        for<'k> K::SelfType<'k>: SealedKey,
    {
        if is_derived(name) {
            return Ok(());
        }
        for backwards in [false, true] {
            let mut store = Storing::begin(self.to);
            // Kept outside: whatever was read before the damage is saved.
            let mut stopped = Ok(());
            let mut damaged = 0_u64;
            let read = check::guarded(self.broken, || {
                let table = self.from.open_table(definition)?;
                let mut rows = table.iter()?;
                while let Some(row) = if backwards {
                    rows.next_back()
                } else {
                    rows.next()
                } {
                    let (key, value) = row?;
                    let seal = key.value().seal_bytes().into_owned();
                    if codec::check(name, &seal, value.value()).is_err() {
                        damaged += 1;
                        continue;
                    }
                    stopped = match store.row(name, &seal, value.value()) {
                        Ok(is_read) => {
                            damaged += u64::from(!is_read);
                            self.counter.row()
                        }
                        Err(error) => Err(error),
                    };
                    if stopped.is_err() {
                        break;
                    }
                }
                Ok(())
            });
            stopped?;
            store.commit()?;
            if damaged > 0 {
                self.salvage
                    .notes
                    .push(format!("{damaged} rows of {name} are damaged"));
            }
            match read {
                Ok(()) => break,
                Err(error) if !backwards => self.salvage.notes.push(format!(
                    "{name} cannot be read from end to end: {}",
                    error.with_causes()
                )),
                Err(_) => {}
            }
        }
        Ok(())
    }
}

/// Rows in every page of the file that looks like a leaf.
fn from_pages(broken: &Path, to: &Database, counter: &mut Counter<'_>) -> Result<(), StoreError> {
    let failed = || StoreError::io(broken, "cannot be read");
    let file = File::open(broken).map_err(failed())?;
    let length = file.metadata().map_err(failed())?.len();
    counter.begin("reading pages", length / PAGE_BYTES as u64)?;
    let mut store = Storing::begin(to);
    let mut page = Vec::new();
    let mut offset = 0;
    while offset < length {
        if pages::read(&file, offset, &mut page)
            .map_err(failed())?
            .is_some()
        {
            for (shape, tables) in shapes() {
                for (key, value) in pages::entries(&page, shape) {
                    // Integers are stored little-endian, and sealed big-endian.
                    let mut seal = key.to_vec();
                    if shape == Keys::Fixed(8) {
                        seal.reverse();
                    }
                    for table in tables {
                        if !meta::is_bare(&seal) && codec::check(table, &seal, value).is_ok() {
                            store.row(table, &seal, value)?;
                            break;
                        }
                    }
                }
            }
        }
        counter.row()?;
        offset += PAGE_BYTES as u64;
    }
    store.commit()
}

/// The tables by the shape of their keys.
fn shapes() -> [(Keys, &'static [&'static str]); 4] {
    [
        (Keys::Fixed(16), &["event_to_headers"]),
        (Keys::Fixed(24), &["object_and_event_to_versions"]),
        (
            Keys::Fixed(8),
            &[
                "base_to_body",
                "dictionary_to_bytes",
                "journal",
                "id_to_incarnation",
                "number_to_pod",
                "run_to_row",
                "gap_to_row",
                "kind_id_to_kind",
            ],
        ),
        (
            Keys::Variable,
            &[
                "object_to_row",
                "base_to_body_packed",
                "object_to_row_packed",
                "object_and_event_to_versions_packed",
                "id_to_incarnation_packed",
                "uid_to_owner",
                "uid_to_owner_packed",
                "uid_to_wanted_owner",
                "number_to_pod_packed",
                "kind_to_watch",
                "meta",
            ],
        ),
    ]
}

/// Writes rows into the new store, in transactions of bounded size.
struct Storing<'a> {
    to: &'a Database,
    /// Waiting to be written: table, key as sealed, value.
    rows: Vec<(&'static str, Vec<u8>, Vec<u8>)>,
    bytes: usize,
    context: Option<DCtx<'static>>,
}

impl<'a> Storing<'a> {
    fn begin(to: &'a Database) -> Self {
        Self {
            to,
            rows: Vec::new(),
            bytes: 0,
            context: None,
        }
    }

    /// Takes a row that checks out; one of a packed table gives all the rows in it. Returns whether it can be read.
    fn row(&mut self, table: &'static str, key: &[u8], value: &[u8]) -> Result<bool, StoreError> {
        if value == TOMBSTONE {
            return Ok(true);
        }
        if let Some(parts) = packed_parts(table) {
            let context = self.context.get_or_insert_with(DCtx::create);
            // A chunk that checks out and cannot be read was never written.
            let Ok(chunk) = chunk::read(parts, key, value, context) else {
                return Ok(false);
            };
            for row in chunk.into_rows() {
                let value = codec::seal(parts.hot, &row.key, &row.payload);
                self.row(parts.hot, &row.key, &value)?;
            }
            return Ok(true);
        }
        self.bytes += key.len() + value.len();
        self.rows.push((table, key.to_vec(), value.to_vec()));
        if self.bytes >= BACKUP_COMMIT_BYTES / 4 {
            self.flush()?;
        }
        Ok(true)
    }

    fn commit(mut self) -> Result<(), StoreError> {
        self.flush()
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let txn = self.to.begin_write()?;
        {
            let mut tables = WriteTables::open(&txn)?;
            for (table, key, value) in self.rows.drain(..) {
                put(&mut tables, table, &key, &value)?;
            }
        }
        txn.commit()?;
        self.bytes = 0;
        Ok(())
    }
}
