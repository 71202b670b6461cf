//! Who owns whom, by UID, from what is stored (R12).

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use crate::model::Uid;
use crate::store::lookup::Lookup;
use crate::store::rows::{OwnerRefRow, OwnerRow, UidBytes};
use crate::store::{Snapshot, StoreError, keys};

/// Owners remembered between walks, about 400 bytes each.
const CACHED_OWNERS_MAX: usize = 8_192;
/// Owners visited in one walk: far above any real chain, and an end for hostile ones.
const ANCESTORS_MAX: usize = 64;

/// What is known of an object as an owner; `None`: nothing.
type Facts = Option<Arc<OwnerRow>>;

/// Walks owner chains in one snapshot.
pub(crate) struct Ownership<'s> {
    snapshot: &'s Snapshot,
    cache: HashMap<UidBytes, Facts>,
}

impl<'s> Ownership<'s> {
    pub(crate) fn new(snapshot: &'s Snapshot) -> Self {
        Self {
            snapshot,
            cache: HashMap::new(),
        }
    }

    /// What is known of an object as an owner.
    pub(crate) fn facts(&mut self, uid: &UidBytes) -> Result<Facts, StoreError> {
        if let Some(known) = self.cache.get(uid) {
            return Ok(known.clone());
        }
        let facts = self.look_up(uid)?;
        if self.cache.len() >= CACHED_OWNERS_MAX {
            self.cache.clear();
        }
        self.cache.insert(uid.clone(), facts.clone());
        Ok(facts)
    }

    /// The owners of a recorded object, which is hardly asked for again: it takes no other's place among what is remembered.
    /// `pod`: the number of its lifecycle, where its row refers to that.
    pub(crate) fn owners_once(
        &self,
        pod: Option<u64>,
        uid: &UidBytes,
    ) -> Result<Vec<OwnerRefRow>, StoreError> {
        if let Some(number) = pod {
            let pod = self.snapshot.tables().pod_of(number)?;
            return Ok(pod.map(|pod| pod.owners).unwrap_or_default());
        }
        let facts = match self.cache.get(uid) {
            Some(known) => known.clone(),
            None => self.look_up(uid)?,
        };
        Ok(facts
            .map(Arc::unwrap_or_clone)
            .map_or_else(Vec::new, |facts| facts.owners))
    }

    /// Looks up these owners and all above them before their walks, in the order in which they are packed: one by one, each
    /// would have its chunk read for itself. More than are remembered are left to their walks.
    pub(crate) fn look_up_ahead<'o>(
        &mut self,
        owners: impl Iterator<Item = &'o UidBytes>,
    ) -> Result<(), StoreError> {
        let mut level = self.unknown(owners);
        // Most have one above them. Should the place run out in the midst of them, all would be forgotten before their walks.
        if self.cache.len() + 2 * level.len() > CACHED_OWNERS_MAX {
            self.cache.clear();
        }
        for _ in 0..ANCESTORS_MAX {
            let room = CACHED_OWNERS_MAX.saturating_sub(self.cache.len());
            let found = self.look_up_level(level.into_iter().take(room))?;
            let above = found.iter().flat_map(|(_, facts)| facts);
            let above = above.flat_map(|facts| &facts.owners);
            level = self.unknown(above.map(|owner| &owner.uid));
            self.cache.extend(found);
            if level.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Those that are not remembered, in the order of their keys.
    fn unknown<'o>(&self, owners: impl Iterator<Item = &'o UidBytes>) -> BTreeSet<UidBytes> {
        let unknown = owners.filter(|uid| !self.cache.contains_key(*uid));
        unknown.cloned().collect()
    }

    fn look_up(&self, uid: &UidBytes) -> Result<Facts, StoreError> {
        let tables = self.snapshot.tables();
        let uid = Uid::from(uid);
        let row = match tables.owner(&uid)? {
            Some(row) => Some(row),
            None => tables.pod(&uid)?.map(|(_, pod)| OwnerRow::of_pod(pod)),
        };
        Ok(row.map(Arc::new))
    }

    /// The same for many, in the order of their keys: those that are not among the owners are looked for among pods all at
    /// once, which lie in another order.
    fn look_up_level(
        &self,
        uids: impl Iterator<Item = UidBytes>,
    ) -> Result<Vec<(UidBytes, Facts)>, StoreError> {
        let tables = self.snapshot.tables();
        let (mut found, mut pods) = (Vec::new(), Vec::new());
        for bytes in uids {
            let uid = Uid::from(&bytes);
            match tables.owner(&uid)? {
                Some(row) => found.push((bytes, Some(Arc::new(row)))),
                None => pods.push((keys::pod_uid_prefix(&uid), bytes)),
            }
        }
        pods.sort_unstable();
        for (_, bytes) in pods {
            let pod = tables.pod(&Uid::from(&bytes))?;
            let facts = pod.map(|(_, pod)| Arc::new(OwnerRow::of_pod(pod)));
            found.push((bytes, facts));
        }
        Ok(found)
    }

    /// The known ancestors of something with these owners, nearest first, each once.
    pub(crate) fn ancestors<'o>(
        &mut self,
        owners: impl Iterator<Item = &'o UidBytes>,
    ) -> Result<Vec<Arc<OwnerRow>>, StoreError> {
        // A few of them: searching a list is cheaper than hashing.
        let mut seen: Vec<UidBytes> = Vec::new();
        let mut next: VecDeque<UidBytes> = owners.cloned().collect();
        let mut ancestors = Vec::new();
        while let Some(uid) = next.pop_front() {
            if seen.len() >= ANCESTORS_MAX || seen.contains(&uid) {
                continue;
            }
            if let Some(row) = self.facts(&uid)? {
                next.extend(row.owners.iter().map(|owner| owner.uid.clone()));
                ancestors.push(row);
            }
            seen.push(uid);
        }
        Ok(ancestors)
    }
}
