//! Guards X1: an exporter that holds what it exports dies of it (the oldest open wish of sk-tracer's users). The exporter
//! runs as a process of its own, so that what the system gave it at most is the exporter's and nobody else's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod support;

use std::io::{self, Write};
use std::path::Path;
use std::process::Command;

use serde_json::json;
use sk_tracedb::Reader;
use sk_tracedb::export::{ExportFilters, ExportRequest, export};

use crate::support::*;

/// Names the store to export to the process that does it.
const STORE: &str = "SK_TRACEDB_TEST_EXPORT_OF";

struct Counted(u64);

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const OBJECTS: i64 = 400;
const PODS: i64 = 2_000;

/// Text that no codec makes much shorter: the store has to be larger than the page cache.
fn noise(n: i64) -> String {
    let mut noise = [0; 500];
    blake3::Hasher::new()
        .update(&n.to_le_bytes())
        .finalize_xof()
        .fill(&mut noise);
    noise
        .iter()
        .map(|byte| char::from(b'0' + byte % 64))
        .collect()
}

/// A closed store with so many changes of always as many objects, and always as many pods.
fn recorded(changes: i64) -> Recorder {
    let mut recorder = Recorder::listed(config(&[
        "v1.ConfigMap: {}",
        "apps/v1.Deployment: {trackLifecycle: true}",
    ]));
    let web = obj("apps/v1.Deployment", "ns/web", "web").spec(json!({}));
    recorder.see(s(101), web.applied());
    let mut n = 0;
    while n < changes {
        let until = changes.min(n + 4_000);
        recorder.batch((n..until).flat_map(|n| {
            let name = n % OBJECTS;
            let map = obj(
                "v1.ConfigMap",
                &format!("ns/map-{name}"),
                &format!("uid-{name}"),
            );
            let map = map.field("data", json!({"n": n, "text": noise(n)}));
            let at = us(102_000_000 + n * 10_000);
            let run = pod(&format!("ns/pod-{n}"), &format!("pod-{n}"))
                .owned_by(&web)
                .started(102);
            let over = (n < PODS).then(|| (at, run.finished(103).terminal().applied()));
            [(at, map.applied())].into_iter().chain(over)
        }));
        n = until;
    }
    recorder.stop(s(10_000));
    recorder
}

/// The most memory that this process ever had, bytes.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    let kilobytes = line.split_whitespace().nth(1).unwrap();
    kilobytes.parse::<u64>().unwrap() * 1024
}

#[test]
#[ignore = "the other test runs it as a process of its own"]
fn the_exporter_itself() {
    let Some(path) = std::env::var_os(STORE) else {
        return;
    };
    let before = peak_bytes();
    let request = ExportRequest {
        window: window(100, 20_000),
        filters: ExportFilters::default(),
    };
    let mut out = Counted(0);
    let summary = export(&Reader::open(path).unwrap(), &request, &mut out).unwrap();
    let (changes, lifecycles) = (summary.applied, summary.lifecycles);
    println!(
        "\nexported {} {} {changes} {lifecycles}",
        peak_bytes() - before,
        out.0
    );
}

/// Exports the whole record: peak memory and length of the trace in bytes, changes, lifecycles.
fn exported(store: &Path) -> [u64; 4] {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_exporter_itself", "--ignored", "--nocapture"])
        .env(STORE, store)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("exported "));
    let numbers = line.unwrap_or_else(|| panic!("{output:?}")).split(' ');
    let numbers: Vec<u64> = numbers.map(|number| number.parse().unwrap()).collect();
    numbers.try_into().unwrap()
}

#[test]
fn an_export_of_four_times_as_many_changes_takes_no_more_memory() {
    let (few, many) = (25_000, 100_000);
    let [short_peak, short_bytes, changes, _] = exported(&recorded(few).path());
    assert_eq!(changes, few.unsigned_abs() + 1);
    let [long_peak, long_bytes, changes, lifecycles] = exported(&recorded(many).path());
    assert_eq!(changes, many.unsigned_abs() + 1);
    assert_eq!(lifecycles, PODS.unsigned_abs());
    assert!(long_bytes > 3 * short_bytes);
    println!(
        "peak {short_peak} for a trace of {short_bytes} bytes, {long_peak} for one of {long_bytes}"
    );
    // The short one is long enough to fill the page cache: what is left is chance.
    let slack = 2 << 20;
    assert!(
        long_peak <= short_peak + short_peak / 10 + slack,
        "{short_peak} bytes at most for {few} changes, {long_peak} for {many}"
    );
}
