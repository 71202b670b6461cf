//! From observations to durable rows.
//!
//! [`Writer`] owns the one write handle of a store: it turns a batch of observations into one transaction and
//! acknowledges after the commit. `apply` holds the rules of what an observation changes (R1 to R11, R14, R17); `state`
//! is what the writer remembers between transactions. A recorder runs a [`Writer`] on its own thread behind the
//! bounded [`Queue`]: that is [`spawn`].

mod apply;
mod queue;
mod state;
mod thread;
mod writer;

pub use apply::{Effort, Imported, Retained};
pub use queue::{DepthGauge, Queue, QueueClosed, Queued, queue};
pub use thread::{WriterStats, WriterThread, spawn};
pub use writer::{Committed, Writer};
