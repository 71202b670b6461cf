//! Retention: drops what lies before a horizon, piece by piece, and keeps what the record from there on needs.
//!
//! A change before the horizon is needed only as the base state: the last version of an object that was alive there. So
//! the changes between the old horizon and the new are gone over once, in the order of time; each names the object
//! whose earlier versions it supersedes. Survivors are never scanned. What is shared (epochs, runs) follows the
//! horizon at once ([`prune`]); what others may refer to (pods, owners) is swept from time to time ([`sweep`]).
//!
//! Every piece is one transaction, and the horizon is part of it: a crash between two pieces leaves a record that is
//! complete from its horizon on.

mod prune;
mod sweep;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::Apply;
use crate::model::{EventKey, Horizon};
use crate::store::lookup::Lookup;
use crate::store::rows::{EventRow, HistoryRow, HorizonRow};
use crate::store::tables::{ReadableTable, put, row};
use crate::store::{HORIZON, StoreError, keys};

pub(in super::super) use sweep::Sweep;

/// How much one piece may be.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Rows read or dropped.
    pub rows: usize,
    /// Time, the commit aside.
    pub time: Duration,
}

/// What is left of an [`Effort`].
struct Remaining {
    rows: usize,
    deadline: Instant,
}

impl Remaining {
    fn new(effort: Effort) -> Self {
        Self {
            rows: effort.rows.max(1),
            deadline: Instant::now() + effort.time,
        }
    }

    /// Takes the share of some rows; false once nothing is left. The first row is always granted.
    fn spend(&mut self, rows: usize) -> bool {
        self.rows = self.rows.saturating_sub(rows);
        !self.is_spent()
    }

    fn is_spent(&self) -> bool {
        self.rows == 0 || Instant::now() >= self.deadline
    }
}

/// What one piece did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// Changes dropped.
    pub changes: u64,
    /// Other rows dropped: lifecycles, owners, epochs, runs, gaps.
    pub rows: u64,
    /// Nothing is left to do for this horizon.
    pub done: bool,
}

impl Apply<'_, '_> {
    /// Carries the horizon as far towards `target` as the effort lasts. Where it is there, drops what follows from it.
    pub(in super::super) fn retain(
        &mut self,
        target: Horizon,
        effort: Effort,
    ) -> Result<Retained, StoreError> {
        let mut remaining = Remaining::new(effort);
        let mut retained = Retained::default();
        if target > self.state.horizon {
            retained.changes = self.advance_horizon(target, &mut remaining)?;
        }
        if self.state.horizon < target || remaining.is_spent() {
            return Ok(retained);
        }
        let pruned = self.prune(&mut remaining)?;
        retained.rows += pruned.rows;
        if !pruned.done {
            return Ok(retained);
        }
        let swept = self.sweep(&mut remaining)?;
        retained.rows += swept.rows;
        retained.done = swept.done;
        Ok(retained)
    }

    /// Returns how many changes were dropped.
    fn advance_horizon(
        &mut self,
        target: Horizon,
        remaining: &mut Remaining,
    ) -> Result<u64, StoreError> {
        let from = keys::event(self.state.horizon.event());
        let to = keys::event(target.event());
        let mut reached = target;
        let mut objects = BTreeSet::new();
        if from < to {
            for entry in self.tables.events.range::<&keys::EventBytes>(&from..&to)? {
                let (bytes, value) = entry?;
                let header: EventRow = row::<&keys::EventBytes, _>(bytes.value(), value.value())?;
                objects.insert(header.object);
                if !remaining.spend(1) {
                    let EventKey { at, seq } = keys::event_of(bytes.value());
                    reached = Horizon::before(EventKey { at, seq: seq + 1 });
                    break;
                }
            }
        }
        let mut dropped = 0;
        for object in objects {
            dropped += self.drop_superseded(object, reached.event())?;
        }
        self.state.horizon = reached;
        let row = HorizonRow::from(reached);
        put(&mut self.tables.meta, HORIZON, &row)?;
        Ok(dropped)
    }

    /// Drops the versions of an object that nothing from `horizon` on shows. Returns how many.
    fn drop_superseded(&mut self, object: u64, horizon: EventKey) -> Result<u64, StoreError> {
        let Some((base, deleted)) = self.tables.version_before(object, horizon)? else {
            return Ok(0);
        };
        let end = if deleted {
            EventKey {
                seq: base.seq + 1,
                ..base
            }
        } else {
            base
        };
        let versions = self.versions_before(object, end)?;
        let dropped = versions.len() as u64;
        for (event, deleted) in versions {
            let header = self.tables.event(event)?;
            self.state.kinds.count(header.kind, |kind| {
                if deleted {
                    kind.deletes = kind.deletes.saturating_sub(1);
                } else {
                    kind.applies = kind.applies.saturating_sub(1);
                    kind.body_bytes = kind.body_bytes.saturating_sub(u64::from(header.body_len));
                }
            });
            let bytes = keys::event(event);
            self.tables.events.remove(&bytes)?;
            self.tables.bodies.remove(&bytes)?;
            self.tables.history.remove(&keys::history(object, event))?;
        }
        if deleted {
            self.drop_incarnation(object, base)?;
        }
        Ok(dropped)
    }

    fn versions_before(
        &self,
        object: u64,
        end: EventKey,
    ) -> Result<Vec<(EventKey, bool)>, StoreError> {
        let from = keys::history(object, crate::store::lookup::FIRST);
        let to = keys::history(object, end);
        let mut versions = Vec::new();
        for entry in self
            .tables
            .history
            .range::<&keys::HistoryBytes>(&from..&to)?
        {
            let (bytes, value) = entry?;
            let HistoryRow { deleted } =
                row::<&keys::HistoryBytes, _>(bytes.value(), value.value())?;
            versions.push((keys::history_event(bytes.value()), deleted));
        }
        Ok(versions)
    }

    /// Forgets an incarnation whose deletion was dropped, unless it came back.
    fn drop_incarnation(&mut self, object: u64, deletion: EventKey) -> Result<(), StoreError> {
        let Some(incarnation) = self.tables.incarnation(object)? else {
            return Ok(());
        };
        let key = incarnation.key();
        let newest = self.tables.object(&key, object)?;
        if newest.is_some_and(|row| row.live || row.last_seq != deletion.seq) {
            return Ok(());
        }
        self.tables
            .objects
            .remove(keys::object(&key, object).as_slice())?;
        self.tables.incarnations.remove(object)?;
        Ok(())
    }
}
