//! The first pass: reads headers in one snapshot, decides and counts.

use std::collections::BTreeMap;
use std::path::Path;

use super::decisions::{Decision, Decisions};
use super::error::ExportError;
use super::grouping::Grouping;
use super::lifecycles::{Lifecycles, plan_lifecycles};
use super::run::ExportRequest;
use super::selection::Selection;
use super::sheet::Wanted;
use crate::config::TracerConfig;
use crate::model::{EventKey, Gvk, ObjectKey, TimeRange, Timestamp};
use crate::store::headers;
use crate::store::lookup::Lookup;
use crate::store::scratch::Scratch;
use crate::store::versions;
use crate::store::{Snapshot, StoreError, keys};

/// Everything about an export except the bodies. Memory is bounded: what grows with the window is in scratch maps.
pub(super) struct Plan {
    pub(super) window: TimeRange,
    /// The first event key behind the snapshot: what is recorded later is not part of this export.
    pub(super) horizon: EventKey,
    pub(super) config: TracerConfig,
    /// Events of the trace, the first (the start state) included.
    pub(super) events: u32,
    pub(super) start: StartState,
    pub(super) start_objects: u32,
    pub(super) decisions: Decisions,
    pub(super) index: Index,
    pub(super) lifecycles: Lifecycles,
    pub(super) applied: u64,
    pub(super) deleted: u64,
    pub(super) cluster_scoped_left_out: u64,
}

impl Plan {
    pub(super) fn make(
        snapshot: &Snapshot,
        request: &ExportRequest,
        scratch_folder: &Path,
    ) -> Result<Self, ExportError> {
        let Some((record_start, _)) = snapshot.extent() else {
            return Err(ExportError::Empty);
        };
        let window = request.window;
        if window.end <= record_start && window.end > window.start {
            return Err(ExportError::BeforeRecord {
                end: window.end,
                record_start,
            });
        }
        let writer = snapshot.writer();
        let horizon = EventKey {
            at: Timestamp::from_micros(writer.last_us),
            seq: writer.last_seq.saturating_add(1),
        };
        let mut plan = Self {
            window,
            horizon,
            config: snapshot.config_before(window.end)?,
            events: 1,
            start: StartState(Scratch::new(scratch_folder)),
            start_objects: 0,
            decisions: Decisions::new(scratch_folder),
            index: Index::new(scratch_folder),
            lifecycles: Lifecycles::new(scratch_folder),
            applied: 0,
            deleted: 0,
            cluster_scoped_left_out: 0,
        };
        let mut selection = Selection::new(snapshot, &request.filters, window);
        plan.start_state(snapshot, &mut selection)?;
        plan.events(snapshot, &mut selection)?;
        plan.cluster_scoped_left_out = selection.cluster_scoped_left_out;
        plan_lifecycles(snapshot, &mut plan)?;
        Ok(plan)
    }

    /// Where the changes of the window begin and end.
    pub(super) fn event_range(&self) -> std::ops::Range<EventKey> {
        let end = EventKey {
            at: self.window.end,
            seq: 0,
        }
        .min(self.horizon);
        let start = EventKey {
            at: self.window.start,
            seq: 0,
        }
        .min(end);
        start..end
    }

    fn start_state(
        &mut self,
        snapshot: &Snapshot,
        selection: &mut Selection<'_>,
    ) -> Result<(), ExportError> {
        let start = EventKey {
            at: self.window.start,
            seq: 0,
        };
        for alive in snapshot.alive_before(start)? {
            let alive = alive?;
            let selected = selection.selects(alive.id, alive.version.event)?;
            self.decisions
                .set(alive.id, Decision::in_if(selected.is_some()))?;
            let Some(selected) = selected else { continue };
            let version = alive.version;
            let gvk = snapshot.gvk(version.kind)?;
            self.index.set(&gvk, &selected.key, version.spec_hash)?;
            let sort_key = start_sort_key(&selected.key, selected.owned, alive.id);
            let wanted = Wanted {
                object: alive.id,
                event: version.event,
                body_len: version.body_len,
            };
            self.start.insert(sort_key, wanted)?;
            self.start_objects = self
                .start_objects
                .checked_add(1)
                .ok_or(ExportError::TooLarge { what: "objects" })?;
        }
        Ok(())
    }

    fn events(
        &mut self,
        snapshot: &Snapshot,
        selection: &mut Selection<'_>,
    ) -> Result<(), ExportError> {
        let mut grouping = Grouping::default();
        let range = self.event_range();
        for entry in headers::range(snapshot.tables(), range.start, range.end)? {
            let (event, header) = entry?;
            let decision = match self.decisions.get(header.object)? {
                Some(decision) => decision,
                // The object was not there at the start, so its deletion is none of this window's.
                None if header.deleted => Decision::Out,
                None => {
                    let selected = selection.selects(header.object, event)?;
                    let decision = Decision::in_if(selected.is_some());
                    self.decisions.set(header.object, decision)?;
                    decision
                }
            };
            if decision == Decision::Out {
                continue;
            }
            if grouping.begins_event(event.at.as_seconds(), header.deleted, header.body_len) {
                self.events = self
                    .events
                    .checked_add(1)
                    .ok_or(ExportError::TooLarge { what: "events" })?;
            }
            if header.deleted {
                self.deleted += 1;
            } else {
                self.applied += 1;
                if decision != Decision::Changed {
                    self.decisions.set(header.object, Decision::Changed)?;
                }
            }
        }
        self.index_changed(snapshot)
    }

    /// Puts what changed in the window into the index. Later incarnations of a name have greater ids, so the last
    /// version wins.
    fn index_changed(&mut self, snapshot: &Snapshot) -> Result<(), ExportError> {
        let std::ops::Range { start, end } = self.event_range();
        let Self {
            decisions, index, ..
        } = self;
        let tables = snapshot.tables();
        decisions.for_each_changed::<ExportError>(|id| {
            let Some(row) = tables.incarnation(id)? else {
                return Ok(());
            };
            let key = row.key;
            // Of an object that has always been read in one version of its kind, only the last hash shows.
            if snapshot.only_number_of(&key.group, &key.kind).is_some()
                && let Some(last) = tables.version_before(id, end)?
                && !last.deleted
            {
                return Ok(index.set(&snapshot.gvk(last.kind)?, &key, last.spec_hash)?);
            }
            for version in versions::range(tables, id, start, end)? {
                let version = version?;
                if !version.deleted {
                    index.set(&snapshot.gvk(version.kind)?, &key, version.spec_hash)?;
                }
            }
            Ok(())
        })
    }
}

/// The order of the start state (X4): namespaces first, then what has no owners, then the rest; each by group, kind,
/// namespace, name.
fn start_sort_key(key: &ObjectKey, owned: bool, id: u64) -> Vec<u8> {
    let rank = match (key.group.is_empty() && key.kind == "Namespace", owned) {
        (true, _) => 0,
        (false, false) => 1,
        (false, true) => 2,
    };
    let mut bytes = vec![rank];
    bytes.extend_from_slice(&keys::object(key, id));
    bytes
}

/// The objects of the start state in its order.
pub(super) struct StartState(Scratch);

impl StartState {
    fn insert(&mut self, sort_key: Vec<u8>, wanted: Wanted) -> Result<(), StoreError> {
        let mut value = keys::history(wanted.object, wanted.event).to_vec();
        value.extend_from_slice(&wanted.body_len.to_be_bytes());
        self.0.insert(sort_key, value)
    }

    /// Calls `each` with every object in its order.
    pub(super) fn for_each(
        &mut self,
        mut each: impl FnMut(Wanted) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        self.0.for_each(|_, value| {
            let (key, body_len) = value.split_first_chunk().unwrap_or((&[0; 24], &[]));
            each(Wanted {
                object: keys::history_object(key),
                event: keys::history_event(key),
                body_len: body_len.try_into().map(u32::from_be_bytes).unwrap_or(0),
            })
        })
    }
}

/// The trace's index: kind and name -> hash of the last spec.
pub(super) struct Index {
    entries: Scratch,
}

impl Index {
    fn new(folder: &Path) -> Self {
        Self {
            entries: Scratch::new(folder),
        }
    }

    fn key(gvk: &str, name: &str) -> Vec<u8> {
        let mut bytes = keys::text(gvk);
        bytes.extend_from_slice(&keys::text(name));
        bytes
    }

    fn set(&mut self, gvk: &Gvk, key: &ObjectKey, hash: u64) -> Result<(), StoreError> {
        let key = Self::key(&gvk.to_string(), &key.namespaced_name());
        self.entries.insert(key, hash.to_be_bytes().to_vec())
    }

    /// Whether the trace contains an object of this kind and name.
    pub(super) fn contains(&self, gvk: &str, name: &str) -> Result<bool, StoreError> {
        Ok(self.entries.get(&Self::key(gvk, name))?.is_some())
    }

    /// Calls `each` with kind, name and hash, ordered by kind and name.
    pub(super) fn for_each<E: From<StoreError>>(
        &mut self,
        mut each: impl FnMut(&str, &str, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        self.entries.for_each(|key, value| {
            let mut reader = keys::KeyReader::new("index", key);
            let (gvk, name) = (reader.text()?, reader.text()?);
            let hash = value.try_into().map(u64::from_be_bytes).unwrap_or_default();
            each(&gvk, &name, hash)
        })
    }

    /// How many objects of each kind there are. As many entries as there are kinds.
    pub(super) fn counts(&mut self) -> Result<BTreeMap<String, u32>, ExportError> {
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        self.for_each::<ExportError>(|gvk, _, _| {
            if !counts.contains_key(gvk) {
                counts.insert(gvk.to_owned(), 0);
            }
            if let Some(count) = counts.get_mut(gvk) {
                *count = count
                    .checked_add(1)
                    .ok_or(ExportError::TooLarge { what: "objects" })?;
            }
            Ok(())
        })?;
        Ok(counts)
    }
}
