//! What the list under way of one watch has shown so far. It is in memory only, so it has to be taken back by hand when
//! the transaction that changed it fails.

use std::collections::HashSet;
use std::sync::Arc;

/// The UIDs of the list under way, if there is one, with what it takes to undo the changes since the last commit: never
/// a copy of the whole, which may be 150,000 UIDs. Bounded by what one list holds: 16 bytes an object.
#[derive(Debug, Default)]
pub(super) struct ListMarks {
    list: Option<Arc<HashSet<u128>>>,
    /// Of the list under way.
    pods: AllPods,
    /// UIDs that came into the list that was under way at the last commit.
    added: Vec<u128>,
    /// The list that was under way at the last commit, once it is no longer.
    displaced: Option<Option<Arc<HashSet<u128>>>>,
}

/// What a list under way says of a pod that it shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Listed {
    /// Nothing is recorded of it.
    pub(super) is_new: bool,
    /// Nothing is recorded of any pod of its name.
    pub(super) has_new_name: bool,
}

/// Whether the pods that a list has shown are all that were ever recorded, as in a store's first list: then what it has not
/// shown is not in the store, which need not be asked. It may be taken back at any time.
#[derive(Debug, Default)]
struct AllPods {
    hold: bool,
    /// The greatest name shown, as API servers order them: no pod has a greater one.
    greatest: String,
}

impl ListMarks {
    pub(super) fn is_under_way(&self) -> bool {
        self.list.is_some()
    }

    /// A list begins; one that was under way is forgotten. `is_first`: no pod was ever recorded.
    pub(super) fn begin(&mut self, is_first: bool) {
        self.take();
        self.list = Some(Arc::default());
        self.pods.hold = is_first;
    }

    /// The list under way, if there is one, has shown this UID. Returns whether it had not before.
    pub(super) fn mark(&mut self, uid: u128) -> bool {
        let Some(list) = &mut self.list else {
            return false;
        };
        // Not shared: a list that was displaced is no longer marked.
        let is_new = Arc::make_mut(list).insert(uid);
        if is_new && self.displaced.is_none() {
            self.added.push(uid);
        }
        is_new
    }

    /// The same of a pod, which is recorded next. `numbers`: pod numbers given so far.
    pub(super) fn mark_pod(
        &mut self,
        uid: u128,
        namespace: &str,
        name: &str,
        numbers: u64,
    ) -> Listed {
        // Every pod shown so far was given one number. If not, others know of pods, too.
        let shown = self.list.as_ref().map_or(0, |list| list.len() as u64);
        self.pods.hold &= shown == numbers;
        let is_new = self.mark(uid);
        if !self.pods.hold {
            return Listed::default();
        }
        let whole = [namespace, "/", name].into_iter().flat_map(str::bytes);
        let has_new_name = whole.clone().gt(self.pods.greatest.bytes());
        if has_new_name {
            self.pods.greatest.clear();
            self.pods.greatest.extend([namespace, "/", name]);
        }
        Listed {
            is_new,
            has_new_name,
        }
    }

    /// Whether the list has shown every pod that was ever recorded. `numbers`: pod numbers given so far.
    pub(super) fn has_all_pods(&self, numbers: u64) -> bool {
        let shown = self.list.as_ref().map(|list| list.len() as u64);
        self.pods.hold && shown == Some(numbers)
    }

    /// The list holds something that is not recorded.
    pub(super) fn is_not_all_of_pods(&mut self) {
        self.pods.hold = false;
    }

    /// Ends the list under way.
    pub(super) fn take(&mut self) -> Option<Arc<HashSet<u128>>> {
        let list = self.list.take();
        self.pods = AllPods::default();
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
        // A name may be there that was taken back.
        self.pods = AllPods::default();
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

    /// What a list says of a pod: whether it is new, and whether its name is.
    fn says(marks: &mut ListMarks, uid: u128, name: &str, numbers: u64) -> (bool, bool) {
        let listed = marks.mark_pod(uid, "ns", name, numbers);
        (listed.is_new, listed.has_new_name)
    }

    #[test]
    fn a_first_list_knows_of_all_pods() {
        let mut marks = ListMarks::default();
        marks.begin(true);
        assert_eq!(says(&mut marks, 1, "a", 0), (true, true));
        assert_eq!(says(&mut marks, 2, "c", 1), (true, true));
        // Another pod of a name, a name out of order, and a pod that was shown already.
        assert_eq!(says(&mut marks, 3, "c", 2), (true, false));
        assert_eq!(says(&mut marks, 4, "b", 3), (true, false));
        assert_eq!(says(&mut marks, 1, "d", 4), (false, true));
        assert!(marks.has_all_pods(4) && !marks.has_all_pods(5));
        // API servers list namespace `ns-b` before `ns`.
        let listed = marks.mark_pod(5, "ns-b", "z", 4);
        assert_eq!((listed.is_new, listed.has_new_name), (true, false));
    }

    #[test]
    fn a_list_that_does_not_know_of_all_pods_says_nothing() {
        let nothing = (false, false);
        let mut marks = ListMarks::default();
        assert_eq!(says(&mut marks, 1, "a", 0), nothing);
        marks.begin(false);
        assert_eq!(says(&mut marks, 1, "a", 0), nothing);
        // A number was given to a pod that was not listed.
        marks.begin(true);
        assert_eq!(says(&mut marks, 1, "a", 0), (true, true));
        assert_eq!(says(&mut marks, 2, "b", 2), nothing);
        assert_eq!(says(&mut marks, 3, "c", 2), nothing);
        // Something listed was not recorded.
        marks.begin(true);
        marks.mark(7);
        marks.is_not_all_of_pods();
        assert_eq!(says(&mut marks, 1, "a", 1), nothing);
        // A transaction was taken back.
        marks.begin(true);
        marks.settle();
        assert_eq!(says(&mut marks, 1, "a", 0), (true, true));
        marks.roll_back();
        assert!(!marks.has_all_pods(0));
        assert_eq!(says(&mut marks, 1, "a", 0), nothing);
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
                        0 => marks.begin(false),
                        1 => drop(marks.take()),
                        uid => drop(marks.mark(u128::from(*uid))),
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
