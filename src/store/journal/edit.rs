//! What a transaction does to one row.

use std::collections::BTreeMap;

use crate::store::body::varint::{read_varint, write_varint};
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

/// An [`Edit`] whose bytes are elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EditRef<'a> {
    Whole(&'a [u8]),
    Removed,
    Grown { at: usize, bytes: &'a [u8] },
}

/// The edits of a transaction under way to one table, by key.
pub(crate) type Edits = BTreeMap<KeyBytes, Edit>;

impl Edit {
    pub(crate) fn as_ref(&self) -> EditRef<'_> {
        match self {
            Self::Whole(payload) => EditRef::Whole(payload),
            Self::Removed => EditRef::Removed,
            Self::Grown { at, bytes } => EditRef::Grown { at: *at, bytes },
        }
    }

    /// Does another edit after this one: the two are one then. `false` where the next one does not fit what this one
    /// leaves; nothing has happened then.
    #[must_use]
    pub(crate) fn then(&mut self, next: EditRef<'_>) -> bool {
        let EditRef::Grown { at, bytes } = next else {
            *self = next.to_owned();
            return true;
        };
        match self {
            Self::Removed => false,
            Self::Whole(payload) => grow(payload, at, bytes),
            Self::Grown {
                at: first,
                bytes: grown,
            } => match at.checked_sub(*first) {
                Some(at) => grow(grown, at, bytes),
                // All that this one added is replaced, and more.
                None => {
                    *self = next.to_owned();
                    true
                }
            },
        }
    }
}

impl<'a> EditRef<'a> {
    pub(crate) fn to_owned(self) -> Edit {
        match self {
            Self::Whole(payload) => Edit::Whole(payload.to_vec()),
            Self::Removed => Edit::Removed,
            Self::Grown { at, bytes } => Edit::Grown {
                at,
                bytes: bytes.to_vec(),
            },
        }
    }

    /// What it adds to a row.
    pub(super) fn bytes(self) -> &'a [u8] {
        match self {
            Self::Whole(bytes) | Self::Grown { bytes, .. } => bytes,
            Self::Removed => &[],
        }
    }

    /// Appends it and its row's key, as records in the file have them (docs/format.md) and blocks in memory: `kind | length of
    /// key | key`, and for a whole row `length | payload`, for one that has grown `where | length | bytes`. Numbers are varints.
    pub(super) fn write(self, out: &mut Vec<u8>, key: &[u8]) {
        self.write_beginning(out, key, self.bytes().len());
        out.extend_from_slice(self.bytes());
    }

    /// The same of an edit of this kind with so many bytes, up to those.
    pub(super) fn write_beginning(self, out: &mut Vec<u8>, key: &[u8], bytes: usize) {
        out.push(match self {
            Self::Whole(_) => WHOLE,
            Self::Removed => REMOVED,
            Self::Grown { .. } => GROWN,
        });
        write_bytes(out, key);
        if let Self::Grown { at, .. } = self {
            write_varint(out, at as u64);
        }
        if !matches!(self, Self::Removed) {
            write_varint(out, bytes as u64);
        }
    }

    /// Reads one that was written. `None`: these bytes are none.
    pub(super) fn read(rest: &mut &'a [u8]) -> Option<(&'a [u8], Self)> {
        let (kind, behind) = rest.split_first()?;
        *rest = behind;
        let key = read_bytes(rest)?;
        let edit = match *kind {
            WHOLE => Self::Whole(read_bytes(rest)?),
            REMOVED => Self::Removed,
            GROWN => Self::Grown {
                at: usize::try_from(read_varint(rest)?).ok()?,
                bytes: read_bytes(rest)?,
            },
            _ => return None,
        };
        Some((key, edit))
    }

    /// The key alone.
    pub(super) fn read_key(mut written: &'a [u8]) -> Option<&'a [u8]> {
        written.split_off_first()?;
        read_bytes(&mut written)
    }
}

const WHOLE: u8 = 0;
const REMOVED: u8 = 1;
const GROWN: u8 = 2;

pub(super) fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(super) fn read_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(read_varint(rest)?).ok()?;
    let (bytes, behind) = rest.split_at_checked(len)?;
    *rest = behind;
    Some(bytes)
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
            prop_assert!(joined.then(next.as_ref()));
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
