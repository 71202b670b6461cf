//! Who owns whom, by UID, from what is stored (R12).

use std::collections::{HashMap, HashSet, VecDeque};

use crate::model::Uid;
use crate::store::lookup::Lookup;
use crate::store::rows::{OwnerRefRow, OwnerRow};
use crate::store::{Snapshot, StoreError};

/// Owners remembered between walks.
const CACHED_OWNERS_MAX: usize = 8_192;
/// Owners visited in one walk: far above any real chain, and an end for hostile ones.
const ANCESTORS_MAX: usize = 64;

/// Walks owner chains in one snapshot.
pub(crate) struct Ownership<'s> {
    snapshot: &'s Snapshot,
    cache: HashMap<Uid, Option<OwnerRow>>,
}

impl<'s> Ownership<'s> {
    pub(crate) fn new(snapshot: &'s Snapshot) -> Self {
        Self {
            snapshot,
            cache: HashMap::new(),
        }
    }

    /// What is known of an object as an owner.
    pub(crate) fn facts(&mut self, uid: &Uid) -> Result<Option<OwnerRow>, StoreError> {
        if let Some(known) = self.cache.get(uid) {
            return Ok(known.clone());
        }
        let tables = self.snapshot.tables();
        let row = match tables.owner(uid)? {
            Some(row) => Some(row),
            None => tables.pod(uid)?.map(OwnerRow::of_pod),
        };
        if self.cache.len() >= CACHED_OWNERS_MAX {
            self.cache.clear();
        }
        self.cache.insert(uid.clone(), row.clone());
        Ok(row)
    }

    /// The known ancestors of something with these owners, nearest first, each once.
    pub(crate) fn ancestors(
        &mut self,
        owners: &[OwnerRefRow],
    ) -> Result<Vec<OwnerRow>, StoreError> {
        let mut seen: HashSet<Uid> = HashSet::new();
        let mut next: VecDeque<Uid> = owners.iter().map(|owner| Uid::from(&owner.uid)).collect();
        let mut ancestors = Vec::new();
        while let Some(uid) = next.pop_front() {
            if seen.len() >= ANCESTORS_MAX || !seen.insert(uid.clone()) {
                continue;
            }
            if let Some(row) = self.facts(&uid)? {
                next.extend(row.owners.iter().map(|owner| Uid::from(&owner.uid)));
                ancestors.push(row);
            }
        }
        Ok(ancestors)
    }
}
