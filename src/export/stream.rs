//! The second pass: writes what was planned.
//!
//! Bodies never change once written, so each stretch of the window may be read in its own short transaction: a receiver
//! that is slow does not keep old pages alive (X2).

use std::io::Write;
use std::time::{Duration, Instant};

use super::encode::sktrace::{EncodeError, TraceEncoder, deleted_object};
use super::error::ExportError;
use super::grouping::Grouping;
use super::plan::Plan;
use super::stage::Stage;
use crate::limits::{EXPORT_SNAPSHOT_SECONDS_MAX, READ_TXN_MS_MAX};
use crate::model::{EventKey, Gvk, Timestamp};
use crate::store::headers::{self, Header};
use crate::store::lookup::Lookup;
use crate::store::{Reader, Snapshot, StoreError, keys};

/// Writes the planned trace.
pub(super) fn write_trace<W: Write>(
    reader: &Reader,
    held: Option<Snapshot>,
    plan: &mut Plan,
    mut out: W,
) -> Result<(), ExportError> {
    let stage = Stage::default();
    let mut encoder = TraceEncoder::new(stage.clone());
    let mut reading = Reading::new(reader, held, plan.window.start, &stage, &mut out);
    encoder.header(&plan.config.to_simkube(), plan.events)?;
    write_start_state(&mut reading, plan, &mut encoder)?;
    write_events(&mut reading, plan, &mut encoder)?;
    write_index(&mut reading, plan, &mut encoder)?;
    write_lifecycles(&mut reading, plan, &mut encoder)?;
    encoder.finish()?;
    reading.write_staged()?;
    out.flush().map_err(EncodeError::Write)?;
    Ok(())
}

fn write_start_state<W: Write>(
    reading: &mut Reading<'_, W>,
    plan: &mut Plan,
    encoder: &mut TraceEncoder<Stage>,
) -> Result<(), ExportError> {
    encoder.event_start(plan.window.start.as_seconds(), plan.start_objects)?;
    plan.start.for_each::<ExportError>(|_, version| {
        let version: keys::HistoryBytes = version.try_into().unwrap_or([0; 24]);
        let (object, event) = (
            keys::history_object(&version),
            keys::history_event(&version),
        );
        let body = reading.snapshot()?.body(object, event)?;
        encoder.object(&body)?;
        reading.write_when_full()
    })?;
    Ok(encoder.deleted_start(0)?)
}

fn write_events<W: Write>(
    reading: &mut Reading<'_, W>,
    plan: &Plan,
    encoder: &mut TraceEncoder<Stage>,
) -> Result<(), ExportError> {
    let stage = reading.stage;
    let mut grouping = Grouping::default();
    let mut pending = Pending::default();
    let range = plan.event_range();
    let mut next = Some(range.start);
    // One turn of the loop reads one stretch of the window in one snapshot, then writes it without.
    while let Some(from) = next.take() {
        let snapshot = reading.snapshot()?;
        let deadline = Instant::now() + STRETCH;
        for entry in headers::range(snapshot.tables(), from, range.end)? {
            let (event, header) = entry?;
            if plan.decisions.includes(header.object)? {
                let second = event.at.as_seconds();
                if grouping.begins_event(second, header.deleted, header.body_len) {
                    pending.write(encoder)?;
                    pending.second = second;
                }
                pending.push(snapshot, event, &header)?;
            }
            if stage.is_full() || Instant::now() >= deadline {
                let seq = event.seq.saturating_add(1);
                next = Some(EventKey { at: event.at, seq });
                break;
            }
        }
        if next.is_none() {
            pending.write(encoder)?;
        }
        reading.write_staged()?;
    }
    Ok(())
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
        header: &Header,
    ) -> Result<(), StoreError> {
        if header.deleted {
            let version = snapshot.tables().version(header.object, event)?;
            let gvk: Gvk = snapshot.gvk(version.kind)?;
            if let Some(row) = snapshot.tables().incarnation(header.object)? {
                self.deleted
                    .push(deleted_object(&gvk, &row.namespace, &row.name));
            }
        } else {
            self.applied.push(snapshot.body(header.object, event)?);
        }
        Ok(())
    }

    fn write(&mut self, encoder: &mut TraceEncoder<Stage>) -> Result<(), ExportError> {
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
    reading: &mut Reading<'_, W>,
    plan: &mut Plan,
    encoder: &mut TraceEncoder<Stage>,
) -> Result<(), ExportError> {
    let counts = plan.index.counts()?;
    encoder.index_start(u32::try_from(counts.len()).unwrap_or(u32::MAX))?;
    let mut current = String::new();
    plan.index.for_each::<ExportError>(|gvk, name, hash| {
        if gvk != current {
            encoder.index_kind(gvk, counts.get(gvk).copied().unwrap_or_default())?;
            gvk.clone_into(&mut current);
        }
        encoder.index_entry(name, hash)?;
        reading.write_when_full()
    })
}

fn write_lifecycles<W: Write>(
    reading: &mut Reading<'_, W>,
    plan: &mut Plan,
    encoder: &mut TraceEncoder<Stage>,
) -> Result<(), ExportError> {
    encoder.lifecycles_start(plan.lifecycles.owners)?;
    plan.lifecycles.for_each(|owner, hash, lifecycle| {
        if let Some(owner) = owner {
            encoder.lifecycle_owner(owner.gvk, owner.name, owner.hashes)?;
        }
        if let Some(hash) = hash {
            encoder.lifecycle_hash(hash.hash, hash.lifecycles)?;
        }
        encoder.lifecycle(lifecycle.start_s, lifecycle.end_s)?;
        reading.write_when_full()
    })
}

/// Longest life of one read transaction.
const STRETCH: Duration = Duration::from_millis(READ_TXN_MS_MAX);
/// The same of the plan's own, where nothing else keeps the rows: also while the output is waited for.
const HELD: Duration = Duration::from_secs(EXPORT_SNAPSHOT_SECONDS_MAX);

/// The store on one side and the output on the other, never held at once: a snapshot is given up before anything is
/// written, and taken anew when something is read.
struct Reading<'a, W> {
    reader: &'a Reader,
    /// Start of the window: every snapshot must be complete from here on.
    start: Timestamp,
    current: Option<(Snapshot, Instant)>,
    /// How long a snapshot is used.
    stretch: Duration,
    stage: &'a Stage,
    out: &'a mut W,
}

impl<'a, W: Write> Reading<'a, W> {
    fn new(
        reader: &'a Reader,
        held: Option<Snapshot>,
        start: Timestamp,
        stage: &'a Stage,
        out: &'a mut W,
    ) -> Self {
        Self {
            reader,
            start,
            stretch: if held.is_some() { HELD } else { STRETCH },
            current: held.map(|snapshot| (snapshot, Instant::now())),
            stage,
            out,
        }
    }

    /// A snapshot that is young enough.
    fn snapshot(&mut self) -> Result<&Snapshot, ExportError> {
        let fresh = self
            .current
            .take()
            .filter(|(_, taken)| taken.elapsed() < self.stretch);
        let current = match fresh {
            Some(current) => current,
            None => {
                self.stretch = STRETCH;
                let snapshot = self.reader.snapshot()?;
                let horizon = snapshot.horizon();
                if !horizon.allows(self.start) {
                    return Err(ExportError::Dropped {
                        start: self.start,
                        horizon: horizon.first_second(),
                    });
                }
                (snapshot, Instant::now())
            }
        };
        Ok(&self.current.insert(current).0)
    }

    fn write_when_full(&mut self) -> Result<(), ExportError> {
        if self.stage.is_full() {
            self.write_staged()
        } else {
            Ok(())
        }
    }

    fn write_staged(&mut self) -> Result<(), ExportError> {
        if self.stretch == STRETCH {
            self.current = None;
        }
        Ok(self
            .stage
            .empty_into(self.out)
            .map_err(EncodeError::Write)?)
    }
}
