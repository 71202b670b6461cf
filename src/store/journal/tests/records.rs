//! Records in the file, and how they are read.

use super::*;
use crate::limits::JOURNAL_ROWS_ALONE_MAX;
use crate::store::journal::record::{self, RecordReader};

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
    let key = 7u32.to_be_bytes();
    let row = tables.objects.get(key.as_slice()).unwrap().unwrap();
    assert_eq!(
        row.stored(objects(), &key),
        codec::seal(objects().hot, &key, &payload(7))
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
                (key.value().to_vec(), row.stored(objects(), key.value()))
            });
            rows.collect()
        };
        assert_eq!(rows(&journal.pending()).len(), 11);
        assert_eq!(rows(&loaded.pending()), rows(&journal.pending()));
    }
    assert_eq!(middles.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
}

/// However many edits are put in order at once, and whatever their keys have in common.
#[test]
fn edits_that_are_read_in_any_order_are_what_was_done() {
    let database = in_memory();
    let journal = Journal::default();
    // Of several lengths: some differ behind their first bytes only, some in zeros at their end only.
    let key = |n: u32| match n % 3 {
        0 => [&[7; 16], n.to_be_bytes().as_slice()].concat(),
        1 => vec![7; (n % 12) as usize],
        _ => [&[7][..], &vec![0; (n % 20) as usize]].concat(),
    };
    for n in 0..300u32 {
        commit(&database, &journal, |tables| {
            for key in [key(n), key(n / 2), key(n * 7 % 100)] {
                let row = tables.objects.get(key.as_slice()).unwrap();
                let len = row.map(|row| row.value().open(objects().hot, &key).unwrap().len());
                let bytes = n.to_be_bytes();
                match len {
                    Some(len) if n % 5 == 0 => {
                        assert!(tables.objects.remove(key.as_slice()).unwrap(), "{len}");
                    }
                    Some(len) => tables.objects.grow(&key, len * 3 / 4, &bytes).unwrap(),
                    None => tables.objects.insert_payload(&key, bytes.to_vec()).unwrap(),
                }
            }
        });
    }
    let layers = journal.pending().layers;
    assert_eq!(layers.len(), 1);
    let layer = layers.first().unwrap();
    let expected: Vec<_> = layer.table(objects().number).unwrap().iter().collect();
    assert!(expected.len() > 100, "{}", expected.len());
    let txn = database.begin_read().unwrap();
    let table = txn.open_table(JOURNAL).unwrap();
    for gathered_max in [0, 1_000, usize::MAX] {
        let loaded = load::read(&table, 0, None, gathered_max).unwrap();
        let edits = loaded.layer.table(objects().number).unwrap();
        assert!(edits.iter().eq(expected.iter().copied()), "{gathered_max}");
    }
}

/// A row that is gone cannot grow: whoever wrote that, it is not what happened.
#[test]
fn edits_that_do_not_fit_each_other_are_refused() {
    let database = in_memory();
    let grown = Edit::Grown {
        at: 3,
        bytes: vec![1],
    };
    let txn = database.begin_write().unwrap();
    let mut table = txn.open_table(JOURNAL).unwrap();
    let mut number = 0;
    for edit in [Edit::Removed, grown] {
        let edits = Edits::from([(b"key"[..].into(), edit)]);
        let written = RecordWriter::default().write(
            number,
            std::iter::once((objects().number, &edits)),
            |number, row| {
                table.insert(number, row)?;
                Ok(())
            },
        );
        number = written.unwrap();
    }
    drop(table);
    txn.commit().unwrap();
    let txn = database.begin_read().unwrap();
    let table = txn.open_table(JOURNAL).unwrap();
    for gathered_max in [0, usize::MAX] {
        let loaded = load::read(&table, 0, None, gathered_max);
        assert!(matches!(loaded, Err(StoreError::Damaged { .. })));
    }
    let first = load::read(&table, 0, Some(1), 0).unwrap();
    assert_eq!(first.layer.len(), 1);
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
    let read = |number: u64, stored: &[u8]| {
        let mut reader = RecordReader::default();
        reader.take(number, stored).map(|edits| edits.is_some())
    };
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
