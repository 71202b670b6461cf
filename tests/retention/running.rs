//! A writer's thread with retention, and what a watch has of it.

use std::sync::Arc;

use sk_tracedb::clock::ManualClock;
use sk_tracedb::ingest::{
    Queue, Retention, Writer, WriterStats, WriterThread, queue, spawn_retaining,
};
use sk_tracedb::model::{Observation, Timestamp};

pub struct Running {
    pub clock: Arc<ManualClock>,
    pub stats: Arc<WriterStats>,
    queue: Queue,
    thread: WriterThread,
    runtime: tokio::runtime::Runtime,
}

impl Running {
    pub fn start(writer: Writer, retention: Retention, now: Timestamp) -> Self {
        let clock = Arc::new(ManualClock::new(now));
        let (queue, receiver) = queue(clock.clone());
        let stats = Arc::new(WriterStats::default());
        let told = Arc::clone(&stats);
        let thread = spawn_retaining(writer, retention, receiver, clock.clone(), told).unwrap();
        Self {
            clock,
            stats,
            queue,
            thread,
            runtime: tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap(),
        }
    }

    /// Hands it over, waiting for room in the queue.
    pub fn tell(&self, seen: Observation) {
        self.runtime.block_on(self.queue.send(seen)).unwrap();
    }

    /// Closes the queue and waits for what was told.
    pub fn stop(self) -> Writer {
        drop(self.queue);
        self.thread.join().unwrap()
    }
}
