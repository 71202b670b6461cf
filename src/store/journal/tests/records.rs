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
