//! Guards against a journal that is not what its transactions did: [`model`] plays any of them, [`records`] are about the rows
//! in the file and how they are read, [`edit_map`] about edits in memory, [`folding`] about what becomes of them.

mod edit_map;
mod folding;
mod model;
mod records;

use std::sync::Arc;

use redb::{Database, ReadableDatabase};

use super::*;
use crate::store::codec::{self, RowBytes};
use crate::store::packed::tests::in_memory;
use crate::store::packed::{Parts, Prefixes};
use crate::store::tables::{PACKED_TABLES, ReadTables, Rows, WriteTables};

fn objects() -> &'static Parts {
    PACKED_TABLES
        .iter()
        .find(|parts| parts.hot == "object_to_row")
        .unwrap()
}
fn begin<'txn>(
    txn: &'txn redb::WriteTransaction,
    journal: &Journal,
    prefixes: &Arc<Prefixes>,
) -> WriteTables<'txn> {
    prefixes.begin();
    WriteTables::open_journaled(txn, &journal.pending(), prefixes).unwrap()
}

fn commit(database: &Database, journal: &Journal, work: impl FnOnce(&mut WriteTables<'_>)) {
    let txn = database.begin_write().unwrap();
    let mut tables = begin(&txn, journal, &Arc::default());
    work(&mut tables);
    let journaled = tables.write_journal(journal).unwrap();
    drop(tables);
    txn.commit().unwrap();
    journal.committed(journaled).unwrap();
}

/// Finishes the fold under way, or folds everything.
fn fold(database: &Database, journal: &Journal) {
    let txn = database.begin_write().unwrap();
    let mut tables = WriteTables::open(&txn).unwrap();
    let folded = journal.fold(&mut tables, |_| true).unwrap().unwrap();
    drop(tables);
    txn.commit().unwrap();
    journal.folded(folded);
}

fn insert(tables: &mut WriteTables<'_>, key: u32, payload: &[u8]) {
    let key = key.to_be_bytes();
    let row = codec::seal(objects().hot, &key, payload);
    tables.objects.insert(key.as_slice(), &row).unwrap();
}

fn incompressible(seed: u32, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new()
        .update(&seed.to_be_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}
