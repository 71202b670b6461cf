//! What a transaction does to one row.

use std::collections::BTreeMap;

use crate::store::packed::KeyBytes;

/// A change of a row's payload. Doing the same edits of a row again, in their order, leaves it as it is: so they may be
/// done to a row of which it is not known how many of them it has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Edit {
    /// The row has this payload now.
    Whole(Vec<u8>),
    /// There is no row any more.
    Removed,
    /// The first `at` bytes of the payload stay, and these follow.
    Grown { at: usize, bytes: Vec<u8> },
}

/// The edits of one table, by key.
pub(crate) type Edits = BTreeMap<KeyBytes, Edit>;

impl Edit {
    /// Does another edit after this one: the two are one then. `false` where the next one does not fit what this one
    /// leaves; nothing has happened then.
    #[must_use]
    pub(crate) fn then(&mut self, next: Self) -> bool {
        let Self::Grown { at, bytes } = next else {
            *self = next;
            return true;
        };
        match self {
            Self::Removed => false,
            Self::Whole(payload) => grow(payload, at, &bytes),
            Self::Grown {
                at: first,
                bytes: grown,
            } => match at.checked_sub(*first) {
                Some(at) => grow(grown, at, &bytes),
                // All that this one added is replaced, and more.
                None => {
                    *self = Self::Grown { at, bytes };
                    true
                }
            },
        }
    }

    /// Gives back what its payload takes besides its bytes.
    pub(super) fn shrink(&mut self) {
        match self {
            Self::Whole(bytes) | Self::Grown { bytes, .. } => bytes.shrink_to_fit(),
            Self::Removed => {}
        }
    }

    /// Bytes of payload in it.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Whole(bytes) | Self::Grown { bytes, .. } => bytes.len(),
            Self::Removed => 0,
        }
    }
}

/// Keeps the first `at` bytes and puts others behind them. `false`: there are not so many.
pub(super) fn grow(payload: &mut Vec<u8>, at: usize, bytes: &[u8]) -> bool {
    if at > payload.len() {
        return false;
    }
    payload.truncate(at);
    payload.extend_from_slice(bytes);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn edit() -> impl Strategy<Value = Edit> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..6);
        prop_oneof![
            bytes().prop_map(Edit::Whole),
            Just(Edit::Removed),
            (0usize..12, bytes()).prop_map(|(at, bytes)| Edit::Grown { at, bytes }),
        ]
    }

    /// Does an edit to a row. `false`: it does not fit.
    fn apply(row: &mut Option<Vec<u8>>, edit: &Edit) -> bool {
        match edit {
            Edit::Whole(payload) => *row = Some(payload.clone()),
            Edit::Removed => *row = None,
            Edit::Grown { at, bytes } => {
                return row.as_mut().is_some_and(|row| grow(row, *at, bytes));
            }
        }
        true
    }

    proptest! {
        #[test]
        fn two_edits_in_one_do_what_both_do(row in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..12)), first in edit(), next in edit()) {
            let mut both = row.clone();
            prop_assume!(apply(&mut both, &first) && apply(&mut both, &next));
            let mut joined = first.clone();
            prop_assert!(joined.then(next.clone()));
            let mut once = row;
            prop_assert!(apply(&mut once, &joined));
            prop_assert_eq!(&once, &both);
            // Again, to a row that has seen both, or the first.
            for seen in [vec![&first, &next], vec![&next]] {
                let mut again = both.clone();
                if seen.into_iter().all(|edit| apply(&mut again, edit)) {
                    prop_assert_eq!(&again, &both);
                }
            }
        }
    }
}
