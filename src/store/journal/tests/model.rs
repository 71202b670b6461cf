//! Whatever has been folded, whoever reads, and after a crash: rows are what a map of them is.

use std::ops::Bound;

use proptest::prelude::*;

use super::*;
use crate::store::packed::tests::{self, Model, bound, compare};
use crate::store::packed::{Edited, Packer, Settled};

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
    /// Transactions of their own: so many pieces, of so many rows, of packing what is settled as the journal has made it; if
    /// that is all, the journal goes.
    PackEdited(usize, usize),
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
        1 => (1usize..4, 1usize..12).prop_map(|(pieces, rows)| Step::PackEdited(pieces, rows)),
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

/// What is settled.
fn even(key: &[u8], _: RowBytes<'_>, _: Option<&[u8]>) -> Result<Settled, StoreError> {
    Ok(key.last().is_none_or(|last| last % 2 == 0).into())
}

/// Packs pieces of what is settled, as the journal has made it; if that is all, the journal goes.
fn pack_edited(
    database: &Database,
    journal: &Journal,
    prefixes: &Arc<Prefixes>,
    pieces: usize,
    rows: usize,
) {
    let transaction = |work: &mut dyn FnMut(&mut WriteTables<'_>)| {
        let txn = database.begin_write().unwrap();
        let mut tables = begin(&txn, journal, prefixes);
        work(&mut tables);
        assert!(tables.write_journal(journal).unwrap().edits.is_empty());
        drop(tables);
        txn.commit().unwrap();
        prefixes.committed();
    };
    let mut after = Some(Bound::Unbounded);
    for _ in 0..pieces {
        let Some(from) = after.take() else { break };
        transaction(&mut |tables| {
            let mut packer = Packer::default();
            let packed = tables
                .objects
                .pack(&mut packer, &from, rows, Edited::AsTheyAre, even);
            after = packed.unwrap().last.map(Bound::Excluded);
        });
    }
    if after.is_none() {
        transaction(&mut |tables| journal.remove_all(tables).unwrap());
        journal.removed_all();
        assert!(journal.is_empty());
    }
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
                let packed = tables.objects.pack(
                    &mut Packer::default(),
                    &Bound::Unbounded,
                    1_000,
                    Edited::Wait,
                    even,
                );
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
                    let folded = journal.fold_oldest(&mut tables, usize::MAX).unwrap();
                    tables.write_journal(&journal).unwrap();
                    drop(tables);
                    txn.commit().unwrap();
                    if let Some(number) = folded {
                        journal.folded_oldest(number);
                    }
                }
                Step::PackEdited(pieces, rows) => {
                    let (pieces, rows) = (*pieces, *rows);
                    steps.next();
                    pack_edited(&database, &journal, &prefixes, pieces, rows);
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
