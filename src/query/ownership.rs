//! Who owns whom, by UID, from what is stored (R12).

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;

use crate::model::Uid;
use crate::store::lookup::Lookup;
use crate::store::rows::{Incarnation, OwnerRefRow, OwnerRow};
use crate::store::{Snapshot, StoreError, keys};

/// Owners remembered between walks, about 300 bytes each.
const CACHED_OWNERS_MAX: usize = 8_192;
/// Owners visited in one walk: far above any real chain, and an end for hostile ones.
const ANCESTORS_MAX: usize = 64;

/// Walks owner chains in one snapshot.
pub(crate) struct Ownership<'s> {
    snapshot: &'s Snapshot,
    cache: HashMap<Uid, Option<Rc<OwnerRow>>>,
}

impl<'s> Ownership<'s> {
    pub(crate) fn new(snapshot: &'s Snapshot) -> Self {
        Self {
            snapshot,
            cache: HashMap::new(),
        }
    }

    /// What is known of an object as an owner.
    pub(crate) fn facts(&mut self, uid: &Uid) -> Result<Option<Rc<OwnerRow>>, StoreError> {
        if let Some(known) = self.cache.get(uid) {
            return Ok(known.clone());
        }
        let row = self.look_up(uid)?;
        if self.cache.len() >= CACHED_OWNERS_MAX {
            self.cache.clear();
        }
        self.cache.insert(uid.clone(), row.clone());
        Ok(row)
    }

    /// What is known of a recorded object as an owner, which is hardly asked for again: it takes no other's place among what
    /// is remembered.
    pub(crate) fn facts_once(
        &mut self,
        incarnation: &Incarnation,
    ) -> Result<Option<Rc<OwnerRow>>, StoreError> {
        if let Some(known) = self.cache.get(&incarnation.uid) {
            return Ok(known.clone());
        }
        match incarnation.pod {
            Some(number) => {
                let pod = self.snapshot.tables().pod_of(number)?;
                Ok(pod.map(OwnerRow::of_pod).map(Rc::new))
            }
            None => self.look_up(&incarnation.uid),
        }
    }

    /// Looks up these owners and all above them before their walks, in the order in which they are packed: one by one, each
    /// would have its chunk read for itself. More than are remembered are left to their walks.
    pub(crate) fn look_up_ahead<'o>(
        &mut self,
        owners: impl Iterator<Item = &'o OwnerRefRow>,
    ) -> Result<(), StoreError> {
        let mut level = BTreeMap::new();
        self.unknown(owners, &mut level);
        if self.cache.len() + level.len() > CACHED_OWNERS_MAX {
            self.cache.clear();
        }
        for _ in 0..ANCESTORS_MAX {
            let mut above = BTreeMap::new();
            for uid in level.into_values() {
                if self.cache.len() >= CACHED_OWNERS_MAX {
                    return Ok(());
                }
                let row = self.look_up(&uid)?;
                if let Some(row) = &row {
                    self.unknown(row.owners.iter(), &mut above);
                }
                self.cache.insert(uid, row);
            }
            if above.is_empty() {
                break;
            }
            level = above;
        }
        Ok(())
    }

    /// Adds the owners that are not remembered, by their keys.
    fn unknown<'o>(
        &self,
        owners: impl Iterator<Item = &'o OwnerRefRow>,
        found: &mut BTreeMap<Vec<u8>, Uid>,
    ) {
        for owner in owners {
            let uid = Uid::from(&owner.uid);
            if !self.cache.contains_key(&uid) {
                found.insert(keys::uid(&uid), uid);
            }
        }
    }

    fn look_up(&self, uid: &Uid) -> Result<Option<Rc<OwnerRow>>, StoreError> {
        let tables = self.snapshot.tables();
        let row = match tables.owner(uid)? {
            Some(row) => Some(row),
            None => tables.pod(uid)?.map(|(_, pod)| OwnerRow::of_pod(pod)),
        };
        Ok(row.map(Rc::new))
    }

    /// The known ancestors of something with these owners, nearest first, each once.
    pub(crate) fn ancestors(
        &mut self,
        owners: &[OwnerRefRow],
    ) -> Result<Vec<Rc<OwnerRow>>, StoreError> {
        // A few of them: searching a list is cheaper than hashing.
        let mut seen: Vec<Uid> = Vec::new();
        let mut next: VecDeque<Uid> = owners.iter().map(|owner| Uid::from(&owner.uid)).collect();
        let mut ancestors = Vec::new();
        while let Some(uid) = next.pop_front() {
            if seen.len() >= ANCESTORS_MAX || seen.contains(&uid) {
                continue;
            }
            if let Some(row) = self.facts(&uid)? {
                next.extend(row.owners.iter().map(|owner| Uid::from(&owner.uid)));
                ancestors.push(row);
            }
            seen.push(uid);
        }
        Ok(ancestors)
    }
}
