//! Opening closed stores of one and of four hours for reading, to the first snapshot. Beside it, the least that this can cost: opening a
//! file and reading one page of it.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a benchmark that meets what it did not expect fails by a panic"
)]

mod support;

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use sk_tracedb::Reader;
use sk_tracedb::workload::Mix;

use crate::support::{observed, recorded};

const PAGE_BYTES: usize = 4_096;

fn open(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("open");
    group.warm_up_time(Duration::from_secs(1));
    for hours in [1, 4] {
        let recorded = recorded(&observed(
            Mix::UpdateHeavy,
            hours,
            Duration::from_secs(3_600 * hours),
        ));
        group.bench_function(
            format!("sk-tracedb, {} changes", recorded.changes),
            |bencher| {
                bencher.iter(|| {
                    let snapshot = Reader::open(&recorded.path).unwrap().snapshot().unwrap();
                    assert!(snapshot.extent().is_some());
                });
            },
        );
        group.bench_function(
            format!("one page, {} changes", recorded.changes),
            |bencher| {
                bencher.iter(|| {
                    let mut page = [0; PAGE_BYTES];
                    let mut file = File::open(&recorded.path).unwrap();
                    file.read_exact(&mut page).unwrap();
                    page
                });
            },
        );
    }
    group.finish();
}

criterion_group!(benches, open);
criterion_main!(benches);
