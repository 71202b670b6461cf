//! Riding out a storage that fails: a full disk, most often. Nothing that was acknowledged is at stake; what is to be
//! written is kept in memory and written again until it succeeds.

use std::path::Path;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::stats::{Pause, WriterStats};
use super::{Committed, Recovery, Writer};
use crate::clock::Clock;
use crate::limits::{
    PAUSE_LOG_SECONDS, PAUSE_POLL_MS, RESERVE_BYTES, WRITE_RETRY_MS_MAX, WRITE_RETRY_MS_MIN,
};
use crate::store::{Reserve, StorageFailure, StoreError};

/// How a recorder rides out a storage that fails.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// First wait before a failed write is tried again; doubled with every further one.
    pub retry_min: Duration,
    /// Longest wait.
    pub retry_max: Duration,
    /// Size of the reserve file beside the database, which is given up when the disk is full; 0: none.
    pub reserve_bytes: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            retry_min: Duration::from_millis(WRITE_RETRY_MS_MIN),
            retry_max: Duration::from_millis(WRITE_RETRY_MS_MAX),
            reserve_bytes: RESERVE_BYTES,
        }
    }
}

impl Patience {
    /// Runs one transaction: tries `attempt` until it succeeds, fails for another reason than the storage's, or fails
    /// once `stopped` says so. What it waits for shows in `stats`.
    ///
    /// # Errors
    /// What `attempt` says at last.
    pub fn write(
        self,
        writer: &mut Writer,
        stats: &WriterStats,
        clock: &dyn Clock,
        stopped: impl Fn() -> bool,
        mut attempt: impl FnMut(&mut Writer) -> Result<Option<Committed>, StoreError>,
    ) -> Result<Option<Committed>, StoreError> {
        let attempt = |writer: &mut Writer, _| attempt(writer);
        Pausing::new(self, writer.path(), stats).write(writer, stats, clock, stopped, attempt)
    }
}

/// Patience at work.
pub(super) struct Pausing {
    patience: Patience,
    reserve: Option<Reserve>,
    logged: Instant,
}

impl Pausing {
    pub(super) fn new(patience: Patience, database: &Path, stats: &WriterStats) -> Self {
        let pausing = Self {
            patience,
            reserve: Reserve::beside(database, patience.reserve_bytes),
            logged: Instant::now(),
        };
        pausing.tell_reserve(stats);
        pausing
    }

    /// See [`Patience::write`]. `attempt` is told what the storage failed with the last time.
    pub(super) fn write(
        &mut self,
        writer: &mut Writer,
        stats: &WriterStats,
        clock: &dyn Clock,
        stopped: impl Fn() -> bool,
        mut attempt: impl FnMut(
            &mut Writer,
            Option<StorageFailure>,
        ) -> Result<Option<Committed>, StoreError>,
    ) -> Result<Option<Committed>, StoreError> {
        let mut wait = self.patience.retry_min;
        let mut result = attempt(writer, None);
        loop {
            let error = match result {
                Ok(committed) => {
                    self.succeeded(writer.path(), stats, clock);
                    return Ok(committed);
                }
                Err(error) => error,
            };
            let Some(failure) = error.storage_failure() else {
                return Err(error);
            };
            stats.write_failures.fetch_add(1, Ordering::Relaxed);
            if failure == StorageFailure::NoSpace && self.give_up_reserve(writer.path(), stats) {
                // There is room now: no reason to wait.
            } else {
                if stopped() {
                    return Err(error);
                }
                self.pause(&error, failure, writer.path(), stats, clock);
                sleep(wait, &stopped);
                wait = (wait * 2).min(self.patience.retry_max);
            }
            result = match writer.recover() {
                Ok(Recovery::Committed(committed)) => Ok(Some(committed)),
                Ok(Recovery::RolledBack) => attempt(writer, Some(failure)),
                Err(error) => Err(error),
            };
        }
    }

    /// Whether there was room for the reserve when it was last tried.
    pub(super) fn holds_reserve(&self) -> bool {
        self.reserve
            .as_ref()
            .is_some_and(|reserve| reserve.held_bytes() > 0)
    }

    fn give_up_reserve(&mut self, database: &Path, stats: &WriterStats) -> bool {
        let given = self.reserve.as_mut().is_some_and(Reserve::give_up);
        if given {
            tracing::warn!(
                db = %database.display(),
                "no space left on the volume: the reserve file is given up; make room soon"
            );
        }
        self.tell_reserve(stats);
        given
    }

    fn pause(
        &mut self,
        error: &StoreError,
        failure: StorageFailure,
        database: &Path,
        stats: &WriterStats,
        clock: &dyn Clock,
    ) {
        let reason = match failure {
            StorageFailure::NoSpace => {
                format!("no space left on the volume of {}", database.display())
            }
            StorageFailure::Io => format!("{}: {}", database.display(), root_cause(error)),
        };
        let mut pause = stats.pause.lock().unwrap_or_else(PoisonError::into_inner);
        let since = pause
            .as_ref()
            .map_or_else(|| clock.now(), |pause| pause.since);
        if pause.is_none() || self.logged.elapsed() >= Duration::from_secs(PAUSE_LOG_SECONDS) {
            self.logged = Instant::now();
            tracing::error!(
                %reason,
                %since,
                "recording is paused; nothing that was committed is lost, and it goes on once the storage does"
            );
        }
        *pause = Some(Pause { since, reason });
    }

    fn succeeded(&mut self, database: &Path, stats: &WriterStats, clock: &dyn Clock) {
        let pause = stats
            .pause
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(pause) = pause {
            let now = clock.now();
            tracing::info!(db = %database.display(), paused_since = %pause.since, %now, "recording goes on");
        }
        if self.reserve.as_mut().is_some_and(Reserve::restore) {
            tracing::info!(db = %database.display(), "there is room for the reserve file again");
            self.tell_reserve(stats);
        }
    }

    fn tell_reserve(&self, stats: &WriterStats) {
        let bytes = self.reserve.as_ref().map_or(0, Reserve::held_bytes);
        stats.reserve_bytes.store(bytes, Ordering::Relaxed);
    }
}

/// Waits, but not once `stopped` says so.
fn sleep(wait: Duration, stopped: impl Fn() -> bool) {
    let until = Instant::now() + wait;
    while !stopped() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(Duration::from_millis(PAUSE_POLL_MS)));
    }
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
