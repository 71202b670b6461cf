//! What the list under way of one watch has shown so far. It is in memory only, so it has to be taken back by hand when
//! the transaction that changed it fails.

use std::collections::HashSet;
use std::sync::Arc;

/// The UIDs of the list under way, if there is one, with what it takes to undo the changes since the last commit: never
/// a copy of the whole, which may be 150,000 UIDs. Bounded by what one list holds: 16 bytes an object.
#[derive(Debug, Default)]
pub(super) struct ListMarks {
    list: Option<Arc<HashSet<u128>>>,
    /// UIDs that came into the list that was under way at the last commit.
    added: Vec<u128>,
    /// The list that was under way at the last commit, once it is no longer.
    displaced: Option<Option<Arc<HashSet<u128>>>>,
}

impl ListMarks {
    pub(super) fn is_under_way(&self) -> bool {
        self.list.is_some()
    }

    /// A list begins; one that was under way is forgotten.
    pub(super) fn begin(&mut self) {
        self.take();
        self.list = Some(Arc::default());
    }

    /// The list under way, if there is one, has shown this UID.
    pub(super) fn mark(&mut self, uid: u128) {
        let Some(list) = &mut self.list else {
            return;
        };
        // Not shared: a list that was displaced is no longer marked.
        if Arc::make_mut(list).insert(uid) && self.displaced.is_none() {
            self.added.push(uid);
        }
    }

    /// Ends the list under way.
    pub(super) fn take(&mut self) -> Option<Arc<HashSet<u128>>> {
        let list = self.list.take();
        self.displaced.get_or_insert_with(|| list.clone());
        list
    }

    /// The transaction is durable.
    pub(super) fn settle(&mut self) {
        self.added = Vec::new();
        self.displaced = None;
    }

    /// The transaction has failed: the list is again as it was at the last commit.
    pub(super) fn roll_back(&mut self) {
        if let Some(list) = self.displaced.take() {
            self.list = list;
        }
        let added = std::mem::take(&mut self.added);
        if let Some(list) = &mut self.list {
            let list = Arc::make_mut(list);
            for uid in added {
                list.remove(&uid);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn content(marks: &ListMarks) -> Option<HashSet<u128>> {
        marks.list.as_deref().cloned()
    }

    proptest! {
        /// Whatever a transaction does to a list, a failure takes back exactly that.
        #[test]
        fn a_failed_transaction_leaves_the_list_as_it_was(
            before in proptest::collection::vec(0u8..12, 0..12),
            during in proptest::collection::vec(0u8..12, 0..12),
        ) {
            // 0: a list begins; 1: it ends; others: it shows a UID.
            let play = |marks: &mut ListMarks, steps: &[u8]| {
                for step in steps {
                    match step {
                        0 => marks.begin(),
                        1 => drop(marks.take()),
                        uid => marks.mark(u128::from(*uid)),
                    }
                }
            };
            let mut marks = ListMarks::default();
            play(&mut marks, &before);
            marks.settle();
            let committed = content(&marks);
            play(&mut marks, &during);
            let after = content(&marks);
            marks.roll_back();
            prop_assert_eq!(&content(&marks), &committed);
            play(&mut marks, &during);
            marks.settle();
            prop_assert_eq!(&content(&marks), &after);
            marks.roll_back();
            prop_assert_eq!(&content(&marks), &after);
        }
    }
}
