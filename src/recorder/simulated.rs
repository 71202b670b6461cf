//! Recording a synthetic cluster: the same ingest path as a real one, from normalization to the committed file, with the
//! workload in the place of the API server and its time in the place of the clock.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clock::ManualClock;
use crate::config::{ConfigError, TracerConfig, TrackedKind};
use crate::ingest::{
    Queue, QueueClosed, Retention, RetentionPolicy, Writer, WriterStats, WriterThread, queue,
    spawn_retaining,
};
use crate::model::{Gvk, Item, Observation, OwnerRef};
use crate::normalize::{NormalizeError, Redaction, normalize};
use crate::store::{Store, StoreError};
use crate::workload::{Step, Verb, Workload};

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
    redaction: Redaction,
    /// What is watched: the tracked kinds, and pods.
    watches: BTreeMap<Gvk, Option<TrackedKind>>,
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
        let mut watches: BTreeMap<_, _> = config
            .tracked
            .into_iter()
            .map(|(gvk, tracked)| (gvk, Some(tracked)))
            .collect();
        if !watches.keys().any(Gvk::is_pod) {
            watches.insert(Gvk::pod(), None);
        }
        let recorder = Self {
            clock,
            queue,
            writer,
            stats,
            redaction,
            watches,
        };
        recorder.list(workload).await?;
        Ok(recorder)
    }

    /// Records what is there now, kind by kind, as lists show it.
    async fn list(&self, workload: &Workload) -> Result<(), SimulationError> {
        for (watch, tracked) in &self.watches {
            self.queue
                .send(Observation::ListStarted {
                    watch: watch.clone(),
                })
                .await?;
            for object in workload.live_of(watch) {
                let item = normalize(watch, tracked.as_ref(), &self.redaction, object)?;
                self.answer_owners(&item, workload).await?;
                self.queue
                    .send(Observation::Applied {
                        watch: watch.clone(),
                        item,
                        resource_version: None,
                    })
                    .await?;
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
        let Some(tracked) = self.watches.get(&step.kind) else {
            return Ok(());
        };
        let item = normalize(&step.kind, tracked.as_ref(), &self.redaction, step.object)?;
        let resource_version = Some(workload.resource_version().to_string());
        let watch = step.kind;
        if step.verb == Verb::Add {
            self.answer_owners(&item, workload).await?;
        }
        let observation = match step.verb {
            Verb::Add | Verb::Modify => Observation::Applied {
                watch,
                item,
                resource_version,
            },
            Verb::Delete => Observation::Deleted {
                watch,
                item,
                resource_version,
            },
        };
        Ok(self.queue.send(observation).await?)
    }

    /// What an owner look-up would find: owners of kinds that are not watched.
    async fn answer_owners(&self, item: &Item, workload: &Workload) -> Result<(), SimulationError> {
        let owners: &[OwnerRef] = match (&item.pod, &item.object, &item.skipped) {
            (Some(pod), _, _) => &pod.owners,
            (None, Some(object), _) => &object.owners,
            (None, None, Some((_, facts))) => &facts.owners,
            (None, None, None) => &[],
        };
        for owner in owners
            .iter()
            .filter(|owner| !self.watches.contains_key(&owner.gvk()))
        {
            let facts = workload.owner_facts(&owner.uid);
            self.queue
                .send(Observation::Owner {
                    uid: owner.uid.clone(),
                    facts,
                })
                .await?;
        }
        Ok(())
    }

    /// What the writer has done.
    pub fn stats(&self) -> &Arc<WriterStats> {
        &self.stats
    }

    /// Commits what is queued, ends the run and gives the store back.
    ///
    /// # Errors
    /// What stopped the writer.
    pub fn stop(self) -> Result<Store, SimulationError> {
        let Self { queue, writer, .. } = self;
        drop(queue);
        Ok(writer.join()?.into_store())
    }
}
