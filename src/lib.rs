//! A durable trace store for Kubernetes simulation: records what happens in a cluster into one redb file, and exports any
//! window of it as a [SimKube](https://simkube.dev) trace, in bounded memory.
//!
//! The way of the data, which is also the order of the modules:
//!
//! ```text
//! cluster -> watch -> normalize -> Observation -> ingest (one write transaction) -> store
//! file, HTTP <- sink <- export <- query <- read transaction <- store
//! ```
//!
//! [`recorder::Recorder`] records a real cluster. To record something else, hand [`model::Observation`]s to an
//! [`ingest::Writer`]; everything it has acknowledged is on disk. To read, take a [`Snapshot`] from a [`Reader`], of the
//! store being written or of a copy:
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("trace.redb");
//! use sk_tracedb::config::TracerConfig;
//! use sk_tracedb::export::{ExportFilters, ExportRequest, export};
//! use sk_tracedb::ingest::Writer;
//! use sk_tracedb::model::{Gvk, Observation, TimeRange, Timestamp};
//! use sk_tracedb::{Reader, Store, normalize};
//!
//! // Record: a ConfigMap is created, then changed.
//! let (config, _) = TracerConfig::parse("trackedObjects: {v1.ConfigMap: {}}")?;
//! let kind: Gvk = "v1.ConfigMap".parse()?;
//! let mut writer = Writer::new(Store::open(&path)?)?;
//! writer.begin_run(Timestamp::from_seconds(100), &config, "record", None)?;
//! let redaction = normalize::Redaction::new(writer.redaction_key()?, &config); // Secrets are digested
//! for (seconds, value) in [(101, "a"), (105, "b")] {
//!     let object = serde_json::json!({
//!         "metadata": {"namespace": "default", "name": "settings", "uid": "8a1e"}, "data": {"key": value},
//!     });
//!     let item = normalize::normalize(&kind, config.tracked.get(&kind), &redaction, object)?;
//!     let seen = Observation::Applied { watch: kind.clone(), item, resource_version: None };
//!     writer.append([(Timestamp::from_seconds(seconds), seen)])?;
//! }
//!
//! // Ask: what was there at 103? While the store is being written, from this process or another.
//! let reader = Reader::open(&path)?;
//! let snapshot = reader.snapshot()?;
//! let then: Vec<_> = snapshot.state_at(Timestamp::from_seconds(103))?.collect::<Result<_, _>>()?;
//! assert_eq!(then.len(), 1);
//! assert_eq!(then[0].object()?["data"]["key"], "a");
//!
//! // Export a window as a SimKube trace.
//! let window = TimeRange::new(Timestamp::from_seconds(103), Timestamp::from_seconds(110))?;
//! let mut trace = Vec::new();
//! let summary = export(&reader, &ExportRequest { window, filters: ExportFilters::default() }, &mut trace)?;
//! assert_eq!((summary.start_objects, summary.applied), (1, 1));
//! # Ok(())
//! # }
//! ```

pub mod model;

pub mod config;
pub mod normalize;
pub mod watch;

pub mod ingest;
#[path = "../migrations/mod.rs"]
mod migrations;
pub mod store;

pub mod export;
pub mod import;
pub mod query;

pub mod recorder;
pub mod serve;

pub mod bench;
pub mod cli;
pub mod clock;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod limits;
pub mod workload;

pub use store::{
    OpenOptions, Reader, Room, Snapshot, StorageFailure, Store, StoreError, allocated_bytes,
};
