//! Retention beside recording: when to drop how much, a bounded piece at a time. While batches come, a piece is committed
//! with one of them, so that none has to wait for a second commit; a piece of its own is for when nothing comes.
//!
//! [`RetentionPolicy`] says what shall be kept; `room` finds what goes next for the sake of size; `size` weighs the store against its limit; `pressure` knows what may be done near it; `share` bounds the time; what
//! a piece drops is decided in `ingest::apply::retention`.

mod by_hand;
mod measuring;
mod policy;
mod pressure;
mod room;
mod share;
mod size;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use self::measuring::Measuring;
use self::pressure::{Allowance, Pressure};
use self::room::{RoomStep, next_by_size};
pub(super) use self::share::Share;
use self::size::{Look, Measured, Moment, SizeGovernor};
use super::queue::BatchMax;
use super::writer::{Piece, Worked};
use super::{Durations, Effort, Retained, Writer};
use crate::limits::{
    BATCH_BYTES_MAX, JOURNAL_LIMIT_PARTS, RETENTION_IDLE_MS, RETENTION_PIECE_MS_MAX,
    RETENTION_ROWS_MAX, RETENTION_ROWS_MIN, RETENTION_SHARE_PERCENT, SIZE_KEEPS_SECONDS_MIN,
    SIZE_KEEPS_SECONDS_PRESSED, SWEEP_CHANGES_MIN, SWEEP_PARTS, SWEEP_SECONDS_MIN,
};
use crate::model::{ByteSize, Horizon, MICROS_PER_SECOND, Timestamp};
use crate::store::{CopyGraceStats, StoreError, allocated_bytes};

pub use by_hand::{Collected, collect};
pub use policy::RetentionPolicy;

/// What retention has done so far; read by metrics while it works.
#[derive(Debug, Default)]
pub struct RetentionStats {
    /// Changes dropped.
    pub changes: AtomicU64,
    /// Other rows dropped.
    pub rows: AtomicU64,
    /// Pieces: how long each held back the writer. One that is committed with a batch holds it back by its work, another
    /// also by its commit.
    pub pieces: Durations,
    /// What they worked, their commits aside.
    pub work: Durations,
    /// Commits of pieces that were not committed with a batch: mostly the storage's time.
    pub commits: Durations,
    /// Bytes that the file may take; 0: no limit.
    pub size_limit_bytes: AtomicU64,
}

/// Drops what the policy does not keep.
#[derive(Debug)]
pub struct Retention {
    policy: RetentionPolicy,
    size: Option<SizeGovernor>,
    measuring: Measuring,
    share: Share,
    /// Rows of one piece: as many as fit into its time.
    rows: usize,
    /// How far it wanted to drop last. The horizon may lie before it: where nothing happened between, or an export needs
    /// its rows.
    target: Horizon,
    /// What follows from the last target has not all been done.
    unfinished: bool,
    /// Changes dropped since unused lifecycles and owners were last looked for.
    unswept: u64,
    /// The horizon at that time.
    swept: Timestamp,
    /// The last piece was for the sake of size.
    dropped_for_size: bool,
    /// Nothing more can be dropped, and the file is too large: said once.
    warned: bool,
    pressure: Pressure,
    /// What of making room failed the last time, for want of room of its own.
    room_failed: Option<RoomStep>,
    /// The time of the last thing recorded when room was made last.
    room_made: Option<Timestamp>,
}

/// A piece that is due now.
pub(super) struct Due {
    pub(super) piece: Piece,
    /// Share of the time that retention may take, percent.
    percent: u32,
    /// How long it took to find out.
    took: Duration,
}

/// What there is to do.
struct Task {
    target: Horizon,
    force: bool,
}

impl Default for Retention {
    /// Everything is kept.
    fn default() -> Self {
        Self {
            policy: RetentionPolicy::default(),
            size: None,
            measuring: Measuring::default(),
            share: Share::new(RETENTION_SHARE_PERCENT, Instant::now()),
            rows: RETENTION_ROWS_MIN,
            target: Horizon::NONE,
            unfinished: false,
            unswept: 0,
            swept: Timestamp::MIN,
            dropped_for_size: false,
            warned: false,
            pressure: Pressure::default(),
            room_failed: None,
            room_made: None,
        }
    }
}

impl Retention {
    /// Takes up a policy. A file that is beyond its limit is measured first: all of it is read.
    ///
    /// # Errors
    /// What the store says.
    pub fn new(policy: RetentionPolicy, writer: &Writer) -> Result<Self, StoreError> {
        let mut size = policy.size_bytes.map(SizeGovernor::new);
        if let Some(limit) = policy.size_bytes {
            writer.limit_journal(limit / JOURNAL_LIMIT_PARTS);
        }
        let allocated = allocated_bytes(writer.path())?;
        if let Some(governor) = size.as_mut().filter(|size| size.is_beyond(allocated)) {
            let measured = Measured::of(writer)?;
            tracing::warn!(
                allocated = %ByteSize(allocated),
                used = %ByteSize(measured.used_bytes),
                limit = %ByteSize(policy.size_bytes.unwrap_or_default()),
                "the file is larger than it may be, and only `sk-tracedb compact` makes it smaller"
            );
            governor.set_measured(measured, writer.last_time());
        }
        Ok(Self {
            policy,
            size,
            // A crash may have left something.
            unfinished: !writer.horizon().is_none(),
            target: writer.horizon(),
            ..Self::default()
        })
    }

    /// Takes all the time that it needs, instead of a share of the writer's: for who has nothing else to do meanwhile.
    #[must_use]
    pub fn unhurried(self) -> Self {
        Self {
            share: Share::unlimited(),
            ..self
        }
    }

    /// Lets it know of the pages that are kept for copies: a file that grows because of them is given a moment.
    #[must_use]
    pub fn beside(mut self, copies: Arc<CopyGraceStats>) -> Self {
        self.pressure.copies = Some(copies);
        self
    }

    /// Does one bounded piece, if there is something to do and time for it. Returns how long the next one can wait.
    ///
    /// # Errors
    /// What the store says: as for [`Writer::append`].
    pub fn step(
        &mut self,
        writer: &mut Writer,
        now: Timestamp,
        stats: &RetentionStats,
    ) -> Result<Duration, StoreError> {
        let idle = Duration::from_millis(RETENTION_IDLE_MS);
        let due = match self.due(writer, now, stats)? {
            Ok(due) => due,
            Err(wait) => return Ok(wait),
        };
        let started = Instant::now();
        let Piece {
            target,
            effort,
            force,
        } = due.piece;
        let retained = writer.retain(target, effort, force)?;
        let took = due.took + started.elapsed();
        self.learn(writer, retained, took);
        let commit = writer.commit_took();
        count(stats, retained, took);
        stats.work.add(took.saturating_sub(commit));
        stats.commits.add(commit);
        if retained.done && retained.changes + retained.rows == 0 {
            // What is to be dropped is being exported, or there is nothing.
            return Ok(idle);
        }
        Ok(self.share.wait(due.percent, Instant::now()).min(idle))
    }

    /// The next bounded piece, for [`Writer::append_and_retain`]; or how long it can wait.
    ///
    /// # Errors
    /// What the store says.
    pub(super) fn due(
        &mut self,
        writer: &Writer,
        now: Timestamp,
        stats: &RetentionStats,
    ) -> Result<Result<Due, Duration>, StoreError> {
        let idle = Duration::from_millis(RETENTION_IDLE_MS);
        let limit = self.policy.size_bytes.unwrap_or(0);
        stats.size_limit_bytes.store(limit, Ordering::Relaxed);
        if self.policy == RetentionPolicy::default() {
            return Ok(Err(idle));
        }
        let started = Instant::now();
        let look = Look {
            allocated_bytes: allocated_bytes(writer.path())?,
            pinned: self.pressure.is_pinned(),
            moment: Moment {
                at: now,
                passes: writer.packing_passes(),
            },
        };
        self.pressure.see(self.size.as_mut(), look);
        if self.holds_packing(now) {
            return Ok(Err(idle));
        }
        let Allowance { percent, work_ms } = self.pressure.allowance();
        let wait = self.share.wait(percent, started);
        if !wait.is_zero() {
            return Ok(Err(wait.min(idle)));
        }
        let Some(task) = self.task(writer, look)? else {
            return Ok(Err(idle));
        };
        // Until it is known to be done.
        self.unfinished = true;
        let effort = Effort {
            rows: self.rows,
            time: Duration::from_millis(work_ms),
        };
        Ok(Ok(Due {
            piece: Piece {
                target: task.target,
                effort,
                force: task.force,
            },
            percent,
            took: started.elapsed(),
        }))
    }

    /// Whether packing should wait for a moment, as dropping does: they write much anew, which needs room as long as pages are
    /// kept for copies; and the file has little left. The pins are given up meanwhile ([`crate::store::CopyGrace`]).
    pub fn holds_packing(&self, now: Timestamp) -> bool {
        self.pressure.holds_packing(now)
    }

    /// Allocated bytes up to which the file may grow for the sake of packing alone; none where no size is given.
    pub(super) fn room_bytes(&self) -> Option<u64> {
        self.size.as_ref().map(SizeGovernor::pressing_bytes)
    }

    /// What one batch may have now.
    pub(super) fn batch_max(&self) -> BatchMax {
        let room = self.size.map_or(u64::MAX, |size| size.batch_bytes_max());
        BatchMax {
            observations: self.pressure.batch_observations_max(),
            bytes: usize::try_from(room).map_or(BATCH_BYTES_MAX, |room| room.min(BATCH_BYTES_MAX)),
        }
    }

    /// Takes note of a piece that was committed with a batch. The batch waited for its work only.
    pub(super) fn done(
        &mut self,
        writer: &mut Writer,
        due: &Due,
        worked: Worked,
        stats: &RetentionStats,
    ) {
        let took = due.took + worked.took;
        self.learn(writer, worked.retained, took);
        count(stats, worked.retained, took);
        stats.work.add(took);
    }

    fn task(&mut self, writer: &Writer, look: Look) -> Result<Option<Task>, StoreError> {
        let now = look.moment.at;
        let reached = writer.horizon();
        let force = self
            .size
            .is_some_and(|size| size.is_beyond(look.allocated_bytes));
        let to = |target| Some(Task { target, force });
        self.target = self.target.max(reached);
        // A clock that jumps ahead and back must not leave a target behind that lies in the future.
        let aged = self.policy.aged(now, self.target);
        if let Some(target) = aged
            .map(|target| target.min(writer.end()))
            .filter(|target| *target > self.target)
        {
            self.target = target;
            return Ok(to(target));
        }
        if let Some(size) = &mut self.size {
            let mut measured = self.measuring.take();
            if measured.is_none() && size.is_measure_due(look) {
                measured = self.measuring.begin(writer, look.allocated_bytes)?;
            }
            if let Some(measured) = measured {
                size.set_measured(measured, now);
            }
        }
        // What lifecycles and owners weigh is gone only when they have been swept: in turns.
        let sweep_now = writer.is_sweeping() && std::mem::take(&mut self.dropped_for_size);
        if let Some(size) = self.size.as_mut().filter(|_| !sweep_now) {
            self.pressure.overweight = size.weigh(look, writer.weight()?).is_some();
        }
        if self.pressure.overweight && !sweep_now {
            let keeps = if self.pressure.is_near {
                SIZE_KEEPS_SECONDS_PRESSED
            } else {
                SIZE_KEEPS_SECONDS_MIN
            };
            let next = next_by_size(writer, self.rows, writer.last_time(), keeps)?;
            if next > reached {
                self.warned = false;
                self.target = self.target.max(next);
                self.dropped_for_size = true;
                return Ok(to(next));
            }
            if !std::mem::replace(&mut self.warned, true) {
                tracing::warn!(
                    limit = %ByteSize(self.policy.size_bytes.unwrap_or_default()),
                    "the file is full with what exists now, and nothing older is left to drop: give it more room"
                );
            }
        }
        Ok(if self.unfinished || writer.is_sweeping() {
            to(self.target)
        } else {
            None
        })
    }

    fn learn(&mut self, writer: &mut Writer, retained: Retained, took: Duration) {
        self.share.spend(took);
        self.pressure.dropped = retained.changes;
        if took > Duration::from_millis(RETENTION_PIECE_MS_MAX) {
            self.rows = (self.rows / 2).max(RETENTION_ROWS_MIN);
        } else if took < Duration::from_millis(RETENTION_PIECE_MS_MAX / 2) {
            self.rows = (self.rows * 2).min(RETENTION_ROWS_MAX);
        }
        self.unfinished = !retained.done;
        self.unswept = self.unswept.saturating_add(retained.changes);
        let due = (writer.changes() / SWEEP_PARTS).max(SWEEP_CHANGES_MIN);
        let reached = writer.horizon().first_start().as_micros();
        let span = writer.last_time().as_micros().saturating_sub(reached);
        let parts = i64::try_from(SWEEP_PARTS).unwrap_or(i64::MAX);
        let late = (span / parts).max(SWEEP_SECONDS_MIN * MICROS_PER_SECOND);
        let moved = reached.saturating_sub(self.swept.as_micros());
        if (self.unswept >= due || moved >= late) && !writer.is_sweeping() {
            writer.begin_sweep();
            self.unswept = 0;
            self.swept = writer.horizon().first_start();
        }
    }
}

fn count(stats: &RetentionStats, retained: Retained, took: Duration) {
    stats.changes.fetch_add(retained.changes, Ordering::Relaxed);
    stats.rows.fetch_add(retained.rows, Ordering::Relaxed);
    stats.pieces.add(took);
}
