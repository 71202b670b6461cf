//! Objects in the order of their names: close together in memory while they are few, in a temporary file once they are not.

use std::vec;

use crate::limits::{SCRATCH_BYTES_MAX, STATE_NAMES_SPILL_BYTES};
use crate::model::{ObjectKey, Uid};
use crate::store::rows::UidBytes;
use crate::store::scratch::{Entries, Scratch};
use crate::store::{StoreError, keys};

/// An object's name, id and UID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// `group | kind | namespace | name | object id | UID`.
    bytes: Vec<u8>,
    /// Where the UID begins.
    key_len: usize,
}

impl Named {
    /// `group | kind | namespace | name | object id`: by this they are ordered.
    fn sort_key(&self) -> &[u8] {
        self.bytes.get(..self.key_len).unwrap_or_default()
    }

    pub(super) fn id(&self) -> u64 {
        let id = self.sort_key().last_chunk().copied();
        id.map(u64::from_be_bytes).unwrap_or_default()
    }

    pub(super) fn key(&self) -> Result<ObjectKey, StoreError> {
        Ok(keys::object_of("state", self.sort_key())?.0)
    }

    pub(super) fn uid(&self) -> Uid {
        let uid = self.bytes.get(self.key_len..).unwrap_or_default();
        keys::uid_of(uid).unwrap_or_default()
    }
}

/// One that lies in the memory of a set: where it begins, where its UID does, and where it ends.
type Place = (u32, u32, u32);

/// Objects that come in any order.
pub(super) struct NamedSet {
    bytes: Vec<u8>,
    places: Vec<Place>,
    limit_bytes: usize,
    spilled: Option<Scratch>,
}

const _: () = assert!(SCRATCH_BYTES_MAX < u32::MAX as usize / 2);

impl NamedSet {
    pub(super) fn new() -> Self {
        Self::with_limit(SCRATCH_BYTES_MAX)
    }

    fn with_limit(limit_bytes: usize) -> Self {
        Self {
            bytes: Vec::new(),
            places: Vec::new(),
            limit_bytes,
            spilled: None,
        }
    }

    pub(super) fn insert(
        &mut self,
        key: &ObjectKey,
        id: u64,
        uid: &UidBytes,
    ) -> Result<(), StoreError> {
        let sort_key = keys::object(key, id);
        if let Some(spilled) = &mut self.spilled {
            return spilled.insert(sort_key, uid.as_bytes().to_vec());
        }
        let from = self.bytes.len();
        self.bytes.extend_from_slice(&sort_key);
        let uid_from = self.bytes.len();
        self.bytes.extend_from_slice(uid.as_bytes());
        let to = self.bytes.len();
        self.places.push((from as u32, uid_from as u32, to as u32));
        if to + self.places.len() * size_of::<Place>() > self.limit_bytes {
            self.spill()?;
        }
        Ok(())
    }

    fn spill(&mut self) -> Result<(), StoreError> {
        let spilled = Scratch::with_limit(&std::env::temp_dir(), STATE_NAMES_SPILL_BYTES);
        let spilled = self.spilled.insert(spilled);
        for (from, uid_from, to) in std::mem::take(&mut self.places) {
            let part = |from: u32, to: u32| self.bytes.get(from as usize..to as usize);
            let key = part(from, uid_from).unwrap_or_default().to_vec();
            let uid = part(uid_from, to).unwrap_or_default().to_vec();
            spilled.insert(key, uid)?;
        }
        self.bytes = Vec::new();
        Ok(())
    }

    /// Puts them in order.
    pub(super) fn into_ordered(mut self) -> Result<Ordered, StoreError> {
        if let Some(spilled) = self.spilled {
            return Ok(Ordered::File(spilled.into_entries()?));
        }
        let bytes = self.bytes;
        let key = |(from, uid_from, _): &Place| bytes.get(*from as usize..*uid_from as usize);
        self.places.sort_unstable_by(|a, b| key(a).cmp(&key(b)));
        Ok(Ordered::Memory {
            places: self.places.into_iter(),
            bytes,
        })
    }
}

/// The objects of one set, in order.
pub(super) enum Ordered {
    Memory {
        bytes: Vec<u8>,
        places: vec::IntoIter<Place>,
    },
    File(Entries),
}

impl Iterator for Ordered {
    type Item = Result<Named, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Memory { bytes, places } => {
                let (from, uid_from, to) = places.next()?;
                let bytes = bytes.get(from as usize..to as usize).unwrap_or_default();
                Some(Ok(Named {
                    bytes: bytes.to_vec(),
                    key_len: (uid_from - from) as usize,
                }))
            }
            Self::File(entries) => Some(entries.next()?.map(|(mut bytes, uid)| {
                let key_len = bytes.len();
                bytes.extend_from_slice(&uid);
                Named { bytes, key_len }
            })),
        }
    }
}

/// The objects of several sets, in order.
pub(super) struct Merged {
    /// Of each set, what comes next of it, and the rest.
    sets: Vec<(Named, Ordered)>,
}

impl Merged {
    pub(super) fn new(sets: Vec<Ordered>) -> Result<Self, StoreError> {
        let mut merged = Vec::with_capacity(sets.len());
        for mut set in sets {
            if let Some(first) = set.next() {
                merged.push((first?, set));
            }
        }
        Ok(Self { sets: merged })
    }

    fn read(&mut self) -> Result<Option<Named>, StoreError> {
        let sets = self.sets.iter().enumerate();
        let least = sets.min_by(|(_, (a, _)), (_, (b, _))| a.sort_key().cmp(b.sort_key()));
        let Some((at, _)) = least else {
            return Ok(None);
        };
        if let Some((next, rest)) = self.sets.get_mut(at)
            && let Some(after) = rest.next()
        {
            return Ok(Some(std::mem::replace(next, after?)));
        }
        Ok(Some(self.sets.swap_remove(at).0))
    }
}

impl Iterator for Merged {
    type Item = Result<Named, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn they_come_in_order_wherever_they_lie(
            objects in proptest::collection::btree_map(
                ("[ab]{0,2}", "[ab]{0,3}", 0u64..4), any::<bool>(), 0..40),
            limit in prop_oneof![Just(0usize), Just(300), Just(1_000_000)],
        ) {
            let mut sets = [NamedSet::with_limit(limit), NamedSet::with_limit(1_000_000)];
            // Backwards: each of them goes before the others.
            for ((namespace, name, id), second) in objects.iter().rev() {
                let key = ObjectKey::new("", "Pod", namespace, name);
                let uid = UidBytes::from(&Uid(format!("{namespace}/{name}/{id}")));
                sets.get_mut(usize::from(*second)).unwrap().insert(&key, *id, &uid).unwrap();
            }
            prop_assert!(limit > 0 || sets.first().unwrap().places.is_empty());
            let sets = sets.into_iter().map(|set| set.into_ordered().unwrap()).collect();
            let told: Vec<_> = Merged::new(sets).unwrap().map(|named| {
                let named = named.unwrap();
                let key = named.key().unwrap();
                assert_eq!(named.uid().0, format!("{}/{}/{}", key.namespace, key.name, named.id()));
                (key.namespace, key.name, named.id())
            }).collect();
            let expected: Vec<_> = objects.into_keys().collect();
            prop_assert_eq!(told, expected);
        }
    }
}
