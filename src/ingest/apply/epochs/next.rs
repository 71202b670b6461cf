//! The next epoch, made beside recording: with each transaction a piece of the current epoch's lists is gone over, and what
//! is still alive is copied. When all has been, the next epoch gets its row, which is a small step: from there on it is the
//! current one.
//!
//! Until then nobody reads what it lists, so it does not matter if that is never completed: the place is only in memory, and
//! after a crash or a failed transaction a preparation begins anew, over the rows that are there. It may list more than what
//! is alive when it begins (what has died since it was copied), but never less:
//! - What was alive when its place was passed has been copied, and is still listed if it died and came back.
//! - What comes to life behind that place is listed in both epochs at once; so is what is new, at which the preparation does
//!   not look: otherwise it would have to run after a cluster that makes pods quicker than they are copied.
//! - A pod that had ended when its place was passed, by the recorder's clock, has ended before the next epoch begins. Should
//!   another end be told later, it is listed again.

use std::ops::Bound;
use std::time::Duration;

use super::{Appears, Apply};
use crate::ingest::apply::{Effort, Remaining};
use crate::limits::{
    EPOCH_GROWTH, EPOCH_LOOKS_PER_ROW, EPOCH_PIECE_ROWS_MAX, EPOCH_ROWS_MIN, EPOCH_STRIDE_ROWS,
    RETENTION_WORK_MS_MAX,
};
use crate::store::lookup::{Lookup, as_slice};
use crate::store::rows::{EpochRow, PodRow, WriterRow};
use crate::store::tables::{Rows, put};
use crate::store::{StoreError, keys};

/// When a new epoch is made, and how quickly. Every store has the same one; tests make epochs small.
#[derive(Clone, Copy, Debug)]
pub struct EpochPace {
    /// Rows of an epoch before the next one is made.
    pub rows_min: u64,
    /// How many times the rows that an epoch began with it holds before the next one is made.
    pub growth: u64,
    /// What one transaction does for the next epoch,
    pub piece: Effort,
    /// unless that would be too slow: for each row that it adds to the current epoch, it looks at this many at least. So the
    /// current one grows by no more than one part in so many while the next one is made.
    pub looks_per_row: usize,
}

impl Default for EpochPace {
    fn default() -> Self {
        Self {
            rows_min: EPOCH_ROWS_MIN,
            growth: EPOCH_GROWTH,
            piece: Effort {
                rows: EPOCH_PIECE_ROWS_MAX,
                time: Duration::from_millis(RETENTION_WORK_MS_MAX),
            },
            looks_per_row: EPOCH_LOOKS_PER_ROW,
        }
    }
}

/// How epochs follow each other, and the next one while it is made.
#[derive(Debug, Default)]
pub(in crate::ingest) struct Turning {
    pub(in crate::ingest) pace: EpochPace,
    next: Option<NextEpoch>,
}

/// How far the preparation of the next epoch has come.
#[derive(Debug)]
struct NextEpoch {
    /// The list that is gone over.
    list: List,
    /// Where in the current epoch's: keys up to here have been looked at.
    passed: Vec<u8>,
    /// The last numbers that were given when it began: what has a later one is not looked at.
    last_object: u64,
    last_pod: u64,
    /// Rows of the next epoch so far, and how many of them it begins with. The others have come since this began: they count
    /// as added to the next epoch, or one that all of them leave again would seem to have begun with them.
    rows: u64,
    carried: u64,
    /// Rows of the current epoch when the last piece was done.
    rows_before: u64,
}

/// What epochs list, in the order in which it is gone over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum List {
    Objects,
    Pods,
}

impl NextEpoch {
    fn of(row: &WriterRow) -> Self {
        Self {
            list: List::Objects,
            passed: row.epoch.to_be_bytes().to_vec(),
            last_object: row.last_object,
            last_pod: row.last_pod,
            rows: 0,
            carried: 0,
            rows_before: row.epoch_rows,
        }
    }

    /// Whether an entry of the current epoch will not be looked at any more.
    fn is_past(&self, list: List, number: u64, entry: &[u8]) -> bool {
        self.is_later(list, number)
            || list < self.list
            || list == self.list && entry <= self.passed.as_slice()
    }

    /// Whether the number was given after the preparation had begun.
    fn is_later(&self, list: List, number: u64) -> bool {
        number
            > match list {
                List::Objects => self.last_object,
                List::Pods => self.last_pod,
            }
    }
}

impl Apply<'_, '_> {
    /// Goes on with the next epoch, or begins to make it if the current one has grown enough.
    pub(super) fn prepare_epoch(&mut self) -> Result<(), StoreError> {
        let row = self.state.row;
        let pace = self.state.turning.pace;
        let mut next = match self.state.turning.next.take() {
            Some(next) => next,
            None if row.epoch_rows < pace.rows_min
                || row.epoch_rows < row.epoch_carried.saturating_mul(pace.growth) =>
            {
                return Ok(());
            }
            None => NextEpoch::of(&row),
        };
        let added = row.epoch_rows.saturating_sub(next.rows_before);
        let added = usize::try_from(added).unwrap_or(usize::MAX);
        let looks_min = added.saturating_mul(pace.looks_per_row);
        next.rows_before = row.epoch_rows;
        let stride = EPOCH_STRIDE_ROWS.min(pace.piece.rows.max(1));
        let mut remaining = Remaining::new(pace.piece);
        let mut looks = 0;
        while let Some(looked_at) = self.carry_some(&mut next, stride)? {
            looks += looked_at;
            if !remaining.spend(looked_at) && looks >= looks_min {
                self.state.turning.next = Some(next);
                return Ok(());
            }
        }
        self.begin_epoch(&next)
    }

    fn begin_epoch(&mut self, next: &NextEpoch) -> Result<(), StoreError> {
        let row = &mut self.state.row;
        row.epoch += 1;
        row.epoch_rows = next.rows;
        row.epoch_carried = next.carried;
        let (epoch, rows, carried) = (row.epoch, next.rows, next.carried);
        tracing::debug!(epoch, rows, carried, "began a new epoch");
        let start = EpochRow {
            start_us: row.last_us,
            start_seq: row.last_seq,
        };
        put(&mut self.tables.epochs, epoch, &start)
    }

    /// Looks at some entries more, and copies those of what is still alive. Returns how many; `None`: there are no more.
    fn carry_some(
        &mut self,
        next: &mut NextEpoch,
        limit: usize,
    ) -> Result<Option<usize>, StoreError> {
        let epoch = self.state.row.epoch;
        let (_, end) = keys::prefix_range(&epoch.to_be_bytes());
        let range = (Bound::Excluded(next.passed.as_slice()), as_slice(&end));
        let list = match next.list {
            List::Objects => &self.tables.alive,
            List::Pods => &self.tables.alive_pods,
        };
        // A table cannot be read and written at once.
        let mut entries = Vec::with_capacity(limit);
        for entry in list.range(range)?.take(limit) {
            entries.push(entry?.0.value().to_vec());
        }
        if entries.is_empty() {
            if next.list == List::Pods {
                return Ok(None);
            }
            (next.list, next.passed) = (List::Pods, epoch.to_be_bytes().to_vec());
            return Ok(Some(0));
        }
        let mut looked_at = 0;
        for entry in entries {
            looked_at += 1;
            let number = match next.list {
                List::Objects => keys::epoch_object_of("epoch_and_object_to_unit", &entry)?,
                List::Pods => keys::epoch_pod_of("epoch_and_pod_to_unit", &entry)?,
            };
            if next.is_later(next.list, number) {
                // Numbers rise: what follows of this kind is later, too.
                next.passed = last_of_kind(entry);
                break;
            }
            if self.is_alive(next.list, number)? {
                self.insert_ahead(next.list, &entry)?;
                next.rows += 1;
                next.carried += 1;
            }
            next.passed = entry;
        }
        Ok(Some(looked_at))
    }

    fn is_alive(&self, list: List, number: u64) -> Result<bool, StoreError> {
        Ok(match list {
            List::Objects => self
                .tables
                .incarnation_object(number)?
                .is_some_and(|(_, row)| row.live),
            List::Pods => self
                .tables
                .pod_of(number)?
                .is_some_and(|row| !self.has_ended(&row)),
        })
    }

    /// Whether the pod has ended before whatever comes. The kubelet's clock may be ahead of the recorder's: what ends in the
    /// next epoch is listed in it.
    fn has_ended(&self, row: &PodRow) -> bool {
        row.times
            .end_us
            .is_some_and(|end_us| end_us < self.state.row.last_us)
    }

    /// Lists an object that is alive from now on in the epoch that is being made, unless it will be looked at for that.
    pub(super) fn list_object_ahead(
        &mut self,
        kind: u32,
        id: u64,
        appears: Appears,
    ) -> Result<(), StoreError> {
        let entry = keys::epoch_object(self.state.row.epoch, kind, id);
        self.list_ahead(List::Objects, id, &entry, appears)
    }

    /// The same for a pod, unless it has ended.
    pub(in super::super) fn list_pod_ahead(
        &mut self,
        number: u64,
        row: &PodRow,
        appears: Appears,
    ) -> Result<(), StoreError> {
        if self.has_ended(row) {
            return Ok(());
        }
        let entry = keys::epoch_pod(self.state.row.epoch, number);
        self.list_ahead(List::Pods, number, &entry, appears)
    }

    fn list_ahead(
        &mut self,
        list: List,
        number: u64,
        entry: &[u8],
        appears: Appears,
    ) -> Result<(), StoreError> {
        let Some(next) = &self.state.turning.next else {
            return Ok(());
        };
        if !next.is_past(list, number, entry) {
            return Ok(());
        }
        let copy = ahead(entry, self.state.row.epoch);
        let is_known = !appears.is_new
            && match list {
                List::Objects => self.tables.alive.get(copy.as_slice())?.is_some(),
                List::Pods => self.tables.alive_pods.get(copy.as_slice())?.is_some(),
            };
        if is_known {
            return Ok(());
        }
        self.insert_ahead(list, entry)?;
        if let Some(next) = &mut self.state.turning.next {
            next.rows += 1;
            next.carried += u64::from(appears.is_initial);
        }
        Ok(())
    }

    /// Copies an entry of the current epoch into the next one.
    fn insert_ahead(&mut self, list: List, entry: &[u8]) -> Result<(), StoreError> {
        let copy = ahead(entry, self.state.row.epoch);
        match list {
            List::Objects => self.tables.alive.insert(&copy, &[]),
            List::Pods => self.tables.alive_pods.insert(&copy, &[]),
        }
    }
}

/// An entry of an epoch as the next one has it.
fn ahead(entry: &[u8], epoch: u64) -> Vec<u8> {
    let mut copy = (epoch + 1).to_be_bytes().to_vec();
    copy.extend_from_slice(entry.get(EPOCH_BYTES..).unwrap_or_default());
    copy
}

/// Behind all entries of the same epoch, and of the same kind where there is one.
fn last_of_kind(mut entry: Vec<u8>) -> Vec<u8> {
    let number = entry.len().saturating_sub(NUMBER_BYTES);
    entry.truncate(number);
    entry.extend_from_slice(&u64::MAX.to_be_bytes());
    entry
}

/// The epoch at the beginning of a key, and the number at its end.
const EPOCH_BYTES: usize = 8;
const NUMBER_BYTES: usize = 8;
