//! A recorder: watches, writer and store put together.
//!
//! [`Recorder::start`] begins a run on a store and records until it is told to stop; the store can be read meanwhile
//! ([`Recorder::reader`]).

mod copy_grace;
mod owners;
mod report;
mod simulated;
mod simulated_watches;

use std::sync::Arc;

use tokio::sync::watch::Receiver;

use crate::clock::Clock;
use crate::config::TracerConfig;
use crate::ingest::{
    Patience, Queue, Retention, RetentionPolicy, Writer, WriterThread, queue, spawn_patient,
};
use crate::limits::{BACKOFF_MS_MAX, BACKOFF_MS_MIN};
use crate::model::Uid;
use crate::normalize::Redaction;
use crate::store::{CopyGrace, CopyGraceOptions, Reader, Store, StoreError};
use crate::watch::{self, WatchError, WatchPlan, WatchStart};

pub use report::Report;
pub use simulated::{SimulatedRecorder, SimulationError};
pub(crate) use simulated_watches::SimulatedWatches;

/// Why recording ended.
#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    /// The store failed. What had been committed is durable.
    #[error("cannot write the record")]
    Store(#[from] StoreError),
    /// Watching failed, other than for what the API server does.
    #[error("cannot watch the cluster")]
    Watch(#[from] WatchError),
    /// The system gave no thread.
    #[error("cannot start the writer")]
    Thread(#[source] std::io::Error),
}

/// A recorder at work.
pub struct Recorder {
    client: watch::Client,
    plan: WatchPlan,
    queue: Queue,
    writer: WriterThread,
    reader: Reader,
    report: Arc<Report>,
    copy_grace: CopyGraceOptions,
}

/// What a recorder begins with.
pub struct RecorderStart {
    /// Where it records.
    pub store: Store,
    /// What it watches through.
    pub client: watch::Client,
    /// UID of the cluster's kube-system namespace.
    pub cluster: Uid,
    /// What is recorded.
    pub config: TracerConfig,
    /// What is kept.
    pub retention: RetentionPolicy,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What it says of itself.
    pub report: Arc<Report>,
    /// Becomes true when it shall stop.
    pub stop: Receiver<bool>,
}

impl Recorder {
    /// Begins a run. Where the storage fails it waits, as recording does, until it succeeds or `stop` becomes true.
    ///
    /// # Errors
    /// [`StoreError::OtherCluster`] when the store belongs to another cluster (R16); else what the store
    /// says.
    pub async fn start(start: RecorderStart) -> Result<Self, RecorderError> {
        let RecorderStart {
            store,
            client,
            cluster,
            config,
            retention,
            clock,
            report,
            stop,
        } = start;
        let reader = store.reader();
        let mut writer = Writer::new(store)?;
        let (config, writer) = {
            let (cluster, clock) = (cluster.0.clone(), Arc::clone(&clock));
            let stats = report.writer_stats();
            // Waits for the disk, and maybe for long.
            let beginning = tokio::task::spawn_blocking(move || {
                let stopped = || *stop.borrow() || stop.has_changed().is_err();
                Patience::default().write(&mut writer, &stats, &*clock, stopped, |writer| {
                    let begun = writer.begin_run(clock.now(), &config, "record", Some(&cluster));
                    begun.map(|()| None)
                })?;
                Ok((config, writer))
            });
            beginning.await.unwrap_or_else(|_| {
                Err(StoreError::Refused(
                    "the run could not be begun; this is a bug".to_owned(),
                ))
            })?
        };
        let redaction = Redaction::new(writer.redaction_key()?, &config);
        let resume = writer.resume_points();
        let retention = Retention::new(retention, &writer)?.beside(report.copy_grace_stats());
        let (queue, receiver) = queue(Arc::clone(&clock));
        report.started(queue.depth_gauge());
        let stats = report.writer_stats();
        let writer = spawn_patient(
            writer,
            retention,
            receiver,
            clock,
            stats,
            Patience::default(),
        )
        .map_err(RecorderError::Thread)?;
        Ok(Self {
            client,
            plan: WatchPlan {
                config,
                redaction,
                resume,
            },
            queue,
            writer,
            reader,
            report,
            copy_grace: CopyGraceOptions::default(),
        })
    }

    /// For how long the live file's pages are kept for plain copies of it. The default is a minute.
    #[must_use]
    pub fn with_copy_grace(self, copy_grace: CopyGraceOptions) -> Self {
        Self { copy_grace, ..self }
    }

    /// Reads what has been committed.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// Records until `stop` becomes true, and for a moment what had happened before; then commits what is queued, ends the run
    /// and closes the file.
    ///
    /// # Errors
    /// [`RecorderError`]: the store failed, or the watches crashed. What had been committed is durable.
    pub async fn run(self, stop: Receiver<bool>) -> Result<(), RecorderError> {
        let Self {
            client,
            plan,
            queue,
            writer,
            reader,
            report,
            copy_grace,
        } = self;
        let grace = CopyGrace::new(reader.clone(), copy_grace, report.copy_grace_stats());
        let keeping = tokio::spawn(copy_grace::keep(grace));
        let noting = tokio::spawn(Arc::clone(&report).note_first_lists());
        let watched = watch::run_on_thread(WatchStart {
            client,
            plan,
            queue,
            wanted: Arc::new(owners::StoredWants::new(reader.clone())),
            status: report.watch_status(),
            stop,
        })
        .await;
        // Every sender is gone now, so the writer commits what it has and comes back.
        let written = tokio::task::spawn_blocking(move || writer.join())
            .await
            .unwrap_or_else(|_| {
                Err(StoreError::Refused(
                    "the writer could not be waited for".to_owned(),
                ))
            });
        // Aborted or not, it has let go of the store when it has been waited for.
        keeping.abort();
        noting.abort();
        let _ = keeping.await;
        drop(reader);
        // The writer's own error is the cause where both failed.
        let writer = written?;
        drop(writer);
        Ok(watched?)
    }
}

/// Finds out which cluster this is, waiting for the API server as long as it takes; `None` when told to stop.
pub async fn wait_for_cluster(client: &watch::Client, mut stop: Receiver<bool>) -> Option<Uid> {
    let mut wait_ms = BACKOFF_MS_MIN;
    loop {
        let asked = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return None,
            asked = watch::cluster_id(client) => asked,
        };
        match asked {
            Ok(uid) => return Some(uid),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    retry_ms = wait_ms,
                    "cannot tell which cluster this is; nothing is recorded yet"
                );
            }
        }
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return None,
            () = tokio::time::sleep(std::time::Duration::from_millis(wait_ms)) => {}
        }
        wait_ms = (wait_ms * 2).min(BACKOFF_MS_MAX);
    }
}
