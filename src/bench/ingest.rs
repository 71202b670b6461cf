//! Recording, timed commit by commit. What is timed is [`Writer::append`], which returns when the batch is durable.

use std::path::Path;
use std::time::{Duration, Instant};

use super::audience::{Audience, tell};
use super::feed::{self, Feed, Seen};
use super::measurement::{Results, percentile};
use super::options::BenchOptions;
use super::tally::Tally;
use super::{BenchError, process};
use crate::ingest::{PackingSchedule, Writer};
use crate::limits::PACKING_AT_CLOSE_SECONDS_MAX;
use crate::store::{Store, allocated_bytes};
use crate::workload::{Workload, WorkloadOptions};

/// Steps that a workload has for each change that is to be recorded: more than it takes.
const STEPS_PER_CHANGE: u64 = 64;
/// Steps a second of the recorded time, at most.
const PACE_MAX: f64 = 100.0;
/// Time that the steps cover, seconds, at least: room for a window of an hour that is not everything.
const COVERED_SECONDS_MIN: f64 = 7_200.0;
/// What a recorder allows itself before it closes its store.
pub(super) const CLOSING: Duration = Duration::from_secs(PACKING_AT_CLOSE_SECONDS_MAX);
/// Seconds in a day.
const DAY_SECONDS: f64 = 86_400.0;

/// The workload that the options ask for. It does not end before the changes have been recorded.
pub(super) fn workload(options: &BenchOptions) -> Workload {
    let steps = options.changes.saturating_mul(STEPS_PER_CHANGE);
    let pace = (options.changes as f64 / COVERED_SECONDS_MIN).min(PACE_MAX);
    Workload::new(WorkloadOptions {
        seed: options.seed,
        objects: options.objects,
        changes: steps,
        duration: Duration::from_secs_f64(steps as f64 / pace),
        mix: options.mix,
        warm_start: true,
        ..WorkloadOptions::default()
    })
}

/// What a store says of itself as its cluster.
pub(super) fn cluster(options: &BenchOptions) -> String {
    let BenchOptions {
        mix, objects, seed, ..
    } = options;
    format!("bench/{mix}/{objects}/{seed}")
}

/// Commits of one kind.
#[derive(Default)]
struct Commits {
    /// Of each commit, microseconds.
    latencies_us: Vec<u64>,
    elapsed: Duration,
    cpu: Duration,
    cpu_wait: Duration,
    changes: u64,
}

impl Commits {
    fn per_second(&self) -> f64 {
        self.changes as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency that `percent` of the commits do not exceed, milliseconds.
    fn percentile_ms(&mut self, percent: usize) -> f64 {
        percentile(&mut self.latencies_us, percent) / 1_000.0
    }
}

/// A recorder under the stopwatch.
struct Timed<'a> {
    writer: Writer,
    packing: PackingSchedule,
    batch: usize,
    tally: Tally,
    changes: u64,
    audience: &'a mut dyn Audience,
}

impl Timed<'_> {
    /// Records a piece, batch by batch, until `until` changes are recorded.
    fn record(
        &mut self,
        mut piece: &[Seen],
        until: u64,
        commits: &mut Commits,
    ) -> Result<(), BenchError> {
        while !piece.is_empty() && self.tally.changes < until {
            // Each observation is one change at most, so this ends exactly there.
            let left = usize::try_from(until - self.tally.changes).unwrap_or(usize::MAX);
            let (batch, rest) = piece.split_at(self.batch.min(left).min(piece.len()));
            piece = rest;
            let before = self.tally.changes;
            for (_, observation) in batch {
                self.tally.count(observation);
            }
            let waited = process::cpu_wait();
            let (began, cpu) = (Instant::now(), process::thread_cpu());
            let committed = self
                .writer
                .append(batch.iter().map(|(at, observation)| (*at, observation)))?;
            let elapsed = began.elapsed();
            // As a recorder does between two batches; it takes from the rate, and not from the acknowledgement.
            self.packing.step(&mut self.writer)?;
            commits.cpu += process::thread_cpu().saturating_sub(cpu);
            commits.elapsed += began.elapsed();
            if let (Some(before), Some(after)) = (waited, process::cpu_wait()) {
                commits.cpu_wait += after.saturating_sub(before);
            }
            commits
                .latencies_us
                .push(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX));
            commits.changes += committed.changes;
            BenchError::unless_equal(
                "changes of a commit",
                self.tally.changes - before,
                committed.changes,
            )?;
            let done = self.tally.changes.min(self.changes);
            tell(self.audience, "recording", done, self.changes)?;
        }
        Ok(())
    }
}

/// Records the workload into a new store at `path`, closes it, and says what should be in it.
pub(super) fn ingest(
    options: &BenchOptions,
    path: &Path,
    results: &mut Results<'_>,
) -> Result<Tally, BenchError> {
    tell(results.audience, "building the cluster", 0, 0)?;
    process::forget_peak_rss();
    let workload = workload(options);
    let workload_rss = process::rss_bytes();
    let written_before = process::storage_written_bytes();
    let mut writer = Writer::new(Store::create(path)?)?;
    let config = feed::config(&workload)?;
    writer.begin_run(workload.now(), &config, "bench", Some(&cluster(options)))?;
    let mut feed = Feed::new(workload, writer.redaction_key()?)?;
    let mut timed = Timed {
        writer,
        packing: PackingSchedule::default(),
        batch: options.batch,
        tally: Tally::default(),
        changes: options.changes,
        audience: &mut *results.audience,
    };
    tell(timed.audience, "recording", 0, options.changes)?;
    let (mut list, mut steps) = (Commits::default(), Commits::default());
    feed.list(|piece| timed.record(piece, u64::MAX, &mut list))?;
    if timed.tally.changes >= options.changes {
        return Err(BenchError::Options(format!(
            "the first list shows {} objects, which leaves no room for anything to happen in {} changes\nhint: more \
             changes, or fewer objects",
            timed.tally.changes, options.changes
        )));
    }
    while timed.tally.changes < options.changes {
        let piece = feed.next_piece()?;
        if piece.is_empty() {
            return Err(BenchError::Options(format!(
                "the workload ended after {} changes",
                timed.tally.changes
            )));
        }
        timed.record(piece, options.changes, &mut steps)?;
    }
    let Timed {
        mut writer, tally, ..
    } = timed;
    let last = writer.last_time();
    writer.end_run(last)?;
    let written = written_since(written_before);
    let live_file_bytes = allocated_bytes(path)?;
    let peak_rss = process::peak_rss_bytes();

    let info = writer.reader().snapshot()?.info()?;
    BenchError::unless_equal("changes in the store", tally.changes, info.changes)?;
    BenchError::unless_equal("bytes of objects", tally.raw_bytes, info.raw_bytes)?;
    let (began, written_before_close) = (Instant::now(), process::storage_written_bytes());
    tell(results.audience, "closing the store", 0, 0)?;
    writer.pack_all(CLOSING)?;
    writer.into_store().close()?;
    let closing = began.elapsed();
    let closing_written = written_since(written_before_close);
    let file_bytes = allocated_bytes(path)?;

    let raw_bytes = tally.raw_bytes as f64;
    let mut say = |metric, unit, value| results.say("sk-tracedb", metric, unit, vec![value]);
    say("changes_per_second", "changes/s", steps.per_second());
    say("list_changes_per_second", "changes/s", list.per_second());
    let commits = (list.latencies_us.len() + steps.latencies_us.len()) as f64;
    say("commits", "commits", commits);
    for (metric, percent) in [
        ("commit_p50_ms", 50),
        ("commit_p99_ms", 99),
        ("commit_max_ms", 100),
    ] {
        say(metric, "ms", steps.percentile_ms(percent));
    }
    let cpu = (list.cpu + steps.cpu).as_secs_f64();
    say("cpu_seconds", "s", cpu);
    say("cpu_us_per_change", "us", cpu * 1e6 / tally.changes as f64);
    let waited = (list.cpu_wait + steps.cpu_wait).as_secs_f64();
    say("cpu_wait_seconds", "s", waited);
    // The workload and its observations, which no recorder has to make.
    say("preparing_seconds", "s", feed.preparing().as_secs_f64());
    say("raw_bytes", "bytes", raw_bytes);
    // A file system in memory counts nothing.
    if let (Some(written), Some(closing)) = (
        written.filter(|written| *written >= live_file_bytes),
        closing_written,
    ) {
        say("written_bytes", "bytes", written as f64);
        say("close_written_bytes", "bytes", closing as f64);
        let amplification = (written + closing) as f64 / raw_bytes;
        say("write_amplification", "ratio", amplification);
    }
    say("close_seconds", "s", closing.as_secs_f64());
    say("live_file_bytes", "bytes", live_file_bytes as f64);
    say("file_bytes", "bytes", file_bytes as f64);
    say("messagepack_ratio", "ratio", raw_bytes / file_bytes as f64);
    let per_change = live_file_bytes as f64 / tally.changes as f64;
    say("bytes_per_change", "bytes", per_change);
    let per_day = per_change * options.rate * DAY_SECONDS;
    say("bytes_per_day", "bytes/day", per_day);
    if let Some(bytes) = workload_rss {
        say("workload_rss_bytes", "bytes", bytes as f64);
    }
    if let Some(bytes) = peak_rss {
        say("peak_rss_bytes", "bytes", bytes as f64);
    }
    Ok(tally)
}

fn written_since(before: Option<u64>) -> Option<u64> {
    Some(process::storage_written_bytes()?.saturating_sub(before?))
}
