//! sk-tracedb
pub mod clock;
pub mod config;
pub mod export;
pub mod import;
pub mod ingest;
pub mod limits;
pub mod model;
pub mod normalize;
pub mod watch;
pub mod workload;
