//! Recording, durable: each batch is acknowledged when it is on disk. Beside it, the least that this can cost: the same objects appended to
//! a plain file that is synced after each batch.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a benchmark that meets what it did not expect fails by a panic"
)]

mod support;

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sk_tracedb::bench::{Seen, Tally};
use sk_tracedb::ingest::PackingSchedule;
use sk_tracedb::model::Observation;
use sk_tracedb::workload::Mix;

use crate::support::{Observed, append, observed};

/// Opens a new store, and takes the time of the commits, and of the packing that a recorder does between them.
fn record(observed: &Observed) -> Duration {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = observed.writer(&folder.path().join("bench.redb"));
    let mut packing = PackingSchedule::default();
    let mut changes = 0;
    let began = Instant::now();
    for batch in observed.batches() {
        changes += append(&mut writer, batch);
        packing.step(&mut writer).unwrap();
    }
    let elapsed = began.elapsed();
    assert_eq!(changes, observed.changes, "acknowledged");
    elapsed
}

/// The bytes of each batch as rows of a log: time, length, body.
fn rows(observed: &Observed) -> Vec<Vec<u8>> {
    let mut tally = Tally::default();
    let mut row = |(at, seen): &Seen| {
        let before = tally.changes;
        tally.count(seen);
        let (Observation::Applied { item, .. } | Observation::Deleted { item, .. }) = seen else {
            return Vec::new();
        };
        let Some(object) = item.object.as_ref().filter(|_| tally.changes > before) else {
            return Vec::new();
        };
        let mut row = at.as_micros().to_be_bytes().to_vec();
        row.extend(u64::try_from(object.body.len()).unwrap().to_be_bytes());
        row.extend(&object.body);
        row
    };
    observed
        .batches()
        .map(|batch| batch.iter().flat_map(&mut row).collect())
        .collect()
}

fn append_to_file(rows: &[Vec<u8>]) -> Duration {
    let mut file = tempfile::tempfile().unwrap();
    let began = Instant::now();
    for batch in rows {
        file.write_all(batch).unwrap();
        file.sync_data().unwrap();
    }
    let elapsed = began.elapsed();
    let length: usize = rows.iter().map(Vec::len).sum();
    assert_eq!(File::metadata(&file).unwrap().len(), length as u64);
    elapsed
}

fn ingest(criterion: &mut Criterion) {
    for mix in [Mix::UpdateHeavy, Mix::PodChurn] {
        let observed = observed(mix, 1, Duration::from_secs(3_600));
        let rows = rows(&observed);
        let mut group = criterion.benchmark_group(format!("ingest {mix}"));
        group
            .sample_size(10)
            .warm_up_time(Duration::from_secs(1))
            .throughput(Throughput::Elements(observed.changes));
        group.bench_function("sk-tracedb", |bencher| {
            bencher.iter_custom(|count| (0..count).map(|_| record(black_box(&observed))).sum());
        });
        group.bench_function("append-only file, synced", |bencher| {
            bencher.iter_custom(|count| (0..count).map(|_| append_to_file(black_box(&rows))).sum());
        });
        group.finish();
    }
}

criterion_group!(benches, ingest);
criterion_main!(benches);
