//! The program as it is run: what it says on stdout is for another program.

use std::process::Command;

use serde_json::Value;

fn tracers() -> Command {
    Command::new(env!("CARGO_BIN_EXE_tracers"))
}

#[test]
fn a_sync_beside_the_lean_reader_says_json_lines() {
    let Some(path) = std::env::var_os("SK_TRACEDB_BIN") else {
        eprintln!("skipped: SK_TRACEDB_BIN names no sk-tracedb");
        return;
    };
    let mut command = tracers();
    command.args([
        "sync",
        "--objects",
        "60",
        "--pods",
        "600",
        "--rounds",
        "1",
        "--json",
    ]);
    let output = command.arg("--sk-tracedb").arg(path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let lines: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |subject: &str, metric: &str| {
        let mut lines = lines.iter();
        let line = lines.find(|line| line["subject"] == subject && line["metric"] == metric);
        line.unwrap_or_else(|| panic!("{subject} {metric}"))["runs"][0]
            .as_f64()
            .unwrap()
    };
    assert!(of("lean-read", "list_bytes") > 600.0 * 8_000.0);
    assert!(of("lean-read", "lists_read_seconds") > 0.0);
    assert!(of("sk-tracedb", "ready_seconds") > 0.0);
    assert!(of("sk-tracedb", "peak_rss") > of("lean-read", "peak_rss"));
}

#[test]
fn numbers_that_measure_nothing_are_refused() {
    for (arguments, names_it) in [
        (["start", "--rounds", "0"], "--rounds"),
        (["load", "--rate", "0"], "--rate"),
        (["load", "--rate", "NaN"], "--rate"),
        (["load", "--rate", "1e12"], "--rate"),
        (["load", "--seconds", "0"], "--seconds"),
        (["load", "--idle-seconds", "0"], "--idle-seconds"),
    ] {
        let output = tracers().args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(names_it), "{said}");
    }
}

#[test]
fn a_fleet_has_as_many_objects_as_it_is_asked_for() {
    let fleet = sk_tracedb_tracers::content::fleet(500, 700);
    let all = |plural: &str| {
        let mut all = fleet.collections.iter();
        let found = all.find(|found| found.served.plural == plural);
        found.unwrap().items.len()
    };
    assert_eq!(all("deployments"), 500);
    assert_eq!(all("replicasets"), 500);
    assert_eq!(all("pods"), 700);
    assert_eq!(fleet.expected.objects, 500);
}

#[test]
fn without_a_subject_there_is_nothing_to_measure() {
    let output = tracers().args(["start", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing to measure"));
}
