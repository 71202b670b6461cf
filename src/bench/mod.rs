//! How fast, how large and how hungry: the measurements of `sk-tracedb bench`.
//!
//! ```text
//! workload -> Feed (made and normalized ahead, not timed) -> Writer::append (timed) -> closed store
//! closed store -> one process of our own for each run of each question (Job -> Report) -> Measurement
//! ```
//!
//! [`run()`] goes through the phases: `ingest` records; `export` writes the whole window as a trace, beside `cat` and memcpy of the same
//! bytes (`copying`); `questions` asks for an hour, a state, a history; `open` opens the closed file, and one whose recorder was killed.
//! What a phase says is checked on the way: what was acknowledged and what is in the trace against a [`Tally`] that is kept beside
//! the store, traces against their own grammar and each other.
//!
//! Reading happens in a process of its own for each run (`worker`), so that its memory is its own and no cache of ours is warm. Nothing
//! is left behind: everything is in a temporary folder, from which a store that shall stay is linked when it is complete.

mod audience;
mod copying;
mod error;
mod export;
mod feed;
mod ingest;
mod measurement;
mod offered;
mod open;
mod options;
mod process;
mod questions;
mod run;
mod tally;
mod window;
mod worker;

pub use audience::Audience;
pub use error::BenchError;
pub use feed::{Feed, Seen};
pub use measurement::{Measurement, Scope};
pub use offered::OfferJob;
pub use open::RecordJob;
pub use options::{BenchOptions, InvalidPhase, Phase};
pub use run::run;
pub use tally::Tally;
pub use worker::{Job, Worker, work};
