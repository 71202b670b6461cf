//! What a recorder says of itself, for probes and metrics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::ingest::{DepthGauge, WriterStats};
use crate::limits::FIRST_LISTS_LOOK_MS;
use crate::model::WatchId;
use crate::serve::{Readiness, RecorderStatus};
use crate::store::CopyGraceStats;
use crate::watch::{OwnerCounters, WatchReport, WatchStatus};

/// Not ready yet: no number of observations will do.
const NEVER: u64 = u64::MAX;

/// The state of a recorder, from before it has found its cluster until it has stopped. Holds nothing that would keep it
/// from stopping.
pub struct Report {
    watches: Arc<WatchStatus>,
    writer: Arc<WriterStats>,
    copy_grace: Arc<CopyGraceStats>,
    queue: OnceLock<DepthGauge>,
    /// How many observations had been made when all first lists were done: ready once so many are durable.
    ready_at: AtomicU64,
}

impl Report {
    /// The report of a recorder that has not started.
    pub fn new(watches: Arc<WatchStatus>) -> Self {
        Self {
            watches,
            writer: Arc::default(),
            copy_grace: Arc::default(),
            queue: OnceLock::new(),
            ready_at: AtomicU64::new(NEVER),
        }
    }

    pub(super) fn started(&self, queue: DepthGauge) {
        // A report belongs to one recorder: a second start changes nothing.
        let _ = self.queue.set(queue);
    }

    pub(super) fn watch_status(&self) -> Arc<WatchStatus> {
        Arc::clone(&self.watches)
    }

    pub(super) fn writer_stats(&self) -> Arc<WriterStats> {
        Arc::clone(&self.writer)
    }

    pub(super) fn copy_grace_stats(&self) -> Arc<CopyGraceStats> {
        Arc::clone(&self.copy_grace)
    }

    /// Waits until the first lists are done, to note what has to be durable then; a probe may come much later.
    pub(super) async fn note_first_lists(self: Arc<Self>) {
        let mut timer = tokio::time::interval(Duration::from_millis(FIRST_LISTS_LOOK_MS));
        while !self.watches.readiness().ready {
            timer.tick().await;
        }
        self.is_durable();
    }

    /// Whether what the first lists delivered has been committed.
    fn is_durable(&self) -> bool {
        let Some(queue) = self.queue.get() else {
            return false;
        };
        let mut ready_at = self.ready_at.load(Ordering::SeqCst);
        if ready_at == NEVER {
            ready_at = queue.sent();
            self.ready_at.store(ready_at, Ordering::SeqCst);
        }
        self.writer.observations.load(Ordering::SeqCst) >= ready_at
    }
}

impl RecorderStatus for Report {
    fn readiness(&self) -> Readiness {
        if let Some(pause) = self.writer.pause() {
            let note = format!(
                "recording is paused since {}: {}",
                pause.since, pause.reason
            );
            return Readiness {
                ready: false,
                notes: vec![note],
            };
        }
        if self.queue.get().is_none() {
            let notes = vec!["the cluster has not been reached yet".to_owned()];
            return Readiness {
                ready: false,
                notes,
            };
        }
        let ready = self.watches.readiness().ready;
        if ready && !self.is_durable() {
            let notes = vec!["the first lists are not durable yet".to_owned()];
            return Readiness {
                ready: false,
                notes,
            };
        }
        Readiness {
            ready,
            notes: Vec::new(),
        }
    }

    fn watches(&self) -> BTreeMap<WatchId, WatchReport> {
        self.watches.watches()
    }

    fn owner_lookups(&self) -> OwnerCounters {
        self.watches.owners()
    }

    fn writer(&self) -> &WriterStats {
        &self.writer
    }

    fn copy_grace(&self) -> Option<&CopyGraceStats> {
        Some(&self.copy_grace)
    }

    fn queue_depth(&self) -> usize {
        self.queue.get().map_or(0, DepthGauge::get)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    //! Guards against a recorder that is told to be unready by the first probe, however late that comes.

    use super::*;
    use crate::clock::ManualClock;
    use crate::ingest::queue;
    use crate::model::{Gvk, Observation, Timestamp};
    use crate::watch::WatchState;

    #[tokio::test]
    async fn what_comes_after_the_first_lists_is_not_waited_for() {
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1)));
        let watches = Arc::new(WatchStatus::new(clock.clone()));
        let report = Arc::new(Report::new(Arc::clone(&watches)));
        let (queue, _receiver) = queue(clock);
        report.started(queue.depth_gauge());
        let bookmark = || Observation::Bookmark {
            watch: Gvk::pod(),
            resource_version: "1".to_owned(),
        };
        queue.send(bookmark()).await.unwrap();
        watches.set(&Gvk::pod(), WatchState::Watching);
        Arc::clone(&report).note_first_lists().await;
        // Things go on happening before anybody asks.
        queue.send(bookmark()).await.unwrap();
        assert!(!report.readiness().ready, "the list is not durable");
        report.writer.observations.store(1, Ordering::SeqCst);
        assert!(report.readiness().ready);
    }
}
