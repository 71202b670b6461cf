//! Which objects are part of a trace.
//!
//! Decided once for each incarnation, from its first version in the window, so that its deletes share the fate of its
//! applies, and the order of arrival does not matter (X6).

use std::collections::HashMap;

use super::ExportFilters;
use crate::model::{EventKey, ObjectKey, TimeRange, Timestamp};
use crate::query::Ownership;
use crate::store::lookup::Lookup;
use crate::store::rows::{Incarnation, OwnerRefRow, OwnerRow};
use crate::store::{Snapshot, StoreError, keys};

/// Ancestors whose membership is remembered.
const CACHED_CANDIDATES_MAX: usize = 65_536;

/// Decides what is in a window's trace.
pub(super) struct Selection<'s> {
    snapshot: &'s Snapshot,
    filters: &'s ExportFilters,
    window: TimeRange,
    ownership: Ownership<'s>,
    candidates: HashMap<u64, bool>,
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
            cluster_scoped_left_out: 0,
        }
    }

    /// Which of these objects are part of the trace, each with the event of its first version in the window. At most
    /// [`EXPORT_OBJECTS_AT_ONCE_MAX`](crate::limits::EXPORT_OBJECTS_AT_ONCE_MAX): what is known of them is held in memory.
    pub(super) fn selects(
        &mut self,
        asked: &[(u64, EventKey)],
    ) -> Result<Vec<Option<Selected>>, StoreError> {
        let mut selected: Vec<Option<Selected>> = Vec::new();
        selected.resize_with(asked.len(), || None);
        let mut named = Vec::new();
        for (at, (id, _)) in asked.iter().enumerate() {
            if let Some(row) = self.snapshot.tables().incarnation(*id)?
                && self.filters.wants_name(&row.key)
            {
                // Pods by number and owners by UID, as they are packed.
                let uid = match row.pod {
                    Some(_) => Vec::new(),
                    None => keys::uid(&row.uid),
                };
                named.push(((row.pod, uid), at, row));
            }
        }
        named.sort_unstable_by(|(one, ..), (other, ..)| one.cmp(other));
        let facts = named
            .iter()
            .map(|(_, _, row)| self.ownership.facts_once(row))
            .collect::<Result<Vec<_>, _>>()?;
        let owners = facts.iter().flatten().flat_map(|facts| &facts.owners);
        self.ownership.look_up_ahead(owners)?;
        for ((_, at, row), facts) in named.into_iter().zip(facts) {
            if let (Some(asked), Some(place)) = (asked.get(at), selected.get_mut(at)) {
                *place = self.selects_named(*asked, &row, facts.as_deref())?;
            }
        }
        Ok(selected)
    }

    fn selects_named(
        &mut self,
        (id, first): (u64, EventKey),
        row: &Incarnation,
        facts: Option<&OwnerRow>,
    ) -> Result<Option<Selected>, StoreError> {
        let key = row.key.clone();
        let owners = facts.map_or(&[][..], |facts| &facts.owners);
        if !self.is_wanted(id, first, row, &key, owners)? {
            return Ok(None);
        }
        for ancestor in self.ownership.ancestors(owners)? {
            // Applying the ancestor creates the object: it must not be in the trace a second time.
            if self.ancestor_is_in(&ancestor)? {
                return Ok(None);
            }
        }
        if !self.filters.wants_scope(&key) {
            self.cluster_scoped_left_out += 1;
            return Ok(None);
        }
        Ok(Some(Selected {
            key,
            owned: !owners.is_empty(),
        }))
    }

    fn ancestor_is_in(&mut self, ancestor: &OwnerRow) -> Result<bool, StoreError> {
        let Some(id) = ancestor.object else {
            return Ok(false);
        };
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
        let key = &row.key;
        if !self.filters.wants_scope(key) || !self.filters.wants_name(key) {
            return Ok(false);
        }
        let facts = self.ownership.facts(&row.uid)?;
        let owners = facts.as_deref().map_or(&[][..], |facts| &facts.owners);
        self.is_wanted(id, first, row, key, owners)
    }

    /// Whether the filters want the object, its name, its scope and its ancestors aside.
    fn is_wanted(
        &self,
        id: u64,
        first: EventKey,
        row: &Incarnation,
        key: &ObjectKey,
        owners: &[OwnerRefRow],
    ) -> Result<bool, StoreError> {
        if owners.iter().any(|owner| owner.kind == "DaemonSet") {
            return Ok(false);
        }
        if owners.is_empty() && key.is_pod() && self.had_ended(row)? {
            return Ok(false);
        }
        if self.filters.need_labels() {
            let labels = labels_of(self.snapshot, id, first)?;
            if !self.filters.wants_labels(&labels) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A bare pod that had finished before the window is not part of it.
    fn had_ended(&self, row: &Incarnation) -> Result<bool, StoreError> {
        let tables = self.snapshot.tables();
        let pod = match row.pod {
            Some(number) => tables.pod_of(number)?,
            None => tables.pod(&row.uid)?.map(|(_, pod)| pod),
        };
        let end = pod
            .and_then(|pod| pod.times.end_us)
            .map(Timestamp::from_micros);
        Ok(end.is_some_and(|end| end < self.window.start))
    }
}

/// An object that is part of the trace.
pub(super) struct Selected {
    pub(super) key: ObjectKey,
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
