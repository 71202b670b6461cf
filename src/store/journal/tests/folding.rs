//! What becomes of records and layers.

use std::ops::Bound;

use super::*;
use crate::limits::{PACKED_PIECE_BYTES_MAX, PACKED_ROW_BYTES_MAX};
use crate::store::packed::{Edited, Packer, Settled};

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
                assert_eq!(
                    row.stored(objects(), &key),
                    codec::seal(objects().hot, &key, &payload(n))
                );
            }
        }
    }
    spans.dedup();
    // One in which only rows were folded, and one after each record.
    assert_eq!(spans.len(), 41, "{spans:?}");
    assert_eq!(spans.last(), Some(&None));
}

/// Rows that are too long for a chunk are brought to the hot part, so that nothing is left in the journal.
#[test]
fn packing_what_the_journal_says_keeps_rows_that_are_too_long_to_be_packed() {
    let database = in_memory();
    let journal = Journal::default();
    let long = |n: u32| incompressible(n, PACKED_ROW_BYTES_MAX + 1 + n as usize);
    let expected = |n: u32| {
        if n.is_multiple_of(2) {
            long(n)
        } else {
            vec![7; 9]
        }
    };
    commit(&database, &journal, |tables| {
        for n in 0..20 {
            insert(tables, n, &expected(n));
        }
    });
    let mut after = Some(Bound::Unbounded);
    let mut pieces = 0;
    while let Some(from) = after.take() {
        let txn = database.begin_write().unwrap();
        let mut tables = begin(&txn, &journal, &Arc::default());
        let all = |_: &[u8], _: RowBytes<'_>, _: Option<&[u8]>| Ok(Settled::AsItIs);
        let mut packer = Packer::default();
        let moved = tables
            .objects
            .pack(&mut packer, &from, usize::MAX, Edited::AsTheyAre, all);
        after = moved.unwrap().last.map(Bound::Excluded);
        if after.is_none() {
            journal.remove_all(&mut tables).unwrap();
        }
        drop(tables);
        txn.commit().unwrap();
        pieces += 1;
    }
    journal.removed_all();
    // What is written at once is bounded.
    assert_eq!(
        pieces,
        10 * PACKED_ROW_BYTES_MAX / PACKED_PIECE_BYTES_MAX + 1
    );
    let txn = database.begin_read().unwrap();
    assert_eq!(span(&txn).unwrap(), None);
    let tables = ReadTables::open(&txn).unwrap();
    for n in 0..20u32 {
        let key = n.to_be_bytes();
        let row = tables.objects.get(key.as_slice()).unwrap().unwrap();
        assert_eq!(
            row.stored(objects(), &key),
            codec::seal(objects().hot, &key, &expected(n))
        );
    }
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
