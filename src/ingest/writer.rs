//! The writer: batches in, durable transactions out.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use super::apply::{Apply, Effort, Imported, Packed, Retained, RunStart, Sweep, Which};
use super::state::WriterState;
use crate::config::TracerConfig;
use crate::model::{EventKey, Horizon, Observation, RedactionKey, Timestamp, WatchId};
use crate::store::rows::WriterRow;
use crate::store::tables::Rows;
use crate::store::{Pins, Reader, Store, StoreError, headers};

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

/// What a pod's lifecycle weighs in [`Writer::weight`], bytes: its row and its places in the lists of epochs. An object
/// weighs its MessagePack, of which far less is stored, so this is more than the rows have.
const POD_WEIGHT: u64 = 4_096;
/// The same of what is known of an owner.
const OWNER_WEIGHT: u64 = 1_024;

/// A transaction that failed: the writer's row before it, and as it would have become.
#[derive(Clone, Copy, Debug)]
struct Failed {
    before: WriterRow,
    /// `None`: it did not come to a commit.
    after: Option<WriterRow>,
    /// Whether a run was under way before it, and would be after it.
    running: (bool, bool),
}

/// A bounded piece of what is to be dropped: see [`Writer::retain`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) target: Horizon,
    pub(super) effort: Effort,
    pub(super) force: bool,
}

impl Piece {
    /// Goes no further than pinned windows allow.
    fn claimed(self, pins: &Pins) -> Self {
        let target = pins.claim(self.target, self.force);
        Self { target, ..self }
    }
}

/// What a piece did within a batch, and how long the batch waited for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Worked {
    pub(super) retained: Retained,
    pub(super) took: Duration,
}

/// What became of a transaction whose storage failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// It is durable: the failure came after the commit.
    Committed(Committed),
    /// Nothing of it is in the store. The writer stands where it stood before, lists under way included: the same may be
    /// written again.
    RolledBack,
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
            apply.touch_run(false)?;
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
            apply.turn_epoch()?;
            apply.touch_run(false)
        })
    }

    /// Ends the run in good order: what is recorded is complete up to `at`.
    ///
    /// # Errors
    /// As [`Writer::append`].
    pub fn end_run(&mut self, at: Timestamp) -> Result<(), StoreError> {
        self.require_run()?;
        self.transaction(false, |apply| apply.run_ended(at))?;
        Ok(())
    }

    /// Drops a bounded piece of what lies before `target`, as one transaction; call it until it is done. Windows that
    /// start at the horizon or later export as before. What is being exported in this process stays, and the horizon
    /// stops in front of it, unless `force` is given.
    ///
    /// # Errors
    /// What the store says.
    pub fn retain(
        &mut self,
        target: Horizon,
        effort: Effort,
        force: bool,
    ) -> Result<Retained, StoreError> {
        let piece = Piece {
            target,
            effort,
            force,
        };
        let piece = piece.claimed(self.store.pins());
        let mut retained = Retained::default();
        let running = self.running;
        self.transaction(running, |apply| {
            retained = apply.retain(piece.target, piece.effort)?;
            Ok(())
        })?;
        self.store.pins().reached(self.horizon());
        Ok(retained)
    }

    /// Has the next calls of [`Writer::retain`] look for lifecycles, owners and gaps that are not needed any more: a pass
    /// over their tables.
    pub fn begin_sweep(&mut self) {
        self.state.sweep = Some(Sweep::new(self.state.row.horizon()));
    }

    /// Moves what will not change any more to the packed parts of its tables: a bounded piece of a pass over them, as one
    /// transaction.
    ///
    /// # Errors
    /// What the store says.
    pub fn pack(&mut self, effort: Effort) -> Result<Packed, StoreError> {
        self.pack_which(effort, Which::Settled)
    }

    pub(super) fn pack_which(
        &mut self,
        effort: Effort,
        which: Which,
    ) -> Result<Packed, StoreError> {
        let mut packed = Packed::default();
        let running = self.running;
        self.transaction(running, |apply| {
            packed = apply.pack(effort, which)?;
            Ok(())
        })?;
        Ok(packed)
    }

    /// Whether enough was recorded to be packed, or a pass is under way.
    pub fn is_packing_due(&self) -> bool {
        self.state.packing.is_due()
    }

    /// Packs everything, or as much as some time allows. Call it before the store is closed:
    /// [`PACKING_AT_CLOSE_SECONDS_MAX`](crate::limits::PACKING_AT_CLOSE_SECONDS_MAX) is what a recorder allows itself then.
    ///
    /// # Errors
    /// What the store says.
    pub fn pack_all(&mut self, time_max: Duration) -> Result<(), StoreError> {
        self.fold_all(time_max)?;
        super::packing::pack_all(self, time_max)
    }

    /// Whether such a pass is under way.
    pub fn is_sweeping(&self) -> bool {
        self.state.sweep.is_some()
    }

    /// How far has been dropped.
    pub fn horizon(&self) -> Horizon {
        self.state.row.horizon()
    }

    /// The place behind the next `changes` changes that have not been dropped; `end` where there are fewer before that.
    pub(super) fn horizon_behind(
        &self,
        changes: usize,
        end: Timestamp,
    ) -> Result<Horizon, StoreError> {
        let horizon = self.state.row.horizon();
        let tables = self.store.read_tables()?;
        let end = EventKey { at: end, seq: 0 };
        let nth = headers::range(&tables, horizon.event(), end)?.nth(changes.saturating_sub(1));
        Ok(match nth.transpose()? {
            Some((event, _)) => Horizon::behind(event),
            None => horizon.max(Horizon::before(end)),
        })
    }

    /// The time of the first change that has not been dropped.
    pub(super) fn next_change(&self) -> Result<Option<Timestamp>, StoreError> {
        let tables = self.store.read_tables()?;
        let end = EventKey {
            at: Timestamp::MAX,
            seq: 0,
        };
        let next = headers::range(&tables, self.state.row.horizon().event(), end)?.next();
        Ok(next.transpose()?.map(|(event, _)| event.at))
    }

    /// Changes in the record.
    pub fn changes(&self) -> u64 {
        self.state.row.changes
    }

    /// Size of what is recorded, in a unit of its own that grows and shrinks as what is stored does.
    ///
    /// # Errors
    /// What the store says.
    pub fn weight(&self) -> Result<u64, StoreError> {
        let tables = self.store.read_tables()?;
        let pods = self.state.row.pods.saturating_mul(POD_WEIGHT);
        let owners = tables.owners.about()?.saturating_mul(OWNER_WEIGHT);
        Ok(self
            .state
            .kinds
            .weight()
            .saturating_add(pods)
            .saturating_add(owners))
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

    /// From when on the record is complete.
    pub(super) fn first_time(&self) -> Timestamp {
        let first = Timestamp::from_micros(self.state.row.first_us);
        first.max(self.state.row.horizon().first_start())
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

    /// Opens the store again after a failure of its storage, and finds out what became of the transaction that failed.
    /// Without a failure it does nothing.
    ///
    /// # Errors
    /// What the store says: where it is the storage again, this may be tried again.
    pub fn recover(&mut self) -> Result<Recovery, StoreError> {
        let Some(failed) = self.failed else {
            return Ok(Recovery::RolledBack);
        };
        self.store.reopen()?;
        let stored = load(&self.store)?;
        // Every transaction that leaves this row as it was may be applied twice: it adds no change and no number.
        let committed = failed.after == Some(stored.row) && failed.before != stored.row;
        if committed {
            self.state.settle();
        } else if stored.row == failed.before {
            self.state.roll_back(stored);
        } else {
            return Err(StoreError::Refused(format!(
                "{}: the store is neither as it was before the failure nor as it was to become",
                self.path().display()
            )));
        }
        self.failed = None;
        self.store.pins().reached(self.horizon());
        self.running = if committed {
            failed.running.1
        } else {
            failed.running.0
        };
        Ok(if committed {
            Recovery::Committed(self.committed(failed.before))
        } else {
            Recovery::RolledBack
        })
    }

    fn committed(&self, before: WriterRow) -> Committed {
        Committed {
            changes: self.state.row.last_seq - before.last_seq,
            last: EventKey {
                at: self.last_time(),
                seq: self.state.row.last_seq,
            },
        }
    }

    /// Runs `work` in one durable transaction, after which a run is under way, or is not.
    pub(super) fn transaction<'a>(
        &'a mut self,
        running: bool,
        work: impl FnOnce(&mut Apply<'_, '_>) -> Result<(), StoreError> + 'a,
    ) -> Result<Committed, StoreError> {
        if self.failed.is_some() {
            return Err(StoreError::Refused(
                "an earlier write failed; open the store again to go on from what is durable"
                    .to_owned(),
            ));
        }
        let before = self.state.row;
        // Set until the commit has succeeded: any way out of here without one leaves the memory ahead of the file.
        self.failed = Some(Failed {
            before,
            after: None,
            running: (self.running, running),
        });
        let txn = self.store.begin_write()?;
        let journaled = {
            let mut tables = self.store.write_tables(&txn)?;
            let mut apply = Apply {
                tables: &mut tables,
                state: &mut self.state,
            };
            if let Err(error) = work(&mut apply) {
                if error.storage_failure().is_some() {
                    return Err(error);
                }
                drop(tables);
                txn.abort()?;
                self.state = load(&self.store)?;
                self.failed = None;
                self.running = false;
                return Err(error);
            }
            apply.store_watches()?;
            apply.store_writer()?;
            tables.write_journal(self.store.journal())?
        };
        if let Some(failed) = &mut self.failed {
            failed.after = Some(self.state.row);
        }
        let started = Instant::now();
        txn.commit()?;
        self.commit_took = started.elapsed();
        self.store.journal().committed(journaled)?;
        self.failed = None;
        self.running = running;
        self.state.settle();
        Ok(self.committed(before))
    }
}

/// Reads the writer's memory from the store.
fn load(store: &Store) -> Result<WriterState, StoreError> {
    WriterState::load(&store.read_tables()?)
}
