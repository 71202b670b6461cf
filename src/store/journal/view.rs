//! Edits of one table as readers see them: over several layers, the newest first.

use std::borrow::Cow;
use std::collections::btree_map;
use std::iter::Peekable;
use std::ops::Bound;
use std::sync::Arc;

use super::Layer;
use super::edit::{Edit, EditRef, Edits, grow};
use super::edit_map::{self, EditMap};
use crate::store::packed::KeyBytes;

/// The edits of one table that its stored rows may not have seen.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    table: usize,
    /// Oldest first.
    layers: &'a [Arc<Layer>],
    /// Of the transaction under way: newer than all layers.
    batch: Option<&'a Edits>,
}

/// Edits that belong together.
#[derive(Clone, Copy)]
enum Source<'a> {
    Batch(&'a Edits),
    Layer(&'a EditMap),
}

impl<'a> Source<'a> {
    fn get(self, key: &[u8]) -> Option<EditRef<'a>> {
        match self {
            Self::Batch(edits) => edits.get(key).map(Edit::as_ref),
            Self::Layer(edits) => edits.get(key),
        }
    }

    fn contains(self, key: &[u8]) -> bool {
        match self {
            Self::Batch(edits) => edits.contains_key(key),
            Self::Layer(edits) => edits.contains(key),
        }
    }

    /// The last key up to a bound.
    fn last_up_to(self, end: Bound<&[u8]>) -> Option<&'a [u8]> {
        match self {
            // A map looks for both ends of a range before it gives anything.
            Self::Batch(edits) => {
                let last = edits.range::<[u8], _>((Bound::Unbounded, end)).next_back();
                last.map(|(key, _)| key.as_slice())
            }
            Self::Layer(edits) => edits.last_up_to(end),
        }
    }

    /// The keys between two bounds.
    fn keys(self, start: Bound<&[u8]>, end: Bound<&[u8]>) -> SourceKeys<'a> {
        match self {
            Self::Batch(edits) => SourceKeys::Batch(edits.range::<[u8], _>((start, end))),
            Self::Layer(edits) => SourceKeys::Layer(edits.range(start, end)),
        }
    }

    fn len(self) -> usize {
        match self {
            Self::Batch(edits) => edits.len(),
            Self::Layer(edits) => edits.len(),
        }
    }
}

/// What has become of a row.
pub(crate) enum Change<'a> {
    /// It has this payload.
    Whole(Cow<'a, [u8]>),
    /// It is gone.
    Removed,
    /// It was added to.
    Grown(Growth<'a>),
    /// Its edits do not fit each other: the journal is damaged.
    Misfit,
}

impl Change<'_> {
    /// Bytes that it adds to what the row had, or that the row has now.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Whole(payload) => payload.len(),
            Self::Grown(growth) => growth.0.iter().map(|(_, bytes)| bytes.len()).sum(),
            Self::Removed | Self::Misfit => 0,
        }
    }
}

/// Additions to a row, newest first: each keeps so many bytes of what was there before it.
pub(crate) struct Growth<'a>(Vec<(usize, &'a [u8])>);

impl Growth<'_> {
    /// The payload that a stored one has become. `None`: it is too short to have become that.
    pub(crate) fn of(&self, stored: &[u8]) -> Option<Vec<u8>> {
        // Joined first: a row that has seen all of them may be too short for the oldest.
        let mut kept = usize::MAX;
        let mut added = Vec::new();
        for (at, bytes) in self.0.iter().rev() {
            match at.checked_sub(kept) {
                Some(at) if !grow(&mut added, at, bytes) => return None,
                Some(_) => {}
                None => {
                    kept = *at;
                    added.clear();
                    added.extend_from_slice(bytes);
                }
            }
        }
        let mut payload = Vec::with_capacity(stored.len() + added.len());
        payload.extend_from_slice(stored);
        grow(&mut payload, kept, &added).then_some(payload)
    }
}

impl<'a> View<'a> {
    pub(crate) fn new(table: usize, layers: &'a [Arc<Layer>], batch: Option<&'a Edits>) -> Self {
        Self {
            table,
            layers,
            batch,
        }
    }

    /// Newest first.
    fn sources(&self) -> impl Iterator<Item = Source<'a>> + use<'a> {
        let table = self.table;
        let batch = self.batch.filter(|edits| !edits.is_empty());
        let layers = self.layers.iter().rev();
        let layers = layers
            .filter_map(move |layer| layer.table(table))
            .filter(|edits| !edits.is_empty());
        let batch = batch.into_iter().map(Source::Batch);
        batch.chain(layers.map(Source::Layer))
    }

    /// What has become of a row; `None`: nothing.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Change<'a>> {
        let mut growth = Growth(Vec::new());
        for edits in self.sources() {
            match edits.get(key) {
                None => {}
                Some(EditRef::Grown { at, bytes }) => growth.0.push((at, bytes)),
                Some(EditRef::Removed) if growth.0.is_empty() => return Some(Change::Removed),
                Some(EditRef::Removed) => return Some(Change::Misfit),
                Some(EditRef::Whole(payload)) if growth.0.is_empty() => {
                    return Some(Change::Whole(Cow::Borrowed(payload)));
                }
                Some(EditRef::Whole(payload)) => {
                    return Some(match growth.of(payload) {
                        Some(payload) => Change::Whole(Cow::Owned(payload)),
                        None => Change::Misfit,
                    });
                }
            }
        }
        (!growth.0.is_empty()).then_some(Change::Grown(growth))
    }

    /// Whether a row has edits.
    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.sources().any(|edits| edits.contains(key))
    }

    /// Whether a row has edits of earlier transactions.
    pub(crate) fn is_in_layers(&self, key: &[u8]) -> bool {
        Self {
            batch: None,
            ..*self
        }
        .contains(key)
    }

    /// The last key between two bounds that has edits.
    pub(crate) fn last_in(&self, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Option<&'a [u8]> {
        if !is_range(start, end) {
            return None;
        }
        let inside = |key: &&[u8]| match start {
            Bound::Included(start) => *key >= start,
            Bound::Excluded(start) => *key > start,
            Bound::Unbounded => true,
        };
        self.sources()
            .filter_map(|edits| edits.last_up_to(end))
            .filter(inside)
            .max()
    }

    /// The keys between two bounds that have edits, in their order.
    pub(crate) fn keys(&self, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Keys<'a> {
        let sources = if is_range(start, end) {
            self.sources()
                .map(|edits| edits.keys(start, end).peekable())
                .collect()
        } else {
            Vec::new()
        };
        Keys { sources }
    }

    /// About how many rows have edits.
    pub(crate) fn about(&self) -> u64 {
        self.sources().map(|edits| edits.len() as u64).sum()
    }
}

/// Whether a map takes the bounds; with others there is nothing between them.
fn is_range(start: Bound<&[u8]>, end: Bound<&[u8]>) -> bool {
    match (start, end) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => true,
        (Bound::Included(start), Bound::Included(end)) => start <= end,
        (Bound::Included(start) | Bound::Excluded(start), Bound::Excluded(end))
        | (Bound::Excluded(start), Bound::Included(end)) => start < end,
    }
}

/// The keys of one source.
enum SourceKeys<'a> {
    Batch(btree_map::Range<'a, KeyBytes, Edit>),
    Layer(edit_map::Range<'a>),
}

impl<'a> Iterator for SourceKeys<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        match self {
            Self::Batch(edits) => edits.next().map(|(key, _)| key.as_slice()),
            Self::Layer(edits) => edits.next().map(|(key, _)| key),
        }
    }
}

/// See [`View::keys`].
pub(crate) struct Keys<'a> {
    sources: Vec<Peekable<SourceKeys<'a>>>,
}

impl<'a> Iterator for Keys<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let peeked = self.sources.iter_mut().filter_map(Peekable::peek);
        let next = peeked.copied().min()?;
        for source in &mut self.sources {
            source.next_if(|key| *key == next);
        }
        Some(next)
    }
}
