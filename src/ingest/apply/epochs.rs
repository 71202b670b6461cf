//! Epochs: what lets the state at a time cost as much as what was alive then, whatever the age of the store (X3).
//!
//! `alive` and `alive_pods` list, for every epoch, all that was alive at some time in it. A new epoch begins when the
//! current one has grown to a multiple of what it began with, so that the rows copied into it are fewer than those that
//! were added since the last copy.

use std::ops::Bound;

use crate::store::tables::ReadableTable;

use super::Apply;
use crate::limits::{EPOCH_GROWTH, EPOCH_ROWS_MIN};
use crate::model::Timestamp;
use crate::store::lookup::{Lookup, as_slice};
use crate::store::rows::EpochRow;
use crate::store::tables::{Rows, put};
use crate::store::{StoreError, keys};

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
        Ok(())
    }

    /// The pod has not ended yet, or ended in this epoch.
    pub(super) fn pod_alive(&mut self, number: u64, appears: Appears) -> Result<(), StoreError> {
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
        Ok(())
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

    /// Begins the first epoch of a store, or a new one when the current one has grown enough.
    pub(in super::super) fn turn_epoch(&mut self) -> Result<(), StoreError> {
        let row = self.state.row;
        if row.epoch == 0 && row.epoch_rows == 0 && self.tables.epochs.get(0)?.is_none() {
            return put(
                &mut self.tables.epochs,
                0,
                &EpochRow {
                    start_us: i64::MIN,
                    start_seq: 0,
                },
            );
        }
        if row.epoch_rows < EPOCH_ROWS_MIN
            || row.epoch_rows < row.epoch_carried.saturating_mul(EPOCH_GROWTH)
        {
            return Ok(());
        }
        let next = row.epoch + 1;
        put(
            &mut self.tables.epochs,
            next,
            &EpochRow {
                start_us: row.last_us,
                start_seq: row.last_seq,
            },
        )?;
        let objects = self.carry(Carried::Objects, row.epoch, next)?;
        let pods = self.carry(Carried::Pods, row.epoch, next)?;
        self.state.row.epoch = next;
        self.state.row.epoch_rows = objects + pods;
        self.state.row.epoch_carried = objects + pods;
        tracing::debug!(epoch = next, objects, pods, "began a new epoch");
        Ok(())
    }

    /// Copies what is still alive from one epoch to the next, in chunks: a table cannot be read and written at once.
    fn carry(&mut self, what: Carried, from: u64, to: u64) -> Result<u64, StoreError> {
        const CHUNK_ROWS: usize = 1_024;
        let (mut start, end) = keys::prefix_range(&from.to_be_bytes());
        let mut carried = 0;
        loop {
            let mut chunk = Vec::with_capacity(CHUNK_ROWS);
            let table = match what {
                Carried::Objects => &self.tables.alive,
                Carried::Pods => &self.tables.alive_pods,
            };
            for entry in table
                .range((as_slice(&start), as_slice(&end)))?
                .take(CHUNK_ROWS)
            {
                chunk.push(entry?.0.value().to_vec());
            }
            let Some(last) = chunk.last() else {
                return Ok(carried);
            };
            start = Bound::Excluded(last.clone());
            for entry in chunk {
                if !self.is_alive(what, &entry)? {
                    continue;
                }
                let mut copy = to.to_be_bytes().to_vec();
                copy.extend_from_slice(entry.split_at_checked(8).map_or(&[][..], |(_, rest)| rest));
                let table = match what {
                    Carried::Objects => &mut self.tables.alive,
                    Carried::Pods => &mut self.tables.alive_pods,
                };
                table.insert(&copy, &[])?;
                carried += 1;
            }
        }
    }

    fn is_alive(&self, what: Carried, entry: &[u8]) -> Result<bool, StoreError> {
        Ok(match what {
            Carried::Objects => {
                let id = keys::epoch_object_of("epoch_and_object_to_unit", entry)?;
                self.tables
                    .incarnation_object(id)?
                    .is_some_and(|(_, row)| row.live)
            }
            Carried::Pods => {
                let number = keys::epoch_pod_of("epoch_and_pod_to_unit", entry)?;
                // The kubelet's clock may be ahead of the recorder's: what ends in the new epoch is listed in it.
                let last_us = self.state.row.last_us;
                self.tables
                    .pod_of(number)?
                    .is_some_and(|row| row.times.end_us.is_none_or(|end_us| end_us >= last_us))
            }
        })
    }
}

#[derive(Clone, Copy)]
enum Carried {
    Objects,
    Pods,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    //! Guards against a first list that is copied from epoch to epoch while it arrives, and against epochs that never end.

    use crate::config::TracerConfig;
    use crate::ingest::Writer;
    use crate::model::{Gvk, Item, Observation, ObservedPod, PodTimes, Timestamp, Uid};
    use crate::store::Store;

    fn shown(name: &str) -> Observation {
        Observation::Applied {
            watch: Gvk::pod(),
            item: Item {
                pod: Some(ObservedPod {
                    namespace: "ns".to_owned(),
                    name: name.to_owned(),
                    uid: Uid::from(name),
                    owners: Vec::new(),
                    spec_hash: 0,
                    times: PodTimes::default(),
                }),
                ..Item::default()
            },
            resource_version: None,
        }
    }

    #[test]
    fn what_a_first_list_shows_is_what_an_epoch_begins_with() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("trace.redb")).unwrap();
        let (config, _) = TracerConfig::parse("trackedObjects: {v1.ConfigMap: {}}").unwrap();
        let mut writer = Writer::new(store).unwrap();
        let at = Timestamp::from_seconds(100);
        writer.begin_run(at, &config, "record", None).unwrap();
        let watch = Gvk::pod();
        let started = Observation::ListStarted {
            watch: watch.clone(),
        };
        let finished = Observation::ListFinished {
            watch,
            resource_version: "1".to_owned(),
        };
        // Rows of the epoch, and how many of them it began with.
        let mut rows = |observations: Vec<Observation>| {
            let seen = observations.into_iter().map(|seen| (at, seen));
            writer.append(seen).unwrap();
            let row = &writer.state.row;
            (row.epoch_rows, row.epoch_carried)
        };
        assert_eq!(rows(vec![started.clone(), shown("a"), shown("b")]), (2, 2));
        assert_eq!(rows(vec![shown("b"), shown("c")]), (3, 3));
        assert_eq!(rows(vec![finished.clone(), shown("d")]), (4, 3));
        assert_eq!(
            rows(vec![started, shown("a"), shown("e"), finished]),
            (5, 3)
        );
    }
}
