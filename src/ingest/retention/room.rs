//! What goes next where the file, or its volume, has no room.

use std::time::{Duration, Instant};

use super::size::SizeGovernor;
use super::{Retention, RetentionStats, count};
use crate::ingest::{Effort, Writer};
use crate::limits::{
    JOURNAL_LIMIT_PARTS, RETENTION_ROWS_MIN, RETENTION_WORK_MS_MAX, ROOM_PIECES_MAX, ROOM_ROWS_MIN,
    SIZE_KEEPS_SECONDS_PRESSED, SIZE_STRIDES,
};
use crate::model::{Horizon, MICROS_PER_SECOND, Timestamp};
use crate::store::{StoreError, allocated_bytes};

impl Retention {
    /// The disk is full, perhaps with something else: drops some of what is oldest, at once, so that recording can go on in
    /// the room that the file has. Returns whether something was dropped: nothing is where no size is given.
    ///
    /// # Errors
    /// What the store says.
    pub(in crate::ingest) fn make_room(
        &mut self,
        writer: &mut Writer,
        now: Timestamp,
        stats: &RetentionStats,
    ) -> Result<bool, StoreError> {
        let Some(size) = &mut self.size else {
            return Ok(false);
        };
        size.set_full(allocated_bytes(writer.path())?, writer.weight()?);
        writer.limit_journal(size.limit_bytes() / JOURNAL_LIMIT_PARTS);
        self.room_made = Some(writer.last_time());
        // What follows takes pages before it gives any.
        writer.release()?;
        let failed = self.room_failed.take();
        let mut effort = Effort {
            rows: RETENTION_ROWS_MIN,
            time: Duration::from_millis(RETENTION_WORK_MS_MAX),
        };
        let mut pieces = ROOM_PIECES_MAX;
        // What fails is left out once, so that it does not keep the others from their turn. What is dropped may lie on a page of
        // its own each, which is written anew: so it is tried with less first.
        self.room_failed = Some(match failed {
            Some(RoomStep::Dropping) => {
                effort.rows = ROOM_ROWS_MIN;
                RoomStep::DroppingFew
            }
            Some(RoomStep::DroppingFew) => {
                pieces = 0;
                RoomStep::Dropping
            }
            _ => RoomStep::Dropping,
        });
        let before = writer.horizon();
        for _ in 0..pieces {
            let started = Instant::now();
            // Time passes while nothing can be recorded.
            let now = now.max(writer.last_time());
            let next = next_by_size(writer, effort.rows, now, SIZE_KEEPS_SECONDS_PRESSED)?;
            if next <= writer.horizon() {
                break;
            }
            let retained = writer.retain_at_once(next, effort, true)?;
            self.unswept = self.unswept.saturating_add(retained.changes);
            let took = started.elapsed();
            count(stats, retained, took);
            stats.work.add(took.saturating_sub(writer.commit_took()));
            stats.commits.add(writer.commit_took());
        }
        // What was dropped of rows in the journal gives its room back when its records are folded, and what was dropped of
        // packed rows when their chunks are made anew.
        if failed != Some(RoomStep::Folding) {
            self.room_failed = Some(RoomStep::Folding);
            writer.fold_for_room(ROOM_PIECES_MAX)?;
        }
        if failed != Some(RoomStep::Packing) {
            self.room_failed = Some(RoomStep::Packing);
            for _ in 0..ROOM_PIECES_MAX {
                if writer.pack(effort)?.done {
                    break;
                }
            }
        }
        self.room_failed = None;
        let dropped = writer.horizon() > before;
        if dropped {
            tracing::warn!(horizon = %writer.horizon(), "the volume is full: the oldest changes were dropped");
        }
        Ok(dropped)
    }

    /// Whether the size that was given does not fit the volume, as far as is known.
    pub(in crate::ingest) fn is_volume_full(&self) -> bool {
        self.size.as_ref().is_some_and(SizeGovernor::is_volume_full)
    }

    /// Whether something was recorded since room was made last: else there is as much as there was.
    pub(in crate::ingest) fn has_recorded_since_room(&self, writer: &Writer) -> bool {
        self.room_made.is_none_or(|made| writer.last_time() > made)
    }

    /// The volume has room again: the size that was given counts.
    pub(in crate::ingest) fn set_roomy(&mut self, writer: &Writer) {
        if let Some(size) = &mut self.size {
            size.set_roomy();
            writer.limit_journal(size.limit_bytes() / JOURNAL_LIMIT_PARTS);
        }
    }
}

/// What makes room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RoomStep {
    Dropping,
    DroppingFew,
    Folding,
    Packing,
}

/// The next horizon for the sake of size: no further than a piece of so many rows goes, because what lies behind can still
/// be asked for. So many seconds before `now` are kept.
pub(super) fn next_by_size(
    writer: &Writer,
    rows: usize,
    now: Timestamp,
    keeps_seconds: i64,
) -> Result<Horizon, StoreError> {
    let keep_us = keeps_seconds * MICROS_PER_SECOND;
    let latest = now.plus_micros(-keep_us);
    // Where nothing changed for long, the first change is the next that gives room.
    let first = writer.next_change()?.filter(|next| *next < latest);
    let first = first.unwrap_or(writer.first_time());
    let span = latest.as_micros().saturating_sub(first.as_micros());
    let stride = (span / SIZE_STRIDES).max(MICROS_PER_SECOND);
    let end = first.plus_micros(stride).min(latest);
    writer.horizon_behind(rows, end)
}
