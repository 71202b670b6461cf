//! The second pass: writes what was planned.
//!
//! Bodies never change once written, so each stretch of the window may be read in its own short transaction. What is read
//! in it is gathered, and handed on when it is over: a receiver that is slow, or stands still, keeps no old pages alive
//! (X2).

use std::io::{self, Write};
use std::time::{Duration, Instant};

use super::encode::sktrace::{EncodeError, TraceEncoder, deleted_object};
use super::error::ExportError;
use super::grouping::Grouping;
use super::plan::Plan;
use crate::limits::{READ_TXN_MS_MAX, TRACE_GATHERED_BYTES};
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
    let mut encoder = TraceEncoder::new(Outbox {
        out,
        gathered: Vec::new(),
        holding: true,
    });
    encoder.header(&plan.config.to_simkube(), plan.events)?;
    let mut snapshots = Snapshots::new(reader);
    write_start_state(&mut snapshots, plan, &mut encoder)?;
    write_events(&mut snapshots, plan, &mut encoder)?;
    drop(snapshots);
    encoder.output_mut().holding = false;
    write_index(plan, &mut encoder)?;
    write_lifecycles(plan, &mut encoder)?;
    Ok(encoder.finish()?.out)
}

/// Encoded bytes on their way to the receiver.
struct Outbox<W> {
    out: W,
    gathered: Vec<u8>,
    /// A snapshot may be held: only gather, the receiver may take as long as it likes.
    holding: bool,
}

impl<W: Write> Outbox<W> {
    fn is_full(&self) -> bool {
        self.gathered.len() >= TRACE_GATHERED_BYTES
    }

    fn hand_on(&mut self) -> io::Result<()> {
        self.out.write_all(&self.gathered)?;
        self.gathered.clear();
        Ok(())
    }
}

impl<W: Write> Write for Outbox<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(bytes);
        if !self.holding && self.is_full() {
            self.hand_on()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hand_on()?;
        self.out.flush()
    }
}

fn write_start_state<W: Write>(
    snapshots: &mut Snapshots<'_>,
    plan: &mut Plan,
    encoder: &mut TraceEncoder<Outbox<W>>,
) -> Result<(), ExportError> {
    encoder.event_start(plan.window.start.as_seconds(), plan.start_objects)?;
    plan.start.for_each::<ExportError>(|_, event| {
        let event: keys::EventBytes = event.try_into().unwrap_or_default();
        let body = snapshots.fresh()?.tables().body(keys::event_of(&event))?;
        encoder.object(&body)?;
        snapshots.hand_on(encoder.output_mut())
    })?;
    Ok(encoder.deleted_start(0)?)
}

fn write_events<W: Write>(
    snapshots: &mut Snapshots<'_>,
    plan: &Plan,
    encoder: &mut TraceEncoder<Outbox<W>>,
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
            if encoder.output_mut().is_full() || Instant::now() >= deadline {
                resume_at = Some(keys::event(EventKey {
                    at: event.at,
                    seq: event.seq.saturating_add(1),
                }));
                break;
            }
        }
        match resume_at {
            Some(key) => {
                snapshots.hand_on(encoder.output_mut())?;
                next = key;
            }
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
    current: Option<(Snapshot, Instant)>,
}

impl<'r> Snapshots<'r> {
    fn new(reader: &'r Reader) -> Self {
        Self {
            reader,
            current: None,
        }
    }

    fn fresh(&mut self) -> Result<&Snapshot, StoreError> {
        let current = match self.current.take() {
            Some((snapshot, taken)) if taken.elapsed() < STRETCH => (snapshot, taken),
            _ => (self.reader.snapshot()?, Instant::now()),
        };
        Ok(&self.current.insert(current).0)
    }

    /// Hands on what has been gathered, if that is enough, without a snapshot meanwhile.
    fn hand_on<W: Write>(&mut self, outbox: &mut Outbox<W>) -> Result<(), ExportError> {
        if outbox.is_full() {
            self.current = None;
            outbox.hand_on().map_err(EncodeError::Write)?;
        }
        Ok(())
    }
}
