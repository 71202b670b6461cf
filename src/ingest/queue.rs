//! The bounded queue between the watches and the writer: bounded in observations and in bytes (R13).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::clock::Clock;
use crate::limits::{QUEUE_BYTES_MAX, QUEUE_OBSERVATIONS_MAX};
use crate::model::{Observation, Timestamp};

/// The sending end. Cheap to clone.
#[derive(Clone)]
pub struct Queue {
    sender: mpsc::Sender<Queued>,
    bytes: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
    sent: Arc<AtomicU64>,
}

/// An observation on its way to the writer.
#[derive(Debug)]
pub struct Queued {
    /// When it was made.
    pub at: Timestamp,
    /// What was seen.
    pub observation: Observation,
    /// Its share of the queue's bytes, given back when the writer has committed or dropped it.
    pub share: OwnedSemaphorePermit,
}

/// The writer has stopped: nothing more will be recorded by this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the writer has stopped")]
pub struct QueueClosed;

/// A new queue, and its receiving end.
pub fn queue(clock: Arc<dyn Clock>) -> (Queue, mpsc::Receiver<Queued>) {
    let (sender, receiver) = mpsc::channel(QUEUE_OBSERVATIONS_MAX);
    (
        Queue {
            sender,
            bytes: Arc::new(Semaphore::new(QUEUE_BYTES_MAX)),
            clock,
            sent: Arc::default(),
        },
        receiver,
    )
}

impl Queue {
    /// Hands an observation to the writer, waiting for room. Observations of one task arrive in their order.
    ///
    /// # Errors
    /// When the writer has stopped.
    pub async fn send(&self, observation: Observation) -> Result<(), QueueClosed> {
        let at = self.clock.now();
        // An observation larger than the whole queue passes alone.
        let weight = observation.weight_bytes().min(QUEUE_BYTES_MAX);
        let weight = u32::try_from(weight).unwrap_or(u32::MAX);
        let share = Arc::clone(&self.bytes)
            .acquire_many_owned(weight)
            .await
            .map_err(|_| QueueClosed)?;
        // Counted first: who waits until so many are durable must not miss one on its way.
        self.sent.fetch_add(1, Ordering::SeqCst);
        self.sender
            .send(Queued {
                at,
                observation,
                share,
            })
            .await
            .map_err(|_| QueueClosed)
    }

    /// Tells how many observations wait, without keeping the queue open.
    pub fn depth_gauge(&self) -> DepthGauge {
        DepthGauge {
            sender: self.sender.downgrade(),
            sent: Arc::clone(&self.sent),
        }
    }
}

/// See [`Queue::depth_gauge`].
#[derive(Clone)]
pub struct DepthGauge {
    sender: mpsc::WeakSender<Queued>,
    sent: Arc<AtomicU64>,
}

impl DepthGauge {
    /// Observations handed over so far, by all senders.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    /// Observations waiting at this moment; 0 once the queue is closed.
    pub fn get(&self) -> usize {
        self.sender
            .upgrade()
            .map_or(0, |sender| sender.max_capacity() - sender.capacity())
    }
}
