//! How long retention holds back the writer, beside the same recording without retention:
//! `cargo bench --bench retention --features bench [-- CHANGES OBJECTS MIB ROUNDS [ONLY]]`.
//!
//! A workload is recorded at full rate, through the queue and the writer's thread of a real recorder, into a store that may take so
//! many MiB, into one that keeps a sixteenth of the time, and into one that keeps everything. A piece of retention is told as
//! a whole (what a commit had to wait for) and in its two parts: the work, and the commit, which is the storage's time. What
//! the storage takes for nothing but an fsync is measured on the same volume in the same run. Percentiles are rounded up by an eighth at most; the maximum is exact.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a benchmark that meets what it did not expect fails by a panic"
)]

use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sk_tracedb::ingest::{Durations, RetentionPolicy, WriterStats};
use sk_tracedb::recorder::SimulatedRecorder;
use sk_tracedb::workload::{Mix, Workload, WorkloadOptions};
use sk_tracedb::{Store, allocated_bytes};

/// Parts of the workload's time of which one is kept.
const KEPT: u32 = 16;
const FSYNCS: usize = 200;
const FSYNC_BYTES: usize = 64 << 10;

fn main() {
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|arg| arg.parse::<u64>().ok());
    let changes = numbers.next().unwrap_or(400_000);
    let objects = numbers.next().unwrap_or(3_000) as usize;
    let mib = numbers.next().unwrap_or(16);
    let rounds = numbers.next().unwrap_or(1);
    // A part of the name of what shall be run, where not all shall.
    let only = std::env::args()
        .skip(1)
        .find(|arg| !arg.starts_with('-') && arg.parse::<u64>().is_err());
    let slowest = Durations::default();
    for round in 1..=rounds {
        for mix in [Mix::UpdateHeavy, Mix::PodChurn] {
            let wanted = |policy: &str| {
                let name = format!("{mix}, {policy}");
                only.as_ref().is_none_or(|only| name.contains(only))
            };
            let options = WorkloadOptions {
                objects,
                changes,
                mix,
                duration: Duration::from_secs(24 * 3_600),
                ..WorkloadOptions::default()
            };
            println!("round {round}, {mix}: {changes} steps, {objects} objects");
            measure(&options, mib << 20, wanted, &slowest);
        }
    }
    println!("the longest piece of all: {:.1} ms", ms(slowest.max()));
}

fn measure(
    options: &WorkloadOptions,
    size_bytes: u64,
    wanted: impl Fn(&str) -> bool,
    slowest: &Durations,
) {
    let age_us = i64::try_from((options.duration / KEPT).as_micros()).unwrap();
    let (age, size) = (Some(age_us), Some(size_bytes));
    for (name, age_us, size_bytes) in [
        ("everything is kept", None, None),
        ("limited by age", age, None),
        ("limited by size", None, size),
        ("limited by both", age, size),
    ] {
        if !wanted(name) {
            continue;
        }
        let policy = RetentionPolicy { age_us, size_bytes };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bench.redb");
        let started = Instant::now();
        let (stats, peak) = record(&path, options, policy);
        let seconds = started.elapsed().as_secs_f64();
        let recorded = stats.changes.load(Ordering::Relaxed);
        let dropped = stats.retention.changes.load(Ordering::Relaxed);
        let rows = stats.retention.rows.load(Ordering::Relaxed);
        println!(
            "  {name}: {recorded} changes in {seconds:.1} s, dropped {dropped} and {rows} other rows; the file takes {:.1} MiB, {:.1} at most{}",
            mib(allocated_bytes(&path).unwrap()),
            mib(peak),
            size_bytes.map_or(String::new(), |size| format!(" of {:.0}", mib(size))),
        );
        tell("batch", &stats.batches);
        tell("  its commit", &stats.commits);
        if policy != RetentionPolicy::default() {
            assert!(
                dropped > recorded / 8,
                "too little was dropped to tell anything"
            );
            tell("piece of retention", &stats.retention.pieces);
            tell("  its work", &stats.retention.work);
            tell("  its commit", &stats.retention.commits);
            slowest.add(stats.retention.pieces.max());
        }
        tell("fsync of 64 KiB", &fsyncs(folder.path()));
        if let Some(size_bytes) = size_bytes {
            assert!(peak <= size_bytes, "the file has outgrown its limit");
        }
    }
}

/// Records the whole workload and closes the store. Returns also the most bytes that the file took.
fn record(
    path: &Path,
    options: &WorkloadOptions,
    policy: RetentionPolicy,
) -> (Arc<WriterStats>, u64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mut workload = Workload::new(options.clone());
    runtime.block_on(async {
        let store = Store::create(path).unwrap();
        let recorder = SimulatedRecorder::start_retaining(store, &workload, "bench", policy)
            .await
            .unwrap();
        let mut peak = 0;
        while let Some(step) = workload.next() {
            recorder.step(step, &workload).await.unwrap();
            peak = peak.max(allocated_bytes(path).unwrap());
        }
        let stats = Arc::clone(recorder.stats());
        // Not closed: that would compact it.
        drop(recorder.stop().await.unwrap());
        (stats, peak.max(allocated_bytes(path).unwrap()))
    })
}

/// The storage's own time.
fn fsyncs(folder: &Path) -> Durations {
    let mut file = File::create(folder.join("fsync")).unwrap();
    let took = Durations::default();
    for turn in 0..FSYNCS {
        file.rewind().unwrap();
        file.write_all(&vec![turn as u8; FSYNC_BYTES]).unwrap();
        let started = Instant::now();
        file.sync_data().unwrap();
        took.add(started.elapsed());
    }
    took
}

fn tell(what: &str, durations: &Durations) {
    println!(
        "    {what:<20} {:>6} times, ms: p50 {:>6.1} p99 {:>6.1} p99.9 {:>6.1} max {:>6.1}, all {:>8.0}",
        durations.count(),
        ms(durations.per_mille(500)),
        ms(durations.per_mille(990)),
        ms(durations.per_mille(999)),
        ms(durations.max()),
        ms(durations.sum()),
    );
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
