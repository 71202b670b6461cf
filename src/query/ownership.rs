//! Who owns whom, by UID, from what is stored (R12).

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use crate::limits::ANCESTORS_MAX;
use crate::model::Uid;
use crate::store::lookup::Lookup;
use crate::store::rows::{OwnerRefRow, OwnerRow, UidBytes};
use crate::store::{Snapshot, StoreError, keys};

/// Owners remembered between walks, about 400 bytes each.
const CACHED_OWNERS_MAX: usize = 8_192;
/// Owners that are best looked up at once: with one above each, all are remembered.
pub(crate) const OWNERS_AHEAD_MAX: usize = CACHED_OWNERS_MAX / 2;

/// What is known of an object as an owner; `None`: nothing.
type Facts = Option<Arc<OwnerRow>>;

/// Walks owner chains in one snapshot.
pub(crate) struct Ownership<'s> {
    snapshot: &'s Snapshot,
    cache: HashMap<UidBytes, Facts>,
    /// How many are remembered.
    most: usize,
}

impl<'s> Ownership<'s> {
    pub(crate) fn new(snapshot: &'s Snapshot) -> Self {
        Self {
            snapshot,
            cache: HashMap::new(),
            most: CACHED_OWNERS_MAX,
        }
    }

    /// What is known of an object as an owner.
    pub(crate) fn facts(&mut self, uid: &UidBytes) -> Result<Facts, StoreError> {
        if let Some(known) = self.cache.get(uid) {
            return Ok(known.clone());
        }
        let facts = self.look_up(uid)?;
        if self.cache.len() >= self.most {
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
        if self.cache.len() + 2 * level.len() > self.most {
            self.cache.clear();
        }
        for _ in 0..ANCESTORS_MAX {
            let room = self.most.saturating_sub(self.cache.len());
            let found = self.look_up_level(level.into_iter().take(room))?;
            let above = found.iter().flat_map(|(_, facts)| facts.clone());
            let above: Vec<_> = above.collect();
            self.cache.extend(found);
            let above = above.iter().flat_map(|facts| &facts.owners);
            level = self.unknown(above.map(|owner| &owner.uid));
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::query::recorded::recorded;

    /// Of every pod the owners' ids, nearest first; so many pods are looked up ahead at a time.
    fn chains(snapshot: &Snapshot, most: usize, ahead: usize) -> Vec<Vec<Option<u64>>> {
        let mut ownership = Ownership::new(snapshot);
        ownership.most = most;
        let pod = |number| snapshot.tables().pod_of(number).unwrap();
        let pods: Vec<_> = (1..=snapshot.writer().last_pod).filter_map(pod).collect();
        let mut chains = Vec::new();
        for some in pods.chunks(ahead.max(1)) {
            let owners = some.iter().flat_map(|pod| &pod.owners);
            if ahead > 0 {
                let owners = owners.map(|owner| &owner.uid);
                ownership.look_up_ahead(owners).unwrap();
            }
            for pod in some {
                let owners = pod.owners.iter().map(|owner| &owner.uid);
                let chain = ownership.ancestors(owners).unwrap();
                chains.push(chain.iter().map(|owner| owner.object).collect());
                assert!(ownership.cache.len() <= most);
            }
        }
        chains
    }

    #[tokio::test]
    async fn what_is_looked_up_ahead_or_forgotten_changes_no_chain() {
        let folder = tempfile::tempdir().unwrap();
        let reader = recorded(folder.path(), 1_000, 3_000).await;
        let snapshot = reader.snapshot().unwrap();
        let expected = chains(&snapshot, CACHED_OWNERS_MAX, 0);
        assert!(expected.iter().filter(|chain| !chain.is_empty()).count() > 100);
        // Nothing is remembered, less than a batch has, more than it has.
        for (most, ahead) in [(1, 1), (5, 64), (40, 64), (10_000, 64), (10_000, 10_000)] {
            assert_eq!(chains(&snapshot, most, ahead), expected, "{most} {ahead}");
        }
    }

    /// What a walk finds was looked up with others, be it a recorded owner, a pod, or nothing.
    #[tokio::test]
    async fn looked_up_together_or_alone_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let reader = recorded(folder.path(), 300, 1_000).await;
        let snapshot = reader.snapshot().unwrap();
        let ownership = Ownership::new(&snapshot);
        let writer = snapshot.writer();
        let row = |id| snapshot.tables().incarnation(id).unwrap();
        let rows = (1..=writer.last_object).filter_map(row);
        let mut uids: BTreeSet<_> = rows.map(|row| UidBytes::from(&row.uid)).collect();
        uids.insert(UidBytes::from(&Uid("nobody's".to_owned())));
        let found = ownership.look_up_level(uids.iter().cloned()).unwrap();
        assert_eq!(found.len(), uids.len());
        let mut seen = BTreeSet::new();
        for (uid, facts) in found {
            assert_eq!(facts, ownership.look_up(&uid).unwrap());
            let kind = facts
                .as_ref()
                .map_or(0, |facts| 1 + usize::from(facts.kind == "Pod"));
            seen.insert(kind);
        }
        assert_eq!(seen.len(), 3);
    }
}
