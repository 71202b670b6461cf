//! Dropping what is too old, a bounded piece at a time, and what the policies of it need to know of the record.

use std::time::Duration;

use super::Writer;
use crate::ingest::apply::{Effort, Retained, Sweep};
use crate::model::{EventKey, Horizon, Timestamp};
use crate::store::tables::Rows;
use crate::store::{Pins, StoreError, headers};

/// What a pod's lifecycle weighs in [`Writer::weight`], bytes: its row and its places in the lists of epochs. An object
/// weighs its MessagePack, of which far less is stored, so this is more than the rows have.
const POD_WEIGHT: u64 = 4_096;
/// The same of what is known of an owner.
const OWNER_WEIGHT: u64 = 1_024;

/// A bounded piece of what is to be dropped: see [`Writer::retain`].
#[derive(Clone, Copy, Debug)]
pub(in crate::ingest) struct Piece {
    pub(in crate::ingest) target: Horizon,
    pub(in crate::ingest) effort: Effort,
    pub(in crate::ingest) force: bool,
}

impl Piece {
    /// Goes no further than pinned windows allow.
    pub(in crate::ingest) fn claimed(self, pins: &Pins) -> Self {
        let target = pins.claim(self.target, self.force);
        Self { target, ..self }
    }
}

/// What a piece did within a batch, and how long the batch waited for it.
#[derive(Clone, Copy, Debug)]
pub(in crate::ingest) struct Worked {
    pub(in crate::ingest) retained: Retained,
    pub(in crate::ingest) took: Duration,
}

impl Writer {
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
        self.fold_due()?;
        self.retain_at_once(target, effort, force)
    }

    /// The same without a look at the journal, for which there may be no room.
    pub(in crate::ingest) fn retain_at_once(
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

    /// Whether such a pass is under way.
    pub fn is_sweeping(&self) -> bool {
        self.state.sweep.is_some()
    }

    /// The place behind the next `changes` changes that have not been dropped; `end` where there are fewer before that.
    pub(in crate::ingest) fn horizon_behind(
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
    pub(in crate::ingest) fn next_change(&self) -> Result<Option<Timestamp>, StoreError> {
        let tables = self.store.read_tables()?;
        let end = EventKey {
            at: Timestamp::MAX,
            seq: 0,
        };
        let next = headers::range(&tables, self.state.row.horizon().event(), end)?.next();
        Ok(next.transpose()?.map(|(event, _)| event.at))
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

    /// From when on the record is complete.
    pub(in crate::ingest) fn first_time(&self) -> Timestamp {
        let first = Timestamp::from_micros(self.state.row.first_us);
        first.max(self.state.row.horizon().first_start())
    }
}
