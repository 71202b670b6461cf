//! The last hour of the record as a trace, beside the same hour out of a store that holds little else: what the rest of a long
//! record costs a short window.

use std::path::Path;

use super::export::{ExportReport, check_trace};
use super::ingest::{CLOSING, cluster, workload};
use super::measurement::Results;
use super::options::BenchOptions;
use super::questions::extent;
use super::worker::{Job, Worker};
use super::{BenchError, Feed, feed};
use crate::ingest::Writer;
use crate::model::Timestamp;
use crate::model::timestamp::MICROS_PER_SECOND;
use crate::store::Store;
use crate::workload::Workload;

const HOUR_SECONDS: u32 = 3_600;
/// How much earlier than the hour the other store begins, seconds: the list that it begins with is then before the window.
const LEAD_SECONDS: i64 = 60;

/// Exports the last hour. `recorded`: the store holds what the options say, from this very run.
pub(super) fn window(
    options: &BenchOptions,
    db: &Path,
    folder: &Path,
    recorded: bool,
    worker: &Worker,
    results: &mut Results<'_>,
) -> Result<(), BenchError> {
    let other = folder.join("hour.redb");
    let compared = recorded && record_hour(options, db, &other, results)?;
    if !compared {
        let reason = if recorded {
            "the record is no longer than an hour: its last hour is compared with nothing"
        } else {
            "the store was there before: its last hour is compared with nothing"
        };
        results.audience.left_out(reason);
    }
    let trace = folder.join("trace");
    let mut ask = |db: &Path| -> Result<ExportReport, BenchError> {
        let job = Job::Export {
            db: db.to_owned(),
            out: trace.clone(),
            last_seconds: Some(HOUR_SECONDS),
        };
        let report = worker.ask(&job, results.audience)?;
        check_trace(&trace, &report)?;
        Ok(report)
    };
    let (mut ours, mut others) = (Vec::new(), Vec::new());
    for _ in 0..options.runs {
        let report = ask(db)?;
        if compared {
            let other = ask(&other)?;
            for (what, whole, hour) in [
                (
                    "objects at the window's start",
                    report.start_objects,
                    other.start_objects,
                ),
                (
                    "objects applied in the window",
                    report.applied,
                    other.applied,
                ),
                (
                    "objects deleted in the window",
                    report.deleted,
                    other.deleted,
                ),
            ] {
                BenchError::unless_equal(what, whole, hour)?;
            }
            others.push(other);
        }
        ours.push(report);
    }
    std::fs::remove_file(&trace).map_err(BenchError::io("cannot remove a trace"))?;
    if compared {
        std::fs::remove_file(&other).map_err(BenchError::io("cannot remove a store"))?;
    }
    for (subject, reports) in [("sk-tracedb", ours), ("sk-tracedb, that hour only", others)] {
        if reports.is_empty() {
            continue;
        }
        let of = |value: fn(&ExportReport) -> f64| reports.iter().map(value).collect::<Vec<_>>();
        results.say(
            subject,
            "ms",
            "ms",
            of(|report| report.synced_seconds * 1e3),
        );
        results.say(
            subject,
            "unsynced_ms",
            "ms",
            of(|report| report.written_seconds * 1e3),
        );
        results.say(
            subject,
            "cpu_ms",
            "ms",
            of(|report| report.cpu_seconds * 1e3),
        );
        results.say_known(
            subject,
            "cpu_wait_ms",
            "ms",
            reports
                .iter()
                .map(|report| Some(report.cpu_wait_seconds? * 1e3)),
        );
        results.say(
            subject,
            "window_changes",
            "changes",
            of(|report| (report.applied + report.deleted) as f64),
        );
        results.say(
            subject,
            "start_objects",
            "objects",
            of(|report| report.start_objects as f64),
        );
        results.say(
            subject,
            "trace_bytes",
            "bytes",
            of(|report| report.trace_bytes as f64),
        );
        results.say_known(
            subject,
            "peak_rss_bytes",
            "bytes",
            reports.iter().map(|report| report.peak_rss_bytes),
        );
    }
    Ok(())
}

/// The workload as it stands at `start`, in any case before `window`: where steps are far apart, the first one after `start` may be
/// in the window already, and what a list then shows is not what the window begins with.
fn workload_before(options: &BenchOptions, start: Timestamp, window: Timestamp) -> Workload {
    let mut at_start = workload(options);
    let mut steps: u64 = 0;
    while at_start.now() < start && at_start.skip_steps(1) > 0 {
        steps += 1;
    }
    if at_start.now() >= window {
        at_start = workload(options);
        at_start.skip_steps(steps.saturating_sub(1));
    }
    at_start
}

/// Records the end of the same workload into another store, as if a recorder had been started just before its last hour.
/// Returns whether the record is longer than that.
fn record_hour(
    options: &BenchOptions,
    db: &Path,
    path: &Path,
    results: &mut Results<'_>,
) -> Result<bool, BenchError> {
    let (first, last) = extent(db)?;
    let seconds = i64::from(HOUR_SECONDS) + LEAD_SECONDS;
    let start = Timestamp::from_seconds(last.as_seconds() - seconds);
    if first >= start {
        return Ok(false);
    }
    super::audience::tell(results.audience, "recording the last hour again", 0, 0)?;
    let workload = workload_before(
        options,
        start,
        start.plus_micros(LEAD_SECONDS * MICROS_PER_SECOND),
    );
    let config = feed::config(&workload)?;
    let mut writer = Writer::new(Store::create(path)?)?;
    writer.begin_run(workload.now(), &config, "bench", Some(&cluster(options)))?;
    let mut feed = Feed::new(workload, writer.redaction_key()?)?;
    let mut record = |piece: &[feed::Seen]| -> Result<bool, BenchError> {
        let until_last = piece.partition_point(|(at, _)| *at <= last);
        for batch in piece
            .get(..until_last)
            .unwrap_or_default()
            .chunks(options.batch)
        {
            super::audience::tell(results.audience, "recording the last hour again", 1, 0)?;
            writer.append(batch.iter().map(|(at, observation)| (*at, observation)))?;
        }
        Ok(until_last == piece.len() && until_last > 0)
    };
    feed.list(|piece| record(piece).map(drop))?;
    while record(feed.next_piece()?)? {}
    writer.end_run(last)?;
    writer.pack_all(CLOSING)?;
    writer.into_store().close()?;
    Ok(true)
}
