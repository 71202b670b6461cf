//! Opening a store: one that was closed, and one whose recorder was killed.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ChildStdout;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::audience::tell;
use super::ingest::{cluster, workload};
use super::measurement::Results;
use super::options::BenchOptions;
use super::worker::{Job, Worker, end};
use super::{BenchError, Feed, feed};
use crate::ingest::Writer;
use crate::limits::BENCH_POLL_MS;
use crate::store::{Reader, Store, allocated_bytes};
use crate::workload::Mix;

/// Commits after which a recorder is killed that has opened a store.
const COMMITS_BEFORE_KILL: u32 = 10;
/// Lines of a recorder that may wait to be read.
const LINES_WAITING_MAX: usize = 64;

/// Opening a closed store, as the process that did it tells.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct OpenReport {
    /// Until a snapshot could be read.
    seconds: f64,
    changes: u64,
}

/// What a recorder that is going to be killed shall do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecordJob {
    db: PathBuf,
    changes: u64,
    objects: usize,
    mix: String,
    seed: u64,
    batch: usize,
    /// Steps of the workload that happened before.
    skip_steps: u64,
}

/// What such a recorder tells, one line each.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Told {
    /// The store was open, and could be recorded into, after so many seconds.
    Opened { seconds: f64 },
    /// A commit was durable: changes in the record, steps made of the workload.
    Committed { changes: u64, steps: u64 },
}

/// Opens a closed store for reading, in this process.
pub(super) fn open_once(db: &Path) -> Result<OpenReport, BenchError> {
    let began = Instant::now();
    let snapshot = Reader::open(db)?.snapshot()?;
    let seconds = began.elapsed().as_secs_f64();
    let changes = snapshot.info()?.changes;
    Ok(OpenReport { seconds, changes })
}

/// Opens the closed store several times.
pub(super) fn open(
    runs: usize,
    db: &Path,
    worker: &Worker,
    results: &mut Results<'_>,
) -> Result<(), BenchError> {
    let mut times = Vec::new();
    for _ in 0..runs {
        let job = Job::Open { db: db.to_owned() };
        let report: OpenReport = worker.ask(&job, results.audience)?;
        BenchError::unless_equal("changes", results.scope.changes, report.changes)?;
        times.push(report.seconds * 1e3);
    }
    results.say("sk-tracedb", "reader_open_ms", "ms", times);
    Ok(())
}

/// Records into a store until this process is killed, and tells on stdout what is durable.
pub(super) fn record_until_killed(job: &RecordJob) -> Result<(), BenchError> {
    let began = Instant::now();
    let mut writer = Writer::new(Store::open(&job.db)?)?;
    say(Told::Opened {
        seconds: began.elapsed().as_secs_f64(),
    })?;
    let mix: Mix = job
        .mix
        .parse()
        .map_err(|error| BenchError::Options(format!("{error}")))?;
    let options = BenchOptions {
        changes: job.changes,
        objects: job.objects,
        mix,
        seed: job.seed,
        batch: job.batch,
        ..BenchOptions::default()
    };
    let mut workload = workload(&options);
    let skipped = workload.skip_steps(job.skip_steps);
    let config = feed::config(&workload)?;
    writer.begin_run(workload.now(), &config, "bench", Some(&cluster(&options)))?;
    let mut feed = Feed::new(workload, writer.redaction_key()?)?;
    let mut record = |piece: &[feed::Seen], steps: u64| {
        for batch in piece.chunks(options.batch) {
            writer.append(batch.iter().map(|(at, observation)| (*at, observation)))?;
            say(Told::Committed {
                changes: writer.changes(),
                steps,
            })?;
        }
        Ok::<_, BenchError>(!piece.is_empty())
    };
    feed.list(|piece| record(piece, skipped).map(drop))?;
    loop {
        // Counted when the piece is made, which is before it is recorded.
        feed.next_piece()?;
        let steps = skipped + feed.steps();
        if !record(feed.piece(), steps)? {
            return Err(BenchError::Options("the workload has ended".to_owned()));
        }
    }
}

fn say(told: Told) -> Result<(), BenchError> {
    let line = serde_json::to_string(&told)
        .map_err(|error| BenchError::io("cannot write a line")(error.into()))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .map_err(BenchError::io("cannot write a line"))
}

/// Has a store recorded by a process that is killed, and opened by others that are killed, too.
pub(super) fn killed(
    options: &BenchOptions,
    folder: &Path,
    worker: &Worker,
    results: &mut Results<'_>,
) -> Result<(), BenchError> {
    let db = folder.join("killed.redb");
    let (mut acknowledged, mut skip_steps) = (0, 0);
    let (mut times, mut sizes) = (Vec::new(), Vec::new());
    // The first one makes the file.
    for run in 0..=options.runs {
        let job = Job::Record(RecordJob {
            db: db.clone(),
            changes: options.changes,
            objects: options.objects,
            mix: options.mix.to_string(),
            seed: options.seed,
            batch: options.batch,
            skip_steps,
        });
        tell(
            results.audience,
            "recording until killed",
            0,
            options.changes,
        )?;
        let mut child = worker.start(&job)?;
        let lines = child.stdout.take().map(lines_of);
        let outcome = lines.map_or_else(
            || Err(BenchError::Stopped),
            |lines| follow(&lines, options.changes, acknowledged, results),
        );
        end(&mut child);
        let outcome = outcome?;
        if run > 0 {
            times.push(outcome.opened_seconds * 1e3);
        }
        (acknowledged, skip_steps) = (outcome.changes, outcome.steps);
        // What the next one opens.
        if run < options.runs {
            sizes.push(allocated_bytes(&db)? as f64);
        }
    }
    // Nothing that was acknowledged may be missing.
    let store = Store::open(&db)?;
    let changes = store.reader().snapshot()?.info()?.changes;
    if changes < acknowledged {
        return Err(BenchError::Wrong {
            what: "changes after the last kill",
            expected: acknowledged,
            found: changes,
        });
    }
    drop(store);
    std::fs::remove_file(&db).map_err(BenchError::io("cannot remove a store"))?;
    results.say("sk-tracedb", "recorder_open_ms", "ms", times);
    results.say("sk-tracedb", "file_bytes", "bytes", sizes);
    Ok(())
}

struct Outcome {
    opened_seconds: f64,
    changes: u64,
    steps: u64,
}

/// Follows a recorder until it has recorded enough to be killed.
fn follow(
    lines: &Receiver<String>,
    changes_min: u64,
    before: u64,
    results: &mut Results<'_>,
) -> Result<Outcome, BenchError> {
    let mut outcome = Outcome {
        opened_seconds: f64::NAN,
        changes: before,
        steps: 0,
    };
    let mut commits = 0;
    loop {
        tell(
            results.audience,
            "recording until killed",
            outcome.changes.min(changes_min).max(1),
            changes_min,
        )?;
        let line = match lines.recv_timeout(Duration::from_millis(BENCH_POLL_MS)) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(BenchError::Worker {
                    what: "record until it is killed",
                    message: "it ended by itself".to_owned(),
                });
            }
        };
        match serde_json::from_str(&line) {
            Ok(Told::Opened { seconds }) => outcome.opened_seconds = seconds,
            Ok(Told::Committed { changes, steps }) => {
                commits += 1;
                (outcome.changes, outcome.steps) = (changes, steps);
                if changes >= changes_min && commits >= COMMITS_BEFORE_KILL {
                    return Ok(outcome);
                }
            }
            Err(error) => {
                return Err(BenchError::Worker {
                    what: "record until it is killed",
                    message: format!("{error}: {line:?}"),
                });
            }
        }
    }
}

/// The lines of a process, read beside our own work. The thread ends with the process.
fn lines_of(out: ChildStdout) -> Receiver<String> {
    let (send, lines) = sync_channel(LINES_WAITING_MAX);
    std::thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                break;
            }
        }
    });
    lines
}
