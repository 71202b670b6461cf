//! From a window of the record to a SimKube trace.
//!
//! An export has two passes. `plan` reads headers in one snapshot and decides what is in: the start state, which objects
//! are left out and why, the index, the lifecycles, and every count that MessagePack wants in front. `stream` then
//! writes it, reading bodies through short transactions, so that a slow receiver never pins old pages. What the passes
//! remember lives in scratch maps: memory is bounded whatever the window (X1). `filter` says
//! what is wanted, `encode` writes bytes, `sink` brings them to a file or an object store.

mod decisions;
pub mod encode;
mod error;
mod filter;
mod grouping;
mod index;
mod lifecycles;
mod objects;
mod plan;
mod pod_owners;
mod reading;
mod run;
mod selection;
mod sheet;
pub mod sink;
mod start_state;
mod stream;

pub use error::ExportError;
pub use filter::ExportFilters;
pub use run::{ExportRequest, ExportSummary, PreparedExport, export};
