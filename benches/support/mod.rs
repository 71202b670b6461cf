//! What the criterion benchmarks share: observations of a seeded workload, made and normalized before any clock runs, and stores that
//! hold them.

#![allow(dead_code)] // each benchmark uses its own part of this

use std::path::{Path, PathBuf};
use std::time::Duration;

use sk_tracedb::bench::{Feed, Seen, Tally};
use sk_tracedb::config::TracerConfig;
use sk_tracedb::export::sink::FileSink;
use sk_tracedb::export::{ExportFilters, ExportRequest, PreparedExport};
use sk_tracedb::ingest::Writer;
use sk_tracedb::limits::PACKING_AT_CLOSE_SECONDS_MAX;
use sk_tracedb::model::{RedactionKey, TimeRange, Timestamp};
use sk_tracedb::workload::{Mix, Workload, WorkloadOptions};
use sk_tracedb::{Reader, Store};
use tempfile::TempDir;

/// Observations in one commit.
pub const BATCH: usize = 256;
/// Objects that exist at a time, about.
pub const OBJECTS: usize = 1_000;
/// Steps of the workload in an hour of its time.
pub const STEPS_PER_HOUR: u64 = 10_000;

/// Observations of a workload: what a list shows, then some hours of what watches tell.
pub struct Observed {
    pub config: TracerConfig,
    pub begins: Timestamp,
    pub seen: Vec<Seen>,
    /// Changes among them.
    pub changes: u64,
    /// Bytes of the recorded objects as MessagePack.
    pub raw_bytes: u64,
}

/// The end of a workload of so many hours, as a recorder sees it that is started `last` before its end.
pub fn observed(mix: Mix, hours: u64, last: Duration) -> Observed {
    let duration = Duration::from_secs(3_600 * hours);
    let options = WorkloadOptions {
        objects: OBJECTS,
        changes: STEPS_PER_HOUR * hours,
        duration,
        mix,
        warm_start: true,
        ..WorkloadOptions::default()
    };
    let missed = duration.saturating_sub(last).as_micros();
    let starts = options.start.plus_micros(i64::try_from(missed).unwrap());
    let mut workload = Workload::new(options);
    while workload.now() < starts && workload.skip_steps(1) > 0 {}
    let (config, _) = TracerConfig::parse(workload.config()).unwrap();
    let begins = workload.now();
    // There are no Secrets in it: any key will do.
    let mut feed = Feed::new(workload, RedactionKey::from_bytes([7; 32])).unwrap();
    let mut seen = Vec::new();
    feed.list(|piece| {
        seen.extend_from_slice(piece);
        Ok(())
    })
    .unwrap();
    while !feed.next_piece().unwrap().is_empty() {
        seen.extend_from_slice(feed.piece());
    }
    let mut tally = Tally::default();
    seen.iter().for_each(|(_, seen)| tally.count(seen));
    Observed {
        config,
        begins,
        seen,
        changes: tally.changes,
        raw_bytes: tally.raw_bytes,
    }
}

impl Observed {
    /// A writer on a new store, with its run begun.
    pub fn writer(&self, path: &Path) -> Writer {
        let mut writer = Writer::new(Store::create(path).unwrap()).unwrap();
        writer
            .begin_run(self.begins, &self.config, "bench", None)
            .unwrap();
        writer
    }

    /// The observations, commit by commit.
    pub fn batches(&self) -> std::slice::Chunks<'_, Seen> {
        self.seen.chunks(BATCH)
    }
}

/// Records a batch. It is durable when this returns.
pub fn append(writer: &mut Writer, batch: &[Seen]) -> u64 {
    let batch = batch.iter().map(|(at, observation)| (*at, observation));
    writer.append(batch).unwrap().changes
}

/// A closed store, in a folder that goes with it.
pub struct Recorded {
    pub folder: TempDir,
    pub path: PathBuf,
    pub changes: u64,
}

/// Records and closes.
pub fn recorded(observed: &Observed) -> Recorded {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bench.redb");
    let mut writer = observed.writer(&path);
    let changes = observed
        .batches()
        .map(|batch| append(&mut writer, batch))
        .sum();
    assert_eq!(changes, observed.changes);
    let last = writer.last_time();
    writer.end_run(last).unwrap();
    // As a recorder does: what is opened and read is packed.
    let most = Duration::from_secs(PACKING_AT_CLOSE_SECONDS_MAX);
    writer.pack_all(most).unwrap();
    writer.into_store().close().unwrap();
    Recorded {
        folder,
        path,
        changes,
    }
}

impl Recorded {
    /// The last part of the record, or all of it, in whole seconds.
    pub fn window(&self, last: Option<Duration>) -> TimeRange {
        let snapshot = Reader::open(&self.path).unwrap().snapshot().unwrap();
        let (first, end) = snapshot.extent().unwrap();
        let (first, end) = (first.as_seconds(), end.as_seconds() + 1);
        let start = last.map_or(first, |last| end - i64::try_from(last.as_secs()).unwrap());
        TimeRange::new(Timestamp::from_seconds(start), Timestamp::from_seconds(end)).unwrap()
    }

    /// Exports a window to a file, as the command does: open, plan, write, sync. Returns length and changes of the trace.
    pub fn export(&self, window: TimeRange, out: &Path) -> (u64, u64) {
        let reader = Reader::open(&self.path).unwrap();
        let request = ExportRequest {
            window,
            filters: ExportFilters {
                include_cluster_scoped: true,
                ..ExportFilters::default()
            },
        };
        let mut sink = FileSink::create(out).unwrap();
        let prepared = PreparedExport::prepare(&reader, &request).unwrap();
        let summary = prepared.write_file(&mut sink).unwrap();
        let bytes = sink.commit().unwrap();
        (
            bytes,
            summary.start_objects + summary.applied + summary.deleted,
        )
    }
}
