//! The last hour of a record as a trace: out of a record of four hours, and out of one that holds that hour only. The second is what it can
//! cost at least; the ratio is what the rest of the record costs. Beside them, copying the same trace in memory.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a benchmark that meets what it did not expect fails by a panic"
)]

mod support;

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sk_tracedb::workload::Mix;

use crate::support::{observed, recorded};

const HOUR: Duration = Duration::from_secs(3_600);
/// How much longer than the hour the shorter record is: the list that it begins with is before the window.
const LEAD: Duration = Duration::from_secs(60);

fn window(criterion: &mut Criterion) {
    for mix in [Mix::UpdateHeavy, Mix::PodChurn] {
        let long = recorded(&observed(mix, 4, 4 * HOUR));
        let short = recorded(&observed(mix, 4, HOUR + LEAD));
        let window = long.window(Some(HOUR));
        assert_eq!(window, short.window(Some(HOUR)));
        let trace = long.folder.path().join("trace");
        let out = long.folder.path().join("out");
        let (bytes, changes) = long.export(window, &trace);
        assert_eq!(short.export(window, &out).1, changes);
        let mut group = criterion.benchmark_group(format!("window {mix}"));
        group
            .sample_size(10)
            .warm_up_time(Duration::from_secs(1))
            .throughput(Throughput::Bytes(bytes));
        for store in [&long, &short] {
            group.bench_function(format!("of {} changes", store.changes), |bencher| {
                bencher.iter(|| assert_eq!(store.export(window, &out).1, changes));
            });
        }
        let source = std::fs::read(&trace).unwrap();
        let mut memory = vec![1; source.len()];
        group.bench_function("memcpy of the trace", |bencher| {
            bencher.iter(|| {
                memory.copy_from_slice(black_box(&source));
                black_box(&memory);
            });
        });
        group.finish();
    }
}

criterion_group!(benches, window);
criterion_main!(benches);
