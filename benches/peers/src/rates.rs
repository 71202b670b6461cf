//! The writer's own thread at a given rate: when a change is acknowledged, what it costs, and what idleness costs.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use sk_tracedb::clock::ManualClock;
use sk_tracedb::ingest::{Queue, WriterStats, queue, spawn};
use sk_tracedb::limits::{BATCH_AGE_MS_MAX, BATCH_AGE_MS_QUIET, BATCH_OBSERVATIONS_QUIET};
use sk_tracedb::model::{Observation, Timestamp};

use crate::digest::Digest;
use crate::line::Figures;
use crate::run::{ensure_holds, quantile_ms};
use crate::stream::Stream;
use crate::subject::{AppendOnlyFile, Name, Observations, SkTracedb, Subject};
use crate::usage;

/// How often is looked whether changes have been acknowledged, where their delays are measured.
const POLL: Duration = Duration::from_micros(250);
/// Longest wait for the last acknowledgement.
const ACKNOWLEDGE_MAX: Duration = Duration::from_secs(60);
/// The writer's thread, as it is named in `sk_tracedb::ingest`.
const WRITER_THREAD: &str = "writer";
/// How long the writer is left alone before its idleness is measured.
const REST: Duration = Duration::from_secs(1);

/// What a child process is asked to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Task {
    /// Which subject: sk-tracedb, or the append-only file.
    pub subject: String,
    /// The changes: the last ones are offered, those before them are in the store by then.
    pub stream: Stream,
    /// In which folder, which is empty.
    pub folder: PathBuf,
    /// Changes offered a second.
    pub rate: u32,
    /// For how long, seconds.
    pub seconds: u32,
    /// Whether delays are measured (which costs CPU time), or CPU time.
    pub delays: bool,
    /// For how long idleness is measured afterwards, seconds.
    pub idle_seconds: u32,
}

impl Task {
    /// How many changes come before those that are offered.
    fn earlier(&self) -> Result<u64> {
        let offered = u64::from(self.rate) * u64::from(self.seconds);
        let earlier = self.stream.changes.checked_sub(offered);
        earlier.context("there are too few changes for this rate and time")
    }

    fn benchmark(&self) -> String {
        format!("writer-at-{}-per-second", self.rate)
    }
}

/// Runs a task in this process.
pub fn run_task(task: &Task) -> Result<Figures> {
    match task.subject.parse()? {
        Name::SkTracedb => run_writer(task),
        Name::AppendOnlyFile => run_file(task),
        other => anyhow::bail!("{other} is not offered anything"),
    }
}

/// The floor: a file to which everything that has come within the time that sk-tracedb's writer waits for more is
/// appended and synced. What it takes is what the storage takes.
fn run_file(task: &Task) -> Result<Figures> {
    let earlier = task.earlier()?;
    let mut offered = Vec::new();
    for batch in task.stream.batches()? {
        offered.extend(batch?.into_iter().filter(|change| change.seq > earlier));
    }
    let mut file = AppendOnlyFile::create(&task.folder, &task.stream)?;
    let started = Instant::now();
    let due = |number: usize| {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        started + Duration::from_secs(1) * number / task.rate
    };
    let age = Duration::from_millis(BATCH_AGE_MS_MAX);
    let quiet_age = Duration::from_millis(BATCH_AGE_MS_QUIET);
    let mut delays = Vec::with_capacity(offered.len());
    let mut commits = 0;
    while delays.len() < offered.len() {
        let first = delays.len();
        // The oldest one has waited for so long, or longer, where the file has been slow; while few come, until they are no
        // longer few, or have waited for the longer time.
        let no_longer_few = due(first + BATCH_OBSERVATIONS_QUIET - 1);
        let full = no_longer_few.clamp(due(first) + age, due(first) + quiet_age);
        std::thread::sleep(full.saturating_duration_since(Instant::now()));
        let now = Instant::now();
        let end = (first..offered.len())
            .find(|number| due(*number) > now)
            .unwrap_or(offered.len());
        let batch = offered.get(first..end).unwrap_or_default().to_vec();
        file.append(&batch)?;
        commits += 1;
        let acknowledged = Instant::now();
        delays
            .extend((first..end).map(|number| acknowledged.saturating_duration_since(due(number))));
    }
    let seconds = started.elapsed().as_secs_f64();
    file.close()?;
    let mut given = Digest::default();
    offered.iter().for_each(|change| given.add(&change.row()));
    ensure_holds::<AppendOnlyFile>(&task.folder, &task.stream, &given)?;
    let mut figures = Figures::default();
    let benchmark = task.benchmark();
    let changes = offered.len() as f64;
    figures.push(
        &benchmark,
        "changes_per_second",
        "changes/s",
        changes / seconds,
    );
    figures.push(
        &benchmark,
        "commits_per_second",
        "commits/s",
        f64::from(commits) / seconds,
    );
    push_delays(&mut figures, &benchmark, delays);
    Ok(figures)
}

fn push_delays(figures: &mut Figures, benchmark: &str, mut delays: Vec<Duration>) {
    delays.sort();
    for (metric, percent) in [("ack_p50_ms", 50), ("ack_p99_ms", 99), ("ack_max_ms", 100)] {
        figures.push(benchmark, metric, "ms", quantile_ms(&delays, percent));
    }
}

/// sk-tracedb's own thread.
fn run_writer(task: &Task) -> Result<Figures> {
    let earlier = task.earlier()?;
    let mut writer = SkTracedb::create(&task.folder, &task.stream)?;
    let mut offered = Vec::new();
    for batch in task.stream.batches()? {
        let (before, after): (Vec<_>, Vec<_>) =
            batch?.into_iter().partition(|change| change.seq <= earlier);
        if !before.is_empty() {
            writer.append(&SkTracedb::prepare(before))?;
        }
        for change in after {
            offered.push(SkTracedb::prepare(vec![change]));
        }
    }
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(
        task.stream.first_us,
    )));
    let stats: Arc<WriterStats> = Arc::default();
    let (queue, receiver) = queue(clock.clone());
    let mut writer = writer.into_writer();
    // What was there before is folded and packed once, and not part of a steady load.
    writer.settle()?;
    let thread = spawn(writer, receiver, clock.clone(), Arc::clone(&stats))?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut figures = Figures::default();
    runtime.block_on(offer(task, offered, &clock, &queue, &stats, &mut figures))?;
    if task.idle_seconds > 0 {
        std::thread::sleep(REST);
        idle(task, &stats, &mut figures)?;
    }
    drop(queue);
    SkTracedb::close_writer(thread.join()?)?;
    ensure_holds::<SkTracedb>(&task.folder, &task.stream, &task.stream.digest)?;
    Ok(figures)
}

/// Offers changes at a steady rate. A delay counts from the moment at which a change was due, so that a queue that is
/// full does not hide it.
async fn offer(
    task: &Task,
    offered: Vec<Observations>,
    clock: &ManualClock,
    queue: &Queue,
    stats: &Arc<WriterStats>,
    figures: &mut Figures,
) -> Result<()> {
    let changes = offered.len() as u64;
    let all: u64 = offered.iter().map(|one| one.seen.len() as u64).sum();
    let watcher = task.delays.then(|| Watcher::start(Arc::clone(stats), all));
    let cpu = usage::process_cpu();
    let started = Instant::now();
    let mut due = Vec::with_capacity(offered.len());
    let mut sent = 0;
    for (number, change) in (0u32..).zip(offered) {
        let at = started + Duration::from_secs(1) * number / task.rate;
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        for (at, observation) in change.seen {
            clock.set(at);
            send(queue, observation).await?;
            sent += 1;
        }
        due.push((sent, at));
    }
    let began_waiting = Instant::now();
    while stats.observations.load(Ordering::Relaxed) < all {
        ensure!(
            began_waiting.elapsed() < ACKNOWLEDGE_MAX,
            "the last changes are not acknowledged"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    let seconds = started.elapsed().as_secs_f64();
    let cpu = usage::process_cpu().saturating_sub(cpu).as_secs_f64();
    ensure!(
        stats.changes.load(Ordering::Relaxed) == changes,
        "not every observation was a change"
    );
    let benchmark = task.benchmark();
    let mut push = |metric, unit, value| figures.push(&benchmark, metric, unit, value);
    push("changes_per_second", "changes/s", changes as f64 / seconds);
    let commits = stats.commits.count() as f64;
    push("commits_per_second", "commits/s", commits / seconds);
    let slowest = stats.commits.max();
    push("slowest_commit_ms", "ms", slowest.as_secs_f64() * 1e3);
    match watcher {
        None => push("cpu_percent", "% of a core", cpu / seconds * 100.0),
        Some(watcher) => {
            push_delays(figures, &benchmark, watcher.delays(&due)?);
        }
    }
    Ok(())
}

async fn send(queue: &Queue, observation: Observation) -> Result<()> {
    Ok(queue.send(observation).await?)
}

/// Nothing is offered, and the queue is open.
fn idle(task: &Task, stats: &WriterStats, figures: &mut Figures) -> Result<()> {
    let commits = || stats.commits.count();
    let (before, cpu) = (commits(), usage::process_cpu());
    let (woken, written) = (usage::wake_ups(WRITER_THREAD)?, usage::bytes_written()?);
    std::thread::sleep(Duration::from_secs(u64::from(task.idle_seconds)));
    // First what this measurement itself adds to.
    let woken = usage::wake_ups(WRITER_THREAD)? - woken;
    let cpu = usage::process_cpu().saturating_sub(cpu).as_secs_f64();
    let seconds = f64::from(task.idle_seconds);
    let mut push = |metric, unit, value| figures.push("writer-idle", metric, unit, value);
    push("commits", "commits", (commits() - before) as f64);
    push(
        "bytes_written",
        "bytes",
        (usage::bytes_written()? - written) as f64,
    );
    push("wake_ups_per_second", "1/s", woken as f64 / seconds);
    push("cpu_percent", "% of a core", cpu / seconds * 100.0);
    Ok(())
}

/// Sees when observations are acknowledged: the writer counts them after the commit that holds them.
struct Watcher {
    thread: std::thread::JoinHandle<Vec<(u64, Instant)>>,
    stop: Arc<AtomicBool>,
}

impl Watcher {
    fn start(stats: Arc<WriterStats>, all: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut seen = Vec::new();
            let mut last = 0;
            while last < all && !stopped.load(Ordering::Relaxed) {
                let now = stats.observations.load(Ordering::Relaxed);
                if now > last {
                    seen.push((now, Instant::now()));
                    last = now;
                }
                std::thread::sleep(POLL);
            }
            seen
        });
        Self { thread, stop }
    }

    /// The delay of every change, of which is given how many observations had been sent with it, and when it was due.
    fn delays(self, due: &[(u64, Instant)]) -> Result<Vec<Duration>> {
        // The last one may have been counted since the watcher looked.
        std::thread::sleep(POLL * 10);
        self.stop.store(true, Ordering::Relaxed);
        let seen = self
            .thread
            .join()
            .map_err(|_| anyhow::anyhow!("the watcher has panicked"))?;
        delays(due, &seen)
    }
}

fn delays(due: &[(u64, Instant)], seen: &[(u64, Instant)]) -> Result<Vec<Duration>> {
    due.iter()
        .map(|(sent, at)| {
            let first = seen.partition_point(|(acknowledged, _)| acknowledged < sent);
            let (_, when) = seen.get(first).context("a change is not acknowledged")?;
            Ok(when.saturating_duration_since(*at))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_ends_with_the_commit_that_holds_the_change() {
        let zero = Instant::now();
        let at = |ms| zero + Duration::from_millis(ms);
        let due = [(1, at(0)), (3, at(10)), (4, at(20))];
        let delays_ms = |seen: &[(u64, Instant)]| -> Option<Vec<u128>> {
            let delays = delays(&due, seen).ok()?;
            Some(delays.iter().map(Duration::as_millis).collect())
        };
        assert_eq!(
            delays_ms(&[(2, at(15)), (4, at(50))]),
            Some(vec![15, 40, 30])
        );
        assert_eq!(delays_ms(&[(3, at(15))]), None, "one was lost");
    }
}
