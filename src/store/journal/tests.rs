//! Guards against a journal that is not what its transactions did: whatever has been folded, whoever reads, and after a crash.

use std::ops::Bound;

use proptest::prelude::*;
use redb::{Database, ReadableDatabase};

use super::record::RecordReader;
use super::*;
use crate::limits::JOURNAL_ROWS_ALONE_MAX;
use crate::store::codec;
use crate::store::packed::tests::{self, Model, bound, compare, in_memory};
use crate::store::packed::{Packer, Parts, Prefixes};
use crate::store::tables::{PACKED_TABLES, ReadTables, Rows, WriteTables};

fn objects() -> &'static Parts {
    PACKED_TABLES
        .iter()
        .find(|parts| parts.hot == "object_to_row")
        .unwrap()
}

#[derive(Clone, Debug)]
enum Step {
    Insert(Vec<u8>, Vec<u8>),
    Remove(Vec<u8>),
    /// Keeps so many percent of a row, and adds to it.
    Grow(Vec<u8>, usize, Vec<u8>),
    /// Packs what is settled: keys whose last byte is even.
    Pack,
    /// Ends the transaction.
    Commit,
    /// Ends the transaction without a commit.
    Abort,
    /// A transaction of its own: a piece of a fold of so many strides.
    Fold(usize),
    /// A transaction of its own: the oldest record.
    FoldOldest,
    /// The process starts anew.
    Restart,
    /// Somebody begins to read, and goes on reading.
    Read,
    /// And ends.
    StopReading,
}

/// A name, and an object id behind it.
fn key() -> impl Strategy<Value = Vec<u8>> {
    (tests::key(), 0u64..4).prop_map(|(name, id)| [name.as_slice(), &id.to_be_bytes()].concat())
}

fn step() -> impl Strategy<Value = Step> {
    let value = || proptest::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        6 => (key(), value()).prop_map(|(key, value)| Step::Insert(key, value)),
        6 => (key(), 0usize..=100, value()).prop_map(|(key, keep, value)| Step::Grow(key, keep, value)),
        3 => key().prop_map(Step::Remove),
        1 => Just(Step::Pack),
        4 => Just(Step::Commit),
        1 => Just(Step::Abort),
        3 => (1usize..4).prop_map(Step::Fold),
        1 => Just(Step::FoldOldest),
        1 => Just(Step::Restart),
        2 => Just(Step::Read),
        1 => Just(Step::StopReading),
    ]
}

type Probe = (Vec<u8>, Bound<Vec<u8>>, Bound<Vec<u8>>);

fn agree<T: Rows<&'static [u8]>>(table: &T, model: &Model, probes: &[Probe]) {
    for (probe, from, to) in probes {
        compare(table, objects(), model, probe, from, to);
    }
}

fn begin<'txn>(
    txn: &'txn redb::WriteTransaction,
    journal: &Journal,
    prefixes: &Arc<Prefixes>,
) -> WriteTables<'txn> {
    prefixes.begin();
    WriteTables::open_journaled(txn, &journal.pending(), prefixes).unwrap()
}

/// Names that there are may be there; and the probes are looked for, whether or not there is one.
fn names_agree(tables: &WriteTables<'_>, model: &Model, probes: &[Probe]) {
    let may_have = |key: &[u8]| {
        let (name, _) = key.split_at(key.len() - 8);
        tables.objects.may_have(name).unwrap()
    };
    for (probe, ..) in probes {
        may_have(probe);
    }
    for key in model.keys() {
        assert!(may_have(key), "{key:?}");
    }
}

fn read(database: &Database, journal: &Journal) -> ReadTables {
    let txn = database.begin_read().unwrap();
    let pending = journal.pending_at(span(&txn).unwrap()).unwrap();
    ReadTables::open_with(&txn, &pending).unwrap()
}

/// Does steps up to the next one that ends the transaction.
fn transaction(
    tables: &mut WriteTables<'_>,
    steps: &mut std::iter::Peekable<std::vec::IntoIter<Step>>,
    model: &mut Model,
    probes: &[Probe],
) {
    let seal = |key: &[u8], payload: &[u8]| codec::seal(objects().hot, key, payload);
    while let Some(step) = steps.next_if(|step| {
        matches!(
            step,
            Step::Insert(..) | Step::Remove(_) | Step::Grow(..) | Step::Pack
        )
    }) {
        match step {
            Step::Insert(key, payload) => {
                let row = seal(&key, &payload);
                tables.objects.insert(key.as_slice(), &row).unwrap();
                model.insert(key, payload);
            }
            Step::Remove(key) => {
                let removed = tables.objects.remove(key.as_slice()).unwrap();
                assert_eq!(removed, model.remove(&key).is_some());
            }
            Step::Grow(key, keep, added) => {
                if let Some(payload) = model.get_mut(&key) {
                    let at = payload.len() * keep / 100;
                    payload.truncate(at);
                    payload.extend_from_slice(&added);
                    tables.objects.grow(key.as_slice(), at, &added).unwrap();
                }
            }
            _ => {
                let even = |key: &[u8], _: &[u8], _: Option<&[u8]>| {
                    Ok(key.last().is_none_or(|last| last % 2 == 0).into())
                };
                let packed =
                    tables
                        .objects
                        .pack(&mut Packer::default(), &Bound::Unbounded, 1_000, even);
                packed.unwrap();
            }
        }
        agree(&tables.objects, model, probes);
        names_agree(tables, model, probes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn tables_answer_as_maps_do(
        steps in proptest::collection::vec(step(), 1..80),
        probes in proptest::collection::vec((key(), bound(), bound()), 1..4),
    ) {
        let database = in_memory();
        let txn = database.begin_write().unwrap();
        drop(WriteTables::open(&txn).unwrap());
        txn.commit().unwrap();
        let mut journal = Journal::default();
        let prefixes = Arc::<Prefixes>::default();
        let mut committed = Model::new();
        let mut readers: Vec<(ReadTables, Model)> = Vec::new();
        let mut steps = steps.into_iter().peekable();
        while let Some(step) = steps.peek() {
            match step {
                Step::Fold(strides) => {
                    let mut strides = *strides;
                    steps.next();
                    let txn = database.begin_write().unwrap();
                    let folded = {
                        let mut tables = begin(&txn, &journal, &prefixes);
                        let folded = journal.fold(&mut tables, |_| {
                            strides -= 1;
                            strides > 0
                        });
                        tables.write_journal(&journal).unwrap();
                        folded.unwrap()
                    };
                    txn.commit().unwrap();
                    if let Some(folded) = folded {
                        journal.folded(folded);
                    }
                }
                Step::FoldOldest => {
                    steps.next();
                    let txn = database.begin_write().unwrap();
                    let mut tables = begin(&txn, &journal, &prefixes);
                    let folded = journal.fold_oldest(&mut tables).unwrap();
                    tables.write_journal(&journal).unwrap();
                    drop(tables);
                    txn.commit().unwrap();
                    if let Some(number) = folded {
                        journal.folded_oldest(number);
                    }
                }
                Step::Restart => {
                    steps.next();
                    journal = Journal::default();
                    journal.load(&database.begin_read().unwrap()).unwrap();
                }
                Step::Read => {
                    steps.next();
                    readers.push((read(&database, &journal), committed.clone()));
                }
                Step::StopReading => {
                    steps.next();
                    readers.pop();
                }
                _ => {
                    let mut model = committed.clone();
                    let txn = database.begin_write().unwrap();
                    let mut tables = begin(&txn, &journal, &prefixes);
                    transaction(&mut tables, &mut steps, &mut model, &probes);
                    let journaled = tables.write_journal(&journal).unwrap();
                    drop(tables);
                    if steps.next_if(|step| matches!(step, Step::Abort)).is_some() {
                        txn.abort().unwrap();
                    } else {
                        steps.next_if(|step| matches!(step, Step::Commit));
                        txn.commit().unwrap();
                        prefixes.committed();
                        journal.committed(journaled).unwrap();
                        committed = model;
                    }
                }
            }
            agree(&read(&database, &journal).objects, &committed, &probes);
            for (tables, model) in &readers {
                agree(&tables.objects, model, &probes);
            }
            // As a process sees it that knows only the file.
            let txn = database.begin_read().unwrap();
            let pending = Pending::read(&txn).unwrap();
            agree(&ReadTables::open_with(&txn, &pending).unwrap().objects, &committed, &probes);
        }
        // Folded to the end, nothing is left of the journal.
        while !journal.is_empty() {
            fold(&database, &journal);
        }
        let txn = database.begin_read().unwrap();
        prop_assert_eq!(span(&txn).unwrap(), None);
        agree(&ReadTables::open(&txn).unwrap().objects, &committed, &probes);
    }
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

#[test]
fn a_large_transaction_takes_several_records_and_comes_back() {
    let database = in_memory();
    let journal = Journal::default();
    let payload = |n: u32| blake3::hash(&n.to_be_bytes()).as_bytes().repeat(4_096);
    commit(&database, &journal, |tables| {
        for n in 0..80 {
            insert(tables, n, &payload(n));
        }
    });
    let txn = database.begin_read().unwrap();
    let mut reader = RecordReader::default();
    let rows = txn.open_table(JOURNAL).unwrap();
    let ends = rows.iter().unwrap().filter(|row| {
        let (number, stored) = row.as_ref().unwrap();
        assert!(stored.value().len() < 4_096, "a row takes more than a page");
        let edits = reader.take(number.value(), stored.value()).unwrap();
        edits.is_some()
    });
    assert_eq!(ends.count(), 3);
    let tables = ReadTables::open_with(&txn, &Pending::read(&txn).unwrap()).unwrap();
    assert_eq!(tables.objects.iter().unwrap().count(), 80);
    let row = tables.objects.get(7u32.to_be_bytes().as_slice()).unwrap();
    let row = row.unwrap().value().to_vec();
    assert_eq!(
        row,
        codec::seal(objects().hot, &7u32.to_be_bytes(), &payload(7))
    );
}

/// The middle may lie in the first, any or the last row of a record.
#[test]
fn a_long_journal_is_read_in_two_parts_and_says_the_same() {
    let mut middles = std::collections::BTreeSet::new();
    for shift in 0..10 {
        let database = in_memory();
        let journal = Journal::default();
        for n in 0..shift {
            commit(&database, &journal, |tables| insert(tables, n, b"alone"));
        }
        commit(&database, &journal, |tables| insert(tables, 99, &[0; 64]));
        for n in 0..60 {
            commit(&database, &journal, |tables| {
                // Each keeps less of the row than the one before it.
                let (key, kept) = (99u32.to_be_bytes(), 64 - n as usize);
                let grown = [n as u8; 5];
                tables.objects.grow(key.as_slice(), kept, &grown).unwrap();
                insert(tables, n % 20, &incompressible(n, 18_000 + n as usize % 7));
                let gone = (n + 10) % 20;
                tables
                    .objects
                    .remove(gone.to_be_bytes().as_slice())
                    .unwrap();
            });
        }
        let txn = database.begin_read().unwrap();
        let (first, behind) = span(&txn).unwrap().unwrap();
        assert!(behind - first > JOURNAL_ROWS_ALONE_MAX * 2);
        let number = first + (behind - 1 - first) / 2;
        let table = txn.open_table(JOURNAL).unwrap();
        let row = table.get(number).unwrap().unwrap();
        middles.insert(record::rows_before(number, row.value()).unwrap());

        let loaded = Journal::default();
        loaded.load(&txn).unwrap();
        assert_eq!(loaded.lock().layers.len(), 2);
        assert_eq!(loaded.lock().stored_bytes, journal.lock().stored_bytes);
        let rows = |pending: &Pending| -> Vec<(Vec<u8>, Vec<u8>)> {
            let tables = ReadTables::open_with(&txn, pending).unwrap();
            let rows = tables.objects.iter().unwrap().map(|row| {
                let (key, row) = row.unwrap();
                (key.value().to_vec(), row.value().to_vec())
            });
            rows.collect()
        };
        assert_eq!(rows(&journal.pending()).len(), 11);
        assert_eq!(rows(&loaded.pending()), rows(&journal.pending()));
    }
    assert_eq!(middles.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
}

/// What is left while records are removed a piece at a time begins with a whole one, and is done again without harm.
#[test]
fn records_are_removed_in_pieces_and_each_as_a_whole() {
    let database = in_memory();
    let journal = Journal::default();
    // The larger ones take several rows.
    let payload = |n: u32| incompressible(n, n as usize * 500);
    for n in 0..40 {
        commit(&database, &journal, |tables| {
            insert(tables, n % 10, &payload(n))
        });
    }
    let mut spans = Vec::new();
    while !journal.is_empty() {
        let txn = database.begin_write().unwrap();
        let mut tables = WriteTables::open(&txn).unwrap();
        let folded = journal.fold(&mut tables, |_| false).unwrap().unwrap();
        drop(tables);
        txn.commit().unwrap();
        journal.folded(folded);
        let txn = database.begin_read().unwrap();
        let stored = span(&txn).unwrap();
        assert_eq!(journal.lock().span, stored);
        spans.push(stored);
        for pending in [Pending::read(&txn).unwrap(), journal.pending()] {
            let tables = ReadTables::open_with(&txn, &pending).unwrap();
            for n in 30..40 {
                let key = (n % 10u32).to_be_bytes();
                let row = tables.objects.get(key.as_slice()).unwrap().unwrap();
                assert_eq!(row.value(), codec::seal(objects().hot, &key, &payload(n)));
            }
        }
    }
    spans.dedup();
    // One in which only rows were folded, and one after each record.
    assert_eq!(spans.len(), 41, "{spans:?}");
    assert_eq!(spans.last(), Some(&None));
}

/// What a row takes gives its room back after its transaction only: so no transaction writes much more than the journal
/// may take.
#[test]
fn rows_are_folded_in_pieces_of_what_the_journal_may_take() {
    let database = in_memory();
    let journal = Journal::default();
    journal.set_stored_bytes_max(JOURNAL_STORED_BYTES_MIN);
    const ROW_BYTES: usize = 16 << 10;
    const ROWS: u32 = 200;
    commit(&database, &journal, |tables| {
        for n in 0..ROWS {
            insert(tables, n, &[7; ROW_BYTES]);
        }
    });
    let mut pieces = 0;
    while !journal.is_empty() {
        fold(&database, &journal);
        pieces += 1;
    }
    let least = ROWS as usize * ROW_BYTES / JOURNAL_STORED_BYTES_MIN;
    assert!((least..=least + 2).contains(&pieces), "{pieces}, {least}");
}

/// Numbers of records order what salvage finds, so they are never used again.
#[test]
fn numbers_go_on_after_everything_was_folded() {
    let database = in_memory();
    let journal = Journal::default();
    commit(&database, &journal, |tables| insert(tables, 1, b"a"));
    commit(&database, &journal, |tables| insert(tables, 2, b"b"));
    fold(&database, &journal);
    for journal in [journal, {
        let journal = Journal::default();
        journal.load(&database.begin_read().unwrap()).unwrap();
        journal
    }] {
        assert!(journal.is_empty());
        assert_eq!(journal.lock().next, 2);
    }
}

/// Layers are kept for readers only, and joined when they are too many.
#[test]
fn readers_leave_a_bounded_number_of_layers() {
    let database = in_memory();
    let journal = Journal::default();
    let mut held: Vec<Pending> = Vec::new();
    for n in 0..50 {
        commit(&database, &journal, |tables| insert(tables, n, b"x"));
        held.push(journal.pending());
        assert!(journal.lock().layers.len() <= JOURNAL_LAYERS_MAX);
    }
    held.clear();
    for n in 0..5 {
        commit(&database, &journal, |tables| insert(tables, n, b"y"));
    }
    let layers = journal.pending().layers.clone();
    assert!(layers.len() <= JOURNAL_LAYERS_MAX);
    let txn = database.begin_read().unwrap();
    let tables = ReadTables::open_with(&txn, &journal.pending()).unwrap();
    assert_eq!(tables.objects.iter().unwrap().count(), 50);
}

/// A record that was changed is found, whatever was changed.
#[test]
fn damaged_records_are_refused() {
    let database = in_memory();
    let journal = Journal::default();
    commit(&database, &journal, |tables| insert(tables, 1, b"abc"));
    let stored = {
        let txn = database.begin_read().unwrap();
        let table = txn.open_table(JOURNAL).unwrap();
        table.get(0).unwrap().unwrap().value().to_vec()
    };
    let read = |number: u64, stored: &[u8]| RecordReader::default().take(number, stored);
    assert!(read(0, &stored).is_ok());
    assert!(read(1, &stored).is_err());
    for bit in 0..stored.len() * 8 {
        let mut flipped = stored.clone();
        *flipped.get_mut(bit / 8).unwrap() ^= 1 << (bit % 8);
        assert!(read(0, &flipped).is_err(), "bit {bit}");
    }
    // Sealed all the same, it may hold anything.
    for payload in [&b""[..], &[5, 1, 2, 3], &[200, 200, 200, 200, 200, 9]] {
        let sealed = codec::seal(record::TABLE, &0u64.to_be_bytes(), payload);
        assert!(read(0, &sealed).is_err());
    }
}
