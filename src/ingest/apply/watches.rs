//! Watches: how far each has come, when it was blind (R9, R10), and what a complete list proves to be gone (R7).

use std::collections::HashSet;
use std::ops::Bound;

use super::{Apply, Certainty, gap_reason};
use crate::ingest::list_marks::Listed;
use crate::ingest::state::{Watch, uid_mark};
use crate::limits::WATCHES_STOP_MS_MAX;
use crate::model::{ObjectKey, ObservedPod, Timestamp, Uid, WatchId};
use crate::store::lookup::{Lookup, as_slice};
use crate::store::rows::{GapRow, ObjectRow, PodRow, WatchRow};
use crate::store::tables::{Rows, get, put};
use crate::store::{StoreError, keys};

/// Rows that a sweep reads before it writes.
const SWEEP_CHUNK_ROWS: usize = 1_024;

impl Apply<'_, '_> {
    /// How sure the time of what this watch delivers now is.
    pub(super) fn certainty(&self, watch: &WatchId) -> Certainty {
        let Some(watch) = self.state.watches.get(watch) else {
            return Certainty::default();
        };
        let row = &watch.row;
        // A list shows what is, not when it came to be: since the last contact at the earliest.
        let since = row
            .blind_since_us
            .or(watch.list.is_under_way().then_some(row.contact_us));
        Certainty {
            since: since.map(Timestamp::from_micros),
            initial: !row.listed,
        }
    }

    /// A list begins because no version is known from which the watch could go on: should the list never end, nothing
    /// may be resumed from an older one.
    pub(super) fn list_started(&mut self, watch: &WatchId) {
        if let Some(watch) = self.state.watches.get_mut(watch) {
            watch.list.begin(self.state.row.last_pod == 0);
            watch.row.resource_version = None;
            watch.dirty = true;
        }
    }

    /// The list under way, if there is one, has shown this UID.
    pub(super) fn mark_listed(&mut self, watch: &WatchId, uid: &Uid) {
        if let Some(watch) = self.state.watches.get_mut(watch)
            && watch.list.is_under_way()
        {
            watch.list.mark(uid_mark(uid));
        }
    }

    /// The same of a pod; what that says of it.
    pub(super) fn pod_listed(&mut self, watch: &WatchId, pod: &ObservedPod) -> Listed {
        let pods = self.state.row.last_pod;
        match self.state.watches.get_mut(watch) {
            Some(watch) if watch.list.is_under_way() => {
                let mark = uid_mark(&pod.uid);
                watch.list.mark_pod(mark, &pod.namespace, &pod.name, pods)
            }
            _ => Listed::default(),
        }
    }

    /// The list under way, if there is one, has shown this UID, of which nothing is recorded.
    pub(super) fn mark_unreadable(&mut self, watch: &WatchId, uid: &Uid) {
        self.mark_listed(watch, uid);
        if let Some(watch) = self.state.watches.get_mut(watch) {
            watch.list.is_not_all_of_pods();
        }
    }

    /// Everything up to this version has been applied.
    pub(super) fn delivered(
        &mut self,
        at: Timestamp,
        watch: &WatchId,
        resource_version: Option<&str>,
    ) {
        let Some(watch) = self.state.watches.get_mut(watch) else {
            return;
        };
        let Some(version) = resource_version else {
            return;
        };
        watch.row.resource_version = Some(version.to_owned());
        if watch.row.blind_since_us.is_none() {
            watch.row.contact_us = at.as_micros();
        }
        watch.dirty = true;
    }

    /// The watch is complete up to a time that may lie before what it has delivered since: it goes back to that. But no
    /// further than a stop may take: a clock that was set back has not made it blind.
    pub(super) fn ended(&mut self, watch: &WatchId, complete_until: Timestamp) {
        let last_us = self.state.row.last_us;
        let Some(watch) = self.state.watches.get_mut(watch) else {
            return;
        };
        if watch.row.listed && watch.row.blind_since_us.is_none() {
            let stop_us = WATCHES_STOP_MS_MAX as i64 * 1_000;
            let least = watch.row.contact_us.saturating_sub(stop_us);
            watch.row.contact_us = complete_until.as_micros().min(last_us).max(least);
            watch.dirty = true;
        }
    }

    /// A complete list: what is stored as existing and was not in it is gone.
    pub(super) fn list_finished(
        &mut self,
        at: Timestamp,
        watch: &WatchId,
        resource_version: &str,
    ) -> Result<(), StoreError> {
        let certainty = self.certainty(watch);
        let pods = self.state.row.last_pod;
        let has_all_pods = self
            .state
            .watches
            .get(watch)
            .is_some_and(|watch| watch.list.has_all_pods(pods));
        let Some(listed) = self
            .state
            .watches
            .get_mut(watch)
            .and_then(|watch| watch.list.take())
        else {
            // Its beginning was forgotten (the watch went blind in the middle): it proves nothing.
            tracing::warn!(kind = %watch, "a list ended that had not begun; nothing is inferred from it");
            return Ok(());
        };
        // Pods are listed for their lifecycles too: their objects are none of the record's then (R17).
        if self.state.is_tracked(&watch.group, &watch.kind) {
            self.sweep_objects(at, watch, &listed, certainty)?;
        }
        if watch.is_pod() && !has_all_pods {
            self.sweep_pods(at, &listed, certainty)?;
        }
        if let Some(watch) = self.state.watches.get_mut(watch) {
            watch.row.listed = true;
            watch.row.resource_version = Some(resource_version.to_owned());
        }
        self.sighted(at, watch)
    }

    /// The watch has lost its contact. A list under way is forgotten.
    pub(super) fn blind(
        &mut self,
        _at: Timestamp,
        watch: &WatchId,
        reason: &str,
    ) -> Result<(), StoreError> {
        let Some(mut state) = self.state.watches.remove(watch) else {
            return Ok(());
        };
        state.list.take();
        let result = self.open_gap(watch, &mut state, reason);
        self.state.watches.insert(watch.clone(), state);
        result
    }

    pub(super) fn open_gap(
        &mut self,
        watch: &WatchId,
        state: &mut Watch,
        reason: &str,
    ) -> Result<(), StoreError> {
        state.dirty = true;
        if let Some(number) = state.row.gap {
            if let Some(mut gap) = get::<_, GapRow>(&self.tables.gaps, number)?
                && !gap.reason.contains(reason)
            {
                gap.reason = gap_reason::with(&gap.reason, reason);
                put(&mut self.tables.gaps, number, &gap)?;
            }
            return Ok(());
        }
        let start_us = *state.row.blind_since_us.get_or_insert(state.row.contact_us);
        self.state.row.last_gap += 1;
        let number = self.state.row.last_gap;
        let gap = GapRow {
            watch: watch.to_string(),
            start_us,
            end_us: None,
            reason: gap_reason::first(reason),
        };
        put(&mut self.tables.gaps, number, &gap)?;
        state.row.gap = Some(number);
        Ok(())
    }

    /// The watch sees again: its gap, if it has one, ends here.
    pub(super) fn sighted(&mut self, at: Timestamp, watch: &WatchId) -> Result<(), StoreError> {
        let Some(state) = self.state.watches.get_mut(watch) else {
            return Ok(());
        };
        state.dirty = true;
        state.row.blind_since_us = None;
        state.row.contact_us = at.as_micros();
        let Some(number) = state.row.gap.take() else {
            return Ok(());
        };
        if let Some(mut gap) = get::<_, GapRow>(&self.tables.gaps, number)? {
            gap.end_us = Some(at.as_micros());
            put(&mut self.tables.gaps, number, &gap)?;
        }
        Ok(())
    }

    /// Writes the rows of the watches that changed: in the same transaction as what they cover.
    pub(in super::super) fn store_watches(&mut self) -> Result<(), StoreError> {
        for (watch, state) in &mut self.state.watches {
            if std::mem::take(&mut state.dirty) {
                put(
                    &mut self.tables.watches,
                    watch.to_string().as_str(),
                    &state.row,
                )?;
            }
        }
        Ok(())
    }

    fn sweep_objects(
        &mut self,
        at: Timestamp,
        watch: &WatchId,
        listed: &HashSet<u128>,
        certainty: Certainty,
    ) -> Result<(), StoreError> {
        let kind = self.state.kinds.identity(&watch.group, &watch.kind);
        let prefix = keys::epoch_kind_prefix(self.state.row.epoch, kind);
        let (mut start, end) = keys::prefix_range(&prefix);
        loop {
            let mut gone: Vec<(ObjectKey, u64, ObjectRow)> = Vec::new();
            let mut last = None;
            for entry in self
                .tables
                .alive
                .range((as_slice(&start), as_slice(&end)))?
                .take(SWEEP_CHUNK_ROWS)
            {
                let bytes = entry?.0.value().to_vec();
                let id = keys::epoch_object_of("epoch_and_object_to_unit", &bytes)?;
                if let Some((key, row)) = self.tables.incarnation_object(id)?
                    && row.live
                    && let Some(uid) = &row.uid
                    && !listed.contains(&uid_mark(&Uid::from(uid)))
                {
                    gone.push((key, id, row));
                }
                last = Some(bytes);
            }
            let Some(last) = last else { return Ok(()) };
            start = Bound::Excluded(last);
            for (key, id, row) in gone {
                self.record_delete(at, &key, id, row, None, certainty)?;
            }
        }
    }

    fn sweep_pods(
        &mut self,
        at: Timestamp,
        listed: &HashSet<u128>,
        certainty: Certainty,
    ) -> Result<(), StoreError> {
        const CHUNK_ROWS: usize = 1_024;
        let mut after: Bound<Vec<u8>> = Bound::Unbounded;
        loop {
            // What is gone leaves the list: it cannot be read and changed at once.
            let mut gone: Vec<(u64, PodRow)> = Vec::new();
            let mut last = None;
            for entry in self
                .tables
                .pod_names
                .range((as_slice(&after), Bound::Unbounded))?
                .take(CHUNK_ROWS)
            {
                let name = entry?.0.value().to_vec();
                let number = keys::pod_name_of("name_and_pod_to_unit", &name)?;
                if let Some(row) = self.tables.pod_of(number)?
                    && !listed.contains(&uid_mark(&Uid::from(&row.uid)))
                {
                    gone.push((number, row));
                }
                last = Some(name);
            }
            let Some(last) = last else { return Ok(()) };
            after = Bound::Excluded(last);
            for (number, row) in gone {
                self.pod_gone(at, number, row, certainty)?;
            }
        }
    }
}

/// A watch that has never delivered anything.
pub(super) fn new_watch(at: Timestamp) -> Watch {
    let mut watch = Watch::new(WatchRow {
        resource_version: None,
        contact_us: at.as_micros(),
        blind_since_us: None,
        gap: None,
        listed: false,
        tracked: true,
    });
    watch.dirty = true;
    watch
}
