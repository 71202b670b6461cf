//! The writer's own thread: group commit behind the bounded queue.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::packing::PackingSchedule;
use super::pause::{Patience, Pausing};
use super::stats::WriterStats;
use super::{Committed, Queued, Receiver, Retention, Writer};
use crate::clock::Clock;
use crate::limits::{PACKING_AT_CLOSE_SECONDS_MAX, RETENTION_IDLE_MS, RETENTION_SILENCE_MS_MIN};
use crate::model::Observation;
use crate::store::{StorageFailure, StoreError};

/// The running thread.
pub struct WriterThread {
    handle: JoinHandle<Result<Writer, StoreError>>,
}

impl WriterThread {
    /// Whether the thread has stopped, in good order or not.
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// Waits for the thread. It stops when every [`super::Queue`] has been dropped: it then commits what is queued, ends
    /// the run and gives the writer back.
    ///
    /// # Errors
    /// The error that stopped it. What had been acknowledged is durable all the same.
    pub fn join(self) -> Result<Writer, StoreError> {
        self.handle.join().unwrap_or_else(|_| {
            Err(StoreError::Refused(
                "the writer thread panicked; this is a bug".to_owned(),
            ))
        })
    }
}

/// Starts the thread on a store that keeps everything. It counts in `stats`, which may be shared before and after. A failure of the storage ends it.
///
/// # Errors
/// When the system gives no thread.
pub fn spawn(
    writer: Writer,
    receiver: Receiver,
    clock: Arc<dyn Clock>,
    stats: Arc<WriterStats>,
) -> std::io::Result<WriterThread> {
    start(writer, Retention::default(), receiver, clock, stats, None)
}

/// The same; with its batches, and while there are none, it drops what `retention` does not keep.
///
/// # Errors
/// As [`spawn`].
pub fn spawn_retaining(
    writer: Writer,
    retention: Retention,
    receiver: Receiver,
    clock: Arc<dyn Clock>,
    stats: Arc<WriterStats>,
) -> std::io::Result<WriterThread> {
    start(writer, retention, receiver, clock, stats, None)
}

/// Starts a thread that rides out failures of the storage, too: it pauses, keeps what it has in hand, leaves the rest in
/// the queue, which is bounded, and tries again until it succeeds. Told to stop meanwhile, it tries once more what is
/// to be recorded, and ends with [`StoreError::NotRecorded`] where that fails.
///
/// # Errors
/// As [`spawn`].
pub fn spawn_patient(
    writer: Writer,
    retention: Retention,
    receiver: Receiver,
    clock: Arc<dyn Clock>,
    stats: Arc<WriterStats>,
    patience: Patience,
) -> std::io::Result<WriterThread> {
    let pausing = Pausing::new(patience, writer.path(), &stats);
    start(writer, retention, receiver, clock, stats, Some(pausing))
}

fn start(
    writer: Writer,
    retention: Retention,
    receiver: Receiver,
    clock: Arc<dyn Clock>,
    stats: Arc<WriterStats>,
    pausing: Option<Pausing>,
) -> std::io::Result<WriterThread> {
    let timer = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let work = Work {
        writer,
        retention,
        packing: PackingSchedule::default(),
        receiver,
        clock,
        stats,
        timer,
        pausing,
    };
    let handle = std::thread::Builder::new()
        .name("writer".to_owned())
        .spawn(move || work.run())?;
    Ok(WriterThread { handle })
}

/// What the writer does next.
enum Next {
    Batch(Vec<Queued>),
    /// Nothing came in time.
    Nothing,
    /// Nothing will come any more.
    Closed,
}

struct Work {
    writer: Writer,
    retention: Retention,
    packing: PackingSchedule,
    receiver: Receiver,
    clock: Arc<dyn Clock>,
    stats: Arc<WriterStats>,
    timer: tokio::runtime::Runtime,
    pausing: Option<Pausing>,
}

impl Work {
    fn run(mut self) -> Result<Writer, StoreError> {
        let mut wait = Duration::ZERO;
        loop {
            wait = match self.next_batch(wait) {
                Next::Batch(batch) => {
                    self.append(batch)?;
                    self.pack()?;
                    Duration::ZERO
                }
                Next::Nothing => self.retain()?.min(self.pack()?),
                Next::Closed => break,
            }
            // What comes soon takes the next piece with it.
            .max(Duration::from_millis(RETENTION_SILENCE_MS_MIN));
        }
        let now = self.clock.now();
        self.write(|writer, _| writer.end_run(now).map(|()| None))?;
        let time_max = Duration::from_secs(PACKING_AT_CLOSE_SECONDS_MAX);
        // Everything is durable: what cannot be packed for want of room stays as it is.
        let packed = match self.retention.room_bytes() {
            Some(room) => self.writer.pack_within(time_max, room),
            None => self.writer.pack_all(time_max),
        };
        match packed {
            Err(error) if error.storage_failure().is_some() => {
                tracing::warn!(%error, "the store is not packed before it is closed");
                self.writer.recover()?;
            }
            packed => packed?,
        }
        Ok(self.writer)
    }

    fn append(&mut self, batch: Vec<Queued>) -> Result<(), StoreError> {
        let mut retention = std::mem::take(&mut self.retention);
        let now = self.clock.now();
        let mut took = Duration::ZERO;
        let mut told = false;
        let written = loop {
            let (stats, clock) = (Arc::clone(&self.stats), Arc::clone(&self.clock));
            let written = self.write(|writer, failed| {
                told = false;
                let due = match failed {
                    None => retention.due(writer, now, &stats.retention)?.ok(),
                    // Some may have been given up for this.
                    Some(StorageFailure::NoSpace) => {
                        retention.make_room(writer, clock.now(), &stats.retention)?;
                        None
                    }
                    Some(StorageFailure::Io) => None,
                };
                told = true;
                let started = Instant::now();
                let seen = batch.iter().map(|queued| (queued.at, &queued.observation));
                let piece = due.as_ref().map(|due| due.piece);
                let (committed, worked) = writer.append_and_retain(seen, piece)?;
                took = started.elapsed();
                if let (Some(due), Some(worked)) = (due, worked) {
                    took = took.saturating_sub(worked.took);
                    retention.done(writer, &due, worked, &stats.retention);
                }
                Ok(Some(committed))
            });
            // What turned out to be durable may have been the room that was made, and not the batch.
            if told || written.is_err() {
                break written;
            }
        };
        if retention.is_volume_full() && self.pausing.as_ref().is_some_and(Pausing::holds_reserve) {
            retention.set_roomy(&self.writer);
        }
        self.retention = retention;
        match written {
            Ok(Some(committed)) => self.count(batch.len() as u64, &committed, took),
            Ok(None) => {}
            Err(error) => return Err(self.not_recorded(&batch, error)),
        }
        // Shares of the queue are given back when the batch is dropped: after the commit.
        drop(batch);
        Ok(())
    }

    /// Does one piece of retention by itself, if it is due. Returns how long the next one can wait.
    fn retain(&mut self) -> Result<Duration, StoreError> {
        let mut retention = std::mem::take(&mut self.retention);
        let (stats, clock) = (Arc::clone(&self.stats), Arc::clone(&self.clock));
        let mut wait = Duration::ZERO;
        let done = self.write(|writer, failed| {
            match failed {
                // The same piece may never fit.
                Some(StorageFailure::NoSpace)
                    if retention.make_room(writer, clock.now(), &stats.retention)? => {}
                _ => wait = retention.step(writer, clock.now(), &stats.retention)?,
            }
            Ok(None)
        });
        self.retention = retention;
        self.beside(done)?;
        Ok(wait)
    }

    /// What becomes of work beside the batches. Where it failed because the storage did, a patient thread has been told to stop
    /// meanwhile: what is queued is tried all the same.
    fn beside(&mut self, done: Result<Option<Committed>, StoreError>) -> Result<(), StoreError> {
        let failed = match done {
            Err(error) if error.storage_failure().is_some() => error,
            done => return done.map(drop),
        };
        let recovered = match self.pausing {
            Some(_) => self.writer.recover().map(drop),
            None => Err(failed),
        };
        recovered.map_err(|error| self.not_recorded(&[], error))
    }

    /// Does one piece of packing, if it is due. Returns how long the next one can wait.
    fn pack(&mut self) -> Result<Duration, StoreError> {
        if self.retention.holds_packing(self.clock.now()) {
            return Ok(Duration::from_millis(RETENTION_IDLE_MS));
        }
        let mut packing = std::mem::take(&mut self.packing);
        let mut retention = std::mem::take(&mut self.retention);
        let (stats, clock) = (Arc::clone(&self.stats), Arc::clone(&self.clock));
        // Where a size is given, what was dropped for it gives its room back by this.
        let makes_room = retention.room_bytes().is_some();
        let mut wait = Duration::ZERO;
        let done = self.write(|writer, failed| {
            if failed.is_none() {
                wait = packing.step(writer)?;
                return Ok(None);
            }
            // What room there is belongs to what is to be recorded.
            if !makes_room {
                packing.rest();
            } else if failed == Some(StorageFailure::NoSpace)
                && retention.has_recorded_since_room(writer)
            {
                // There may be as little for what is to be recorded next. But nothing is dropped for packing alone.
                retention.make_room(writer, clock.now(), &stats.retention)?;
            }
            Ok(None)
        });
        (self.packing, self.retention) = (packing, retention);
        self.beside(done)?;
        Ok(wait)
    }

    /// Runs one transaction, as patiently as this thread is; `attempt` is told what the storage failed with the last time.
    fn write(
        &mut self,
        mut attempt: impl FnMut(
            &mut Writer,
            Option<StorageFailure>,
        ) -> Result<Option<Committed>, StoreError>,
    ) -> Result<Option<Committed>, StoreError> {
        let (receiver, clock) = (&self.receiver, &*self.clock);
        match &mut self.pausing {
            None => attempt(&mut self.writer, None),
            Some(pausing) => pausing.write(
                &mut self.writer,
                &self.stats,
                clock,
                || receiver.is_closed(),
                attempt,
            ),
        }
    }

    /// Says of the storage's error what is lost by it.
    fn not_recorded(&mut self, in_hand: &[Queued], error: StoreError) -> StoreError {
        if error.storage_failure().is_none() {
            return error;
        }
        // How a watch ended is not what somebody would miss.
        let counts = |queued: &Queued| !matches!(queued.observation, Observation::Ended { .. });
        let mut observations = in_hand.iter().filter(|queued| counts(queued)).count() as u64;
        while let Ok(queued) = self.receiver.try_recv() {
            observations += u64::from(counts(&queued));
        }
        if observations == 0 {
            return error;
        }
        StoreError::NotRecorded {
            observations,
            source: Box::new(error),
        }
    }

    /// Waits for the first observation for so long, then for more of them until the batch is full or old enough.
    fn next_batch(&mut self, wait: Duration) -> Next {
        let max = self.retention.batch_max();
        let receiver = &mut self.receiver;
        let first = self
            .timer
            .block_on(async { tokio::time::timeout(wait, receiver.recv()).await });
        let first = match first {
            Ok(Some(first)) => first,
            Ok(None) => return Next::Closed,
            Err(_) => return Next::Nothing,
        };
        let batch = self.timer.block_on(receiver.batch(first, max));
        Next::Batch(batch)
    }

    fn count(&self, observations: u64, committed: &Committed, took: Duration) {
        let stats = &self.stats;
        stats.batches.add(took);
        stats.commits.add(self.writer.commit_took());
        stats
            .observations
            .fetch_add(observations, Ordering::Relaxed);
        stats
            .changes
            .fetch_add(committed.changes, Ordering::Relaxed);
        let now_us = u64::try_from(self.clock.now().as_micros()).unwrap_or(0);
        stats.last_commit_us.store(now_us, Ordering::Relaxed);
    }
}
