//! What the writer says of itself while it works.

use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};

use super::{Durations, RetentionStats};
use crate::model::Timestamp;

/// What the writer has done so far; read by metrics while it works.
#[derive(Debug, Default)]
pub struct WriterStats {
    /// Batches applied and committed: how long each took, all in all, without the work of retention.
    pub batches: Durations,
    /// How long their commits took of it, which is mostly the storage's time.
    pub commits: Durations,
    /// Observations applied by them.
    pub observations: AtomicU64,
    /// Changes recorded by them.
    pub changes: AtomicU64,
    /// Time of the last commit, microseconds since the Unix epoch.
    pub last_commit_us: AtomicU64,
    /// What retention has done.
    pub retention: RetentionStats,
    /// Writes that the storage failed.
    pub write_failures: AtomicU64,
    /// Bytes of the reserve file beside the database; 0 once it is given up.
    pub reserve_bytes: AtomicU64,
    /// Set while recording is paused.
    pub(super) pause: Mutex<Option<Pause>>,
}

/// Recording is paused: the storage fails, and what is to be written waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Since when.
    pub since: Timestamp,
    /// Why, in words.
    pub reason: String,
}

impl WriterStats {
    /// Whether recording is paused now, since when and why.
    pub fn pause(&self) -> Option<Pause> {
        self.pause
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
