//! Guards `sk-tracedb bench`: a benchmark whose lines a report cannot read, that leaves gigabytes behind, or that measures something
//! other than it says is worse than none.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that meets what it did not expect fails by a panic"
)]

#[path = "support/folder.rs"]
mod folder;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use folder::names;

/// `sk-tracedb bench` with its temporary files in `folder`.
fn command(folder: &Path, args: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sk-tracedb"));
    command
        .current_dir(folder)
        .env("TMPDIR", folder)
        .env_remove("SK_TRACEDB_DB")
        .stdin(Stdio::null())
        .arg("bench")
        .args(args);
    command
}

fn bench(folder: &Path, args: &[&str]) -> Output {
    command(folder, args).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The runs of each quantity, by benchmark, subject and metric.
type Found = BTreeMap<(String, String, String), Vec<f64>>;

/// Reads result lines, each of which must have exactly the form that a report reads.
fn lines(output: &Output, workload: &str, changes: u64, objects: u64) -> Found {
    lines_of(output, workload, |_| changes, objects)
}

/// The same, with as many changes as each benchmark has.
fn lines_of(output: &Output, workload: &str, changes: impl Fn(&str) -> u64, objects: u64) -> Found {
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut found = Found::new();
    for line in text(&output.stdout).lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        let fields: Vec<&str> = value
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let expected = [
            "benchmark",
            "changes",
            "metric",
            "objects",
            "runs",
            "subject",
            "unit",
            "workload",
        ];
        assert_eq!(fields, expected, "{line}");
        assert_eq!(value["workload"], workload, "{line}");
        let benchmark = value["benchmark"].as_str().unwrap();
        assert_eq!(value["changes"], changes(benchmark), "{line}");
        assert_eq!(value["objects"], objects, "{line}");
        assert!(!value["unit"].as_str().unwrap().is_empty(), "{line}");
        let runs: Vec<f64> = value["runs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|run| run.as_f64().unwrap())
            .collect();
        assert!(!runs.is_empty(), "{line}");
        assert!(
            runs.iter().all(|run| run.is_finite() && *run >= 0.0),
            "{line}"
        );
        let name = |field: &str| value[field].as_str().unwrap().to_owned();
        let key = (name("benchmark"), name("subject"), name("metric"));
        assert!(found.insert(key, runs).is_none(), "twice: {line}");
    }
    found
}

fn one(found: &Found, benchmark: &str, subject: &str, metric: &str) -> f64 {
    let key = (benchmark.to_owned(), subject.to_owned(), metric.to_owned());
    found[&key][0]
}

const OURS: &str = "sk-tracedb";
const HOUR: &str = "sk-tracedb, that hour only";

#[test]
fn every_quantity_is_told_in_json_and_nothing_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "--changes",
        "2k",
        "--objects",
        "100",
        "--runs",
        "2",
        "--json",
    ];
    let output = bench(folder.path(), &args);
    let found = lines(&output, "update-heavy", 2_000, 100);
    assert_eq!(text(&output.stderr), "");
    assert_eq!(names(folder.path()), [""; 0]);
    let single = [
        "changes_per_second",
        "list_changes_per_second",
        "commits",
        "commit_p50_ms",
        "commit_p99_ms",
        "commit_max_ms",
        "cpu_seconds",
        "cpu_us_per_change",
        "preparing_seconds",
        "raw_bytes",
        "close_seconds",
        "live_file_bytes",
        "file_bytes",
        "messagepack_ratio",
        "bytes_per_change",
        "bytes_per_day",
    ];
    for metric in single {
        assert!(one(&found, "ingest", OURS, metric) > 0.0, "{metric}");
    }
    let repeated = [
        ("export", OURS, "seconds"),
        ("export", OURS, "synced_mb_per_second"),
        ("export", OURS, "unsynced_mb_per_second"),
        ("export", OURS, "open_ms"),
        ("export", OURS, "plan_seconds"),
        ("export", OURS, "cpu_seconds"),
        ("export", OURS, "mb_per_cpu_second"),
        ("export", OURS, "exported_changes"),
        ("export", "cat", "synced_mb_per_second"),
        ("export", "cat", "unsynced_mb_per_second"),
        ("export", "memcpy", "mb_per_second"),
        ("window", OURS, "ms"),
        ("window", OURS, "cpu_ms"),
        ("window", OURS, "window_changes"),
        ("window", HOUR, "ms"),
        ("window", HOUR, "cpu_ms"),
        ("window", HOUR, "window_changes"),
        ("state", OURS, "first_object_ms"),
        ("state", OURS, "all_objects_ms"),
        ("state", OURS, "objects"),
        ("history", OURS, "ms"),
        ("history", OURS, "object_changes"),
        ("open", OURS, "reader_open_ms"),
    ];
    for (benchmark, subject, metric) in repeated {
        let key = (benchmark.to_owned(), subject.to_owned(), metric.to_owned());
        let runs = found.get(&key).unwrap_or_else(|| panic!("{key:?}"));
        assert_eq!(runs.len(), 2, "{key:?}");
        assert!(runs.iter().all(|run| *run > 0.0), "{key:?}: {runs:?}");
    }
    if cfg!(target_os = "linux") {
        for benchmark in ["ingest", "export", "window", "state"] {
            assert!(one(&found, benchmark, OURS, "peak_rss_bytes") > 1e6);
        }
        for benchmark in ["ingest", "export"] {
            one(&found, benchmark, OURS, "cpu_wait_seconds");
        }
    }
    // What has to fit together.
    assert_eq!(
        one(&found, "window", OURS, "window_changes"),
        one(&found, "window", HOUR, "window_changes")
    );
    assert!(
        one(&found, "window", OURS, "window_changes")
            < one(&found, "export", OURS, "exported_changes")
    );
    assert!(one(&found, "export", OURS, "exported_changes") <= 2_000.0);
    assert!(
        one(&found, "export", OURS, "trace_bytes") < one(&found, "ingest", OURS, "raw_bytes") * 1.1
    );
    assert!(one(&found, "ingest", OURS, "commits") >= 2_000.0 / 256.0);
}

/// The list with which the shorter store begins must be before the hour, also where a step takes longer than that.
#[test]
fn an_hour_with_few_steps_is_the_same_out_of_both_stores() {
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "--changes",
        "300",
        "--objects",
        "20",
        "--mix",
        "mixed",
        "--phases",
        "ingest,window",
        "--runs",
        "1",
        "--json",
    ];
    let found = lines(&bench(folder.path(), &args), "mixed", 300, 20);
    let of = |subject, metric| one(&found, "window", subject, metric);
    for metric in ["start_objects", "window_changes"] {
        assert!(of(OURS, metric) > 0.0, "{metric}");
        assert_eq!(of(OURS, metric), of(HOUR, metric), "{metric}");
    }
    if cfg!(target_os = "linux") && found.keys().any(|(.., metric)| metric == "written_bytes") {
        let of = |metric| one(&found, "ingest", OURS, metric);
        let all = of("written_bytes") + of("close_written_bytes");
        assert_eq!(of("write_amplification"), all / of("raw_bytes"));
    }
}

#[test]
fn a_store_that_is_kept_can_be_measured_again() {
    let folder = tempfile::tempdir().unwrap();
    let size = [
        "--changes",
        "500",
        "--objects",
        "60",
        "--mix",
        "pod-churn",
        "--runs",
        "1",
    ];
    let record = [
        size.as_slice(),
        &["--phases", "ingest", "--db", "kept.redb", "--json"],
    ]
    .concat();
    let output = bench(folder.path(), &record);
    let first = lines(&output, "pod-churn", 500, 60);
    assert!(first.keys().all(|(benchmark, ..)| benchmark == "ingest"));
    assert_eq!(names(folder.path()), ["kept.redb"]);
    assert!(
        text(&output.stderr).contains("kept.redb"),
        "it is said what stays"
    );

    let before = std::fs::read(folder.path().join("kept.redb")).unwrap();
    let read = [
        "--phases",
        "export,history,open",
        "--db",
        "kept.redb",
        "--runs",
        "1",
        "--json",
    ];
    // The store says what it holds, whatever the arguments say.
    let again = lines(&bench(folder.path(), &read), "pod-churn", 500, 60);
    assert!(one(&again, "export", OURS, "trace_bytes") > 0.0);
    assert!(one(&again, "history", OURS, "ms") > 0.0);
    assert_eq!(names(folder.path()), ["kept.redb"]);
    assert!(
        std::fs::read(folder.path().join("kept.redb")).unwrap() == before,
        "the store has changed"
    );

    let hour = [
        "--phases",
        "window",
        "--db",
        "kept.redb",
        "--runs",
        "1",
        "--json",
    ];
    let output = bench(folder.path(), &hour);
    let alone = lines(&output, "pod-churn", 500, 60);
    assert!(alone.keys().all(|(_, subject, _)| subject == OURS));
    assert!(text(&output.stderr).contains("compared with nothing"));

    let refused = bench(folder.path(), &record);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("already exists"));
    assert!(
        std::fs::read(folder.path().join("kept.redb")).unwrap() == before,
        "the store has changed"
    );
}

#[test]
fn recorders_that_are_killed_lose_nothing_and_their_store_opens() {
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "--changes",
        "600",
        "--objects",
        "60",
        "--batch",
        "20",
        "--runs",
        "2",
        "--only",
        "killed",
        "--json",
    ];
    let found = lines(&bench(folder.path(), &args), "update-heavy", 600, 60);
    let key = |metric: &str| ("killed".to_owned(), OURS.to_owned(), metric.to_owned());
    assert_eq!(found[&key("recorder_open_ms")].len(), 2);
    assert_eq!(
        found[&key("file_bytes")].len(),
        2,
        "of each that was opened"
    );
    assert!(found[&key("file_bytes")].iter().all(|bytes| *bytes > 0.0));
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn what_is_offered_is_recorded_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "--only",
        "offered",
        "--seconds",
        "1",
        "--objects",
        "60",
        "--runs",
        "1",
        "--json",
    ];
    let offered = |benchmark: &str| match benchmark {
        "offered-100" => 100,
        "offered-2000" => 2_000,
        _ => 0,
    };
    let output = bench(folder.path(), &args);
    let found = lines_of(&output, "update-heavy", offered, 60);
    for load in ["offered-100", "offered-2000"] {
        let wait = one(&found, load, OURS, "ack_p50_ms");
        assert!(wait > 0.1, "{load}: {wait}");
        assert!(one(&found, load, OURS, "ack_p99_ms") >= wait);
        assert!(one(&found, load, OURS, "commits_per_second") > 0.0);
    }
    assert_eq!(one(&found, "offered-0", OURS, "commits_per_second"), 0.0);
    if cfg!(target_os = "linux") {
        let busy = one(&found, "offered-2000", OURS, "writer_cpu_percent");
        assert!(busy > one(&found, "offered-0", OURS, "writer_cpu_percent"));
    }
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn people_get_a_table_and_what_a_day_takes() {
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "--changes",
        "500",
        "--objects",
        "60",
        "--runs",
        "1",
        "--rate",
        "50",
        "--keep",
    ];
    let output = bench(folder.path(), &args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    assert!(
        table.starts_with("update-heavy: 500 changes, about 60 objects\n"),
        "{table}"
    );
    assert!(table.contains("\nBENCHMARK"), "{table}");
    assert!(table.contains("at 50 changes a second"), "{table}");
    let [kept] = names(folder.path()).try_into().unwrap();
    assert_eq!(names(&folder.path().join(&kept)), ["bench.redb"]);
    assert!(text(&output.stderr).contains(&kept));
}

#[test]
fn wrong_arguments_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (args, names_it) in [
        (["--changes", "0"].as_slice(), "at least 1"),
        (&["--changes", "x"], "1_000_000"),
        (&["--objects=-1"], "--objects"),
        (&["--mix", "quiet"], "update-heavy"),
        (&["--phases", "sleep"], "ingest, export"),
        (&["--batch", "0"], "at least 1"),
        (&["--runs", "2k"], "between 1 and 1000"),
        (&["--phases", "export"], "--db"),
        (
            &["--phases", "open", "--db", "x", "--keep"],
            "no store to keep",
        ),
        (&["--phases", "killed", "--keep"], "no store to keep"),
        (&["--phases", "offered", "--db", "x"], "leave out --db"),
        (
            &["--changes", "50", "--objects", "500"],
            "the first list shows",
        ),
    ] {
        let output = bench(folder.path(), args);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{args:?}: {}",
            text(&output.stderr)
        );
        assert!(
            text(&output.stderr).contains(names_it),
            "{args:?}: {}",
            text(&output.stderr)
        );
        assert_eq!(text(&output.stdout), "", "{args:?}");
        assert_eq!(names(folder.path()), [""; 0], "{args:?}");
    }
}

/// Waits, at most a minute.
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_signal_ends_it_and_nothing_is_left_behind() {
    let endless = ["--changes", "1M", "--objects", "100"];
    let kept = [endless.as_slice(), &["--db", "kept.redb"]].concat();
    let exporting = ["--changes", "500", "--objects", "60", "--runs", "1000"];
    for (size, phases, file) in [
        (kept.as_slice(), "ingest", "bench.redb"),
        (&endless, "killed", "killed.redb"),
        (&exporting, "ingest,export", "trace"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = command(folder.path(), &[size, &["--phases", phases]].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        until("it does not begin", || {
            assert_eq!(child.try_wait().unwrap(), None, "it ended by itself");
            let inside = |name: &String| folder.path().join(name).join(file).exists();
            names(folder.path()).iter().any(inside)
        });
        let sent = std::process::Command::new("kill")
            .args(["-s", "INT", &child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
        until("it does not end", || child.try_wait().unwrap().is_some());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
        assert_eq!(names(folder.path()), [""; 0], "{phases}");
    }
}
