//! Epochs: what lets the state at a time cost as much as what was alive then, whatever the age of the store (X3).
//!
//! `alive` and `alive_pods` list, for every epoch, all that was alive at some time in it. A new epoch is made when the
//! current one has grown to a multiple of what it began with, so that the rows that are looked at for it are not many more
//! than those that were added since. That is done a bounded piece at a time, beside recording: see [`next`].

mod next;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use super::Apply;
use crate::model::Timestamp;
use crate::store::lookup::Lookup;
use crate::store::rows::{EpochRow, PodRow};
use crate::store::tables::{ReadableTable, put};
use crate::store::{StoreError, keys};

pub use next::EpochPace;
pub(in super::super) use next::Turning;

/// How something comes to be listed as alive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Appears {
    /// Its number has just been given: it is not listed yet.
    pub(super) is_new: bool,
    /// Its kind had not been completely listed before.
    pub(super) is_initial: bool,
}

impl Apply<'_, '_> {
    /// The object is alive from now on.
    pub(super) fn object_alive(
        &mut self,
        group: &str,
        kind: &str,
        id: u64,
        appears: Appears,
    ) -> Result<(), StoreError> {
        let kind = self.state.kinds.identity(group, kind);
        let entry = keys::epoch_object(self.state.row.epoch, kind, id);
        let is_added = if appears.is_new {
            self.tables.alive.insert(&entry, &[])?;
            true
        } else {
            self.tables.alive.add(&entry)?
        };
        if is_added {
            self.count_alive(appears);
        }
        self.list_object_ahead(kind, id, appears)
    }

    /// The pod has not ended yet, or ended in this epoch.
    pub(super) fn pod_alive(
        &mut self,
        number: u64,
        row: &PodRow,
        appears: Appears,
    ) -> Result<(), StoreError> {
        let entry = keys::epoch_pod(self.state.row.epoch, number);
        let is_added = if appears.is_new {
            self.tables.alive_pods.insert(&entry, &[])?;
            true
        } else {
            self.tables.alive_pods.add(&entry)?
        };
        if is_added {
            self.count_alive(appears);
        }
        self.list_pod_ahead(number, row, appears)
    }

    /// A row more in this epoch. What a first list shows was there before: it counts as what the epoch began with. To turn
    /// the epoch for it would copy all of it, and spare no reader anything.
    fn count_alive(&mut self, appears: Appears) {
        let row = &mut self.state.row;
        row.epoch_rows += 1;
        if appears.is_initial {
            row.epoch_carried += 1;
        }
    }

    /// The pod ran from `start` on, which may lie in earlier epochs.
    pub(super) fn pod_alive_from(
        &mut self,
        start: Timestamp,
        number: u64,
    ) -> Result<(), StoreError> {
        if self.state.row.epoch == 0 {
            // There is no earlier one.
            return Ok(());
        }
        let now = Timestamp::from_micros(self.state.row.last_us);
        for epoch in self.tables.epochs_over(start, now.max(start))? {
            if epoch < self.state.row.epoch {
                let entry = keys::epoch_pod(epoch, number);
                self.tables.alive_pods.add(&entry)?;
            }
        }
        Ok(())
    }

    /// Begins the first epoch of a store; or goes on with the next one, if the current one has grown enough.
    pub(in super::super) fn turn_epoch(&mut self) -> Result<(), StoreError> {
        let row = self.state.row;
        if row.epoch == 0 && row.epoch_rows == 0 && self.tables.epochs.get(0)?.is_none() {
            let first = EpochRow {
                start_us: i64::MIN,
                start_seq: 0,
            };
            return put(&mut self.tables.epochs, 0, &first);
        }
        self.prepare_epoch()
    }
}
