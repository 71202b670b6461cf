//! Recording a synthetic cluster: the same ingest path as a real one, from normalization to the committed file, with the
//! workload in the place of the API server and its time in the place of the clock.

use std::sync::Arc;

use super::simulated_watches::SimulatedWatches;
use crate::clock::ManualClock;
use crate::config::{ConfigError, TracerConfig};
use crate::ingest::{
    Queue, QueueClosed, Retention, RetentionPolicy, Writer, WriterStats, WriterThread, queue,
    spawn_retaining,
};
use crate::model::Observation;
use crate::normalize::{NormalizeError, Redaction};
use crate::store::{Store, StoreError};
use crate::workload::{Step, Workload};

/// Why recording a workload failed.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The workload's config is none: a bug.
    #[error("the workload's config")]
    Config(#[from] ConfigError),
    /// An object of the workload is none: a bug.
    #[error("an object of the workload")]
    Object(#[from] NormalizeError),
    /// The writer has stopped; [`SimulatedRecorder::stop`] says why.
    #[error(transparent)]
    Queue(#[from] QueueClosed),
    /// The system gave no thread.
    #[error("cannot start the writer")]
    Thread(#[source] std::io::Error),
}

/// A recorder at work on a workload.
pub struct SimulatedRecorder {
    clock: Arc<ManualClock>,
    queue: Queue,
    writer: WriterThread,
    stats: Arc<WriterStats>,
    watches: SimulatedWatches,
}

impl SimulatedRecorder {
    /// Begins a run at the workload's present and lists everything that exists. Everything is kept.
    ///
    /// # Errors
    /// [`SimulationError`].
    pub async fn start(
        store: Store,
        workload: &Workload,
        cluster: &str,
    ) -> Result<Self, SimulationError> {
        Self::start_retaining(store, workload, cluster, RetentionPolicy::default()).await
    }

    /// The same, keeping what `policy` says.
    ///
    /// # Errors
    /// [`SimulationError`].
    pub async fn start_retaining(
        store: Store,
        workload: &Workload,
        cluster: &str,
        policy: RetentionPolicy,
    ) -> Result<Self, SimulationError> {
        let (config, _warnings) = TracerConfig::parse(workload.config())?;
        let clock = Arc::new(ManualClock::new(workload.now()));
        let mut writer = Writer::new(store)?;
        writer.begin_run(workload.now(), &config, "demo", Some(cluster))?;
        let redaction = Redaction::new(writer.redaction_key()?, &config);
        let (queue, receiver) = queue(clock.clone());
        let retention = Retention::new(policy, &writer)?;
        let stats: Arc<WriterStats> = Arc::default();
        let writer = spawn_retaining(
            writer,
            retention,
            receiver,
            clock.clone(),
            Arc::clone(&stats),
        )
        .map_err(SimulationError::Thread)?;
        let recorder = Self {
            clock,
            queue,
            writer,
            stats,
            watches: SimulatedWatches::new(config, redaction),
        };
        recorder.list(workload).await?;
        Ok(recorder)
    }

    /// Records what is there now, kind by kind, as lists show it.
    async fn list(&self, workload: &Workload) -> Result<(), SimulationError> {
        let mut seen = Vec::new();
        for watch in self.watches.kinds() {
            self.queue
                .send(Observation::ListStarted {
                    watch: watch.clone(),
                })
                .await?;
            for object in workload.live_of(watch) {
                self.watches.listed(watch, object, workload, &mut seen)?;
                self.send(&mut seen).await?;
            }
            let resource_version = workload.resource_version().to_string();
            self.queue
                .send(Observation::ListFinished {
                    watch: watch.clone(),
                    resource_version,
                })
                .await?;
        }
        Ok(())
    }

    /// Records one step, as a watch delivers it.
    ///
    /// # Errors
    /// [`SimulationError`].
    pub async fn step(&self, step: Step, workload: &Workload) -> Result<(), SimulationError> {
        self.clock.set(step.at);
        let mut seen = Vec::new();
        self.watches.step(step, workload, &mut seen)?;
        self.send(&mut seen).await
    }

    async fn send(&self, seen: &mut Vec<Observation>) -> Result<(), SimulationError> {
        for observation in seen.drain(..) {
            self.queue.send(observation).await?;
        }
        Ok(())
    }

    /// What the writer has done.
    pub fn stats(&self) -> &Arc<WriterStats> {
        &self.stats
    }

    /// Commits what is queued, ends the run and gives the store back. Nothing of what had happened is missing.
    ///
    /// # Errors
    /// What stopped the writer.
    pub async fn stop(self) -> Result<Store, SimulationError> {
        for watch in self.watches.kinds() {
            let ended = Observation::Ended {
                watch: watch.clone(),
                complete_until: self.queue.now(),
            };
            // Where the writer has ended, it says why.
            if self.queue.send(ended).await.is_err() {
                break;
            }
        }
        let Self { queue, writer, .. } = self;
        drop(queue);
        Ok(writer.join()?.into_store())
    }
}
