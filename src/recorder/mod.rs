//! A recorder: watches, writer and store put together.
//!
//! [`Recorder::start`] begins a run on a store and records until it is told to stop; the store can be read meanwhile
//! ([`Recorder::reader`]).

mod owners;
mod report;
mod simulated;

use std::sync::Arc;

use tokio::sync::watch::Receiver;

use crate::clock::Clock;
use crate::config::TracerConfig;
use crate::ingest::{
    Queue, Retention, RetentionPolicy, Writer, WriterThread, queue, spawn_retaining,
};
use crate::limits::{BACKOFF_MS_MAX, BACKOFF_MS_MIN};
use crate::model::Uid;
use crate::store::{Reader, Store, StoreError};
use crate::watch::{self, WatchError};

pub use report::Report;
pub use simulated::{SimulatedRecorder, SimulationError};

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
    config: TracerConfig,
    resume: std::collections::BTreeMap<crate::model::WatchId, String>,
    queue: Queue,
    writer: WriterThread,
    reader: Reader,
    report: Arc<Report>,
}

impl Recorder {
    /// Begins a run that keeps what `retention` says.
    ///
    /// # Errors
    /// [`StoreError::OtherCluster`] when the store belongs to another cluster than `cluster` (R16); else what the store
    /// says.
    pub fn start(
        store: Store,
        client: watch::Client,
        cluster: &Uid,
        config: TracerConfig,
        retention: RetentionPolicy,
        clock: Arc<dyn Clock>,
        report: Arc<Report>,
    ) -> Result<Self, RecorderError> {
        let reader = store.reader();
        let mut writer = Writer::new(store)?;
        writer.begin_run(clock.now(), &config, "record", Some(&cluster.0))?;
        let resume = writer.resume_points();
        let retention = Retention::new(retention, &writer)?;
        let (queue, receiver) = queue(Arc::clone(&clock));
        report.started(queue.depth_gauge());
        let writer = spawn_retaining(writer, retention, receiver, clock, report.writer_stats())
            .map_err(RecorderError::Thread)?;
        Ok(Self {
            client,
            config,
            resume,
            queue,
            writer,
            reader,
            report,
        })
    }

    /// Reads what has been committed.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// Records until `stop` becomes true, then commits what is queued, ends the run and closes the file.
    ///
    /// # Errors
    /// [`RecorderError`]: the store failed, or the watches crashed. What had been committed is durable.
    pub async fn run(self, stop: Receiver<bool>) -> Result<(), RecorderError> {
        let Self {
            client,
            config,
            resume,
            queue,
            writer,
            reader,
            report,
        } = self;
        let wanted = Arc::new(owners::StoredWants::new(reader.clone()));
        let watched = watch::run(
            client,
            config,
            resume,
            queue,
            wanted,
            report.watch_status(),
            stop,
        )
        .await;
        // Every sender is gone now, so the writer commits what it has and comes back.
        let written = tokio::task::spawn_blocking(move || writer.join())
            .await
            .unwrap_or_else(|_| {
                Err(StoreError::Refused(
                    "the writer could not be waited for".to_owned(),
                ))
            });
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
