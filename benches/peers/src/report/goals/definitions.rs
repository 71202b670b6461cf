//! The goals themselves.

use super::{Bound, Goal, Measure, Size, Source};

const MIB: f64 = 1_048_576.0;

pub const ANY: Size = Size {
    changes: 0,
    objects: 0,
    pods: 0,
    file: 0.0,
};
const MILLION: Size = Size {
    changes: 1_000_000,
    ..ANY
};
const TEN_MILLION: Size = Size {
    changes: 10_000_000,
    ..ANY
};
const CLUSTER: Size = Size {
    objects: 20_000,
    pods: 150_000,
    ..ANY
};
/// The changes of which sk-tracer's figures in the goals were measured.
const TRACER_RECORD: Size = Size {
    changes: 21_200,
    ..ANY
};
/// Twenty seconds at a hundred changes a second: CPU time is told in steps of 10 ms, which are 0.05 % of them.
const STEADY: Size = Size {
    changes: 2_000,
    ..ANY
};
const LARGE_FILE: Size = Size { file: 2e9, ..ANY };

/// No number is asked for wake-ups, only that they are not worth naming: this one is ours.
const IDLE_WAKE_UPS_PER_SECOND: f64 = 10.0;

const fn figure(benchmark: &'static str, subject: &'static str, metric: &'static str) -> Source {
    Source {
        benchmark,
        subject,
        metric,
    }
}

const fn ours(benchmark: &'static str, metric: &'static str) -> Source {
    figure(benchmark, "sk-tracedb", metric)
}

const fn ingest(subject: &'static str) -> Source {
    figure("stores-ingest", subject, "changes_per_second")
}

const fn disk(subject: &'static str) -> Source {
    figure("stores-disk", subject, "bytes")
}

/// All of them, in their order.
pub const GOALS: &[Goal] = &[
    Goal {
        group: 1,
        text: "export, against sk-tracer",
        measure: Measure::Ratio(
            ours("tracer-export", "export_mb_per_second"),
            figure("tracer-export", "sk-tracer", "export_mb_per_second"),
        ),
        unit: "x",
        bound: Bound::AtLeast(40.0),
        workload: "",
        size: TRACER_RECORD,
    },
    Goal {
        group: 1,
        text: "export to a file, against `cat` of the same bytes",
        measure: Measure::Ratio(
            ours("export", "unsynced_mb_per_second"),
            figure("export", "cat", "unsynced_mb_per_second"),
        ),
        unit: "x",
        bound: Bound::AtLeast(0.5),
        workload: "",
        size: MILLION,
    },
    Goal {
        group: 1,
        text: "export, most memory",
        measure: Measure::Figure(ours("export", "peak_rss_bytes")),
        unit: "bytes",
        bound: Bound::AtMost(128.0 * MIB),
        workload: "",
        size: TEN_MILLION,
    },
    Goal {
        group: 1,
        text: "export, most memory, against that at 100,000 changes",
        measure: Measure::Growth(ours("export", "peak_rss_bytes"), 100_000),
        unit: "x",
        bound: Bound::AtMost(1.1),
        workload: "",
        size: TEN_MILLION,
    },
    Goal {
        group: 2,
        text: "the last hour, against a store of that hour only",
        measure: Measure::Ratio(
            ours("window", "ms"),
            figure("window", "sk-tracedb, that hour only", "ms"),
        ),
        unit: "x",
        bound: Bound::AtMost(1.3),
        workload: "",
        size: TEN_MILLION,
    },
    Goal {
        group: 2,
        text: "state at a time, until it begins to answer",
        measure: Measure::Figure(ours("state", "first_object_ms")),
        unit: "ms",
        bound: Bound::Below(50.0),
        workload: "",
        size: MILLION,
    },
    Goal {
        group: 2,
        text: "state at a time, all objects",
        measure: Measure::Figure(ours("state", "all_objects_ms")),
        unit: "ms",
        bound: Bound::Below(50.0),
        workload: "",
        size: MILLION,
    },
    Goal {
        group: 2,
        text: "one object's history",
        measure: Measure::Figure(ours("history", "ms")),
        unit: "ms",
        bound: Bound::Below(50.0),
        workload: "",
        size: MILLION,
    },
    Goal {
        group: 3,
        text: "ingest, against SQLite WAL/FULL",
        measure: Measure::Ratio(ingest("sk-tracedb"), ingest("sqlite-wal-full")),
        unit: "x",
        bound: Bound::AtLeast(1.5),
        workload: "",
        size: MILLION,
    },
    Goal {
        group: 3,
        text: "ingest, against fjall with sync",
        measure: Measure::Ratio(ingest("sk-tracedb"), ingest("fjall-sync")),
        unit: "x",
        bound: Bound::AtLeast(1.0),
        workload: "",
        size: MILLION,
    },
    Goal {
        group: 3,
        text: "ingest, against an append-only file",
        measure: Measure::Ratio(ingest("sk-tracedb"), ingest("append-only-file")),
        unit: "x",
        bound: Bound::AtLeast(0.6),
        workload: "",
        size: MILLION,
    },
    Goal {
        group: 3,
        text: "p99 of acknowledgement at 2,000 changes/s",
        measure: Measure::Figure(ours("writer-at-2000-per-second", "ack_p99_ms")),
        unit: "ms",
        bound: Bound::Below(100.0),
        workload: "",
        size: ANY,
    },
    Goal {
        group: 3,
        text: "CPU of the writer at 100 changes/s, of a core",
        measure: Measure::Figure(ours("writer-at-100-per-second", "cpu_percent")),
        unit: "%",
        bound: Bound::Below(2.0),
        workload: "",
        size: ANY,
    },
    Goal {
        group: 3,
        text: "CPU of the whole recorder at 100 changes/s, of a core",
        measure: Measure::Figure(ours("steady-load", "cpu_percent")),
        unit: "%",
        bound: Bound::Below(2.0),
        workload: "",
        size: STEADY,
    },
    Goal {
        group: 3,
        text: "idle: commits",
        measure: Measure::Figure(ours("writer-idle", "commits")),
        unit: "",
        bound: Bound::AtMost(0.0),
        workload: "",
        size: ANY,
    },
    Goal {
        group: 3,
        text: "idle: wake-ups of the writer (the bound is ours)",
        measure: Measure::Figure(ours("writer-idle", "wake_ups_per_second")),
        unit: "/s",
        bound: Bound::AtMost(IDLE_WAKE_UPS_PER_SECOND),
        workload: "",
        size: ANY,
    },
    Goal {
        group: 3,
        text: "idle: commits of the whole recorder",
        measure: Measure::Figure(ours("idle", "commits")),
        unit: "/s",
        bound: Bound::AtMost(0.0),
        workload: "",
        size: ANY,
    },
    Goal {
        group: 3,
        text: "idle: context switches of the whole recorder (the bound is ours)",
        measure: Measure::Figure(ours("idle", "context_switches")),
        unit: "/s",
        bound: Bound::AtMost(IDLE_WAKE_UPS_PER_SECOND),
        workload: "",
        size: ANY,
    },
    Goal {
        group: 4,
        text: "memory of the recorder",
        measure: Measure::Figure(ours("initial-sync", "peak_rss")),
        unit: "bytes",
        bound: Bound::AtMost(150.0 * MIB),
        workload: "",
        size: CLUSTER,
    },
    Goal {
        group: 4,
        text: "memory of the recorder, against sk-tracer",
        measure: Measure::Ratio(
            ours("initial-sync", "peak_rss"),
            figure("initial-sync", "sk-tracer", "peak_rss"),
        ),
        unit: "x",
        bound: Bound::Any,
        workload: "",
        size: CLUSTER,
    },
    Goal {
        group: 4,
        text: "initial sync, against merely reading the lists",
        measure: Measure::Ratio(
            ours("initial-sync", "ready_seconds"),
            figure("initial-sync", "lean-read", "lists_read_seconds"),
        ),
        unit: "x",
        bound: Bound::AtMost(1.5),
        workload: "",
        size: CLUSTER,
    },
    Goal {
        group: 5,
        text: "MessagePack, against the file on disk",
        measure: Measure::Ratio(disk("messagepack"), disk("sk-tracedb")),
        unit: "x",
        bound: Bound::AtLeast(15.0),
        workload: "update-heavy",
        size: MILLION,
    },
    Goal {
        group: 5,
        text: "MessagePack, against the file on disk",
        measure: Measure::Ratio(disk("messagepack"), disk("sk-tracedb")),
        unit: "x",
        bound: Bound::AtLeast(8.0),
        workload: "pod-churn",
        size: MILLION,
    },
    Goal {
        group: 5,
        text: "MessagePack, gzip -6, against the file on disk",
        measure: Measure::Ratio(disk("messagepack-gzip-6"), disk("sk-tracedb")),
        unit: "x",
        bound: Bound::Any,
        workload: "",
        size: MILLION,
    },
    Goal {
        group: 5,
        text: "MessagePack, zstd -3, against the file on disk",
        measure: Measure::Ratio(disk("messagepack-zstd-3"), disk("sk-tracedb")),
        unit: "x",
        bound: Bound::Any,
        workload: "",
        size: MILLION,
    },
    Goal {
        group: 5,
        text: "trace file, gzip -6, against the file on disk",
        measure: Measure::Ratio(disk("trace-file-gzip-6"), disk("sk-tracedb")),
        unit: "x",
        bound: Bound::Any,
        workload: "",
        size: MILLION,
    },
    Goal {
        group: 5,
        text: "trace file, zstd -3, against the file on disk",
        measure: Measure::Ratio(disk("trace-file-zstd-3"), disk("sk-tracedb")),
        unit: "x",
        bound: Bound::Any,
        workload: "",
        size: MILLION,
    },
    Goal {
        group: 5,
        text: "bytes written, against MessagePack",
        measure: Measure::Figure(ours("stores-ingest", "write_amplification")),
        unit: "x",
        bound: Bound::AtMost(0.3),
        workload: "update-heavy",
        size: MILLION,
    },
    Goal {
        group: 6,
        text: "opening after SIGKILL",
        measure: Measure::Figure(ours("killed", "recorder_open_ms")),
        unit: "ms",
        bound: Bound::Below(200.0),
        workload: "",
        size: LARGE_FILE,
    },
    Goal {
        group: 6,
        text: "start of the binary until it is ready, empty cluster",
        measure: Measure::Figure(ours("start", "ready_ms")),
        unit: "ms",
        bound: Bound::Below(300.0),
        workload: "",
        size: ANY,
    },
];
