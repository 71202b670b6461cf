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
            let rate = |metric| runs(&lines, "stores-ingest", subject, metric)[0];
            let until_closed = rate("until_closed_changes_per_second");
            assert!(0.0 < until_closed && until_closed < rate("changes_per_second"));
            assert!(runs(&lines, "stores-disk", subject, "bytes")[0] > 0.0);
        }
        // An export leaves out what has owners; the histories hold all that the others scan.
        let rows = runs(
            &lines,
            "stores-scan",
            "sk-tracedb, object by object",
            "rows",
        );
        assert_eq!(rows, [2_000.0, 2_000.0]);
        let size = |subject| runs(&lines, "stores-disk", subject, "bytes")[0];
        assert!(size("messagepack") > size("messagepack-gzip-6"));
        assert!(size("trace-file") > size("trace-file-gzip-6"));
        assert!(size("trace-file") > size("trace-file-zstd-3"));
    }
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 0, "temporary files are left");
}

#[test]
fn the_codec_is_measured_alone_beside_zstd_and_copying() {
    let folder = tempfile::tempdir().unwrap();
    let output = peers(&[
        "codec",
        "--changes",
        "3000",
        "--objects",
        "100",
        "--runs",
        "2",
        "--json",
        "--folder",
        folder.path().to_str().unwrap(),
    ]);
    let lines = lines(&output);
    for subject in ["sk-tracedb", "zstd-3-each-body", "memcpy"] {
        for metric in ["encode_mb_per_second", "decode_mb_per_second"] {
            let rates = runs(&lines, "codec", subject, metric);
            assert_eq!(rates.len(), 2, "{subject}");
            assert!(rates.iter().all(|rate| *rate > 0.0), "{subject}: {rates:?}");
        }
    }
    let ratio = |subject| runs(&lines, "codec", subject, "messagepack_ratio")[0];
    assert!(ratio("sk-tracedb") > ratio("zstd-3-each-body"));
    assert!(ratio("zstd-3-each-body") > 1.0);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// A whole run takes hours: it must not end with an error that could have been told at once.
#[test]
fn what_cannot_be_measured_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (out, missing, lines) = (place("out.md"), place("no/out.md"), place("out.jsonl"));
    let no_file = place("none");
    let all = |rest: &[&str]| {
        let mut arguments = vec!["all", "--sk-tracedb", "/bin/false"];
        arguments.extend(rest);
        peers(&arguments)
    };
    for (output, names_it) in [
        (peers(&["stores", "--runs", "0"]), "--runs"),
        (peers(&["stores", "--batch", "0"]), "--batch"),
        (peers(&["stores", "--objects", "0"]), "--objects"),
        (peers(&["codec", "--changes", "0"]), "--changes"),
        (peers(&["rates", "--seconds", "0"]), "--seconds"),
        (peers(&["rates", "--changes", "40000"]), "too few"),
        (all(&["--out", &missing]), "no/out.md"),
        (all(&["--out", &lines]), "result lines"),
        (all(&["--out", &out, "--runs", "0"]), "--runs"),
        (all(&["--out", &out, "--mix", "mixed,mixed"]), "twice"),
        (all(&["--out", &out, "--bench-changes", "5,6,5"]), "5 twice"),
        (
            all(&["--out", &out, "--bench-phases", "open,sleep"]),
            "sleep",
        ),
        (all(&["--out", &out, "--rate-changes", "10"]), "too few"),
        (all(&["--out", &out, "--sk-tracer", &no_file]), "none"),
        (all(&["--out", &out, "--folder", &no_file]), "none"),
    ] {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && said.contains(names_it),
            "{names_it}: {said}"
        );
        assert!(!said.contains("---"), "something was begun: {said}");
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            0,
            "{said}"
        );
    }
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
fn the_committed_document_is_what_its_lines_make() {
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let lines = docs.join("benchmarks.jsonl");
    let output = peers(&["report", lines.to_str().unwrap()]);
    assert!(output.status.success());
    let document = std::fs::read_to_string(docs.join("benchmarks.md")).unwrap();
    assert!(
        String::from_utf8(output.stdout).unwrap() == document,
        "docs/benchmarks.md was edited, or the report has changed: make it anew, as it says itself"
    );
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
