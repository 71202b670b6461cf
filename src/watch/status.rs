//! How the watches are doing: for readiness and metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::Clock;
use crate::limits::READY_FAILURES_MIN;
use crate::model::{Timestamp, WatchId};

/// What one watch is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum WatchState {
    /// Nothing was heard yet.
    #[default]
    Pending,
    /// A list is under way.
    Listing,
    /// Resumed, and not all that was missed has arrived.
    CatchingUp,
    /// In contact: what happens arrives as it happens.
    Watching,
    /// Out of contact; retried for ever.
    Failing {
        /// Why.
        reason: String,
        /// Since when it has been failing, for whatever reasons.
        since: Timestamp,
    },
}

impl WatchState {
    /// One word for metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Listing => "listing",
            Self::CatchingUp => "catching_up",
            Self::Watching => "watching",
            Self::Failing { .. } => "failing",
        }
    }
}

/// What one watch has done since the process started. All of them only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchCounters {
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

/// One watch as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchReport {
    /// What it is doing.
    pub state: WatchState,
    /// Whether it has been in contact since the process started: its list is complete, or it has caught up.
    pub synced: bool,
    /// Whether it no longer holds back readiness although it never was: it has failed
    /// [`READY_FAILURES_MIN`] times in a row.
    pub excused: bool,
    /// What it has done.
    pub counters: WatchCounters,
}

/// What the look-ups of owners have done since the process started. All of them only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnerCounters {
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

/// Whether the watches have seen the cluster once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Every kind was listed or has caught up once; kinds that keep failing are excused, but not all of them.
    pub ready: bool,
    /// The kinds that are waited for.
    pub waiting: Vec<WatchId>,
    /// The kinds that are failing now, and why. They are retried, and do not hold back readiness for ever (R15).
    pub failing: Vec<(WatchId, String)>,
}

/// The state of all watches, shared with whoever reports it.
pub struct WatchStatus {
    clock: Arc<dyn Clock>,
    watches: Mutex<BTreeMap<WatchId, WatchReport>>,
    owners: Mutex<OwnerCounters>,
}

impl WatchStatus {
    /// Nothing is watched yet. The clock tells since when a watch has been failing.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            watches: Mutex::default(),
            owners: Mutex::default(),
        }
    }

    /// Every watch as it is now.
    pub fn watches(&self) -> BTreeMap<WatchId, WatchReport> {
        self.lock().clone()
    }

    /// What the look-ups of owners have done.
    pub fn owners(&self) -> OwnerCounters {
        *self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the first lists are done. That what they delivered is durable, only the ingest can tell.
    ///
    /// A kind that keeps failing from the start is reported, and no longer waited for once it has failed
    /// [`READY_FAILURES_MIN`] times in a row, provided that any kind works: else a missing permission would keep a
    /// recorder unready for ever, and an API server that is down would make it ready with nothing. A kind that
    /// fails later does not make it unready: that would restart nothing and help nobody.
    pub fn readiness(&self) -> Readiness {
        let watches = self.lock();
        let waiting: Vec<_> = watches
            .iter()
            .filter(|(_, report)| !report.synced && !report.excused)
            .map(|(watch, _)| watch.clone())
            .collect();
        Readiness {
            ready: waiting.is_empty() && watches.values().any(|report| report.synced),
            waiting,
            failing: watches
                .iter()
                .filter_map(|(watch, report)| match &report.state {
                    WatchState::Failing { reason, .. } => Some((watch.clone(), reason.clone())),
                    _ => None,
                })
                .collect(),
        }
    }

    /// Makes a watch known, so that readiness waits for it.
    pub(super) fn register(&self, watch: &WatchId) {
        self.lock().entry(watch.clone()).or_default();
    }

    /// A watch does something else now. `failing`: why it is out of contact, and after how many failures in a row.
    pub(crate) fn set(&self, watch: &WatchId, state: WatchState) {
        let mut watches = self.lock();
        let report = watches.entry(watch.clone()).or_default();
        report.synced |= state == WatchState::Watching;
        report.state = state;
    }

    /// A watch is failing, for the n-th time in a row.
    pub(super) fn set_failing(&self, watch: &WatchId, reason: String, failures: u32) {
        let mut watches = self.lock();
        let report = watches.entry(watch.clone()).or_default();
        report.excused |= failures >= READY_FAILURES_MIN;
        let since = match report.state {
            WatchState::Failing { since, .. } => since,
            _ => self.clock.now(),
        };
        report.state = WatchState::Failing { reason, since };
    }

    pub(super) fn count(&self, watch: &WatchId, count: impl FnOnce(&mut WatchCounters)) {
        if let Some(report) = self.lock().get_mut(watch) {
            count(&mut report.counters);
        }
    }

    pub(super) fn count_owners(&self, count: impl FnOnce(&mut OwnerCounters)) {
        count(&mut self.owners.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<WatchId, WatchReport>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    //! Guards against a recorder that one kind without permission keeps unready for ever, and against one that is
    //! ready while it has seen nothing.

    use super::*;
    use crate::clock::ManualClock;
    use crate::model::Gvk;

    fn status(kinds: &[&str]) -> WatchStatus {
        let status = WatchStatus::new(Arc::new(ManualClock::default()));
        for kind in kinds {
            status.register(&Gvk::new("", "v1", *kind));
        }
        status
    }

    #[test]
    fn nothing_watched_is_not_ready() {
        assert!(!status(&[]).readiness().ready);
    }

    #[test]
    fn a_kind_that_keeps_failing_is_excused_but_not_all_of_them() {
        let status = status(&["A", "B"]);
        let (a, b) = (Gvk::new("", "v1", "A"), Gvk::new("", "v1", "B"));
        status.set_failing(&a, "forbidden".into(), READY_FAILURES_MIN - 1);
        status.set_failing(&b, "down".into(), READY_FAILURES_MIN);
        assert_eq!(status.readiness().waiting, std::slice::from_ref(&a));
        status.set_failing(&a, "forbidden".into(), READY_FAILURES_MIN);
        assert!(!status.readiness().ready);
        status.set(&b, WatchState::Watching);
        let readiness = status.readiness();
        assert!(readiness.ready);
        assert_eq!(readiness.failing, [(a, "forbidden".to_owned())]);
        status.set_failing(&b, "down".into(), 1);
        assert!(status.readiness().ready);
    }

    #[test]
    fn failing_counts_from_the_first_failure() {
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1)));
        let status = WatchStatus::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let pod = Gvk::pod();
        status.register(&pod);
        status.set_failing(&pod, "a".into(), 1);
        clock.set(Timestamp::from_seconds(9));
        status.set_failing(&pod, "b".into(), 2);
        let expected = WatchState::Failing {
            reason: "b".into(),
            since: Timestamp::from_seconds(1),
        };
        assert_eq!(
            status.watches().remove(&pod).map(|r| r.state),
            Some(expected)
        );
    }
}
