//! What readiness and metrics need to know of a recorder.

use std::collections::BTreeMap;

use crate::ingest::WriterStats;
use crate::model::WatchId;
use crate::store::CopyGraceStats;
use crate::watch::{OwnerCounters, WatchReport};

/// A recorder, as its HTTP server sees it. Called on every probe and scrape, from async code: answers come from memory.
///
/// The server keeps it until it has stopped, so it must not hold what keeps a recorder from stopping: a
/// [`DepthGauge`](crate::ingest::DepthGauge), not a [`Queue`](crate::ingest::Queue).
pub trait RecorderStatus: Send + Sync + 'static {
    /// Whether the first lists are done and committed (S6).
    fn readiness(&self) -> Readiness;
    /// Every watch as it is now.
    fn watches(&self) -> BTreeMap<WatchId, WatchReport>;
    /// What the look-ups of owners have done since the process started.
    fn owner_lookups(&self) -> OwnerCounters;
    /// Counters of the writer.
    fn writer(&self) -> &WriterStats;
    /// What is kept for plain copies of the live file; `None`: nothing ever is.
    fn copy_grace(&self) -> Option<&CopyGraceStats> {
        None
    }
    /// Observations that wait for the writer at this moment.
    fn queue_depth(&self) -> usize;
}

/// Whether a recorder does what it is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Every kind was listed or has caught up once, as far as it can be, and that is durable.
    pub ready: bool,
    /// What there is to say besides the state of single watches, a line each: `the disk is full`, `the first lists are
    /// not durable yet`.
    pub notes: Vec<String>,
}
