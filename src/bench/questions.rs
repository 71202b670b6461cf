//! Questions to a closed store: the state at a time, the history of one object. Each run is a process of its own.

use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::measurement::Results;
use super::tally::Tally;
use super::worker::{Job, Worker};
use super::{Audience, BenchError, process};
use crate::model::{ObjectKey, TimeRange, Timestamp};
use crate::store::Reader;

/// Kind of the objects whose history is asked for, where there are any.
const HISTORY_KIND: &str = "Deployment";

/// The state at a time, as the process that asked tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StateReport {
    /// Until the store was open and a snapshot taken.
    opened_seconds: f64,
    /// From then on, until the first object was there.
    first_seconds: f64,
    /// The same, until the last one was.
    all_seconds: f64,
    objects: u64,
    peak_rss_bytes: Option<f64>,
    /// An object among them, chosen by chance that is the same each time: group, kind, namespace, name.
    some: Option<[String; 4]>,
}

/// The history of an object, as the process that asked tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct HistoryReport {
    /// From the open snapshot on, until the last change was there.
    seconds: f64,
    changes: u64,
}

/// Reads the state at a time, whole, in this process.
pub(super) fn state_once(db: &Path, at_us: i64) -> Result<StateReport, BenchError> {
    let began = Instant::now();
    let snapshot = Reader::open(db)?.snapshot()?;
    let opened_seconds = began.elapsed().as_secs_f64();
    let asked = Instant::now();
    let (mut objects, mut first_seconds) = (0, 0.0);
    let mut chosen: Option<((bool, [u8; 32]), ObjectKey)> = None;
    let mut choosing = std::time::Duration::ZERO;
    for version in snapshot.state_at(Timestamp::from_micros(at_us))? {
        let version = std::hint::black_box(version?);
        objects += 1;
        if objects == 1 {
            first_seconds = asked.elapsed().as_secs_f64();
        }
        let began = Instant::now();
        let key = version.key;
        let hash = *blake3::hash(key.to_string().as_bytes()).as_bytes();
        let lot = (key.kind != HISTORY_KIND, hash);
        if chosen.as_ref().is_none_or(|(least, _)| lot < *least) {
            chosen = Some((lot, key));
        }
        choosing += began.elapsed();
    }
    Ok(StateReport {
        opened_seconds,
        first_seconds,
        all_seconds: (asked.elapsed() - choosing).as_secs_f64(),
        objects,
        peak_rss_bytes: process::peak_rss_bytes().map(|bytes| bytes as f64),
        some: chosen.map(|(_, key)| [key.group, key.kind, key.namespace, key.name]),
    })
}

/// Reads the history of an object, whole, in this process.
pub(super) fn history_once(db: &Path, object: &[String; 4]) -> Result<HistoryReport, BenchError> {
    let [group, kind, namespace, name] = object;
    let key = ObjectKey::new(group, kind, namespace, name);
    let snapshot = Reader::open(db)?.snapshot()?;
    let asked = Instant::now();
    let mut changes = 0;
    for change in snapshot.history(&key, TimeRange::ALL)? {
        std::hint::black_box(change?);
        changes += 1;
    }
    Ok(HistoryReport {
        seconds: asked.elapsed().as_secs_f64(),
        changes,
    })
}

/// Asks for the state in the middle of the record. Returns an object that was there.
pub(super) fn state(
    runs: usize,
    db: &Path,
    tally: Option<&Tally>,
    worker: &Worker,
    results: &mut Results<'_>,
) -> Result<Option<[String; 4]>, BenchError> {
    let (first, last) = extent(db)?;
    let job = |at: Timestamp| Job::State {
        db: db.to_owned(),
        at_us: at.as_micros(),
    };
    if let Some(tally) = tally {
        let at_the_end: StateReport = worker.ask(&job(last), results.audience)?;
        let expected = tally.live() as u64;
        BenchError::unless_equal("objects at the end", expected, at_the_end.objects)?;
    }
    let middle = Timestamp::from_micros(i64::midpoint(first.as_micros(), last.as_micros()));
    let reports = (0..runs)
        .map(|_| worker.ask(&job(middle), results.audience))
        .collect::<Result<Vec<StateReport>, _>>()?;
    let of = |value: fn(&StateReport) -> f64| reports.iter().map(value).collect::<Vec<_>>();
    let ours = "sk-tracedb";
    results.say(
        ours,
        "first_object_ms",
        "ms",
        of(|report| report.first_seconds * 1e3),
    );
    results.say(
        ours,
        "all_objects_ms",
        "ms",
        of(|report| report.all_seconds * 1e3),
    );
    results.say(
        ours,
        "open_ms",
        "ms",
        of(|report| report.opened_seconds * 1e3),
    );
    results.say(
        ours,
        "objects",
        "objects",
        of(|report| report.objects as f64),
    );
    results.say_known(
        ours,
        "peak_rss_bytes",
        "bytes",
        reports.iter().map(|report| report.peak_rss_bytes),
    );
    Ok(reports.into_iter().next().and_then(|report| report.some))
}

/// An object that was there in the middle of the record.
pub(super) fn some_object(
    db: &Path,
    worker: &Worker,
    audience: &mut dyn Audience,
) -> Result<Option<[String; 4]>, BenchError> {
    let (first, last) = extent(db)?;
    let job = Job::State {
        db: db.to_owned(),
        at_us: i64::midpoint(first.as_micros(), last.as_micros()),
    };
    let report: StateReport = worker.ask(&job, audience)?;
    Ok(report.some)
}

/// Asks for the history of one object.
pub(super) fn history(
    runs: usize,
    db: &Path,
    object: &[String; 4],
    worker: &Worker,
    results: &mut Results<'_>,
) -> Result<(), BenchError> {
    let job = Job::History {
        db: db.to_owned(),
        object: object.clone(),
    };
    let reports = (0..runs)
        .map(|_| worker.ask(&job, results.audience))
        .collect::<Result<Vec<HistoryReport>, _>>()?;
    let changes: Vec<f64> = reports.iter().map(|report| report.changes as f64).collect();
    let times = reports.iter().map(|report| report.seconds * 1e3);
    results.say("sk-tracedb", "ms", "ms", times.collect());
    results.say("sk-tracedb", "object_changes", "changes", changes);
    Ok(())
}

/// When the record in a store begins and ends.
pub(super) fn extent(db: &Path) -> Result<(Timestamp, Timestamp), BenchError> {
    Reader::open(db)?
        .snapshot()?
        .extent()
        .ok_or_else(|| BenchError::Options("the store is empty".to_owned()))
}
