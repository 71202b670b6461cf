//! Packing beside recording: a bounded piece at a time, between the writer's batches.

use std::time::{Duration, Instant};

use super::apply::{Packed, Which};
use super::retention::Share;
use super::{Effort, Writer};
use crate::limits::{
    PACKING_RETRY_SECONDS, PACKING_ROWS_MAX, PACKING_SHARE_PERCENT, RETENTION_IDLE_MS,
    RETENTION_WORK_MS_MAX,
};
use crate::store::{StoreError, allocated_bytes};

/// One piece.
const PIECE: Effort = Effort {
    rows: PACKING_ROWS_MAX,
    time: Duration::from_millis(RETENTION_WORK_MS_MAX),
};

/// One piece where nobody waits for the next batch.
const PIECE_AT_CLOSE: Effort = Effort {
    rows: PACKING_ROWS_MAX * 16,
    time: Duration::from_millis(RETENTION_WORK_MS_MAX * 16),
};

/// Has a writer pack what will not change any more, in the share of its time that packing may take.
#[derive(Debug)]
pub struct PackingSchedule {
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
    ///
    /// # Errors
    /// What the store says.
    pub fn step(&mut self, writer: &mut Writer) -> Result<Duration, StoreError> {
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

impl Writer {
    /// Moves what will not change any more to the packed parts of its tables: a bounded piece of a pass over them, as one
    /// transaction.
    ///
    /// # Errors
    /// What the store says.
    pub fn pack(&mut self, effort: Effort) -> Result<Packed, StoreError> {
        self.pack_which(effort, Which::Settled)
    }

    fn pack_which(&mut self, effort: Effort, which: Which) -> Result<Packed, StoreError> {
        let mut packed = Packed::default();
        let running = self.running;
        self.transaction(running, |apply| {
            packed = apply.pack(effort, which)?;
            Ok(())
        })?;
        Ok(packed)
    }

    /// Passes of packing that came to their end: what was dropped before one began has given its room back.
    pub(super) fn packing_passes(&self) -> u64 {
        self.state.packing.passes()
    }

    /// Whether enough was recorded to be packed, or a pass is under way.
    pub fn is_packing_due(&self) -> bool {
        let (changes, is_listing) = (self.state.row.changes, self.state.is_listing());
        self.state.packing.is_due(changes, is_listing)
    }

    /// Does at once what recording leaves for later: folds all of the journal, and packs until nothing is due.
    ///
    /// # Errors
    /// What the store says.
    pub fn settle(&mut self) -> Result<(), StoreError> {
        self.fold_all(Duration::MAX)?;
        while self.is_packing_due() {
            self.pack(PIECE)?;
        }
        Ok(())
    }

    /// Packs everything, in the form that the journal has given it, and then drops the journal; or as much as some time
    /// allows: then the journal stays, and is read by the next open. Call it before the store is closed:
    /// [`PACKING_AT_CLOSE_SECONDS_MAX`](crate::limits::PACKING_AT_CLOSE_SECONDS_MAX) is what a recorder allows itself then.
    ///
    /// # Errors
    /// What the store says.
    pub fn pack_all(&mut self, time_max: Duration) -> Result<(), StoreError> {
        self.pack_to_the_end(PIECE_AT_CLOSE, time_max, None)
    }

    /// The same, as long as the file takes no more than some bytes of its volume, or than it takes now. What a piece
    /// frees can only be used by the next: so pieces are small then, and the file may be beyond by what one of them writes.
    /// What is left is packed by the next run.
    ///
    /// # Errors
    /// What the store says.
    pub fn pack_within(
        &mut self,
        time_max: Duration,
        allocated_bytes_max: u64,
    ) -> Result<(), StoreError> {
        let room = allocated_bytes(self.path())?.max(allocated_bytes_max);
        self.pack_to_the_end(PIECE, time_max, Some(room))
    }

    fn pack_to_the_end(
        &mut self,
        effort: Effort,
        time_max: Duration,
        room: Option<u64>,
    ) -> Result<(), StoreError> {
        let deadline = Instant::now().checked_add(time_max);
        let goes_on = |writer: &Self| -> Result<bool, StoreError> {
            let fits = match room {
                Some(room) => allocated_bytes(writer.path())? <= room,
                None => true,
            };
            Ok(fits && deadline.is_none_or(|deadline| Instant::now() < deadline))
        };
        let journal = self.store.journal().next();
        while !self.pack_which(effort, Which::All { journal })?.done {
            if !goes_on(self)? {
                return Ok(());
            }
        }
        self.drop_journal(journal)
    }
}
