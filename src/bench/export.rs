//! Exporting, beside copying the same bytes.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::copying::{cat, memcpy};
use super::measurement::Results;
use super::tally::Tally;
use super::worker::{Job, Worker};
use super::{BenchError, process};
use crate::export::sink::FileSink;
use crate::export::{ExportFilters, ExportRequest, PreparedExport};
use crate::import::sktrace::check;
use crate::model::timestamp::MICROS_PER_SECOND;
use crate::model::{TimeRange, Timestamp};
use crate::store::{Reader, Snapshot, StoreError};

const BYTES_PER_MEGABYTE: f64 = 1e6;

/// One export, as the process that made it tells.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct ExportReport {
    /// Until the store was open, seconds; the following ones count from the same instant.
    pub(super) opened_seconds: f64,
    /// Until the plan was made.
    pub(super) planned_seconds: f64,
    /// Until everything had been handed to the file system.
    pub(super) written_seconds: f64,
    /// Until the trace was durable and had its name.
    pub(super) synced_seconds: f64,
    /// Processor time of the process.
    pub(super) cpu_seconds: f64,
    /// How long it waited for a processor meanwhile.
    pub(super) cpu_wait_seconds: Option<f64>,
    /// The most memory that the process ever had.
    pub(super) peak_rss_bytes: Option<f64>,
    /// Length of the trace.
    pub(super) trace_bytes: u64,
    pub(super) events: u64,
    pub(super) start_objects: u64,
    pub(super) applied: u64,
    pub(super) deleted: u64,
    pub(super) lifecycles: u64,
}

/// The window of whole seconds that ends with the record: all of it, or its last part.
pub(super) fn window(
    snapshot: &Snapshot,
    last_seconds: Option<u32>,
) -> Result<TimeRange, BenchError> {
    let (first, last) = snapshot
        .extent()
        .ok_or_else(|| BenchError::Options("the store is empty".to_owned()))?;
    let end = last.plus_micros(MICROS_PER_SECOND).as_seconds();
    let first = first.as_seconds();
    let start = last_seconds.map_or(first, |seconds| first.max(end - i64::from(seconds)));
    Ok(TimeRange {
        start: Timestamp::from_seconds(start),
        end: Timestamp::from_seconds(end),
    })
}

/// Exports a window to a file, in this process.
pub(super) fn export_once(
    db: &Path,
    out: &Path,
    last_seconds: Option<u32>,
) -> Result<ExportReport, BenchError> {
    let began = Instant::now();
    let reader = Reader::open(db)?;
    let opened_seconds = began.elapsed().as_secs_f64();
    let request = ExportRequest {
        window: window(&reader.snapshot()?, last_seconds)?,
        filters: ExportFilters {
            include_cluster_scoped: true,
            ..ExportFilters::default()
        },
    };
    let prepared = PreparedExport::prepare(&reader, &request)?;
    let planned_seconds = began.elapsed().as_secs_f64();
    let mut sink = FileSink::create(out)?;
    let summary = prepared.write_file(&mut sink)?;
    sink.flush()
        .map_err(BenchError::io("cannot write the trace"))?;
    let written_seconds = began.elapsed().as_secs_f64();
    let trace_bytes = sink.commit()?;
    Ok(ExportReport {
        opened_seconds,
        planned_seconds,
        written_seconds,
        synced_seconds: began.elapsed().as_secs_f64(),
        cpu_seconds: process::cpu().as_secs_f64(),
        cpu_wait_seconds: process::cpu_wait().map(|wait| wait.as_secs_f64()),
        peak_rss_bytes: process::peak_rss_bytes().map(|bytes| bytes as f64),
        trace_bytes,
        events: summary.events,
        start_objects: summary.start_objects,
        applied: summary.applied,
        deleted: summary.deleted,
        lifecycles: summary.lifecycles,
    })
}

/// Checks that a trace file is whole and holds what its export said.
pub(super) fn check_trace(path: &Path, report: &ExportReport) -> Result<(), BenchError> {
    let file = File::open(path).map_err(StoreError::io(path, "cannot be read"))?;
    let length = file
        .metadata()
        .map_err(StoreError::io(path, "cannot be read"))?
        .len();
    BenchError::unless_equal("bytes of the trace", report.trace_bytes, length)?;
    let found = check(file)?;
    BenchError::unless_equal("events of the trace", report.events, found.events)?;
    let applied = report.start_objects + report.applied;
    BenchError::unless_equal("objects applied in the trace", applied, found.applied)?;
    BenchError::unless_equal(
        "objects deleted in the trace",
        report.deleted,
        found.deleted,
    )?;
    BenchError::unless_equal(
        "lifecycles in the trace",
        report.lifecycles,
        found.lifecycles,
    )
}

/// Exports everything, several times, each time beside copies of the same bytes.
pub(super) fn export(
    runs: usize,
    db: &Path,
    folder: &Path,
    tally: Option<&Tally>,
    worker: &Worker,
    results: &mut Results<'_>,
) -> Result<(), BenchError> {
    let (trace, copy): (PathBuf, PathBuf) = (folder.join("trace"), folder.join("copy"));
    let (mut reports, mut cats, mut memcpys) = (Vec::new(), Vec::new(), Vec::new());
    let mut digest = None;
    for _ in 0..runs {
        let job = Job::Export {
            db: db.to_owned(),
            out: trace.clone(),
            last_seconds: None,
        };
        let report: ExportReport = worker.ask(&job, results.audience)?;
        // First: it reads the trace, which was written around the page cache, and leaves it there for `cat`.
        let (copying, found) = memcpy(&trace)?;
        memcpys.push(copying);
        cats.push(cat(&trace, &copy, results.audience)?);
        remove(&copy)?;
        if *digest.get_or_insert(found) != found {
            return Err(BenchError::Wrong {
                what: "different traces of the same window",
                expected: 0,
                found: 1,
            });
        }
        reports.push(report);
    }
    if let Some(report) = reports.last() {
        super::audience::tell(results.audience, "checking the trace", 0, 0)?;
        check_trace(&trace, report)?;
        if let Some(tally) = tally {
            let applied = report.start_objects + report.applied;
            BenchError::unless_equal("applied objects exported", tally.trace_applied, applied)?;
            BenchError::unless_equal(
                "deleted objects exported",
                tally.trace_deleted,
                report.deleted,
            )?;
        }
    }
    remove(&trace)?;

    let bytes = reports.last().map_or(0, |report| report.trace_bytes) as f64;
    let rate = |seconds: f64| bytes / seconds / BYTES_PER_MEGABYTE;
    let of = |value: fn(&ExportReport) -> f64| reports.iter().map(value).collect::<Vec<_>>();
    let rates = |value: fn(&ExportReport) -> f64| of(value).into_iter().map(rate).collect();
    let ours = "sk-tracedb";
    results.say(ours, "seconds", "s", of(|report| report.synced_seconds));
    results.say(
        ours,
        "synced_mb_per_second",
        "MB/s",
        rates(|report| report.synced_seconds),
    );
    results.say(
        ours,
        "unsynced_mb_per_second",
        "MB/s",
        rates(|report| report.written_seconds),
    );
    results.say(
        ours,
        "open_ms",
        "ms",
        of(|report| report.opened_seconds * 1e3),
    );
    results.say(
        ours,
        "plan_seconds",
        "s",
        of(|report| report.planned_seconds - report.opened_seconds),
    );
    results.say(ours, "cpu_seconds", "s", of(|report| report.cpu_seconds));
    results.say_known(
        ours,
        "cpu_wait_seconds",
        "s",
        reports.iter().map(|report| report.cpu_wait_seconds),
    );
    // Says more than the time where other programs take turns on the same cores.
    results.say(
        ours,
        "mb_per_cpu_second",
        "MB/s",
        rates(|report| report.cpu_seconds),
    );
    results.say(ours, "trace_bytes", "bytes", vec![bytes]);
    results.say(
        ours,
        "exported_changes",
        "changes",
        of(|report| (report.start_objects + report.applied + report.deleted) as f64),
    );
    let peaks = reports.iter().map(|report| report.peak_rss_bytes);
    results.say_known(ours, "peak_rss_bytes", "bytes", peaks);
    let synced = cats.iter().map(|copied| rate(copied.synced.as_secs_f64()));
    results.say("cat", "synced_mb_per_second", "MB/s", synced.collect());
    let unsynced = cats
        .iter()
        .map(|copied| rate(copied.unsynced.as_secs_f64()));
    results.say("cat", "unsynced_mb_per_second", "MB/s", unsynced.collect());
    let memory = memcpys.iter().map(|copying| rate(copying.as_secs_f64()));
    results.say("memcpy", "mb_per_second", "MB/s", memory.collect());
    Ok(())
}

/// Removes a file of ours.
fn remove(path: &Path) -> Result<(), BenchError> {
    std::fs::remove_file(path).map_err(BenchError::io(format!(
        "{}: cannot be removed",
        path.display()
    )))
}
