//! Folding the journal beside recording: a bounded piece at a time, before the writer's batches.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Writer;
use super::apply::{Effort, Remaining};
use crate::limits::{
    FOLDING_FOR_ROOM_BYTES_MAX, FOLDING_RETRY_SECONDS, FOLDING_ROWS_LISTING, FOLDING_ROWS_MAX,
    JOURNAL_FOLD_BYTES_LISTING, JOURNAL_FOLD_BYTES_MIN, LISTING_WORK_MS_MAX, RETENTION_WORK_MS_MAX,
};
use crate::store::StoreError;

/// One piece.
const PIECE: Effort = Effort {
    rows: FOLDING_ROWS_MAX,
    time: Duration::from_millis(RETENTION_WORK_MS_MAX),
};
/// One piece while a list is under way: nobody waits for what it brings, and every piece costs a commit.
const LISTING_PIECE: Effort = Effort {
    rows: FOLDING_ROWS_LISTING,
    time: Duration::from_millis(LISTING_WORK_MS_MAX),
};

impl Writer {
    /// Folds as much of the journal as is due.
    ///
    /// # Errors
    /// What the store says. Where the storage failed, the next call does nothing for a while, so that what there is room
    /// for is recorded; unless the journal is full.
    pub(super) fn fold_due(&mut self) -> Result<(), StoreError> {
        let rests = self
            .folding_rests_until
            .is_some_and(|until| Instant::now() < until);
        if rests && !self.store.journal().is_full() {
            return Ok(());
        }
        while self.store.journal().is_fold_due(self.journal_bytes_max()) {
            let folded = self.fold_piece();
            if folded.is_err() {
                let rest = Duration::from_secs(FOLDING_RETRY_SECONDS);
                self.folding_rests_until = Some(Instant::now() + rest);
            }
            folded?;
        }
        Ok(())
    }

    /// Has the journal folded when its records take this much, bytes.
    pub(super) fn limit_journal(&self, bytes: u64) {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.store.journal().set_stored_bytes_max(bytes);
    }

    /// What a list brings is new: it touches no row twice, and there are the list's pages to be held. So less is gathered.
    fn journal_bytes_max(&self) -> usize {
        if self.state.is_listing() {
            JOURNAL_FOLD_BYTES_LISTING
        } else {
            JOURNAL_FOLD_BYTES_MIN
        }
    }

    /// Folds all of the journal into the tables, or as much as some time allows. Recording does it by itself;
    /// [`Writer::pack_all`] packs what the journal says without it. What is recorded is durable before and after.
    ///
    /// # Errors
    /// What the store says.
    pub fn fold_all(&mut self, time_max: Duration) -> Result<(), StoreError> {
        let began = Instant::now();
        while !self.store.journal().is_empty() && began.elapsed() < time_max {
            self.fold_piece()?;
        }
        Ok(())
    }

    /// Folds the oldest records of the journal, one after the other: on a full volume, where a fold of all of it might not
    /// find the room that it needs until it is done. It ends at a record whose rows have not been dropped: it would take more
    /// room than it gives.
    pub(super) fn fold_for_room(&mut self, records: usize) -> Result<(), StoreError> {
        let journal = Arc::clone(self.store.journal());
        let running = self.running;
        let mut bytes_more = FOLDING_FOR_ROOM_BYTES_MAX;
        for _ in 0..records {
            let mut folded = None;
            self.transaction(running, |apply| {
                folded = journal.fold_oldest(apply.tables, bytes_more)?;
                Ok(())
            })?;
            let Some(folded) = folded else { break };
            bytes_more = bytes_more.saturating_sub(folded.bytes_more);
            journal.folded_oldest(folded);
        }
        Ok(())
    }

    /// Removes the journal's records, of which this is the next number: everything that they say has been done to the tables by
    /// transactions before. Where others have been added, they are folded.
    pub(super) fn drop_journal(&mut self, next: u64) -> Result<(), StoreError> {
        let journal = Arc::clone(self.store.journal());
        if journal.next() != next {
            return self.fold_all(Duration::MAX);
        }
        if journal.is_empty() {
            return Ok(());
        }
        let running = self.running;
        self.transaction(running, |apply| journal.remove_all(apply.tables))?;
        journal.removed_all();
        Ok(())
    }

    pub(super) fn fold_piece(&mut self) -> Result<(), StoreError> {
        let journal = Arc::clone(self.store.journal());
        let mut remaining = Remaining::new(if self.state.is_listing() {
            LISTING_PIECE
        } else {
            PIECE
        });
        let mut folded = None;
        let running = self.running;
        self.transaction(running, |apply| {
            folded = journal.fold(apply.tables, |rows| remaining.spend(rows))?;
            Ok(())
        })?;
        if let Some(folded) = folded {
            journal.folded(folded);
        }
        Ok(())
    }
}
