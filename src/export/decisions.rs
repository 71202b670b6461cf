//! Which objects are in, by id.
//!
//! Every change asks for its object's decision, in both passes. Ids are given one after the other, so the decisions are an
//! array, a quarter of a byte each, as far as that stays small; beyond, a scratch map.

use std::path::Path;

use crate::limits::{DENSE_DECISIONS_MAX, READ_THREADS};
use crate::query::shares::{id_at, place_in_share, share_of};
use crate::store::StoreError;
use crate::store::scratch::Scratch;

/// Whether an object is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Out,
    In,
    /// It is in, and the index does not have all of its hashes yet.
    Unindexed,
}

impl Decision {
    /// Never 0, which stands for an object that was not met.
    fn code(self) -> u8 {
        match self {
            Self::Out => 1,
            Self::In => 2,
            Self::Unindexed => 3,
        }
    }

    fn of_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Out),
            2 => Some(Self::In),
            3 => Some(Self::Unindexed),
            _ => None,
        }
    }
}

const CODE_BITS: u32 = 2;
const CODE_MASK: u8 = 3;
const CODES_IN_BYTE: u64 = 4;

/// See the [module](self).
pub(super) struct Decisions([Share; READ_THREADS]);

impl Decisions {
    /// No decisions. The temporary file of those beyond the array, if they need one, is made in `folder`.
    pub(super) fn new(folder: &Path) -> Self {
        Self::with_limit(folder, DENSE_DECISIONS_MAX)
    }

    fn with_limit(folder: &Path, dense_max: u64) -> Self {
        Self(std::array::from_fn(|_| Share {
            dense: Vec::new(),
            dense_max,
            sparse: Scratch::new(folder),
        }))
    }

    /// The share of each thread, with its number.
    pub(super) fn shares(&mut self) -> impl Iterator<Item = (usize, &mut Share)> {
        self.0.iter_mut().enumerate()
    }

    /// Whether the object is part of the trace.
    pub(super) fn includes(&self, id: u64) -> Result<bool, StoreError> {
        let decision = match self.0.get(share_of(id)) {
            Some(share) => share.get(id)?,
            None => None,
        };
        Ok(decision.is_some_and(|decision| decision != Decision::Out))
    }
}

/// The decisions of one share of the objects.
pub(super) struct Share {
    /// By id, the ids of other shares left out.
    dense: Vec<u8>,
    /// Ids up to here are in the array.
    dense_max: u64,
    sparse: Scratch,
}

impl Share {
    /// Byte and bit of an id in the array.
    fn place(&self, id: u64) -> Option<(usize, u32)> {
        let code = place_in_share(id);
        let byte = usize::try_from(code / CODES_IN_BYTE).ok()?;
        let shift = (code % CODES_IN_BYTE) as u32 * CODE_BITS;
        (id <= self.dense_max).then_some((byte, shift))
    }

    pub(super) fn set(&mut self, id: u64, decision: Decision) -> Result<(), StoreError> {
        let code = decision.code();
        let Some((byte, shift)) = self.place(id) else {
            return self.sparse.insert(id.to_be_bytes().to_vec(), vec![code]);
        };
        if self.dense.len() <= byte {
            self.dense.resize(byte + 1, 0);
        }
        if let Some(codes) = self.dense.get_mut(byte) {
            *codes = *codes & !(CODE_MASK << shift) | code << shift;
        }
        Ok(())
    }

    /// `None`: the object was not met while planning.
    pub(super) fn get(&self, id: u64) -> Result<Option<Decision>, StoreError> {
        match self.place(id) {
            Some((byte, shift)) => Ok(self
                .dense
                .get(byte)
                .and_then(|codes| Decision::of_code(codes >> shift & CODE_MASK))),
            None => {
                let code = self.sparse.get(&id.to_be_bytes())?;
                Ok(code.and_then(|code| Decision::of_code(*code.first()?)))
            }
        }
    }

    /// Calls `each` with the objects that the index does not have all of, in the order of their ids. `share` is its number.
    pub(super) fn for_each_unindexed<E: From<StoreError>>(
        &mut self,
        share: usize,
        mut each: impl FnMut(u64) -> Result<(), E>,
    ) -> Result<(), E> {
        let unindexed = Some(Decision::Unindexed);
        for (byte, codes) in (0u64..).zip(&self.dense) {
            if *codes == 0 {
                continue;
            }
            for place in 0..CODES_IN_BYTE {
                let code = codes >> (place as u32 * CODE_BITS) & CODE_MASK;
                if Decision::of_code(code) == unindexed {
                    each(id_at(share, byte * CODES_IN_BYTE + place))?;
                }
            }
        }
        self.sparse.for_each(|key, value| {
            let id = key.try_into().map(u64::from_be_bytes).unwrap_or_default();
            let code = value.first().copied().unwrap_or_default();
            if Decision::of_code(code) == unindexed {
                each(id)?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Within the array and beyond it, it answers as a map does.
        #[test]
        fn answers_as_a_map_does(
            sets in proptest::collection::vec((0u64..400, 0u8..3), 0..80),
            dense_max in 0u64..500,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut decisions = Decisions::with_limit(folder.path(), dense_max);
            let mut model = BTreeMap::new();
            for (id, decision) in sets {
                let decision = Decision::of_code(decision + 1).unwrap();
                decisions.0[share_of(id)].set(id, decision).unwrap();
                model.insert(id, decision);
            }
            for id in (0..500).chain([u64::MAX]) {
                prop_assert_eq!(decisions.0[share_of(id)].get(id).unwrap(), model.get(&id).copied());
                let included = model.get(&id).is_some_and(|decision| *decision != Decision::Out);
                prop_assert_eq!(decisions.includes(id).unwrap(), included);
            }
            for (share, decisions) in decisions.shares() {
                let mut unindexed = Vec::new();
                decisions.for_each_unindexed::<StoreError>(share, |id| {
                    unindexed.push(id);
                    Ok(())
                }).unwrap();
                let of_model: Vec<_> = model
                    .iter()
                    .filter(|(id, decision)| **decision == Decision::Unindexed && share_of(**id) == share)
                    .map(|(id, _)| *id)
                    .collect();
                prop_assert_eq!(unindexed, of_model);
            }
        }
    }
}
