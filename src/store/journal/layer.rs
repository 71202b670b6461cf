//! Edits in memory, of all tables.

use super::edit::{Edit, Edits};
use crate::store::packed::KeyBytes;
use crate::store::tables::PACKED_TABLES_COUNT;

/// What an edit takes in memory besides its key and payload, bytes: two allocations and its share of a map's node.
const EDIT_OVERHEAD_BYTES: usize = 128;

/// Edits of some transactions that follow each other, joined.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layer {
    tables: [Edits; PACKED_TABLES_COUNT],
    bytes: usize,
    edits: usize,
}

impl Layer {
    /// The edits of a table.
    pub(super) fn table(&self, table: usize) -> Option<&Edits> {
        self.tables.get(table)
    }

    /// What they take in memory, bytes, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.edits
    }

    /// Gives back the room that payloads were given to grow: to most of them nothing will be added.
    pub(super) fn shrink(&mut self) {
        let edits = self.tables.iter_mut().flat_map(Edits::values_mut);
        edits.for_each(Edit::shrink);
    }

    /// Does another edit. `false`: it does not fit the one that is there.
    #[must_use]
    pub(super) fn add(&mut self, table: usize, key: KeyBytes, edit: Edit) -> bool {
        let Some(edits) = self.tables.get_mut(table) else {
            return false;
        };
        match edits.entry(key) {
            std::collections::btree_map::Entry::Vacant(vacant) => {
                self.bytes += vacant.key().len() + edit.len() + EDIT_OVERHEAD_BYTES;
                self.edits += 1;
                vacant.insert(edit);
                true
            }
            std::collections::btree_map::Entry::Occupied(mut known) => {
                let before = known.get().len();
                let fits = known.get_mut().then(edit);
                self.bytes = (self.bytes + known.get().len()).saturating_sub(before);
                fits
            }
        }
    }

    /// Does all edits of a later layer. `false`: one of them does not fit.
    #[must_use]
    pub(super) fn absorb(&mut self, later: &Self) -> bool {
        let mut fits = true;
        for (table, edits) in later.tables.iter().enumerate() {
            for (key, edit) in edits {
                fits &= self.add(table, key.clone(), edit.clone());
            }
        }
        fits
    }
}
