//! What an observation changes in the tables: the rules of recording.
//!
//! One file a noun: `objects`, `pods`, `owners`, `watches` (lists, gaps, blindness), `runs`, `epochs`. All work on one
//! write transaction through [`Apply`] and never fail on what a cluster says: errors are those of the store.

mod epochs;
mod gap_reason;
mod imported;
mod objects;
mod owners;
mod packing;
mod pods;
mod retention;
mod runs;
mod watches;

use super::state::WriterState;
use crate::model::{Observation, Timestamp};
use crate::store::tables::put;
use crate::store::{StoreError, WRITER, WriteTables};

pub use epochs::EpochPace;
pub(super) use epochs::Turning;
pub use imported::Imported;
pub use packing::Packed;
pub(super) use packing::{Packing, Which};
pub use retention::{Effort, Retained};
pub(super) use retention::{Remaining, Sweep};
pub(super) use runs::RunStart;

/// One write transaction's tables, and the writer's memory.
pub(super) struct Apply<'a, 'txn> {
    pub(super) tables: &'a mut WriteTables<'txn>,
    pub(super) state: &'a mut WriterState,
}

/// How sure the time of a change is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Certainty {
    /// It happened after this time; `None`: it was seen as it happened.
    pub(super) since: Option<Timestamp>,
    /// The kind has not been completely listed yet: what exists may have existed for ever.
    pub(super) initial: bool,
}

impl Certainty {
    /// After which time something that is seen to be so came to be so.
    pub(super) fn since_of_presence(self) -> Option<Timestamp> {
        self.since.filter(|_| !self.initial)
    }
}

impl Apply<'_, '_> {
    /// Applies one observation, made at `at` by the clock of the watch.
    pub(super) fn observation(
        &mut self,
        at: Timestamp,
        observation: &Observation,
    ) -> Result<(), StoreError> {
        let at = self.state.advance(at);
        match observation {
            Observation::ListStarted { watch } => self.list_started(watch),
            Observation::Applied {
                watch,
                item,
                resource_version,
            } => {
                let certainty = self.certainty(watch);
                self.item_applied(at, watch, item, certainty)?;
                self.delivered(at, watch, resource_version.as_deref());
            }
            Observation::Listed { watch, uid } => self.mark_unreadable(watch, uid),
            Observation::Deleted {
                watch,
                item,
                resource_version,
            } => {
                let certainty = self.certainty(watch);
                self.item_deleted(at, item, certainty)?;
                self.delivered(at, watch, resource_version.as_deref());
            }
            Observation::ListFinished {
                watch,
                resource_version,
            } => {
                self.list_finished(at, watch, resource_version)?;
            }
            Observation::Bookmark {
                watch,
                resource_version,
            } => self.delivered(at, watch, Some(resource_version)),
            Observation::Blind { watch, reason } => self.blind(at, watch, reason)?,
            Observation::Sighted { watch } => self.sighted(at, watch)?,
            Observation::Ended {
                watch,
                complete_until,
            } => self.ended(watch, *complete_until),
            Observation::Owner { uid, facts } => self.owner_answered(at, uid, facts.as_ref())?,
        }
        Ok(())
    }

    /// Writes where the writer stands: in the same transaction as what it covers.
    pub(super) fn store_writer(&mut self) -> Result<(), StoreError> {
        for (number, row) in self.state.kinds.take_dirty() {
            put(&mut self.tables.kinds, number, &row)?;
        }
        self.state.headers.flush(self.tables)?;
        put(&mut self.tables.meta, WRITER, &self.state.row)
    }

    fn item_applied(
        &mut self,
        at: Timestamp,
        watch: &crate::model::WatchId,
        item: &crate::model::Item,
        certainty: Certainty,
    ) -> Result<(), StoreError> {
        let mut recorded = None;
        if let Some(object) = &item.object {
            // A pod is marked below.
            if item.pod.is_none() {
                self.mark_listed(watch, &object.uid);
            }
            let id = self.object_applied(at, object, certainty)?;
            if item.pod.is_none() {
                self.object_as_owner(object, id)?;
            }
            recorded = Some(id);
        }
        if let Some((uid, facts)) = &item.skipped {
            if item.pod.is_none() {
                self.mark_listed(watch, uid);
            }
            self.object_skipped(at, uid, facts, certainty, item.pod.is_some())?;
        }
        if let Some(pod) = &item.pod {
            let listed = self.pod_listed(watch, pod);
            self.pod_applied(at, pod, recorded, listed, certainty)?;
        }
        Ok(())
    }

    fn item_deleted(
        &mut self,
        at: Timestamp,
        item: &crate::model::Item,
        certainty: Certainty,
    ) -> Result<(), StoreError> {
        // Deleting the object changes nothing of the lifecycle.
        let pod = item.pod.as_ref();
        let known = match pod {
            Some(pod) => self.known_pod(&pod.uid)?,
            None => None,
        };
        if let Some(object) = &item.object {
            let lifecycle = known.as_ref().map(|(_, row)| row);
            self.object_deleted(at, &object.key, &object.uid, lifecycle, certainty)?;
        }
        if let Some((uid, facts)) = &item.skipped {
            self.object_skipped(at, uid, facts, certainty, item.pod.is_some())?;
        }
        if let Some(pod) = pod {
            self.pod_deleted(at, pod, known.as_ref(), certainty)?;
        }
        Ok(())
    }
}
