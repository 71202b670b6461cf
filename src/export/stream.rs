//! The second pass: writes what was planned.
//!
//! Bodies never change once written, so each stretch of the window may be read in its own short transaction: a receiver
//! that is slow does not keep old pages alive (X2).

use std::io::Write;
use std::time::{Duration, Instant};

use super::encode::sktrace::{TraceEncoder, deleted_object};
use super::error::ExportError;
use super::grouping::Grouping;
use super::plan::Plan;
use crate::limits::READ_TXN_MS_MAX;
use crate::model::{EventKey, Gvk};
use crate::store::lookup::Lookup;
use crate::store::rows::EventRow;
use crate::store::tables::row;
use crate::store::{Reader, Snapshot, StoreError, keys};

/// Writes the planned trace.
pub(super) fn write_trace<W: Write>(
    reader: &Reader,
    plan: &mut Plan,
    out: W,
) -> Result<W, ExportError> {
    let mut encoder = TraceEncoder::new(out);
    encoder.header(&plan.config.to_simkube(), plan.events)?;
    let mut snapshots = Snapshots::new(reader)?;
    write_start_state(&mut snapshots, plan, &mut encoder)?;
    write_events(&mut snapshots, plan, &mut encoder)?;
    drop(snapshots);
    write_index(plan, &mut encoder)?;
    write_lifecycles(plan, &mut encoder)?;
    Ok(encoder.finish()?)
}

fn write_start_state<W: Write>(
    snapshots: &mut Snapshots<'_>,
    plan: &mut Plan,
    encoder: &mut TraceEncoder<W>,
) -> Result<(), ExportError> {
    encoder.event_start(plan.window.start.as_seconds(), plan.start_objects)?;
    plan.start.for_each::<ExportError>(|_, event| {
        let event: keys::EventBytes = event.try_into().unwrap_or_default();
        let body = snapshots.fresh()?.tables().body(keys::event_of(&event))?;
        Ok(encoder.object(&body)?)
    })?;
    Ok(encoder.deleted_start(0)?)
}

fn write_events<W: Write>(
    snapshots: &mut Snapshots<'_>,
    plan: &Plan,
    encoder: &mut TraceEncoder<W>,
) -> Result<(), ExportError> {
    let mut grouping = Grouping::default();
    let mut pending = Pending::default();
    let range = plan.event_range();
    let mut next = range.start;
    // One turn of the loop reads one stretch of the window in one transaction.
    loop {
        let snapshot = snapshots.fresh()?;
        let deadline = Instant::now() + STRETCH;
        let mut resume_at = None;
        for entry in snapshot
            .tables()
            .events
            .range::<&[u8; 16]>(&next..&range.end)
            .map_err(StoreError::from)?
        {
            let (bytes, value) = entry.map_err(StoreError::from)?;
            let event = keys::event_of(bytes.value());
            let header: EventRow = row::<&[u8; 16], _>(bytes.value(), value.value())?;
            if plan.decisions.get(header.object)? != Some(true) {
                continue;
            }
            if grouping.begins_event(event.at.as_seconds(), header.deleted, header.body_len) {
                pending.write(encoder)?;
                pending.second = event.at.as_seconds();
            }
            pending.push(snapshot, event, &header)?;
            if Instant::now() >= deadline {
                resume_at = Some(keys::event(EventKey {
                    at: event.at,
                    seq: event.seq.saturating_add(1),
                }));
                break;
            }
        }
        match resume_at {
            Some(key) => next = key,
            None => return pending.write(encoder),
        }
    }
}

/// One event of the trace, until its counts are known. Bounded by [`Grouping`].
#[derive(Default)]
struct Pending {
    second: i64,
    applied: Vec<Vec<u8>>,
    deleted: Vec<Vec<u8>>,
}

impl Pending {
    fn push(
        &mut self,
        snapshot: &Snapshot,
        event: EventKey,
        header: &EventRow,
    ) -> Result<(), StoreError> {
        if header.deleted {
            let gvk: Gvk = snapshot.gvk(header.kind)?;
            if let Some(row) = snapshot.tables().incarnation(header.object)? {
                self.deleted
                    .push(deleted_object(&gvk, &row.namespace, &row.name));
            }
        } else {
            self.applied.push(snapshot.tables().body(event)?);
        }
        Ok(())
    }

    fn write<W: Write>(&mut self, encoder: &mut TraceEncoder<W>) -> Result<(), ExportError> {
        if self.applied.is_empty() && self.deleted.is_empty() {
            return Ok(());
        }
        let count = |objects: &Vec<Vec<u8>>| u32::try_from(objects.len()).unwrap_or(u32::MAX);
        encoder.event_start(self.second, count(&self.applied))?;
        for body in self.applied.drain(..) {
            encoder.object(&body)?;
        }
        encoder.deleted_start(count(&self.deleted))?;
        for body in self.deleted.drain(..) {
            encoder.object(&body)?;
        }
        Ok(())
    }
}

fn write_index<W: Write>(
    plan: &mut Plan,
    encoder: &mut TraceEncoder<W>,
) -> Result<(), ExportError> {
    let counts = plan.index.counts()?;
    encoder.index_start(u32::try_from(counts.len()).unwrap_or(u32::MAX))?;
    let mut current = String::new();
    plan.index.for_each::<ExportError>(|gvk, name, hash| {
        if gvk != current {
            encoder.index_kind(gvk, counts.get(gvk).copied().unwrap_or_default())?;
            gvk.clone_into(&mut current);
        }
        Ok(encoder.index_entry(name, hash)?)
    })
}

fn write_lifecycles<W: Write>(
    plan: &mut Plan,
    encoder: &mut TraceEncoder<W>,
) -> Result<(), ExportError> {
    encoder.lifecycles_start(plan.lifecycles.owners)?;
    plan.lifecycles.for_each(|owner, hash, lifecycle| {
        if let Some(owner) = owner {
            encoder.lifecycle_owner(owner.gvk, owner.name, owner.hashes)?;
        }
        if let Some(hash) = hash {
            encoder.lifecycle_hash(hash.hash, hash.lifecycles)?;
        }
        Ok(encoder.lifecycle(lifecycle.start_s, lifecycle.end_s)?)
    })
}

/// Longest life of one read transaction.
const STRETCH: Duration = Duration::from_millis(READ_TXN_MS_MAX);

/// Snapshots that are replaced once they are old.
struct Snapshots<'r> {
    reader: &'r Reader,
    current: Snapshot,
    taken: Instant,
}

impl<'r> Snapshots<'r> {
    fn new(reader: &'r Reader) -> Result<Self, StoreError> {
        Ok(Self {
            reader,
            current: reader.snapshot()?,
            taken: Instant::now(),
        })
    }

    fn fresh(&mut self) -> Result<&Snapshot, StoreError> {
        if self.taken.elapsed() >= STRETCH {
            self.current = self.reader.snapshot()?;
            self.taken = Instant::now();
        }
        Ok(&self.current)
    }
}
