//! From observations to durable rows.
//!
//! [`Writer`] owns the one write handle of a store: it turns a batch of observations into one transaction and
//! acknowledges after the commit. `apply` holds the rules of what an observation changes (R1 to R11, R14, R17); `state`
//! is what the writer remembers between transactions; `retention` drops what is too old or too much. A recorder runs a [`Writer`] on its own thread behind the
//! bounded [`Queue`]: that is [`spawn`] and [`spawn_retaining`].

mod apply;
mod durations;
mod folding;
mod known_owners;
mod known_rows;
mod list_marks;
mod packing;
mod pause;
mod queue;
mod retention;
mod state;
mod stats;
mod thread;
mod writer;

pub use apply::{Effort, EpochPace, Imported, Packed, Retained};
pub use durations::Durations;
pub use packing::PackingSchedule;
pub use pause::Patience;
pub use queue::{DepthGauge, Queue, QueueClosed, Queued, Receiver, queue};
pub use retention::{Collected, Retention, RetentionPolicy, RetentionStats, collect};
pub use stats::{Pause, WriterStats};
pub use thread::{WriterThread, spawn, spawn_patient, spawn_retaining};
pub use writer::{Committed, Recovery, Writer};
