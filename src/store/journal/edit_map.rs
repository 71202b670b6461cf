//! Many edits of one table in memory, in the order of their keys.
//!
//! There are some hundred thousand of them, most a key and a few dozen bytes. A map's node, an enum and a vector for each took
//! twice what an edit has, and two allocations: so they lie one behind the other in [`Block`]s of some kilobytes.

use std::cmp::Ordering;
use std::collections::{BTreeMap, btree_map};
use std::ops::Bound;

use super::block::Block;
use super::edit::EditRef;
use crate::store::packed::KeyBytes;

/// What a block takes besides its bytes and places: its entry in the map, two allocations, bytes.
const BLOCK_OVERHEAD_BYTES: usize = 192;

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub(crate) struct EditMap {
    /// By a key that none of a block's keys lies before; that of the first is empty. No block is empty.
    blocks: BTreeMap<KeyBytes, Block>,
    edits: usize,
    bytes: usize,
}

impl EditMap {
    pub(super) fn is_empty(&self) -> bool {
        self.edits == 0
    }

    /// How many edits there are.
    pub(super) fn len(&self) -> usize {
        self.edits
    }

    /// What they take in memory, bytes, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<EditRef<'_>> {
        let (_, block) = self.block_at(Bound::Included(key))?;
        let at = block.find(key).ok()?;
        block.get(at).map(|(_, edit)| edit)
    }

    pub(super) fn contains(&self, key: &[u8]) -> bool {
        self.block_at(Bound::Included(key))
            .is_some_and(|(_, block)| block.find(key).is_ok())
    }

    /// Does another edit. `false` where it does not fit the one that is there, and nothing has happened.
    #[must_use]
    pub(super) fn add(&mut self, key: &[u8], edit: EditRef<'_>) -> bool {
        let Some((block, place, is_behind_all)) = place_of(&mut self.blocks, key) else {
            let mut block = Block::default();
            block.put(Err(0), &written(key, edit));
            self.bytes += block.bytes() + BLOCK_OVERHEAD_BYTES;
            self.edits += 1;
            self.blocks.insert(KeyBytes::new(), block);
            return true;
        };
        let there = place.ok().and_then(|at| block.get(at));
        let entry = match there {
            None => written(key, edit),
            Some((_, there)) => match joined(key, there, edit) {
                Some(entry) => entry,
                None => return false,
            },
        };
        let before = block.bytes();
        self.edits += usize::from(place.is_err());
        if block.has_room(place, entry.len()) {
            block.put(place, &entry);
            self.bytes = (self.bytes + block.bytes()).saturating_sub(before);
            return true;
        }
        let behind = if is_behind_all {
            vec![block.followed_by(&entry)]
        } else {
            block.split(place, &entry)
        };
        self.bytes = (self.bytes + block.bytes()).saturating_sub(before);
        for block in behind {
            let Some((first, _)) = block.get(0) else {
                continue;
            };
            self.bytes += block.bytes() + BLOCK_OVERHEAD_BYTES;
            self.blocks.insert(first.into(), block);
        }
        true
    }

    /// All of them.
    pub(super) fn iter(&self) -> Range<'_> {
        self.range(Bound::Unbounded, Bound::Unbounded)
    }

    /// Those between two bounds, in their order.
    pub(super) fn range(&self, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Range<'_> {
        let first = match start {
            Bound::Unbounded => None,
            Bound::Included(key) | Bound::Excluded(key) => self.block_at(Bound::Included(key)),
        };
        let (behind, block, at) = match first {
            None => (Bound::Unbounded, None, 0),
            Some((first, block)) => (
                Bound::Excluded(first.as_slice()),
                Some(block),
                match start {
                    Bound::Included(key) => block.first_from(key),
                    Bound::Excluded(key) => block.first_behind(key),
                    Bound::Unbounded => 0,
                },
            ),
        };
        Range {
            blocks: self.blocks.range::<[u8], _>((behind, Bound::Unbounded)),
            block,
            at,
            end: end.map(KeyBytes::from_slice),
        }
    }

    /// The last key up to a bound.
    pub(super) fn last_up_to(&self, end: Bound<&[u8]>) -> Option<&[u8]> {
        let (_, block) = self.block_at(end)?;
        let behind = match end {
            Bound::Included(key) => block.first_behind(key),
            Bound::Excluded(key) => block.first_from(key),
            Bound::Unbounded => block.len(),
        };
        // Only the first block may begin with a key behind its own.
        let (key, _) = block.get(behind.checked_sub(1)?)?;
        Some(key)
    }

    /// The last block that may have a key up to a bound.
    fn block_at(&self, end: Bound<&[u8]>) -> Option<(&KeyBytes, &Block)> {
        self.blocks
            .range::<[u8], _>((Bound::Unbounded, end))
            .next_back()
    }
}

/// Where a key is, or belongs; and whether that is behind all others. `None`: there is no block yet.
fn place_of<'a>(
    blocks: &'a mut BTreeMap<KeyBytes, Block>,
    key: &[u8],
) -> Option<(&'a mut Block, Result<usize, usize>, bool)> {
    // Many come in the order of keys.
    let (_, last) = blocks.last_key_value()?;
    let order = last.last_key().map_or(Ordering::Less, |last| last.cmp(key));
    let block = if order.is_gt() {
        let up_to = (Bound::Unbounded, Bound::Included(key));
        blocks.range_mut::<[u8], _>(up_to).next_back()?.1
    } else {
        blocks.last_entry()?.into_mut()
    };
    let place = match order {
        Ordering::Less => Err(block.len()),
        Ordering::Equal => Ok(block.len().saturating_sub(1)),
        Ordering::Greater => block.find(key),
    };
    Some((block, place, order.is_lt()))
}

fn written(key: &[u8], edit: EditRef<'_>) -> Vec<u8> {
    let mut entry = Vec::with_capacity(key.len() + edit.bytes().len() + NUMBERS_BYTES);
    edit.write(&mut entry, key);
    entry
}

/// What an entry has besides its key and payload, bytes, unless they are long.
const NUMBERS_BYTES: usize = 8;

/// Two edits of one row, as one. `None`: the next one does not fit what the first one leaves.
fn joined(key: &[u8], first: EditRef<'_>, next: EditRef<'_>) -> Option<Vec<u8>> {
    let EditRef::Grown { at, bytes } = next else {
        return Some(written(key, next));
    };
    // What stays of the bytes of the first one.
    let kept = match first {
        EditRef::Removed => return None,
        EditRef::Whole(payload) => Some((payload, at)),
        EditRef::Grown { at: from, bytes } => at.checked_sub(from).map(|at| (bytes, at)),
    };
    let Some((there, kept)) = kept else {
        // All that the first one added is replaced, and more.
        return Some(written(key, next));
    };
    let kept = there.get(..kept)?;
    let mut entry = Vec::with_capacity(key.len() + kept.len() + bytes.len() + NUMBERS_BYTES);
    first.write_beginning(&mut entry, key, kept.len() + bytes.len());
    entry.extend_from_slice(kept);
    entry.extend_from_slice(bytes);
    Some(entry)
}

/// See [`EditMap::range`].
pub(crate) struct Range<'a> {
    blocks: btree_map::Range<'a, KeyBytes, Block>,
    block: Option<&'a Block>,
    /// The next one of the block.
    at: usize,
    end: Bound<KeyBytes>,
}

impl<'a> Iterator for Range<'a> {
    type Item = (&'a [u8], EditRef<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((key, edit)) = self.block.and_then(|block| block.get(self.at)) {
                self.at += 1;
                let inside = match &self.end {
                    Bound::Included(end) => key <= end.as_slice(),
                    Bound::Excluded(end) => key < end.as_slice(),
                    Bound::Unbounded => true,
                };
                return inside.then_some((key, edit));
            }
            let (_, block) = self.blocks.next()?;
            self.block = Some(block);
            self.at = 0;
        }
    }
}
