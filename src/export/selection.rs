//! Which objects are part of a trace.
//!
//! Decided once for each incarnation, from its first version in the window, so that its deletes share the fate of its
//! applies, and the order of arrival does not matter (X6).

use std::collections::{BTreeSet, HashMap};
use std::iter;

use super::ExportFilters;
use crate::limits::ANCESTORS_MAX;
use crate::model::{EventKey, TimeRange, Timestamp, Uid};
use crate::query::{OWNERS_AHEAD_MAX, Ownership};
use crate::store::lookup::Lookup;
use crate::store::rows::{Incarnation, OwnerRefRow, UidBytes};
use crate::store::{Snapshot, StoreError};

/// Ancestors whose membership is remembered.
const CACHED_CANDIDATES_MAX: usize = 65_536;
/// Owners of which it is remembered whether the trace creates what they own, about 80 bytes each.
const CACHED_OWNERS_MAX: usize = 16_384;

/// Decides what is in a window's trace.
pub(super) struct Selection<'s> {
    snapshot: &'s Snapshot,
    filters: &'s ExportFilters,
    window: TimeRange,
    ownership: Ownership<'s>,
    candidates: HashMap<u64, bool>,
    /// Whether applying the trace creates what an owner with this UID owns: many objects have the same owner.
    creates: HashMap<UidBytes, bool>,
    /// Of how many owners that is remembered.
    creates_max: usize,
    /// Objects left out only because they are cluster-scoped.
    pub(super) cluster_scoped_left_out: u64,
}

impl<'s> Selection<'s> {
    pub(super) fn new(
        snapshot: &'s Snapshot,
        filters: &'s ExportFilters,
        window: TimeRange,
    ) -> Self {
        Self {
            snapshot,
            filters,
            window,
            ownership: Ownership::new(snapshot),
            candidates: HashMap::new(),
            creates: HashMap::new(),
            creates_max: CACHED_OWNERS_MAX,
            cluster_scoped_left_out: 0,
        }
    }

    /// Which of these objects are part of the trace, each with the event of its first version in the window. At most
    /// [`EXPORT_OBJECTS_AT_ONCE_MAX`](crate::limits::EXPORT_OBJECTS_AT_ONCE_MAX): some of what is known of them is held in
    /// memory.
    pub(super) fn selects(
        &mut self,
        asked: &[(u64, EventKey)],
    ) -> Result<Vec<Option<Selected>>, StoreError> {
        let mut named = Vec::new();
        for (at, (id, first)) in asked.iter().enumerate() {
            if let Some(row) = self.snapshot.tables().incarnation(*id)?
                && self.filters.wants_name(&row.key)
            {
                named.push((Named::new(*id, *first, &row, self.filters), at));
            }
        }
        // Pods by number and owners by UID, as they are packed.
        named.sort_unstable_by(|(one, _), (other, _)| one.place().cmp(&other.place()));
        let mut wanted = Vec::new();
        for (object, at) in named {
            let owners = self.ownership.owners_once(object.pod, &object.uid)?;
            if self.is_wanted(&object, &owners)? {
                let owners = owners.into_iter().take(ANCESTORS_MAX);
                let owners = owners.map(|owner| owner.uid);
                wanted.push((at, object.wants_scope, owners.collect::<Vec<_>>()));
            }
        }
        self.learn(wanted.iter().flat_map(|(_, _, owners)| owners))?;
        let mut selected = vec![None; asked.len()];
        for (at, wants_scope, owners) in wanted {
            if self.any_creates(&owners)? {
                // Applying the trace creates the object: it must not be in it a second time.
                continue;
            }
            if !wants_scope {
                self.cluster_scoped_left_out += 1;
            } else if let Some(place) = selected.get_mut(at) {
                let owned = !owners.is_empty();
                *place = Some(Selected { owned });
            }
        }
        Ok(selected)
    }

    /// Finds out of all these owners whether the trace creates what they own: a few thousand at a time, in the order in which
    /// they are packed.
    fn learn<'o>(
        &mut self,
        owners: impl Iterator<Item = &'o UidBytes> + Clone,
    ) -> Result<(), StoreError> {
        let mut unknown: BTreeSet<_> = owners.clone().collect();
        unknown.retain(|owner| !self.creates.contains_key(*owner));
        if self.creates.len() + unknown.len() > self.creates_max {
            // Not in the midst of them.
            self.creates.clear();
            unknown = owners.collect();
        }
        let unknown: Vec<_> = unknown.into_iter().collect();
        for some in unknown.chunks(OWNERS_AHEAD_MAX) {
            self.ownership.look_up_ahead(some.iter().copied())?;
            self.learn_nearest(some)?;
            for owner in some {
                self.creates(owner)?;
            }
        }
        Ok(())
    }

    /// Finds out of the nearest recorded ancestors, these owners themselves or those above them, whether they may be in the
    /// trace. They are asked in any case, so in the order of their ids: that is how versions are packed.
    fn learn_nearest(&mut self, owners: &[&UidBytes]) -> Result<(), StoreError> {
        let mut nearest = BTreeSet::new();
        for owner in owners {
            let ancestors = self.ownership.ancestors(iter::once(*owner))?;
            nearest.extend(ancestors.iter().find_map(|ancestor| ancestor.object));
        }
        for id in nearest {
            self.ancestor_is_in(id)?;
        }
        Ok(())
    }

    fn any_creates(&mut self, owners: &[UidBytes]) -> Result<bool, StoreError> {
        for owner in owners {
            if self.creates(owner)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether an owner is in the trace, or one above it.
    fn creates(&mut self, owner: &UidBytes) -> Result<bool, StoreError> {
        if let Some(known) = self.creates.get(owner) {
            return Ok(*known);
        }
        let mut creates = false;
        for ancestor in self.ownership.ancestors(iter::once(owner))? {
            if let Some(id) = ancestor.object
                && self.ancestor_is_in(id)?
            {
                creates = true;
                break;
            }
        }
        if self.creates.len() >= self.creates_max {
            self.creates.clear();
        }
        self.creates.insert(owner.clone(), creates);
        Ok(creates)
    }

    fn ancestor_is_in(&mut self, id: u64) -> Result<bool, StoreError> {
        if let Some(known) = self.candidates.get(&id) {
            return Ok(*known);
        }
        let is_in = match (
            self.first_version(id)?,
            self.snapshot.tables().incarnation(id)?,
        ) {
            // An ancestor that an ancestor of its own keeps out is created by that one, and so is the object.
            (Some(first), Some(row)) => self.is_candidate(id, first, &row)?,
            _ => false,
        };
        if self.candidates.len() >= CACHED_CANDIDATES_MAX {
            self.candidates.clear();
        }
        self.candidates.insert(id, is_in);
        Ok(is_in)
    }

    /// The first version of an object that the window shows; `None` where it shows none.
    fn first_version(&self, id: u64) -> Result<Option<EventKey>, StoreError> {
        let start = EventKey {
            at: self.window.start,
            seq: 0,
        };
        let end = EventKey {
            at: self.window.end,
            seq: 0,
        };
        let tables = self.snapshot.tables();
        if let Some(version) = tables.version_before(id, start)?
            && !version.deleted
        {
            return Ok(Some(version.event));
        }
        let first = tables.version_from(id, start, end)?;
        Ok(first
            .filter(|version| !version.deleted)
            .map(|version| version.event))
    }

    /// Whether the object is in the trace, ancestors aside.
    fn is_candidate(
        &mut self,
        id: u64,
        first: EventKey,
        row: &Incarnation,
    ) -> Result<bool, StoreError> {
        let object = Named::new(id, first, row, self.filters);
        if !object.wants_scope || !self.filters.wants_name(&row.key) {
            return Ok(false);
        }
        let facts = self.ownership.facts(&object.uid)?;
        let owners = facts.as_deref().map_or(&[][..], |facts| &facts.owners);
        self.is_wanted(&object, owners)
    }

    /// Whether the filters want the object, its name, its scope and its ancestors aside.
    fn is_wanted(&self, object: &Named, owners: &[OwnerRefRow]) -> Result<bool, StoreError> {
        if owners.iter().any(|owner| owner.kind == "DaemonSet") {
            return Ok(false);
        }
        if owners.is_empty() && object.is_pod && self.had_ended(object)? {
            return Ok(false);
        }
        if self.filters.need_labels() {
            let labels = labels_of(self.snapshot, object.id, object.first)?;
            if !self.filters.wants_labels(&labels) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A bare pod that had finished before the window is not part of it.
    fn had_ended(&self, pod: &Named) -> Result<bool, StoreError> {
        let tables = self.snapshot.tables();
        let pod = match pod.pod {
            Some(number) => tables.pod_of(number)?,
            None => tables.pod(&Uid::from(&pod.uid))?.map(|(_, pod)| pod),
        };
        let end = pod
            .and_then(|pod| pod.times.end_us)
            .map(Timestamp::from_micros);
        Ok(end.is_some_and(|end| end < self.window.start))
    }
}

/// An object that may be part of the trace, in a hundred bytes: what its name has to say is said.
struct Named {
    id: u64,
    /// Its first version in the window.
    first: EventKey,
    /// Number of its lifecycle, where its row refers to that.
    pod: Option<u64>,
    uid: UidBytes,
    is_pod: bool,
    wants_scope: bool,
}

impl Named {
    fn new(id: u64, first: EventKey, row: &Incarnation, filters: &ExportFilters) -> Self {
        Self {
            id,
            first,
            pod: row.pod,
            uid: UidBytes::from(&row.uid),
            is_pod: row.key.is_pod(),
            wants_scope: filters.wants_scope(&row.key),
        }
    }

    /// Where what is known of it as something that is owned is packed: among pods, or among owners.
    fn place(&self) -> (Option<u64>, &UidBytes) {
        (self.pod, &self.uid)
    }
}

/// An object that is part of the trace.
#[derive(Clone, Copy)]
pub(super) struct Selected {
    pub(super) owned: bool,
}

fn labels_of(
    snapshot: &Snapshot,
    id: u64,
    event: EventKey,
) -> Result<crate::model::observation::Labels, StoreError> {
    let body = snapshot.body(id, event)?;
    let object = crate::query::decode_body(event, &body)?;
    let labels = object
        .pointer("/metadata/labels")
        .and_then(serde_json::Value::as_object);
    Ok(labels
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::query::recorded::recorded;

    /// Which of all objects are in the trace, so many decided on at a time.
    fn selected(snapshot: &Snapshot, creates_max: usize, at_once: usize) -> Vec<Option<bool>> {
        let filters = ExportFilters::default();
        let window = TimeRange::new(Timestamp::from_seconds(0), Timestamp::MAX).unwrap();
        let mut selection = Selection::new(snapshot, &filters, window);
        selection.creates_max = creates_max;
        let first = |id| Some((id, selection.first_version(id).unwrap()?));
        let asked: Vec<_> = (1..=snapshot.writer().last_object)
            .filter_map(first)
            .collect();
        let mut selected = Vec::new();
        for some in asked.chunks(at_once) {
            let some = selection.selects(some).unwrap();
            selected.extend(some.into_iter().map(|one| Some(one?.owned)));
            assert!(selection.creates.len() <= creates_max);
        }
        selected
    }

    #[tokio::test]
    async fn what_is_remembered_of_owners_changes_no_decision() {
        let folder = tempfile::tempdir().unwrap();
        let reader = recorded(folder.path(), 1_000, 3_000).await;
        let snapshot = reader.snapshot().unwrap();
        let expected = selected(&snapshot, 1, 1);
        let count = |what| expected.iter().filter(|one| **one == what).count();
        assert!(count(None) > 100 && count(Some(false)) > 100);
        for (creates_max, at_once) in [(5, 64), (40, 64), (10_000, 64), (10_000, 100_000)] {
            let decided = selected(&snapshot, creates_max, at_once);
            assert_eq!(decided, expected, "{creates_max} {at_once}");
        }
    }
}
