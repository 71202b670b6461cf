//! What goes with the horizon at once: epochs that no window can ask for, and runs whose config none is under.

use super::{Apply, Remaining};
use crate::limits::RETENTION_STRIDE_ROWS;
use crate::store::StoreError;
use crate::store::rows::{EpochRow, RunRow};
use crate::store::tables::{ReadableTable, Rows, row};

/// What was dropped, and whether that was all.
pub(super) struct Pruned {
    pub(super) rows: u64,
    pub(super) done: bool,
}

impl Apply<'_, '_> {
    pub(super) fn prune(&mut self, remaining: &mut Remaining) -> Result<Pruned, StoreError> {
        let mut rows = self.drop_runs()?;
        let first = self.drop_epochs()?;
        rows += first.dropped;
        // The lists' keys begin with the epoch. Those of epochs that are gone; also those that a crash left behind.
        let end = first.epoch.to_be_bytes();
        while !remaining.is_spent() {
            let chunk = self.listed_before(&end, remaining.rows.min(RETENTION_STRIDE_ROWS))?;
            if chunk.is_empty() {
                return Ok(Pruned { rows, done: true });
            }
            remaining.spend(chunk.len());
            rows += chunk.len() as u64;
            for entry in chunk {
                match entry {
                    Listed::Object(key) => self.tables.alive.remove(&key)?,
                    Listed::Pod(key) => self.tables.alive_pods.remove(&key)?,
                };
            }
        }
        Ok(Pruned { rows, done: false })
    }

    /// Keeps the last run that began before the horizon: its config is in force there.
    fn drop_runs(&mut self) -> Result<u64, StoreError> {
        let horizon_us = self.state.row.horizon().event().at.as_micros();
        let mut dropped = 0;
        loop {
            let superseded = {
                let mut runs = self.tables.runs.iter()?;
                match (runs.next().transpose()?, runs.next().transpose()?) {
                    (Some((first, _)), Some((number, value))) => {
                        let next: RunRow = row::<u64, _>(number.value(), value.value())?;
                        (next.start_us < horizon_us).then_some(first.value())
                    }
                    _ => None,
                }
            };
            let Some(number) = superseded else {
                return Ok(dropped);
            };
            self.tables.runs.remove(number)?;
            dropped += 1;
        }
    }

    /// Keeps the last epoch that began before the horizon: windows that start there begin in it.
    fn drop_epochs(&mut self) -> Result<FirstEpoch, StoreError> {
        let horizon_us = self.state.row.horizon().event().at.as_micros();
        let mut dropped = 0;
        loop {
            let (first, superseded) = {
                let mut epochs = self.tables.epochs.iter()?;
                match (epochs.next().transpose()?, epochs.next().transpose()?) {
                    (Some((first, _)), Some((number, value))) => {
                        let next: EpochRow = row::<u64, _>(number.value(), value.value())?;
                        (first.value(), next.start_us < horizon_us)
                    }
                    (Some((first, _)), None) => (first.value(), false),
                    _ => (0, false),
                }
            };
            if !superseded {
                return Ok(FirstEpoch {
                    epoch: first,
                    dropped,
                });
            }
            self.tables.epochs.remove(first)?;
            dropped += 1;
        }
    }

    fn listed_before(&self, end: &[u8], limit: usize) -> Result<Vec<Listed>, StoreError> {
        let mut chunk = Vec::new();
        for entry in self.tables.alive.range(..end)?.take(limit) {
            chunk.push(Listed::Object(entry?.0.value().to_vec()));
        }
        let limit = limit.saturating_sub(chunk.len());
        for entry in self.tables.alive_pods.range(..end)?.take(limit) {
            chunk.push(Listed::Pod(entry?.0.value().to_vec()));
        }
        Ok(chunk)
    }
}

struct FirstEpoch {
    epoch: u64,
    dropped: u64,
}

/// A key in one of the lists of an epoch.
enum Listed {
    Object(Vec<u8>),
    Pod(Vec<u8>),
}
