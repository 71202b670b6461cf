//! The first pass over one share of the objects: which are in, what the start state has, and the index.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::decisions::{Decision, Share};
use super::error::ExportError;
use super::filter::ExportFilters;
use super::index::Index;
use super::selection::Selection;
use super::sheet::Wanted;
use super::start_state::StartState;
use crate::limits::EXPORT_OBJECTS_AT_ONCE_MAX;
use crate::model::{EventKey, ObjectKey, TimeRange};
use crate::query::shares::share_of;
use crate::store::headers;
use crate::store::lookup::Lookup;
use crate::store::versions;
use crate::store::{Snapshot, StoreError};

/// What all shares read, and what they fill.
pub(super) struct Objects<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) filters: &'a ExportFilters,
    pub(super) window: TimeRange,
    /// Where the changes of the window begin and end.
    pub(super) events: Range<EventKey>,
    pub(super) start: Mutex<&'a mut StartState>,
    pub(super) index: Mutex<&'a mut Index>,
}

/// What one share counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    pub(super) start_objects: u64,
    pub(super) cluster_scoped_left_out: u64,
}

impl Objects<'_> {
    /// Decides on the objects of one share.
    pub(super) fn plan(&self, share: usize, decisions: &mut Share) -> Result<Counted, ExportError> {
        let mut selection = Selection::new(self.snapshot, self.filters, self.window);
        let start_objects = self.start_state(share, &mut selection, decisions)?;
        self.first_changes(share, &mut selection, decisions)?;
        self.index_rest(share, decisions)?;
        Ok(Counted {
            start_objects,
            cluster_scoped_left_out: selection.cluster_scoped_left_out,
        })
    }

    fn start_state(
        &self,
        share: usize,
        selection: &mut Selection<'_>,
        decisions: &mut Share,
    ) -> Result<u64, ExportError> {
        // Behind the end of the record, too: where its last event lies, an epoch may have ended that retention has dropped.
        let start = EventKey {
            at: self.window.start,
            seq: 0,
        };
        let events = start..self.events.end.max(start);
        let mut start_objects = 0;
        let mut alive = self
            .snapshot
            .alive_before(events, move |id| share_of(id) == share)?;
        loop {
            let some = alive.by_ref().take(EXPORT_OBJECTS_AT_ONCE_MAX);
            let some = some.collect::<Result<Vec<_>, _>>()?;
            if some.is_empty() {
                return Ok(start_objects);
            }
            let asked: Vec<_> = some
                .iter()
                .map(|alive| (alive.id, alive.version.event))
                .collect();
            for (alive, selected) in some.iter().zip(selection.selects(&asked)?) {
                let Some(selected) = selected else {
                    decisions.set(alive.id, Decision::Out)?;
                    continue;
                };
                let version = &alive.version;
                let Some(row) = self.snapshot.tables().incarnation(alive.id)? else {
                    continue;
                };
                let gvk = self.snapshot.gvk(version.kind)?;
                // Of an object that has always been read in one version of its kind, only the last hash shows.
                let is_all = !alive.changes || self.one_version(&row.key).is_some();
                let last = alive.last_spec_hash.filter(|_| is_all);
                let (decision, spec_hash) = match last {
                    Some(last) => (Decision::In, last),
                    None => (Decision::Unindexed, version.spec_hash),
                };
                decisions.set(alive.id, decision)?;
                let wanted = Wanted {
                    object: alive.id,
                    event: version.event,
                    body_len: version.body_len,
                };
                lock(&self.index).set(&gvk, &row.key, alive.id, spec_hash)?;
                lock(&self.start).insert(&row.key, selected.owned, wanted)?;
                start_objects += 1;
            }
        }
    }

    fn first_changes(
        &self,
        share: usize,
        selection: &mut Selection<'_>,
        decisions: &mut Share,
    ) -> Result<(), ExportError> {
        let Range { start, end } = self.events;
        let mut asked: Vec<(u64, EventKey)> = Vec::new();
        for entry in headers::range(self.snapshot.tables(), start, end)? {
            let (event, header) = entry?;
            // A deletion decides nothing: an object that was not there at the start, and is none of this window's before
            // it is deleted, stays out.
            if header.deleted
                || share_of(header.object) != share
                || decisions.get(header.object)?.is_some()
            {
                continue;
            }
            asked.push((header.object, event));
            // Until it is found to be out.
            decisions.set(header.object, Decision::Unindexed)?;
            if asked.len() >= EXPORT_OBJECTS_AT_ONCE_MAX {
                leave_out(&asked, selection, decisions)?;
                asked.clear();
            }
        }
        leave_out(&asked, selection, decisions)
    }

    /// The one version of its kind in which an object has always been read, where there is no other.
    fn one_version(&self, key: &ObjectKey) -> Option<u64> {
        self.snapshot.only_number_of(&key.group, &key.kind)
    }

    /// Puts those objects into the index of which it does not have all hashes yet.
    fn index_rest(&self, share: usize, decisions: &mut Share) -> Result<(), ExportError> {
        let tables = self.snapshot.tables();
        let Range { start, end } = self.events;
        decisions.for_each_unindexed::<ExportError>(share, |id| {
            let Some(row) = tables.incarnation(id)? else {
                return Ok(());
            };
            let key = row.key;
            let set = |kind: u64, hash: u64| -> Result<(), StoreError> {
                let gvk = self.snapshot.gvk(kind)?;
                lock(&self.index).set(&gvk, &key, id, hash)
            };
            if self.one_version(&key).is_some()
                && let Some(last) = tables.version_before(id, end)?
                && !last.deleted
            {
                return Ok(set(last.kind, last.spec_hash)?);
            }
            for version in versions::range(tables, id, start, end)? {
                let version = version?;
                if !version.deleted {
                    set(version.kind, version.spec_hash)?;
                }
            }
            Ok(())
        })
    }
}

/// Decides that those of these objects are out which are not selected.
fn leave_out(
    asked: &[(u64, EventKey)],
    selection: &mut Selection<'_>,
    decisions: &mut Share,
) -> Result<(), ExportError> {
    for ((id, _), selected) in asked.iter().zip(selection.selects(asked)?) {
        if selected.is_none() {
            decisions.set(*id, Decision::Out)?;
        }
    }
    Ok(())
}

/// What a share that panicked left behind is not used: its panic goes on.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
