//! Retention: drops what lies before a horizon, piece by piece, and keeps what the record from there on needs.
//!
//! A change before the horizon is needed only as the base state: the last version of an object that was alive there (and
//! what its group holds besides). So the changes between the old horizon and the new are gone over once, in the order
//! of time; each names the object whose earlier versions it supersedes. Survivors are never scanned. What is shared (epochs, runs) follows the
//! horizon at once ([`prune`]); what others may refer to (pods, owners) is swept from time to time ([`sweep`]).
//!
//! Every piece is one transaction, and the horizon is part of it: a crash between two pieces leaves a record that is
//! complete from its horizon on.

mod marks;
mod prune;
mod sweep;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::Apply;
use crate::limits::{RETENTION_STRIDE_ROWS, RETENTION_STRIDES_MIN};
use crate::model::{EventKey, Horizon};
use crate::store::lookup::Lookup;
use crate::store::rows::Incarnation;
use crate::store::tables::ReadableTable;
use crate::store::versions::{self, Remains, Version};
use crate::store::{StoreError, headers, keys};

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
pub(in super::super) struct Remaining {
    rows: usize,
    deadline: Instant,
}

impl Remaining {
    pub(in super::super) fn new(effort: Effort) -> Self {
        Self {
            rows: effort.rows.max(1),
            deadline: Instant::now() + effort.time,
        }
    }

    /// Takes the share of some rows; false once nothing is left. The first row is always granted.
    pub(in super::super) fn spend(&mut self, rows: usize) -> bool {
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
    /// Carries the horizon as far towards `target` as the effort lasts, and no further than the record goes: what comes
    /// next, perhaps after the clock was set back, must not lie before it. Where it is there, drops what follows from it.
    pub(in super::super) fn retain(
        &mut self,
        target: Horizon,
        effort: Effort,
    ) -> Result<Retained, StoreError> {
        let mut remaining = Remaining::new(effort);
        let mut retained = Retained::default();
        let target = target.min(self.state.end());
        if target > self.state.row.horizon() {
            let reached;
            (retained.changes, reached) = self.advance_horizon(target, &mut remaining)?;
            if !reached {
                return Ok(retained);
            }
        }
        if remaining.is_spent() {
            return Ok(retained);
        }
        let pruned = self.prune(&mut remaining)?;
        retained.rows += pruned.rows;
        if pruned.done {
            let swept = self.sweep(&mut remaining)?;
            retained.rows += swept.rows;
            retained.done = swept.done;
        }
        // What is dropped of packed rows is taken out of their chunks by the next pass.
        self.state.packing.note_dropped(retained.rows);
        Ok(retained)
    }

    /// Returns how many changes were dropped, and whether the target was reached. Finding what to drop is quick, dropping
    /// it is not: so both are done by strides, and the time is looked at after each.
    fn advance_horizon(
        &mut self,
        target: Horizon,
        remaining: &mut Remaining,
    ) -> Result<(u64, bool), StoreError> {
        self.state.headers.flush(self.tables)?;
        let (mut changes, mut stride) = (0, RETENTION_STRIDE_ROWS);
        loop {
            let rows = remaining.rows.clamp(1, stride);
            let began = Instant::now();
            let (dropped, reached) = self.advance_stride(target, rows)?;
            changes += dropped;
            if reached || !remaining.spend(rows) {
                return Ok((changes, reached));
            }
            // An object with several changes in a stride is looked at once: so as long as there is time, strides grow.
            let now = Instant::now();
            let left = remaining.deadline.saturating_duration_since(now);
            let strides = left.as_secs_f64() / (now - began).as_secs_f64().max(f64::EPSILON);
            if strides < RETENTION_STRIDES_MIN {
                return Ok((changes, false));
            }
            stride = ((stride as f64 * strides.min(2.0)) as usize).max(1);
        }
    }

    /// Drops at most so many changes.
    fn advance_stride(&mut self, target: Horizon, rows: usize) -> Result<(u64, bool), StoreError> {
        let from = self.state.row.horizon().event();
        let (mut last, mut changes, mut reached) = (None, 0, true);
        let mut objects = BTreeSet::new();
        if from < target.event() {
            for entry in headers::range(self.tables, from, target.event())? {
                let (event, header) = entry?;
                objects.insert(header.object);
                last = Some(event);
                changes += 1;
                if changes >= rows as u64 {
                    reached = false;
                    break;
                }
            }
        }
        if let Some(last) = last {
            self.drop_changes(objects, from, last)?;
        }
        // Lifecycles and gaps grow old where nothing changes, too.
        let horizon = match last {
            Some(last) if !reached => Horizon::behind(last),
            _ => target,
        };
        self.state.packing.note_dropped(changes);
        let row = &mut self.state.row;
        row.changes = row.changes.saturating_sub(changes);
        row.set_horizon(horizon);
        self.drop_headers()?;
        Ok((changes, reached))
    }

    /// Drops what the changes of these objects from one event to another have superseded, and takes the changes out of the
    /// counters.
    fn drop_changes(
        &mut self,
        objects: BTreeSet<u64>,
        from: EventKey,
        last: EventKey,
    ) -> Result<(), StoreError> {
        for object in objects {
            let kinds = &mut self.state.kinds;
            let uncount = |version: &Version| {
                if version.event < from {
                    return;
                }
                kinds.count(version.kind, |kind| {
                    if version.deleted {
                        kind.deletes = kind.deletes.saturating_sub(1);
                    } else {
                        kind.applies = kind.applies.saturating_sub(1);
                        let bytes = u64::from(version.body_len);
                        kind.body_bytes = kind.body_bytes.saturating_sub(bytes);
                    }
                });
            };
            if versions::drop_superseded(self.tables, object, last, uncount)? == Remains::Gone {
                self.drop_incarnation(object)?;
            }
        }
        Ok(())
    }

    /// Drops the chunks of headers before the horizon. The last chunk always stays: headers are added to it.
    fn drop_headers(&mut self) -> Result<(), StoreError> {
        let horizon = keys::event(self.state.row.horizon().event());
        loop {
            let first = {
                let mut chunks = self.tables.events.iter()?;
                match (chunks.next().transpose()?, chunks.next().transpose()?) {
                    (Some((first, _)), Some((next, _))) if *next.value() <= horizon => {
                        *first.value()
                    }
                    _ => return Ok(()),
                }
            };
            self.tables.events.remove(&first)?;
        }
    }

    /// Forgets an incarnation that is gone, and of which no version is left.
    fn drop_incarnation(&mut self, object: u64) -> Result<(), StoreError> {
        let Some(Incarnation { key, .. }) = self.tables.incarnation(object)? else {
            return Ok(());
        };
        if self
            .tables
            .object(&key, object)?
            .is_some_and(|row| row.live)
        {
            return Ok(());
        }
        self.tables
            .objects
            .remove(keys::object(&key, object).as_slice())?;
        self.tables.incarnations.remove(object)?;
        Ok(())
    }
}
