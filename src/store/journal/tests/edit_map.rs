//! Edits in blocks are those that a map of them has.

use std::collections::BTreeMap;
use std::ops::{Bound, RangeBounds};

use proptest::prelude::*;

use super::super::edit_map::EditMap;
use super::*;
use crate::limits::JOURNAL_BLOCK_BYTES_MAX;

/// Keys that meet now and then, of several lengths.
fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (0u16..300).prop_map(|n| n.to_be_bytes().to_vec()),
        (0u16..300, 0u8..2).prop_map(|(n, more)| [&n.to_be_bytes()[..], &[more; 30]].concat()),
        Just(Vec::new()),
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    let len = prop_oneof![
        60 => 0usize..60,
        6 => 300usize..1_500,
        3 => JOURNAL_BLOCK_BYTES_MAX - 60..JOURNAL_BLOCK_BYTES_MAX + 60,
        // Behind it, no place would fit.
        1 => 65_500usize..66_000,
    ];
    let bytes = (any::<u8>(), len).prop_map(|(byte, len)| vec![byte; len]);
    (0u8..4, 0usize..80, bytes).prop_map(|(kind, at, bytes)| match kind {
        0 => Edit::Removed,
        1 => Edit::Whole(bytes),
        _ => Edit::Grown { at, bytes },
    })
}

fn bound() -> impl Strategy<Value = Bound<Vec<u8>>> {
    (0u8..3, key()).prop_map(|(kind, key)| match kind {
        0 => Bound::Unbounded,
        1 => Bound::Included(key),
        _ => Bound::Excluded(key),
    })
}

/// Adds to both, which agree on whether it fits.
fn add(map: &mut EditMap, model: &mut BTreeMap<Vec<u8>, Edit>, key: Vec<u8>, edit: Edit) {
    let fits = match model.get_mut(&key) {
        Some(there) => there.then(edit.as_ref()),
        None => {
            model.insert(key.clone(), edit.clone());
            true
        }
    };
    assert_eq!(map.add(&key, edit.as_ref()), fits);
}

fn agree(map: &EditMap, model: &BTreeMap<Vec<u8>, Edit>) {
    assert_eq!(map.len(), model.len());
    assert_eq!(map.is_empty(), model.is_empty());
    let all: Vec<_> = map.iter().collect();
    let expected = model
        .iter()
        .map(|(key, edit)| (key.as_slice(), edit.as_ref()));
    assert!(all.into_iter().eq(expected));
}

proptest! {
    #[test]
    fn blocks_answer_as_a_map_does(
        edits in proptest::collection::vec((key(), edit()), 0..600),
        probes in proptest::collection::vec((key(), bound(), bound()), 1..8),
    ) {
        let (mut map, mut model) = (EditMap::default(), BTreeMap::new());
        for (key, edit) in edits {
            add(&mut map, &mut model, key, edit);
        }
        agree(&map, &model);
        for (key, start, end) in probes {
            prop_assert_eq!(map.get(&key), model.get(&key).map(Edit::as_ref));
            prop_assert_eq!(map.contains(&key), model.contains_key(&key));
            let (start, end) = (start.as_ref().map(Vec::as_slice), end.as_ref().map(Vec::as_slice));
            let up_to = model.range::<[u8], _>((Bound::Unbounded, end)).next_back();
            prop_assert_eq!(map.last_up_to(end), up_to.map(|(key, _)| key.as_slice()));
            let inside = |key: &&Vec<u8>| RangeBounds::<[u8]>::contains(&(start, end), key.as_slice());
            let expected: Vec<_> = model.keys().filter(inside).collect();
            let keys: Vec<_> = map.range(start, end).map(|(key, _)| key).collect();
            prop_assert_eq!(keys, expected);
        }
    }
}

/// In whatever order they come, they take little more than their bytes: that is what blocks are for.
#[test]
fn edits_take_little_more_than_their_bytes() {
    const EDITS: u64 = 50_000;
    const PAYLOAD: usize = 45;
    type Order = fn(u64) -> u64;
    let orders: [Order; 3] = [
        |n| n,
        |n| EDITS - n,
        |n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15),
    ];
    for order in orders {
        let mut map = EditMap::default();
        // Again and again: what they replace gives its room back.
        for round in 0..4u8 {
            for n in 0..EDITS {
                let key = [order(n).to_be_bytes(), [7; 8], [9; 8]].concat();
                let bytes = &[round; PAYLOAD];
                assert!(map.add(&key, EditRef::Grown { at: 300, bytes }));
            }
            // Kind, lengths and place are seven bytes.
            let plain = EDITS as usize * (24 + PAYLOAD + 7);
            assert_eq!(map.len(), EDITS as usize);
            assert!(map.bytes() > plain, "{} of {plain}", map.bytes());
            assert!(map.bytes() < plain * 3 / 2, "{} of {plain}", map.bytes());
        }
    }
}

/// What replaces itself over and over takes no more for it.
#[test]
fn what_was_replaced_takes_no_room() {
    let mut map = EditMap::default();
    for n in 0..10_000u32 {
        let bytes = n.to_be_bytes();
        assert!(map.add(b"often", EditRef::Whole(&bytes)));
        assert!(map.add(b"more", EditRef::Whole(&[n as u8; 700])));
    }
    let last = 9_999u32.to_be_bytes();
    assert_eq!(map.get(b"often"), Some(EditRef::Whole(&last)));
    assert_eq!(map.len(), 2);
    assert!(
        map.bytes() <= 2 * JOURNAL_BLOCK_BYTES_MAX,
        "{}",
        map.bytes()
    );
}

/// A long edit stays alone, and the memory that it took goes with it.
#[test]
fn a_long_edit_that_becomes_short_gives_its_memory_back() {
    const LONG: usize = 1 << 20;
    let mut map = EditMap::default();
    for key in ["b", "d", "a", "c", "e"] {
        assert!(map.add(key.as_bytes(), EditRef::Whole(&vec![1; LONG])));
        let near = format!("{key}, too");
        assert!(map.add(near.as_bytes(), EditRef::Whole(b"short")));
    }
    let bytes = map.bytes();
    assert!((5 * LONG..6 * LONG).contains(&bytes), "{bytes}");
    for key in ["c", "a", "e"] {
        assert!(map.add(key.as_bytes(), EditRef::Removed));
    }
    let bytes = map.bytes();
    assert!((2 * LONG..3 * LONG).contains(&bytes), "{bytes}");
    for key in ["b", "d"] {
        assert!(map.add(key.as_bytes(), EditRef::Whole(b"shorter")));
    }
    let bytes = map.bytes();
    assert!(bytes < 16 * JOURNAL_BLOCK_BYTES_MAX, "{bytes}");
    assert_eq!(map.get(b"b"), Some(EditRef::Whole(b"shorter")));
    assert_eq!(map.get(b"c, too"), Some(EditRef::Whole(b"short")));
    assert_eq!(map.iter().count(), 10);
}

/// Wherever the keys between which they come are: also where one block ends, which is full, and the next one begins.
#[test]
fn descending_keys_between_others_take_little_more_than_their_bytes() {
    const GAP: u32 = 1_000;
    let mut map = EditMap::default();
    let bytes = &[1; 45];
    let edit = EditRef::Grown { at: 300, bytes };
    for n in 0..200 {
        assert!(map.add(&(n * GAP).to_be_bytes(), edit));
    }
    for gap in (0..199).rev() {
        let before = map.bytes();
        for n in (1..GAP).rev() {
            assert!(map.add(&(gap * GAP + n).to_be_bytes(), edit));
        }
        let plain = GAP as usize * (4 + bytes.len() + 7);
        let took = map.bytes().saturating_sub(before);
        assert!(
            took < plain * 3 / 2 + JOURNAL_BLOCK_BYTES_MAX,
            "{took} of {plain}"
        );
    }
}
