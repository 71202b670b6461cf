//! sk-tracedb
pub mod cli;
pub mod clock;
pub mod config;
pub mod export;
pub mod import;
pub mod ingest;
pub mod limits;
#[path = "../migrations/mod.rs"]
mod migrations;
pub mod model;
pub mod normalize;
pub mod query;
pub mod recorder;
pub mod serve;
pub mod store;
pub mod watch;
pub mod workload;

pub use store::{OpenOptions, Reader, Snapshot, Store, StoreError};
