//! From observations to durable rows.
//!
//! [`Writer`] owns the one write handle of a store: it turns a batch of observations into one transaction and
//! acknowledges after the commit. `apply` holds the rules of what an observation changes (R1 to R11, R14, R17); `state`
//! is what the writer remembers between transactions. A recorder runs a [`Writer`] on its own thread behind the
//! bounded [`Queue`]: that is [`spawn`].

mod apply;
mod list_marks;
mod pause;
mod queue;
mod state;
mod stats;
mod thread;
mod writer;

pub use apply::Imported;
pub use pause::Patience;
pub use queue::{DepthGauge, Queue, QueueClosed, Queued, queue};
pub use stats::{Pause, WriterStats};
pub use thread::{WriterThread, spawn, spawn_patient};
pub use writer::{Committed, Recovery, Writer};
