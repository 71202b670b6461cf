//! The writer's own thread: group commit behind the bounded queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::{Committed, Queued, Retention, RetentionStats, Writer};
use crate::clock::Clock;
use crate::limits::{BATCH_AGE_MS_MAX, BATCH_BYTES_MAX, BATCH_OBSERVATIONS_MAX};
use crate::store::StoreError;

/// What the writer has done so far; read by metrics while it works.
#[derive(Debug, Default)]
pub struct WriterStats {
    /// Transactions committed.
    pub commits: AtomicU64,
    /// Observations applied by them.
    pub observations: AtomicU64,
    /// Changes recorded by them.
    pub changes: AtomicU64,
    /// Time spent applying and committing, microseconds.
    pub busy_us: AtomicU64,
    /// The longest of them, microseconds.
    pub slowest_us: AtomicU64,
    /// Time of the last commit, microseconds since the Unix epoch.
    pub last_commit_us: AtomicU64,
    /// What retention has done.
    pub retention: RetentionStats,
}

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

/// Starts the thread on a store that keeps everything. It counts in `stats`, which may be shared before and after.
///
/// # Errors
/// When the system gives no thread.
pub fn spawn(
    writer: Writer,
    receiver: mpsc::Receiver<Queued>,
    clock: Arc<dyn Clock>,
    stats: Arc<WriterStats>,
) -> std::io::Result<WriterThread> {
    spawn_retaining(writer, Retention::default(), receiver, clock, stats)
}

/// Starts the thread; between its batches, and while there are none, it drops what `retention` does not keep.
///
/// # Errors
/// When the system gives no thread.
pub fn spawn_retaining(
    writer: Writer,
    retention: Retention,
    receiver: mpsc::Receiver<Queued>,
    clock: Arc<dyn Clock>,
    stats: Arc<WriterStats>,
) -> std::io::Result<WriterThread> {
    let timer = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let work = Work {
        writer,
        retention,
        receiver,
        clock,
        stats,
        timer,
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
    receiver: mpsc::Receiver<Queued>,
    clock: Arc<dyn Clock>,
    stats: Arc<WriterStats>,
    timer: tokio::runtime::Runtime,
}

impl Work {
    fn run(mut self) -> Result<Writer, StoreError> {
        let mut wait = Duration::ZERO;
        loop {
            match self.next_batch(wait) {
                Next::Batch(batch) => self.append(batch)?,
                Next::Nothing => {}
                Next::Closed => break,
            }
            let now = self.clock.now();
            wait = self
                .retention
                .step(&mut self.writer, now, &self.stats.retention)?;
        }
        self.writer.end_run(self.clock.now())?;
        Ok(self.writer)
    }

    fn append(&mut self, batch: Vec<Queued>) -> Result<(), StoreError> {
        let started = Instant::now();
        let observations = batch.len() as u64;
        // Shares of the queue are given back when the batch is dropped: after the commit.
        let mut shares = Vec::with_capacity(batch.len());
        let committed = self.writer.append(batch.into_iter().map(|queued| {
            shares.push(queued.share);
            (queued.at, queued.observation)
        }))?;
        drop(shares);
        self.count(observations, &committed, started.elapsed());
        Ok(())
    }

    /// Waits for the first observation for so long, then for more of them until the batch is full or old enough.
    fn next_batch(&mut self, wait: Duration) -> Next {
        let receiver = &mut self.receiver;
        let first = self
            .timer
            .block_on(async { tokio::time::timeout(wait, receiver.recv()).await });
        let first = match first {
            Ok(Some(first)) => first,
            Ok(None) => return Next::Closed,
            Err(_) => return Next::Nothing,
        };
        let mut bytes = first.observation.weight_bytes();
        let mut batch = vec![first];
        let deadline = tokio::time::Instant::now() + Duration::from_millis(BATCH_AGE_MS_MAX);
        self.timer.block_on(async {
            while batch.len() < BATCH_OBSERVATIONS_MAX && bytes < BATCH_BYTES_MAX {
                match tokio::time::timeout_at(deadline, receiver.recv()).await {
                    Ok(Some(queued)) => {
                        bytes += queued.observation.weight_bytes();
                        batch.push(queued);
                    }
                    Ok(None) | Err(_) => break,
                }
            }
        });
        Next::Batch(batch)
    }

    fn count(&self, observations: u64, committed: &Committed, took: Duration) {
        let stats = &self.stats;
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        stats.commits.fetch_add(1, Ordering::Relaxed);
        stats
            .observations
            .fetch_add(observations, Ordering::Relaxed);
        stats
            .changes
            .fetch_add(committed.changes, Ordering::Relaxed);
        stats.busy_us.fetch_add(took_us, Ordering::Relaxed);
        stats.slowest_us.fetch_max(took_us, Ordering::Relaxed);
        let now_us = u64::try_from(self.clock.now().as_micros()).unwrap_or(0);
        stats.last_commit_us.store(now_us, Ordering::Relaxed);
    }
}
