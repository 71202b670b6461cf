//! What readiness and metrics need to know of a recorder.

use crate::ingest::WriterStats;
use crate::model::{Timestamp, WatchId};

/// A recorder, as its HTTP server sees it. Called on every probe and scrape, from async code: answers come from memory.
pub trait RecorderStatus: Send + Sync + 'static {
    /// Whether the first lists are done and committed (S6).
    fn readiness(&self) -> Readiness;
    /// Every watch as it is now, in a fixed order.
    fn watches(&self) -> Vec<WatchReport>;
    /// What the look-ups of owners have done since the process started.
    fn owner_lookups(&self) -> OwnerCounts;
    /// Counters of the writer.
    fn writer(&self) -> &WriterStats;
    /// Observations that wait for the writer at this moment.
    fn queue_depth(&self) -> usize;
}

/// Whether a recorder does what it is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Every kind was listed or has caught up once, and that is durable.
    pub ready: bool,
    /// What is wrong besides single watches, a line each: `the disk is full`, `the first lists are not durable yet`.
    pub notes: Vec<String>,
}

/// One watch as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchReport {
    /// The kind.
    pub watch: WatchId,
    /// What it is doing, one word: `pending`, `listing`, `catching_up`, `watching`, `failing`.
    pub state: &'static str,
    /// Why it is failing, and since when.
    pub failing: Option<(String, Timestamp)>,
    /// Whether readiness waits for it.
    pub awaited: bool,
    /// What it has done.
    pub counts: WatchCounts,
}

/// What one watch has done since the process started. All of them only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchCounts {
    /// Lists begun.
    pub lists: u64,
    /// Lists finished.
    pub lists_finished: u64,
    /// Pages of lists read.
    pub pages: u64,
    /// Items of lists read.
    pub items: u64,
    /// Watches opened.
    pub watches: u64,
    /// Changes delivered by watches.
    pub events: u64,
    /// Bookmarks delivered by watches.
    pub bookmarks: u64,
    /// Times that the server no longer had what comes next (410).
    pub expired: u64,
    /// Requests that failed, watches that fell silent.
    pub failures: u64,
    /// Items and events that could not be read, every try counted.
    pub unreadable: u64,
    /// Events given up: what they told is not in the record.
    pub skipped_events: u64,
}

/// What the look-ups of owners have done since the process started. All of them only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnerCounts {
    /// Single look-ups.
    pub lookups: u64,
    /// Lists of a kind in place of single look-ups.
    pub lists: u64,
    /// Owners found.
    pub found: u64,
    /// Answers that no object has the UID (any more).
    pub gone: u64,
    /// Requests that failed; they are retried.
    pub failures: u64,
}
