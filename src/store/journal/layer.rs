//! Edits in memory, of all tables.

use super::edit::EditRef;
use super::edit_map::EditMap;
use crate::store::tables::PACKED_TABLES_COUNT;

/// Edits of some transactions that follow each other, joined.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layer {
    tables: [EditMap; PACKED_TABLES_COUNT],
}

impl Layer {
    /// The edits of a table.
    pub(super) fn table(&self, table: usize) -> Option<&EditMap> {
        self.tables.get(table)
    }

    /// What they take in memory, bytes, about.
    pub(super) fn bytes(&self) -> usize {
        self.tables.iter().map(EditMap::bytes).sum()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.tables.iter().map(EditMap::len).sum()
    }

    /// Does another edit. `false`: it does not fit the one that is there.
    #[must_use]
    pub(super) fn add(&mut self, table: usize, key: &[u8], edit: EditRef<'_>) -> bool {
        let edits = self.tables.get_mut(table);
        edits.is_some_and(|edits| edits.add(key, edit))
    }

    /// Does all edits of a later layer. `false`: one of them does not fit.
    #[must_use]
    pub(super) fn absorb(&mut self, later: &Self) -> bool {
        let mut fits = true;
        for (edits, later) in self.tables.iter_mut().zip(&later.tables) {
            for (key, edit) in later.iter() {
                fits &= edits.add(key, edit);
            }
        }
        fits
    }
}
