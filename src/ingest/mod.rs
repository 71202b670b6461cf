//! From observations to durable rows.

mod queue;

pub use queue::{Queue, QueueClosed, Queued, queue};
