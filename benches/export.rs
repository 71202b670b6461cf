//! Exporting everything to a file, from opening the store to the synced trace. Beside it, copying the same bytes from file to file, synced,
//! and in memory.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a benchmark that meets what it did not expect fails by a panic"
)]

mod support;

use std::fs::File;
use std::hint::black_box;
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sk_tracedb::workload::Mix;

use crate::support::{observed, recorded};

/// What `cat` copies at once, bytes.
const COPY_BYTES: usize = 128 << 10;

fn copy(from: &Path, to: &Path) -> u64 {
    let (mut from, mut to) = (File::open(from).unwrap(), File::create(to).unwrap());
    let (mut buffer, mut copied) = (vec![0; COPY_BYTES], 0);
    loop {
        let read = from.read(&mut buffer).unwrap();
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        to.write_all(bytes).unwrap();
        copied += u64::try_from(read).unwrap();
    }
    to.sync_all().unwrap();
    copied
}

fn export(criterion: &mut Criterion) {
    for mix in [Mix::UpdateHeavy, Mix::PodChurn] {
        let recorded = recorded(&observed(mix, 2, Duration::from_secs(7_200)));
        let window = recorded.window(None);
        let (trace, target) = (
            recorded.folder.path().join("trace"),
            recorded.folder.path().join("copy"),
        );
        let (bytes, _) = recorded.export(window, &trace);
        let mut group = criterion.benchmark_group(format!("export {mix}"));
        group
            .sample_size(10)
            .warm_up_time(Duration::from_secs(1))
            .throughput(Throughput::Bytes(bytes));
        group.bench_function("sk-tracedb", |bencher| {
            bencher.iter(|| assert_eq!(recorded.export(window, &target).0, bytes));
        });
        group.bench_function("copying the trace file", |bencher| {
            bencher.iter(|| assert_eq!(copy(&trace, &target), bytes));
        });
        let source = std::fs::read(&trace).unwrap();
        let mut memory = vec![1; source.len()];
        group.bench_function("memcpy", |bencher| {
            bencher.iter(|| {
                memory.copy_from_slice(black_box(&source));
                black_box(&memory);
            });
        });
        group.finish();
    }
}

criterion_group!(benches, export);
criterion_main!(benches);
