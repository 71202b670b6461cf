//! A recorder under a load that is offered, not taken as fast as it goes: how long changes wait until they are durable, what the
//! writer costs meanwhile, and what it does when nothing happens. Queue and writer thread are those of a real recorder.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::feed::{self, Feed, Seen};
use super::ingest::{cluster, workload};
use super::measurement::{Results, Scope, percentile};
use super::options::BenchOptions;
use super::process::{ThreadUse, thread_use};
use super::worker::{Job, Worker};
use super::{BenchError, Tally};
use crate::clock::ManualClock;
use crate::ingest::{Queue, Writer, WriterStats, queue, spawn};
use crate::store::Store;
use crate::workload::Mix;

/// Changes a second that are offered, with the name of the benchmark.
const LOADS: [(u64, &str); 2] = [(100, "offered-100"), (2_000, "offered-2000")];
/// How often it is looked what is durable.
const LOOK: Duration = Duration::from_micros(500);
/// Name of the writer's thread.
const WRITER: &str = "writer";
/// How long it may take the thread to get its name.
const NAMED_WITHIN: Duration = Duration::from_secs(1);

/// A load to offer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OfferJob {
    db: PathBuf,
    objects: usize,
    mix: String,
    seed: u64,
    /// Changes a second; 0: nothing happens.
    rate: u64,
    /// How long.
    seconds: u64,
}

/// What became of it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct OfferReport {
    changes: u64,
    /// From the time at which a change was to be offered until it was durable: median, 99th percentile, longest. `None` where
    /// nothing was offered.
    ack_ms: Option<[f64; 3]>,
    commits_per_second: f64,
    /// Processor time of the writer's thread, percent of one core.
    writer_cpu_percent: Option<f64>,
    wakeups_per_second: Option<f64>,
}

/// Offers a load to a recorder in this process.
pub(super) fn offer_once(job: &OfferJob) -> Result<OfferReport, BenchError> {
    let mix: Mix = job
        .mix
        .parse()
        .map_err(|error| BenchError::Options(format!("{error}")))?;
    let changes = job.rate.saturating_mul(job.seconds);
    let options = BenchOptions {
        changes: changes.max(1),
        objects: job.objects,
        mix,
        seed: job.seed,
        ..BenchOptions::default()
    };
    let workload = workload(&options);
    let clock = Arc::new(ManualClock::new(workload.now()));
    let mut writer = Writer::new(Store::create(&job.db)?)?;
    let config = feed::config(&workload)?;
    writer.begin_run(workload.now(), &config, "bench", Some(&cluster(&options)))?;
    let mut feed = Feed::new(workload, writer.redaction_key()?)?;
    let mut tally = Tally::default();
    feed.list(|piece| {
        for batch in piece.chunks(options.batch) {
            writer.append(batch.iter().map(|(at, observation)| (*at, observation)))?;
        }
        piece.iter().for_each(|(_, seen)| tally.count(seen));
        Ok(())
    })?;
    // What the first list leaves is done once in a recorder's life, and not part of a steady load.
    writer.settle()?;
    let load = load(&mut feed, tally, changes)?;
    let stats: Arc<WriterStats> = Arc::default();
    let (queue, receiver) = queue(clock.clone());
    let thread = spawn(writer, receiver, clock.clone(), Arc::clone(&stats))
        .map_err(BenchError::io("cannot start the writer"))?;
    let named = Instant::now();
    // A thread names itself, soon after it has begun.
    while thread_use(WRITER).is_none() && named.elapsed() < NAMED_WITHIN {
        std::thread::sleep(LOOK);
    }
    let (began, used) = (Instant::now(), thread_use(WRITER));
    let waits = offer(&load, job, &queue, &clock, &stats)?;
    let (elapsed, used_after) = (began.elapsed().as_secs_f64(), thread_use(WRITER));
    drop(queue);
    let store = thread.join()?.into_store();
    BenchError::unless_equal(
        "changes of the load",
        changes,
        stats.changes.load(Ordering::SeqCst),
    )?;
    store.close()?;
    let mut waits_us: Vec<u64> = waits
        .iter()
        .map(|wait| u64::try_from(wait.as_micros()).unwrap_or(u64::MAX))
        .collect();
    BenchError::unless_equal("changes acknowledged", changes, waits_us.len() as u64)?;
    let ack_ms = (changes > 0)
        .then(|| [50, 99, 100].map(|percent| percentile(&mut waits_us, percent) / 1e3));
    let each = |value: fn(&ThreadUse) -> f64| {
        let (before, after) = (used.as_ref()?, used_after.as_ref()?);
        Some((value(after) - value(before)) / elapsed)
    };
    Ok(OfferReport {
        changes,
        ack_ms,
        commits_per_second: stats.commits.count() as f64 / elapsed,
        writer_cpu_percent: each(|used| used.cpu.as_secs_f64() * 100.0),
        wakeups_per_second: each(|used| used.wakeups as f64),
    })
}

/// Observations with so many changes among them; for each, how many changes there are up to it.
fn load(feed: &mut Feed, mut tally: Tally, changes: u64) -> Result<Vec<(u64, Seen)>, BenchError> {
    let listed = tally.changes;
    let mut load = Vec::new();
    while tally.changes - listed < changes {
        for seen in feed.next_piece()? {
            if tally.changes - listed == changes {
                break;
            }
            tally.count(&seen.1);
            load.push((tally.changes - listed, seen.clone()));
        }
    }
    Ok(load)
}

/// Offers the load at its rate, whatever the recorder does, or waits as long as that takes. Returns how long each change was not yet
/// durable.
fn offer(
    load: &[(u64, Seen)],
    job: &OfferJob,
    queue: &Queue,
    clock: &ManualClock,
    stats: &WriterStats,
) -> Result<Vec<Duration>, BenchError> {
    let began = Instant::now();
    if load.is_empty() {
        std::thread::sleep(Duration::from_secs(job.seconds));
        return Ok(Vec::new());
    }
    let due = |change: u64| Duration::from_secs_f64(change as f64 / job.rate as f64);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(BenchError::io("cannot start a runtime"))?;
    let failed = AtomicBool::new(false);
    let durable = std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            // When it was seen that so many observations are durable.
            let mut durable: Vec<(u64, Duration)> = Vec::new();
            let all = load.len() as u64;
            let mut seen = 0;
            while seen < all && !failed.load(Ordering::SeqCst) {
                std::thread::sleep(LOOK);
                let now = stats.observations.load(Ordering::SeqCst);
                if now > seen {
                    seen = now;
                    durable.push((seen, began.elapsed()));
                }
            }
            durable
        });
        let sent = runtime.block_on(async {
            for (change, (at, observation)) in load {
                tokio::time::sleep_until((began + due(*change)).into()).await;
                clock.set(*at);
                queue.send(observation.clone()).await?;
            }
            Ok::<_, crate::ingest::QueueClosed>(())
        });
        failed.store(sent.is_err(), Ordering::SeqCst);
        watching.join().ok().filter(|_| sent.is_ok())
    });
    // Where the writer has failed, joining it says why.
    let durable = durable.unwrap_or_default();
    let mut waits = Vec::new();
    let (mut commits, mut change_before) = (durable.iter().peekable(), 0);
    for (index, (change, _)) in load.iter().enumerate() {
        while commits
            .peek()
            .is_some_and(|(observations, _)| *observations <= index as u64)
        {
            commits.next();
        }
        if let Some((_, at)) = commits.peek().filter(|_| *change > change_before) {
            waits.push(at.saturating_sub(due(*change)));
        }
        change_before = *change;
    }
    Ok(waits)
}

/// Offers each load, and nothing.
pub(super) fn offered(
    options: &BenchOptions,
    folder: &Path,
    worker: &Worker,
    results: &mut Results<'_>,
) -> Result<(), BenchError> {
    let db = folder.join("offered.redb");
    let ask = |rate: u64, results: &mut Results<'_>| {
        let job = Job::Offer(OfferJob {
            db: db.clone(),
            objects: options.objects,
            mix: options.mix.to_string(),
            seed: options.seed,
            rate,
            seconds: options.offered_seconds,
        });
        let mut reports = Vec::new();
        for _ in 0..options.runs {
            reports.push(worker.ask::<OfferReport>(&job, results.audience)?);
            std::fs::remove_file(&db).map_err(BenchError::io("cannot remove a store"))?;
        }
        Ok::<_, BenchError>(reports)
    };
    // What was offered, not what `ingest` records.
    let scope = |rate: u64| Scope {
        changes: rate.saturating_mul(options.offered_seconds),
        ..results.scope.clone()
    };
    let (scopes, idle) = (LOADS.map(|(rate, _)| scope(rate)), scope(0));
    for ((rate, benchmark), scope) in LOADS.into_iter().zip(&scopes) {
        let reports = ask(rate, results)?;
        let results = &mut Results {
            benchmark,
            scope,
            audience: &mut *results.audience,
        };
        for (number, metric) in ["ack_p50_ms", "ack_p99_ms", "ack_max_ms"]
            .iter()
            .enumerate()
        {
            let runs = reports
                .iter()
                .filter_map(|report| report.ack_ms?.get(number).copied());
            results.say("sk-tracedb", metric, "ms", runs.collect());
        }
        common(results, &reports);
    }
    let reports = ask(0, results)?;
    let results = &mut Results {
        benchmark: "offered-0",
        scope: &idle,
        audience: &mut *results.audience,
    };
    common(results, &reports);
    Ok(())
}

fn common(results: &mut Results<'_>, reports: &[OfferReport]) {
    let ours = "sk-tracedb";
    let commits = reports.iter().map(|report| report.commits_per_second);
    results.say(ours, "commits_per_second", "commits/s", commits.collect());
    let cpu: Vec<f64> = reports
        .iter()
        .filter_map(|report| report.writer_cpu_percent)
        .collect();
    let wakeups: Vec<f64> = reports
        .iter()
        .filter_map(|report| report.wakeups_per_second)
        .collect();
    if !cpu.is_empty() && !wakeups.is_empty() {
        results.say(ours, "writer_cpu_percent", "%", cpu);
        results.say(ours, "writer_wakeups_per_second", "wake-ups/s", wakeups);
    }
}
