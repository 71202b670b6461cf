//! Packing beside recording: a bounded piece at a time, between the writer's batches.

use std::time::{Duration, Instant};

use super::apply::Which;
use super::retention::Share;
use super::{Effort, Writer};
use crate::limits::{
    PACKING_RETRY_SECONDS, PACKING_ROWS_MAX, PACKING_SHARE_PERCENT, RETENTION_IDLE_MS,
    RETENTION_WORK_MS_MAX,
};
use crate::store::StoreError;

/// One piece.
const PIECE: Effort = Effort {
    rows: PACKING_ROWS_MAX,
    time: Duration::from_millis(RETENTION_WORK_MS_MAX),
};

/// Has a writer pack what will not change any more.
#[derive(Debug)]
pub(crate) struct PackingSchedule {
    share: Share,
    /// Nothing is packed before this.
    rests_until: Option<Instant>,
}

impl Default for PackingSchedule {
    fn default() -> Self {
        Self {
            share: Share::new(PACKING_SHARE_PERCENT, Instant::now()),
            rests_until: None,
        }
    }
}

impl PackingSchedule {
    /// Does one bounded piece, if there is something to do and time for it. Returns how long the next one can wait.
    pub(crate) fn step(&mut self, writer: &mut Writer) -> Result<Duration, StoreError> {
        let resting = self.rests_until.is_some_and(|until| Instant::now() < until);
        if resting || !writer.is_packing_due() {
            return Ok(Duration::from_millis(RETENTION_IDLE_MS));
        }
        let started = Instant::now();
        let wait = self.share.wait(PACKING_SHARE_PERCENT, started);
        if wait.is_zero() {
            writer.pack(PIECE)?;
            self.share.spend(started.elapsed());
        }
        Ok(wait)
    }

    /// The storage failed: packs nothing for a while.
    pub(super) fn rest(&mut self) {
        self.rests_until = Some(Instant::now() + Duration::from_secs(PACKING_RETRY_SECONDS));
    }
}

/// Packs everything, for so long: what is closed then is as small as it gets.
pub(super) fn pack_all(writer: &mut Writer, time_max: Duration) -> Result<(), StoreError> {
    let began = Instant::now();
    let effort = Effort {
        rows: PACKING_ROWS_MAX * 16,
        time: Duration::from_millis(RETENTION_WORK_MS_MAX * 16),
    };
    // A pass that is under way has passed some rows already.
    for _ in 0..2 {
        while !writer.pack_which(effort, Which::All)?.done {
            if began.elapsed() >= time_max {
                return Ok(());
            }
        }
    }
    Ok(())
}
