//! The bounded queue between the watches and the writer: bounded in observations and in bytes (R13).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::limits::{
    BATCH_AGE_MS_MAX, BATCH_AGE_MS_QUIET, BATCH_OBSERVATIONS_QUIET, QUEUE_BYTES_MAX,
    QUEUE_OBSERVATIONS_MAX,
};
use crate::model::{Observation, Timestamp};

/// The sending end. Cheap to clone.
#[derive(Clone)]
pub struct Queue {
    sender: mpsc::Sender<Queued>,
    bytes: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
    sent: Arc<AtomicU64>,
    gate: Arc<Gate>,
}

/// The receiving end.
#[derive(Debug)]
pub struct Receiver {
    receiver: mpsc::Receiver<Queued>,
    gate: Arc<Gate>,
}

/// Where a receiver waits that has use for no less than a whole batch, so that it is not woken by each observation.
#[derive(Debug)]
struct Gate {
    /// Observations that must wait for it to open; [`usize::MAX`] while nobody waits.
    wanted: AtomicUsize,
    open: Notify,
}

/// An observation on its way to the writer.
#[derive(Debug)]
pub struct Queued {
    /// When it was made.
    pub at: Timestamp,
    /// What was seen.
    pub observation: Observation,
    /// When it was handed over, by a clock that never goes back.
    since: Instant,
    /// Its share of the queue's bytes, given back when the writer has committed or dropped it.
    pub share: OwnedSemaphorePermit,
}

/// How much one batch may have: it ends with the observation that reaches either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BatchMax {
    pub(super) observations: usize,
    pub(super) bytes: usize,
}

/// The writer has stopped: nothing more will be recorded by this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the writer has stopped")]
pub struct QueueClosed;

/// A new queue, and its receiving end.
pub fn queue(clock: Arc<dyn Clock>) -> (Queue, Receiver) {
    let (sender, receiver) = mpsc::channel(QUEUE_OBSERVATIONS_MAX);
    let gate = Arc::new(Gate {
        wanted: AtomicUsize::new(usize::MAX),
        open: Notify::new(),
    });
    let queue = Queue {
        sender,
        bytes: Arc::new(Semaphore::new(QUEUE_BYTES_MAX)),
        clock,
        sent: Arc::default(),
        gate: Arc::clone(&gate),
    };
    (queue, Receiver { receiver, gate })
}

impl Queue {
    /// Hands an observation to the writer, waiting for room. Observations of one task arrive in their order.
    ///
    /// # Errors
    /// When the writer has stopped.
    pub async fn send(&self, observation: Observation) -> Result<(), QueueClosed> {
        let (at, since) = (self.now(), Instant::now());
        // An observation larger than the whole queue passes alone.
        let weight = observation.weight_bytes().min(QUEUE_BYTES_MAX);
        let is_waited_for = observation.is_waited_for();
        let weight = u32::try_from(weight).unwrap_or(u32::MAX);
        let share = match Arc::clone(&self.bytes).try_acquire_many_owned(weight) {
            Ok(share) => share,
            Err(_) => {
                // What is queued is a batch, however few observations it has.
                self.gate.open.notify_one();
                Arc::clone(&self.bytes)
                    .acquire_many_owned(weight)
                    .await
                    .map_err(|_| QueueClosed)?
            }
        };
        // Counted first: who waits until so many are durable must not miss one on its way.
        self.sent.fetch_add(1, Ordering::SeqCst);
        self.sender
            .send(Queued {
                at,
                observation,
                since,
                share,
            })
            .await
            .map_err(|_| QueueClosed)?;
        let waiting = self.sender.max_capacity() - self.sender.capacity();
        if is_waited_for || waiting >= self.gate.wanted.load(Ordering::SeqCst) {
            self.gate.open.notify_one();
        }
        Ok(())
    }

    /// The time of an observation that is made now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Tells how many observations wait, without keeping the queue open.
    pub fn depth_gauge(&self) -> DepthGauge {
        DepthGauge {
            sender: self.sender.downgrade(),
            sent: Arc::clone(&self.sent),
        }
    }
}

impl Receiver {
    /// The next observation; `None` once the queue is closed and empty.
    pub async fn recv(&mut self) -> Option<Queued> {
        self.receiver.recv().await
    }

    /// The next observation, if one waits.
    ///
    /// # Errors
    /// When none does: with [`TryRecvError::Disconnected`], none ever will.
    pub fn try_recv(&mut self) -> Result<Queued, TryRecvError> {
        self.receiver.try_recv()
    }

    /// Whether every [`Queue`] has been dropped.
    pub fn is_closed(&self) -> bool {
        self.receiver.is_closed()
    }

    /// The batch that begins with `first`: what comes within [`BATCH_AGE_MS_MAX`] of its being queued, up to `max`. While few
    /// come, it is [`BATCH_AGE_MS_QUIET`], or until one comes that somebody waits for: what few changes cost is mostly their
    /// commits. What `first` has waited for the batch before is a part of this, so that a busy writer does not make it wait twice.
    pub(super) async fn batch(&mut self, first: Queued, max: BatchMax) -> Vec<Queued> {
        let since = first.since;
        let until = |ms| since + Duration::from_millis(ms);
        let mut batch = vec![first];
        self.gather(&mut batch, max, until(BATCH_AGE_MS_MAX)).await;
        let few = BatchMax {
            observations: max.observations.min(BATCH_OBSERVATIONS_QUIET),
            ..max
        };
        let quiet = until(BATCH_AGE_MS_QUIET);
        self.gather_until(&mut batch, few, quiet, |queued| {
            queued.observation.is_waited_for()
        })
        .await;
        batch
    }

    /// Adds to a batch what comes until `deadline`, or until it has `max`. Sleeps meanwhile, also when the queue is closed
    /// meanwhile.
    async fn gather(&mut self, batch: &mut Vec<Queued>, max: BatchMax, deadline: Instant) {
        self.gather_until(batch, max, deadline, |_| false).await;
    }

    /// The same, or until it has one that `ends` it.
    async fn gather_until(
        &mut self,
        batch: &mut Vec<Queued>,
        max: BatchMax,
        deadline: Instant,
        ends: fn(&Queued) -> bool,
    ) {
        let mut bytes = batch.iter().map(Queued::weight_bytes).sum();
        let mut late = false;
        while self.take(batch, &mut bytes, max) && !late && !batch.iter().any(ends) {
            let wanted = max.observations.saturating_sub(batch.len());
            self.gate.wanted.store(wanted, Ordering::SeqCst);
            // What came before the gate was set did not open it.
            if self.receiver.len() < wanted {
                let opened = tokio::time::timeout_at(deadline, self.gate.open.notified()).await;
                late = opened.is_err();
            }
            self.gate.wanted.store(usize::MAX, Ordering::SeqCst);
        }
    }

    /// Adds to a batch what waits. Returns whether there may be more to come for it.
    fn take(&mut self, batch: &mut Vec<Queued>, bytes: &mut usize, max: BatchMax) -> bool {
        while batch.len() < max.observations && *bytes < max.bytes {
            match self.receiver.try_recv() {
                Ok(queued) => {
                    *bytes += queued.weight_bytes();
                    batch.push(queued);
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
        false
    }
}

impl Queued {
    fn weight_bytes(&self) -> usize {
        self.observation.weight_bytes()
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
