//! Retention of a store that nobody records into: as much as is wanted, at once.

use std::time::Duration;

use super::{RetentionPolicy, Writer};
use crate::ingest::Effort;
use crate::limits::{JOURNAL_STORED_BYTES_MIN, RETENTION_ROWS_MAX, SIZE_ROUNDS_MAX, SIZE_STRIDES};
use crate::model::{Horizon, Timestamp};
use crate::store::StoreError;

/// One piece. Nothing waits for it.
const PIECE: Effort = Effort {
    rows: RETENTION_ROWS_MAX,
    time: Duration::from_millis(100),
};

/// For a size, the time that is kept is cut by this part at once.
const STRIDES: i64 = 4 * SIZE_STRIDES;

/// What was dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Changes.
    pub changes: u64,
    /// Other rows: lifecycles, owners, epochs, runs, gaps.
    pub rows: u64,
    /// Bytes of all tables are above the wanted size, and nothing older is left to drop.
    pub too_large: bool,
    /// It was told to stop before it was done.
    pub stopped: bool,
}

/// Drops what a policy does not keep at `now`, and what lies before `before`; then the lifecycles, owners and gaps that
/// nothing needs any more. `go_on` is asked between pieces: what was dropped until then stays dropped, and another call
/// goes on from there.
///
/// The size is here that of all tables: dropping makes no file smaller, see [`crate::Store::compact`].
///
/// # Errors
/// What the store says.
pub fn collect(
    writer: &mut Writer,
    policy: RetentionPolicy,
    before: Option<Timestamp>,
    now: Timestamp,
    mut go_on: impl FnMut(Horizon) -> bool,
) -> Result<Collected, StoreError> {
    // In small pieces: gc is what people try when there is little room left.
    writer.limit_journal(JOURNAL_STORED_BYTES_MIN as u64);
    // What is in the journal takes a record to be dropped, what is in its table takes none.
    writer.fold_all(Duration::MAX)?;
    let mut work = Work {
        writer,
        go_on: &mut go_on,
        collected: Collected::default(),
    };
    let aged = policy
        .age_us
        .map(|age_us| now.plus_micros(age_us.saturating_neg()));
    if let Some(target) = aged.max(before) {
        work.drop_before(Horizon::at(target))?;
    }
    work.sweep()?;
    if let Some(size_bytes) = policy.size_bytes {
        work.fit(size_bytes)?;
    }
    Ok(work.collected)
}

struct Work<'a, F> {
    writer: &'a mut Writer,
    go_on: &'a mut F,
    collected: Collected,
}

impl<F: FnMut(Horizon) -> bool> Work<'_, F> {
    /// Returns whether it was done.
    fn drop_before(&mut self, target: Horizon) -> Result<bool, StoreError> {
        loop {
            if self.collected.stopped || !(self.go_on)(self.writer.horizon()) {
                self.collected.stopped = true;
                return Ok(false);
            }
            let target = target.max(self.writer.horizon());
            let retained = self.writer.retain(target, PIECE, false)?;
            self.collected.changes += retained.changes;
            self.collected.rows += retained.rows;
            // What is being exported in this process stays.
            if retained.done {
                return Ok(true);
            }
        }
    }

    fn sweep(&mut self) -> Result<(), StoreError> {
        if self.writer.horizon().is_none() || self.collected.stopped {
            return Ok(());
        }
        self.writer.begin_sweep();
        self.drop_before(self.writer.horizon())?;
        Ok(())
    }

    fn fit(&mut self, size_bytes: u64) -> Result<(), StoreError> {
        for _ in 0..SIZE_ROUNDS_MAX {
            self.writer.fold_all(Duration::MAX)?;
            let used = self
                .writer
                .reader()
                .snapshot()?
                .size_on_disk()?
                .used_bytes();
            if used <= size_bytes || self.collected.stopped {
                return Ok(());
            }
            let weight = self.writer.weight()?;
            let fitting = u128::from(weight) * u128::from(size_bytes) / u128::from(used);
            // A little more: not everything shrinks with the weight.
            let goal = u64::try_from(fitting).unwrap_or(weight);
            let goal = goal.saturating_sub(goal / 64);
            // Lifecycles and owners weigh as much until they are swept: no more than a like part of the time goes before.
            let over = u128::from(used - size_bytes) * u128::from(STRIDES.unsigned_abs());
            let strides = over / u128::from(used) + 1;
            let mut dropped = false;
            for _ in 0..strides {
                if self.writer.weight()? <= goal {
                    break;
                }
                let first = self.writer.first_time();
                let end = self.writer.last_time().plus_micros(1);
                let span = end.as_micros().saturating_sub(first.as_micros());
                if span <= 0 {
                    break;
                }
                dropped = true;
                let stride = (span / STRIDES).max(1);
                if !self.drop_before(Horizon::at(first.plus_micros(stride)))? {
                    return Ok(());
                }
            }
            if !dropped {
                break;
            }
            self.sweep()?;
        }
        let used = self
            .writer
            .reader()
            .snapshot()?
            .size_on_disk()?
            .used_bytes();
        self.collected.too_large = used > size_bytes;
        Ok(())
    }
}
