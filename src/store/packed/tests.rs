//! Guards against a table of two parts that is not one table: a row that is lost, or found twice, while it moves.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use proptest::prelude::*;
use redb::backends::InMemoryBackend;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use zstd_safe::DCtx;

use super::*;
use crate::store::codec::{self, RowBytes};
use crate::store::journal::Pending;

/// A table for tests.
pub(super) const PARTS: &Parts = &Parts {
    hot: "t",
    packed: "t_packed",
    sealed: true,
    number: 0,
    prefix: Prefix::None,
};
const HOT: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("t");
const PACKED: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("t_packed");

#[derive(Clone, Debug)]
enum Step {
    Insert(Vec<u8>, Vec<u8>),
    Remove(Vec<u8>),
    /// Packs keys whose last byte is even: looks at so many rows.
    Pack(usize),
    Repack,
    /// Begins another transaction.
    Commit,
}

pub(in crate::store) fn key() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(0u8..6, 0..4)
}

fn step() -> impl Strategy<Value = Step> {
    let value = proptest::collection::vec(any::<u8>(), 0..300);
    prop_oneof![
        6 => (key(), value).prop_map(|(key, value)| Step::Insert(key, value)),
        3 => key().prop_map(Step::Remove),
        2 => (1usize..80).prop_map(Step::Pack),
        1 => Just(Step::Repack),
        2 => Just(Step::Commit),
    ]
}

pub(in crate::store) fn bound() -> impl Strategy<Value = Bound<Vec<u8>>> {
    prop_oneof![
        key().prop_map(Bound::Included),
        key().prop_map(Bound::Excluded),
        Just(Bound::Unbounded),
    ]
}

pub(in crate::store) fn in_memory() -> Database {
    redb::Builder::new()
        .create_with_backend(InMemoryBackend::new())
        .unwrap()
}

/// Chunks can be read, and do not overlap.
fn chunks_are_whole(table: &impl ReadableTable<&'static [u8], &'static [u8]>) {
    let mut before: Option<Vec<u8>> = None;
    for entry in table.iter().unwrap() {
        let (key, value) = entry.unwrap();
        let chunk = chunk::read(PARTS, key.value(), value.value(), &mut DCtx::create()).unwrap();
        assert!(before.is_none_or(|before| before.as_slice() < key.value()));
        before = Some(chunk.last_key().to_vec());
    }
}

pub(in crate::store) type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// Whether BTreeMap would take the range; redb's tables take any.
fn makes_sense(from: &Bound<Vec<u8>>, to: &Bound<Vec<u8>>) -> bool {
    match (from, to) {
        (Bound::Excluded(a), Bound::Excluded(b)) => a < b,
        (Bound::Included(a) | Bound::Excluded(a), Bound::Included(b) | Bound::Excluded(b)) => {
            a <= b
        }
        _ => true,
    }
}

/// A table answers as a map does that has the payloads of its rows.
pub(in crate::store) fn compare<T: Rows<&'static [u8]>>(
    table: &T,
    parts: &Parts,
    model: &Model,
    probe: &[u8],
    from: &Bound<Vec<u8>>,
    to: &Bound<Vec<u8>>,
) {
    let stored = |key: &[u8], payload: &[u8]| codec::seal(parts.hot, key, payload);
    let found = table
        .get(probe)
        .unwrap()
        .map(|row| row.stored(parts, probe));
    assert_eq!(
        found,
        model.get(probe).map(|payload| stored(probe, payload))
    );
    let bounds = || {
        (
            from.as_ref().map(Vec::as_slice),
            to.as_ref().map(Vec::as_slice),
        )
    };
    if !makes_sense(from, to) {
        return;
    }
    let rows: Vec<_> = table
        .range(bounds())
        .unwrap()
        .map(|entry| {
            let (key, value) = entry.unwrap();
            (key.value().to_vec(), value.stored(parts, key.value()))
        })
        .collect();
    let expected: Vec<_> = model
        .range::<[u8], _>(bounds())
        .map(|(key, payload)| (key.clone(), stored(key, payload)))
        .collect();
    assert_eq!(rows, expected);
    let last = table.last_in(bounds()).unwrap();
    let last = last.map(|(key, value)| (key.value().to_vec(), value.stored(parts, key.value())));
    assert_eq!(last.as_ref(), expected.last());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn it_answers_as_a_map_does(
        steps in proptest::collection::vec(step(), 1..60),
        probes in proptest::collection::vec((key(), bound(), bound()), 1..6),
    ) {
        let database = in_memory();
        let mut model = Model::new();
        let mut packer = Packer::default();
        let mut steps = steps.into_iter().peekable();
        while steps.peek().is_some() {
            let txn = database.begin_write().unwrap();
            {
                let hot = txn.open_table(HOT).unwrap();
                let packed = txn.open_table(PACKED).unwrap();
                let mut table: PackedWrite<'_, &[u8]> = PackedWrite::new(hot, packed, PARTS);
                for step in steps.by_ref() {
                    match step {
                        Step::Insert(key, payload) => {
                            table.insert(&key, &codec::seal(PARTS.hot, &key, &payload)).unwrap();
                            model.insert(key, payload);
                        }
                        Step::Remove(key) => {
                            let removed = table.remove(&key).unwrap();
                            prop_assert_eq!(removed, model.remove(&key).is_some());
                        }
                        Step::Pack(rows) => {
                            let even = |key: &[u8], _: RowBytes<'_>, _: Option<&[u8]>| {
                                Ok(key.last().is_none_or(|last| last % 2 == 0).into())
                            };
                            let mut after = Bound::Unbounded;
                            while let Some(last) = table.pack(&mut packer, &after, rows, Edited::Wait, even).unwrap().last {
                                after = Bound::Excluded(last);
                            }
                            // What is settled has moved, and removals were carried out.
                            for entry in table.hot.iter().unwrap() {
                                let (key, value) = entry.unwrap();
                                prop_assert!(key.value().last().is_some_and(|last| last % 2 == 1));
                                prop_assert!(value.value() != TOMBSTONE);
                            }
                        }
                        Step::Repack => table.repack(&mut packer).unwrap(),
                        Step::Commit => break,
                    }
                    for (probe, from, to) in &probes {
                        compare(&table, PARTS, &model, probe, from, to);
                    }
                }
            }
            txn.commit().unwrap();
            let txn = database.begin_read().unwrap();
            chunks_are_whole(&txn.open_table(PACKED).unwrap());
            let (hot, packed) = (txn.open_table(HOT).unwrap(), txn.open_table(PACKED).unwrap());
            let table: PackedRead<&[u8]> = PackedRead::new(hot, packed, PARTS, Pending::default());
            for (probe, from, to) in &probes {
                compare(&table, PARTS, &model, probe, from, to);
            }
        }
    }
}

fn opened(txn: &redb::WriteTransaction) -> PackedWrite<'_, &'static [u8]> {
    let hot = txn.open_table(HOT).unwrap();
    PackedWrite::new(hot, txn.open_table(PACKED).unwrap(), PARTS)
}

/// Chunks fill their pages: that is what they are for.
#[test]
fn chunks_fill_their_pages_once_they_are_repacked() {
    let database = in_memory();
    let txn = database.begin_write().unwrap();
    let mut packer = Packer::default();
    {
        let mut table = opened(&txn);
        // In an order that splits chunks again and again.
        for thousand in 0u32..20 {
            let numbers = thousand * 1_000..(thousand + 1) * 1_000;
            let keys = numbers.map(|n| n.wrapping_mul(2_654_435_761));
            let moved = pack_numbers(&mut table, &mut packer, keys);
            assert_eq!((moved.rows, moved.last), (1_000, None));
        }
        table.repack(&mut packer).unwrap();
        let mut lengths: Vec<usize> = table
            .packed
            .table
            .iter()
            .unwrap()
            .map(|entry| entry.unwrap().1.value().len())
            .collect();
        // The last one holds what is left.
        lengths.pop();
        let page = crate::limits::PACKED_PAGE_BYTES;
        assert!(lengths.iter().all(|len| *len < page), "{lengths:?}");
        let filled = lengths.iter().sum::<usize>() * 100 / (lengths.len() * page);
        assert!(filled >= 93, "{filled} %");
        assert_eq!(Rows::iter(&table).unwrap().count(), 20_000);
    }
    txn.commit().unwrap();
}

/// Inserts rows under these keys, and packs them.
fn pack_numbers<'txn>(
    table: &mut PackedWrite<'txn, &'static [u8]>,
    packer: &mut Packer,
    numbers: impl Iterator<Item = u32>,
) -> Moved {
    for n in numbers {
        let key = n.to_be_bytes();
        let payload = blake3::hash(&key).as_bytes().repeat(2);
        let row = codec::seal(PARTS.hot, &key, &payload);
        table.insert(&key, &row).unwrap();
    }
    let all = |_: &[u8], _: RowBytes<'_>, _: Option<&[u8]>| Ok(Settled::AsItIs);
    let moved = table.pack(packer, &Bound::Unbounded, usize::MAX, Edited::Wait, all);
    moved.unwrap()
}

/// The number at which a chunk begins.
fn start_of(chunks: &BTreeMap<Vec<u8>, Vec<u8>>, at: usize) -> u32 {
    let key = chunks.keys().nth(at).unwrap();
    u32::from_be_bytes(key.as_slice().try_into().unwrap())
}

/// What one chunk has too little is not carried through all that follow; but few are left that are not full.
#[test]
fn chunks_that_are_full_stay_as_they_are() {
    let database = in_memory();
    let txn = database.begin_write().unwrap();
    let mut packer = Packer::default();
    let mut table = opened(&txn);
    let chunks = |table: &PackedWrite<'_, &[u8]>| -> BTreeMap<Vec<u8>, Vec<u8>> {
        let chunks = table.packed.table.iter().unwrap().map(|entry| {
            let (key, value) = entry.unwrap();
            (key.value().to_vec(), value.value().to_vec())
        });
        chunks.collect()
    };
    for n in 0..40 {
        // A piece ends with so many bytes.
        pack_numbers(
            &mut table,
            &mut packer,
            (0..1_000).map(|m| (n * 1_000 + m) * 1_000),
        );
    }
    table.repack(&mut Packer::default()).unwrap();
    let full = chunks(&table);
    assert!(full.len() > 150, "{}", full.len());
    // Two chunks near the beginning are split, the second one before the first has been paid for.
    let starts: Vec<u32> = [20, 25].map(|at| start_of(&full, at)).to_vec();
    for start in starts {
        pack_numbers(&mut table, &mut packer, start + 1..start + 40);
    }
    table.repack(&mut Packer::default()).unwrap();
    let after = chunks(&table);
    let behind = start_of(&full, 50).to_be_bytes();
    let changed = full
        .range(behind.to_vec()..)
        .filter(|(key, chunk)| after.get(*key) != Some(*chunk))
        .count();
    assert_eq!(changed, 0, "of {}", full.len());
    // Every third.
    let starts: Vec<u32> = (0..full.len())
        .step_by(3)
        .map(|at| start_of(&full, at))
        .collect();
    let between = starts.iter().flat_map(|start| start + 1..start + 40);
    pack_numbers(&mut table, &mut packer, between);
    table.repack(&mut Packer::default()).unwrap();
    let lengths: Vec<usize> = chunks(&table).values().map(Vec::len).collect();
    let least = crate::limits::PACKED_PAGE_BYTES * 9 / 10;
    let not_full = lengths.iter().filter(|len| **len < least).count();
    assert!(
        not_full <= lengths.len() / 16 + 2,
        "{not_full} of {}",
        lengths.len()
    );
}

const NAMED: &Parts = &Parts {
    prefix: Prefix::AllBut(8),
    ..*PARTS
};

fn named<'txn>(
    txn: &'txn redb::WriteTransaction,
    prefixes: &Arc<Prefixes>,
) -> PackedWrite<'txn, &'static [u8]> {
    prefixes.begin();
    let hot = txn.open_table(HOT).unwrap();
    let mut table = PackedWrite::new(hot, txn.open_table(PACKED).unwrap(), NAMED);
    table.begin_journal(Pending::default(), prefixes);
    table
}

/// One that lies between all others.
fn name(n: u32) -> [u8; 4] {
    n.wrapping_mul(2_654_435_761).to_be_bytes()
}

fn pack_names(table: &mut PackedWrite<'_, &'static [u8]>, names: std::ops::Range<u32>) {
    for n in names {
        let key = [&name(n)[..], &[0; 8]].concat();
        let row = codec::seal(NAMED.hot, &key, &n.to_be_bytes());
        table.hot.insert(key.as_slice(), row.as_slice()).unwrap();
    }
    let all = |_: &[u8], _: RowBytes<'_>, _: Option<&[u8]>| Ok(Settled::AsItIs);
    let mut packer = Packer::default();
    table
        .pack(&mut packer, &Bound::Unbounded, 10_000, Edited::Wait, all)
        .unwrap();
}

#[test]
fn names_that_are_not_there_are_told_from_those_that_are() {
    let database = in_memory();
    let txn = database.begin_write().unwrap();
    let prefixes = Arc::<Prefixes>::default();
    pack_names(&mut named(&txn, &prefixes), 0..6_000);
    prefixes.committed();
    // What was learned by packing, and by looking.
    for prefixes in [prefixes, Arc::default()] {
        let table = named(&txn, &prefixes);
        let may_have = |n: u32| table.may_have(&name(n)).unwrap();
        assert!((0..6_000).all(may_have));
        let taken_for_known = (6_000..12_000).filter(|n| may_have(*n)).count();
        assert!(taken_for_known < 300, "{taken_for_known}");
    }
}

#[test]
fn names_in_chunks_that_an_aborted_transaction_split_are_still_there() {
    let database = in_memory();
    let prefixes = Arc::<Prefixes>::default();
    let txn = database.begin_write().unwrap();
    pack_names(&mut named(&txn, &prefixes), 0..3_000);
    txn.commit().unwrap();
    prefixes.committed();
    let txn = database.begin_write().unwrap();
    pack_names(&mut named(&txn, &prefixes), 3_000..6_000);
    txn.abort().unwrap();
    let txn = database.begin_write().unwrap();
    let table = named(&txn, &prefixes);
    assert!((0..3_000).all(|n| table.may_have(&name(n)).unwrap()));
}
