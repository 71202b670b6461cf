//! The program itself, on sizes for which figures mean nothing: every store holds the same rows in the end, or the run
//! fails; and what comes out is a report.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longest wait for another process.
const PATIENCE: Duration = Duration::from_secs(60);

const SUBJECTS: [&str; 5] = [
    "sk-tracedb",
    "sqlite-wal-full",
    "sqlite-wal-normal",
    "fjall-sync",
    "append-only-file",
];

fn peers(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_peers"))
        .args(arguments)
        .output()
        .unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn runs(lines: &[Value], benchmark: &str, subject: &str, metric: &str) -> Vec<f64> {
    let mut of = lines.iter().filter(|line| {
        line["benchmark"] == benchmark && line["subject"] == subject && line["metric"] == metric
    });
    let line = of
        .next()
        .unwrap_or_else(|| panic!("no {metric} of {subject} in {benchmark}"));
    assert!(of.next().is_none(), "{metric} of {subject} twice");
    let runs = line["runs"].as_array().unwrap();
    runs.iter().map(|run| run.as_f64().unwrap()).collect()
}

#[test]
fn all_stores_take_the_same_changes_and_give_them_back() {
    let folder = tempfile::tempdir().unwrap();
    for mix in ["update-heavy", "pod-churn"] {
        let output = peers(&[
            "stores",
            "--changes",
            "2000",
            "--objects",
            "200",
            "--mix",
            mix,
            "--runs",
            "2",
            "--json",
            "--folder",
            folder.path().to_str().unwrap(),
        ]);
        // Each run reads everything back and fails when a row is missing or differs.
        let lines = lines(&output);
        for subject in SUBJECTS {
            for metric in ["changes_per_second", "ack_p99_ms", "cpu_seconds"] {
                let runs = runs(&lines, "stores-ingest", subject, metric);
                assert_eq!(runs.len(), 2);
                assert!(runs.iter().all(|run| *run > 0.0), "{metric}: {runs:?}");
            }
            let rows = runs(&lines, "stores-scan", subject, "rows");
            if subject == "sk-tracedb" {
                assert!(rows.iter().all(|rows| *rows > 0.0 && *rows <= 2_000.0));
            } else {
                assert_eq!(rows, [2_000.0, 2_000.0], "{subject}");
            }
            assert!(runs(&lines, "stores-disk", subject, "bytes")[0] > 0.0);
        }
        let size = |subject| runs(&lines, "stores-disk", subject, "bytes")[0];
        assert!(size("messagepack") > size("messagepack-gzip-6"));
        assert!(size("trace-file") > size("trace-file-gzip-6"));
        assert!(size("trace-file") > size("trace-file-zstd-3"));
    }
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 0, "temporary files are left");
}

#[test]
fn the_writer_acknowledges_what_is_offered_and_rests_when_nothing_is() {
    let folder = tempfile::tempdir().unwrap();
    let output = peers(&[
        "rates",
        "--changes",
        "5000",
        "--objects",
        "200",
        "--runs",
        "1",
        "--seconds",
        "2",
        "--idle-seconds",
        "2",
        "--json",
        "--folder",
        folder.path().to_str().unwrap(),
    ]);
    let lines = lines(&output);
    let busy = |metric| runs(&lines, "writer-at-2000-per-second", "sk-tracedb", metric)[0];
    assert!(busy("ack_p99_ms") >= busy("ack_p50_ms") && busy("ack_p50_ms") > 0.0);
    assert!(busy("commits_per_second") > 0.0);
    let file = |metric| {
        runs(
            &lines,
            "writer-at-2000-per-second",
            "append-only-file",
            metric,
        )[0]
    };
    assert!(file("ack_p99_ms") >= file("ack_p50_ms") && file("ack_p50_ms") > 0.0);
    assert!(file("commits_per_second") > 0.0);
    let calm = |metric| runs(&lines, "writer-at-100-per-second", "sk-tracedb", metric)[0];
    assert!(calm("cpu_percent") > 0.0);
    assert_eq!(runs(&lines, "writer-idle", "sk-tracedb", "commits"), [0.0]);
}

#[test]
fn lines_become_a_report() {
    let folder = tempfile::tempdir().unwrap();
    let (lines, report) = (folder.path().join("lines"), folder.path().join("report.md"));
    let line = |subject: &str, rate: f64| {
        format!(
            r#"{{"benchmark":"stores-ingest","workload":"update-heavy","changes":1000000,"objects":50000,"subject":"{subject}","metric":"changes_per_second","unit":"changes/s","runs":[{rate}]}}"#
        )
    };
    let text = [line("sqlite-wal-full", 100.0), line("sk-tracedb", 149.0)].join("\n");
    std::fs::write(&lines, text).unwrap();
    let arguments = [
        "report",
        lines.to_str().unwrap(),
        "--out",
        report.to_str().unwrap(),
    ];
    let output = peers(&arguments);
    assert!(output.status.success());
    assert!(output.stdout.is_empty());
    let text = std::fs::read_to_string(&report).unwrap();
    let goal = text
        .lines()
        .find(|line| line.contains("against SQLite"))
        .unwrap();
    assert!(
        goal.contains("1.49x") && goal.contains("**not reached**"),
        "{goal}"
    );
    std::fs::write(&lines, "nonsense").unwrap();
    assert!(!peers(&arguments).status.success());
    assert_eq!(std::fs::read_to_string(&report).unwrap(), text, "untouched");
}

#[test]
fn an_interrupted_program_leaves_no_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_peers"))
        .args(["stores", "--changes", "100000000", "--objects", "200"])
        .arg("--folder")
        .arg(folder.path())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let files = || std::fs::read_dir(folder.path()).unwrap().count();
    let began = Instant::now();
    while files() == 0 {
        assert!(began.elapsed() < PATIENCE, "it does not begin");
        std::thread::sleep(Duration::from_millis(10));
    }
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(kill.success());
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if began.elapsed() > PATIENCE {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(status.code(), Some(130));
    assert_eq!(files(), 0);
}
