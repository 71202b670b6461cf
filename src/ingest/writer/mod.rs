//! The writer: batches in, durable transactions out.
//!
//! `transaction` runs one and says what became of it after a failure; `retaining` drops what is too old. What the writer does
//! beside recording is [`super::folding`] and [`super::packing`].

mod retaining;
mod transaction;

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use super::apply::{EpochPace, Imported, RunStart};
use super::state::WriterState;
use crate::config::TracerConfig;
use crate::model::{EventKey, Horizon, Observation, RedactionKey, Timestamp, WatchId};
use crate::store::{Reader, Store, StoreError};

pub(super) use retaining::{Piece, Worked};
pub use transaction::Recovery;
use transaction::{Failed, load};

/// Owns the write handle of a store and decides what observations mean.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("trace.redb");
/// use sk_tracedb::config::TracerConfig;
/// use sk_tracedb::ingest::Writer;
/// use sk_tracedb::model::{Gvk, Observation, Timestamp};
/// use sk_tracedb::{Store, normalize};
///
/// let (config, _warnings) = TracerConfig::parse("trackedObjects: {v1.ConfigMap: {}}")?;
/// let kind: Gvk = "v1.ConfigMap".parse()?;
/// let mut writer = Writer::new(Store::open(&path)?)?;
/// writer.begin_run(Timestamp::from_seconds(100), &config, "record", None)?;
///
/// let json = serde_json::json!({"metadata": {"name": "a", "namespace": "default", "uid": "1"}, "data": {"k": "v"}});
/// let redaction = normalize::Redaction::new(writer.redaction_key()?, &config);
/// let item = normalize::normalize(&kind, config.tracked.get(&kind), &redaction, json)?;
/// let seen = Observation::Applied { watch: kind, item, resource_version: None };
/// let committed = writer.append([(Timestamp::from_seconds(101), seen)])?; // durable when it returns
/// assert_eq!(committed.changes, 1);
/// # Ok(())
/// # }
/// ```
pub struct Writer {
    pub(super) store: Store,
    pub(super) state: WriterState,
    /// A transaction failed: memory and file may differ, so nothing more is written before [`Writer::recover`].
    failed: Option<Failed>,
    /// A run has begun and not ended: only then anything is recorded.
    pub(super) running: bool,
    /// How long the last commit took.
    commit_took: Duration,
    /// Folding the journal failed: it is not tried again before this, unless the journal is full.
    pub(super) folding_rests_until: Option<Instant>,
}

/// What a commit made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Changes in this commit: new event rows.
    pub changes: u64,
    /// The last change in the record.
    pub last: EventKey,
}

impl Writer {
    /// Takes over a store.
    ///
    /// # Errors
    /// What the store says.
    pub fn new(store: Store) -> Result<Self, StoreError> {
        let state = load(&store)?;
        Ok(Self {
            store,
            state,
            failed: None,
            running: false,
            commit_took: Duration::ZERO,
            folding_rests_until: None,
        })
    }

    /// Begins a run: from here on the record is made under this config. Every kind that had been seen before is blind
    /// until a watch or list of it catches up (R9, R10, R17).
    ///
    /// `cluster` is the UID of the cluster's kube-system namespace; `source` says where the record comes from (`record`,
    /// `import`, `demo`).
    ///
    /// # Errors
    /// [`StoreError::OtherCluster`] when the record belongs to another cluster; else what the store says. The record has
    /// not changed then.
    pub fn begin_run(
        &mut self,
        at: Timestamp,
        config: &TracerConfig,
        source: &str,
        cluster: Option<&str>,
    ) -> Result<(), StoreError> {
        self.transaction(true, |apply| {
            apply.run_started(&RunStart {
                at,
                config,
                source,
                cluster,
            })
        })?;
        Ok(())
    }

    /// Records observations, in their order, as one transaction: all of them are durable when this returns, or none.
    ///
    /// # Errors
    /// What the store says, and [`StoreError::Refused`] outside of a run. After a failure of the storage
    /// ([`StoreError::storage_failure`]) everything is refused until [`Writer::recover`] has succeeded; after any other
    /// error the run is over: lists that were under way are forgotten, so begin another one.
    pub fn append<O: Borrow<Observation>>(
        &mut self,
        batch: impl IntoIterator<Item = (Timestamp, O)>,
    ) -> Result<Committed, StoreError> {
        self.append_and_retain(batch, None)
            .map(|(committed, _)| committed)
    }

    /// The same, and drops a piece of what is too old with it: then nothing waits for a commit of the piece's own.
    pub(super) fn append_and_retain<O: Borrow<Observation>>(
        &mut self,
        batch: impl IntoIterator<Item = (Timestamp, O)>,
        piece: Option<Piece>,
    ) -> Result<(Committed, Option<Worked>), StoreError> {
        self.require_run()?;
        self.fold_due()?;
        let piece = piece.map(|piece| piece.claimed(self.store.pins()));
        let mut worked = None;
        let committed = self.transaction(true, |apply| {
            for (at, observation) in batch {
                apply.observation(at, observation.borrow())?;
            }
            apply.turn_epoch()?;
            if let Some(piece) = piece {
                let started = Instant::now();
                let retained = apply.retain(piece.target, piece.effort)?;
                let took = started.elapsed();
                worked = Some(Worked { retained, took });
            }
            Ok(())
        })?;
        self.store.pins().reached(self.horizon());
        Ok((committed, worked))
    }

    /// Records facts of a trace file as one transaction (see [`Imported`]).
    ///
    /// # Errors
    /// As [`Writer::append`].
    pub fn append_imported(
        &mut self,
        batch: impl IntoIterator<Item = (Timestamp, Imported)>,
    ) -> Result<Committed, StoreError> {
        self.require_run()?;
        self.fold_due()?;
        self.transaction(true, |apply| {
            for (at, fact) in batch {
                apply.imported(at, &fact)?;
            }
            apply.turn_epoch()
        })
    }

    /// Ends the run in good order. Up to when each watch is complete, [`Observation::Ended`] has said; without it, the next run
    /// has it blind since it last delivered something.
    ///
    /// # Errors
    /// As [`Writer::append`].
    pub fn end_run(&mut self, at: Timestamp) -> Result<(), StoreError> {
        self.require_run()?;
        self.transaction(false, |apply| apply.run_ended(at))?;
        Ok(())
    }

    /// Has epochs follow each other at another pace: for tests, which have no room for large ones.
    #[doc(hidden)]
    pub fn set_epoch_pace(&mut self, pace: EpochPace) {
        self.state.turning.pace = pace;
    }

    /// How far retention may drop.
    pub(in crate::ingest) fn end(&self) -> Horizon {
        self.state.end()
    }

    /// How far has been dropped.
    pub fn horizon(&self) -> Horizon {
        self.state.row.horizon()
    }

    /// Changes in the record.
    pub fn changes(&self) -> u64 {
        self.state.row.changes
    }

    /// How long the last transaction took to become durable, once its work was done.
    pub(super) fn commit_took(&self) -> Duration {
        self.commit_took
    }

    fn require_run(&self) -> Result<(), StoreError> {
        if self.running {
            Ok(())
        } else {
            Err(StoreError::Refused(
                "nothing is recorded outside of a run; begin one first".to_owned(),
            ))
        }
    }

    /// The key under which this store digests what it must not keep in clear (S8): for [`crate::normalize::Redaction`].
    ///
    /// # Errors
    /// [`StoreError::Refused`] before the store's first run.
    pub fn redaction_key(&self) -> Result<RedactionKey, StoreError> {
        self.state.redaction_key.clone().ok_or_else(|| {
            StoreError::Refused("the key for Secrets is made when a run begins".to_owned())
        })
    }

    /// The versions from which watches of the config in force can go on.
    pub fn resume_points(&self) -> BTreeMap<WatchId, String> {
        self.state
            .watches
            .iter()
            .filter(|(_, watch)| watch.row.tracked && watch.row.listed)
            .filter_map(|(id, watch)| Some((id.clone(), watch.row.resource_version.clone()?)))
            .collect()
    }

    /// The time of the last thing recorded.
    pub fn last_time(&self) -> Timestamp {
        Timestamp::from_micros(self.state.row.last_us)
    }

    /// Reads what has been committed.
    pub fn reader(&self) -> Reader {
        self.store.reader()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.store.path()
    }

    /// Gives the store back.
    pub fn into_store(self) -> Store {
        self.store
    }
}
