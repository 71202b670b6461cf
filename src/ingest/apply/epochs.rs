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

impl Apply<'_, '_> {
    /// The object is alive from now on.
    pub(super) fn object_alive(
        &mut self,
        group: &str,
        kind: &str,
        id: u64,
    ) -> Result<(), StoreError> {
        let kind = self.state.kinds.identity(group, kind);
        let entry = keys::epoch_object(self.state.row.epoch, kind, id);
        if self.tables.alive.add(&entry)? {
            self.state.row.epoch_rows += 1;
        }
        Ok(())
    }

    /// The pod has not ended yet, or ended in this epoch.
    pub(super) fn pod_alive(&mut self, number: u64) -> Result<(), StoreError> {
        let entry = keys::epoch_pod(self.state.row.epoch, number);
        if self.tables.alive_pods.add(&entry)? {
            self.state.row.epoch_rows += 1;
        }
        Ok(())
    }

    /// The pod ran from `start` on, which may lie in earlier epochs.
    pub(super) fn pod_alive_from(
        &mut self,
        start: Timestamp,
        number: u64,
    ) -> Result<(), StoreError> {
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
