//! The second pass: writes what was planned.
//!
//! Bodies never change once written, so each stretch of the window may be read in its own short transaction: a receiver
//! that is slow does not keep old pages alive (X2).

use std::io;
use std::time::Instant;

use super::encode::sktrace::{TraceEncoder, deleted_object};
use super::error::ExportError;
use super::grouping::Grouping;
use super::plan::Plan;
use super::reading::{Effort, Piece, Reading, STRETCH, read_beside};
use super::sheet::{Stage, Wanted};
use crate::limits::EXPORT_AHEAD_MIN;
use crate::model::{EventKey, Gvk};
use crate::store::headers::{self, Header};
use crate::store::lookup::Lookup;
use crate::store::{Reader, Snapshot, StoreError};

/// Makes the planned trace, in pieces.
pub(super) fn make_trace(
    reader: &Reader,
    held: Option<Snapshot>,
    plan: &mut Plan,
    effort: Effort,
    out: impl FnMut(Piece) -> io::Result<()>,
) -> Result<(), ExportError> {
    read_beside(effort, out, |handover| {
        let mut reading = Reading::new(reader, held, plan.window.start, effort, handover)?;
        let mut encoder = TraceEncoder::new(reading.stage().clone());
        encoder.header(&plan.config.to_simkube(), plan.events)?;
        write_start_state(&mut reading, plan, &mut encoder)?;
        write_events(&mut reading, plan, &mut encoder)?;
        write_index(&mut reading, plan, &mut encoder)?;
        write_lifecycles(&mut reading, plan, &mut encoder)?;
        encoder.finish()?;
        reading.finish()
    })
}

fn object_later(encoder: &mut TraceEncoder<Stage>, wanted: Wanted) -> Result<(), ExportError> {
    Ok(encoder.object_later(|stage| stage.leave(wanted))?)
}

fn write_start_state(
    reading: &mut Reading<'_>,
    plan: &mut Plan,
    encoder: &mut TraceEncoder<Stage>,
) -> Result<(), ExportError> {
    encoder.event_start(plan.window.start.as_seconds(), plan.start_objects)?;
    let ahead_max = reading.ahead_max();
    let mut ahead = Vec::with_capacity(ahead_max.min(plan.start_objects as usize));
    plan.start.for_each(|wanted| {
        ahead.push(wanted);
        if ahead.len() < ahead_max {
            return Ok(());
        }
        write_start_objects(reading, &mut ahead, encoder)
    })?;
    write_start_objects(reading, &mut ahead, encoder)?;
    Ok(encoder.deleted_start(0)?)
}

/// In the order of their names, each sheet would find most of its objects in chunks of their own, and decompress them.
fn write_start_objects(
    reading: &mut Reading<'_>,
    objects: &mut Vec<Wanted>,
    encoder: &mut TraceEncoder<Stage>,
) -> Result<(), ExportError> {
    if objects.len() > EXPORT_AHEAD_MIN {
        reading.stand(objects)?;
    }
    objects.drain(..).try_for_each(|wanted| {
        object_later(encoder, wanted)?;
        reading.hand_over_when_full()
    })
}

fn write_events(
    reading: &mut Reading<'_>,
    plan: &Plan,
    encoder: &mut TraceEncoder<Stage>,
) -> Result<(), ExportError> {
    let mut grouping = Grouping::default();
    let mut event = TraceEvent::default();
    let range = plan.event_range();
    let mut next = Some(range.start);
    // One turn of the loop reads about as much as one sheet takes, in one snapshot.
    while let Some(from) = next.take() {
        let full = reading.full_at();
        let snapshot = reading.snapshot()?;
        let deadline = Instant::now() + STRETCH;
        let mut ended: Vec<TraceEvent> = Vec::new();
        let mut bytes = 0;
        for entry in headers::range(snapshot.tables(), from, range.end)? {
            let (change, header) = entry?;
            if !plan.decisions.includes(header.object)? {
                continue;
            }
            let second = change.at.as_seconds();
            if grouping.begins_event(second, header.deleted, header.body_len) {
                ended.push(std::mem::replace(&mut event, TraceEvent::at(second)));
            }
            bytes += event.push(snapshot, change, &header)?;
            if bytes >= full || Instant::now() >= deadline {
                let seq = change.seq.saturating_add(1);
                next = Some(EventKey { at: change.at, seq });
                break;
            }
        }
        if next.is_none() {
            ended.push(std::mem::take(&mut event));
        }
        for event in ended {
            event.write(reading, encoder)?;
        }
        // Of a window in which little is wanted, the receiver gets a little from time to time, and not nothing.
        if Instant::now() >= deadline && reading.stage().used() > 0 {
            reading.hand_over()?;
        }
    }
    Ok(())
}

/// One event of the trace: its counts are known when it has ended. Bounded by [`Grouping`].
#[derive(Default)]
struct TraceEvent {
    second: i64,
    applied: Vec<Wanted>,
    deleted: Vec<Vec<u8>>,
}

impl TraceEvent {
    fn at(second: i64) -> Self {
        Self {
            second,
            ..Self::default()
        }
    }

    /// Adds a change. Returns about how many bytes of a trace it takes.
    fn push(
        &mut self,
        snapshot: &Snapshot,
        event: EventKey,
        header: &Header,
    ) -> Result<usize, StoreError> {
        if !header.deleted {
            self.applied.push(Wanted {
                object: header.object,
                event,
                body_len: header.body_len,
            });
            return Ok(header.body_len as usize);
        }
        let version = snapshot.tables().version(header.object, event)?;
        let gvk: Gvk = snapshot.gvk(version.kind)?;
        let Some(row) = snapshot.tables().incarnation(header.object)? else {
            return Ok(0);
        };
        let deleted = deleted_object(&gvk, &row.key.namespace, &row.key.name);
        let bytes = deleted.len();
        self.deleted.push(deleted);
        Ok(bytes)
    }

    fn write(
        self,
        reading: &mut Reading<'_>,
        encoder: &mut TraceEncoder<Stage>,
    ) -> Result<(), ExportError> {
        if self.applied.is_empty() && self.deleted.is_empty() {
            return Ok(());
        }
        let count = |objects: usize| u32::try_from(objects).unwrap_or(u32::MAX);
        encoder.event_start(self.second, count(self.applied.len()))?;
        for wanted in self.applied {
            object_later(encoder, wanted)?;
            reading.hand_over_when_full()?;
        }
        encoder.deleted_start(count(self.deleted.len()))?;
        for body in self.deleted {
            encoder.object(&body)?;
        }
        reading.hand_over_when_full()
    }
}

fn write_index(
    reading: &mut Reading<'_>,
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
        reading.hand_over_when_full()
    })
}

fn write_lifecycles(
    reading: &mut Reading<'_>,
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
        reading.hand_over_when_full()
    })
}
