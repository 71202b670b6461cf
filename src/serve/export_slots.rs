//! How many exports may be under way, and how they went.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How an export ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The trace was written as a whole, into the response or into an object store.
    Completed,
    /// The store or the provider failed.
    Failed,
    /// The record does not hold what was asked for.
    Refused,
}

/// Counters of all exports since the server started.
#[derive(Debug, Default)]
pub(super) struct ExportCounts {
    pub(super) in_progress: AtomicU64,
    pub(super) completed: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) cancelled: AtomicU64,
    /// Sent away because too many were under way.
    pub(super) turned_away: AtomicU64,
    /// Bytes of completed exports.
    pub(super) bytes: AtomicU64,
}

/// The places for exports.
pub(super) struct ExportSlots {
    free: Arc<Semaphore>,
    /// The place of the one that may take more memory than the others.
    first: Arc<Semaphore>,
    slots: u32,
    counts: Arc<ExportCounts>,
}

impl ExportSlots {
    pub(super) fn new(slots: usize) -> Self {
        let slots = u32::try_from(slots).unwrap_or(u32::MAX).max(1);
        Self {
            free: Arc::new(Semaphore::new(slots as usize)),
            first: Arc::new(Semaphore::new(1)),
            slots,
            counts: Arc::default(),
        }
    }

    pub(super) fn counts(&self) -> &ExportCounts {
        &self.counts
    }

    /// A place for one export; `None` while there is none.
    pub(super) fn take(&self) -> Option<Arc<ExportSlot>> {
        let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() else {
            self.counts.turned_away.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        self.counts.in_progress.fetch_add(1, Ordering::Relaxed);
        Some(Arc::new(ExportSlot {
            _permit: permit,
            first: Arc::clone(&self.first).try_acquire_owned().ok(),
            outcome: OnceLock::new(),
            counts: Arc::clone(&self.counts),
        }))
    }

    /// Waits until no export is under way, but not for longer than this. Returns whether that came true.
    pub(super) async fn drained(&self, at_most: Duration) -> bool {
        tokio::time::timeout(at_most, self.free.acquire_many(self.slots))
            .await
            .is_ok()
    }
}

/// The place of one export: shared by all that work on it, given back when the last of them is done.
pub(super) struct ExportSlot {
    _permit: OwnedSemaphorePermit,
    first: Option<OwnedSemaphorePermit>,
    outcome: OnceLock<Outcome>,
    counts: Arc<ExportCounts>,
}

impl ExportSlot {
    /// Whether it is the one that may take more memory than the others.
    pub(super) fn is_first(&self) -> bool {
        self.first.is_some()
    }

    /// How it went, the first time that somebody knows. Never told: it was cancelled.
    pub(super) fn ended(&self, outcome: Outcome) {
        // Later reports are consequences of the first.
        let _ = self.outcome.set(outcome);
    }

    /// The whole trace was written.
    pub(super) fn completed(&self, bytes: u64) {
        self.ended(Outcome::Completed);
        self.counts.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for ExportSlot {
    fn drop(&mut self) {
        let counts = &self.counts;
        match self.outcome.get() {
            Some(Outcome::Completed) => &counts.completed,
            Some(Outcome::Failed) => &counts.failed,
            Some(Outcome::Refused) => &counts.refused,
            // The receiver went away, or the server stopped.
            None => &counts.cancelled,
        }
        .fetch_add(1, Ordering::Relaxed);
        counts.in_progress.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    //! Guards against a recorder that runs out of memory because every export takes as much as one may.

    use super::*;

    #[test]
    fn one_at_a_time_may_take_more_memory() {
        let slots = ExportSlots::new(3);
        let (one, two) = (slots.take().unwrap(), slots.take().unwrap());
        assert!(one.is_first() && !two.is_first());
        drop(one);
        let (three, four) = (slots.take().unwrap(), slots.take().unwrap());
        assert!(three.is_first() && !four.is_first());
        assert!(slots.take().is_none());
    }
}
