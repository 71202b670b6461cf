//! What the store is known to hold of owners, so that it need not be asked with every change of an object.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use crate::limits::KNOWN_OWNERS_MAX;
use crate::model::Uid;
use crate::store::rows::OwnerRow;

/// Owners whose rows are as they were told last. It may forget at any time; what it knows is true of the store, or of the
/// transaction under way.
#[derive(Debug, Default)]
pub(super) struct KnownOwners {
    hasher: RandomState,
    /// Hash of the UID -> hash of the row as it was told.
    rows: HashMap<u64, u64>,
    /// The owner that was named last, with a row or a place on the list of look-ups: siblings are listed together.
    named: Option<Uid>,
}

impl KnownOwners {
    fn hashes(&self, uid: &Uid, row: &OwnerRow) -> (u64, u64) {
        (self.hasher.hash_one(uid), self.hasher.hash_one((uid, row)))
    }

    /// Whether exactly this was told of the owner last.
    pub(super) fn is_known(&self, uid: &Uid, row: &OwnerRow) -> bool {
        let (uid, row) = self.hashes(uid, row);
        self.rows.get(&uid) == Some(&row)
    }

    /// This was told of the owner, and is in the store.
    pub(super) fn remember(&mut self, uid: &Uid, row: &OwnerRow) {
        if self.rows.len() >= KNOWN_OWNERS_MAX {
            self.rows.clear();
        }
        let (uid, row) = self.hashes(uid, row);
        self.rows.insert(uid, row);
    }

    /// Whether the owner is known to have a row, or a place on the list of look-ups.
    pub(super) fn is_named(&self, uid: &Uid) -> bool {
        self.named.as_ref() == Some(uid)
    }

    /// The owner has a row, or a place on the list of look-ups.
    pub(super) fn name(&mut self, uid: &Uid) {
        self.named = Some(uid.clone());
    }

    /// Rows of owners, or places on the list of look-ups, are removed from the store.
    pub(super) fn forget(&mut self) {
        self.rows.clear();
        self.named = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Gvk, OwnerFacts};

    fn row(name: &str) -> OwnerRow {
        let facts = OwnerFacts {
            gvk: Gvk::pod(),
            namespace: "ns".to_owned(),
            name: name.to_owned(),
            owners: Vec::new(),
        };
        OwnerRow::new(&facts, None)
    }

    #[test]
    fn only_what_was_told_last_is_known() {
        let (uid, other) = (Uid("a".to_owned()), Uid("b".to_owned()));
        let mut known = KnownOwners::default();
        assert!(!known.is_known(&uid, &row("x")));
        known.remember(&uid, &row("x"));
        assert!(known.is_known(&uid, &row("x")));
        assert!(!known.is_known(&other, &row("x")));
        known.remember(&uid, &row("y"));
        assert!(!known.is_known(&uid, &row("x")));
        known.name(&uid);
        assert!(known.is_named(&uid) && !known.is_named(&other));
        known.forget();
        assert!(!known.is_known(&uid, &row("y")) && !known.is_named(&uid));
    }

    #[test]
    fn it_is_bounded() {
        let mut known = KnownOwners::default();
        for n in 0..=KNOWN_OWNERS_MAX {
            known.remember(&Uid(n.to_string()), &row("x"));
        }
        assert!(known.rows.len() <= KNOWN_OWNERS_MAX);
    }
}
