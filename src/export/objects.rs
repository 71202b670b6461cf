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
use crate::model::{EventKey, TimeRange};
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
        self.index_changed(share, decisions)?;
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
        let start = EventKey {
            at: self.window.start,
            seq: 0,
        };
        let mut start_objects = 0;
        let mut alive = self
            .snapshot
            .alive_before(start, move |id| share_of(id) == share)?;
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
                decisions.set(alive.id, Decision::in_if(selected.is_some()))?;
                let Some(selected) = selected else { continue };
                let version = &alive.version;
                let Some(row) = self.snapshot.tables().incarnation(alive.id)? else {
                    continue;
                };
                let gvk = self.snapshot.gvk(version.kind)?;
                let wanted = Wanted {
                    object: alive.id,
                    event: version.event,
                    body_len: version.body_len,
                };
                lock(&self.index).set(&gvk, &row.key, alive.id, version.spec_hash)?;
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
            if header.deleted || share_of(header.object) != share {
                continue;
            }
            match decisions.get(header.object)? {
                Some(Decision::Out | Decision::Changed) => continue,
                Some(Decision::In) => {}
                // Until it is found to be out.
                None => asked.push((header.object, event)),
            }
            decisions.set(header.object, Decision::Changed)?;
            if asked.len() >= EXPORT_OBJECTS_AT_ONCE_MAX {
                leave_out(&asked, selection, decisions)?;
                asked.clear();
            }
        }
        leave_out(&asked, selection, decisions)
    }

    /// Puts what changed in the window into the index.
    fn index_changed(&self, share: usize, decisions: &mut Share) -> Result<(), ExportError> {
        let tables = self.snapshot.tables();
        let Range { start, end } = self.events;
        decisions.for_each_changed::<ExportError>(share, |id| {
            let Some(row) = tables.incarnation(id)? else {
                return Ok(());
            };
            let key = row.key;
            let set = |kind: u64, hash: u64| -> Result<(), StoreError> {
                let gvk = self.snapshot.gvk(kind)?;
                lock(&self.index).set(&gvk, &key, id, hash)
            };
            // Of an object that has always been read in one version of its kind, only the last hash shows.
            let one_version = self.snapshot.only_number_of(&key.group, &key.kind);
            if one_version.is_some()
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
