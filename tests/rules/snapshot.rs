//! X2: an export reads one consistent state, whatever is recorded meanwhile, and a receiver that stalls costs the
//! recorder nothing.

use std::io::{self, Write};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::json;
use sk_tracedb::export::{ExportFilters, ExportRequest, PreparedExport, export};
use sk_tracedb::limits::READ_TXN_MS_MAX;
use sk_tracedb::model::Observation;

use crate::support::*;

const TESTS_WAIT: Duration = Duration::from_secs(60);

/// An output that stops at a byte until it is told to go on.
struct Gated {
    bytes: Vec<u8>,
    stop_at: usize,
    stopped: mpsc::Sender<()>,
    go_on: mpsc::Receiver<()>,
    waited: bool,
}

impl Write for Gated {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        if !self.waited && self.bytes.len() >= self.stop_at {
            self.waited = true;
            self.stopped.send(()).unwrap();
            self.go_on.recv_timeout(TESTS_WAIT).unwrap();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn map(name: &str, n: i64) -> Obj {
    let text = "x".repeat(30_000);
    obj(
        "v1.ConfigMap",
        &format!("ns/{name}"),
        &format!("uid-{name}"),
    )
    .field("data", json!({"n": n, "text": text}))
}

fn recorder() -> Recorder {
    let mut recorder = Recorder::listed(config(&[
        "v1.ConfigMap: {}",
        "apps/v1.Deployment: {trackLifecycle: true}",
    ]));
    let web = obj("apps/v1.Deployment", "ns/web", "web").spec(json!({}));
    recorder.see(s(101), web.applied());
    for n in 0..200 {
        recorder.see_all(
            s(102 + n / 10),
            [
                map(&format!("m{}", n % 30), n).applied(),
                pod(&format!("ns/p{n}"), &format!("p{n}"))
                    .owned_by(&web)
                    .started(103)
                    .applied(),
            ],
        );
    }
    recorder
}

fn request() -> ExportRequest {
    ExportRequest {
        // Ends in the future: what is recorded meanwhile falls into the window.
        window: window(110, 1_000),
        filters: ExportFilters::default(),
    }
}

/// Exports through a gate at a byte, and does something while the export stands there.
fn while_stopped(
    recorder: &mut Recorder,
    stop_at: usize,
    work: impl FnOnce(&mut Recorder),
) -> Vec<u8> {
    let reader = recorder.reader();
    let (stopped, is_stopped) = mpsc::channel();
    let (go, go_on) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let mut out = Gated {
            bytes: Vec::new(),
            stop_at,
            stopped,
            go_on,
            waited: false,
        };
        export(&reader, &request(), &mut out).unwrap();
        assert!(out.waited, "the trace is too short to stop in it");
        out.bytes
    });
    is_stopped.recv_timeout(TESTS_WAIT).unwrap();
    work(recorder);
    go.send(()).unwrap();
    thread.join().unwrap()
}

/// Everything that could show in an export: changes, deletions, new objects, ended pods, a restart with another config.
fn disturb(recorder: &mut Recorder, round: i64) {
    let at = s(130 + round);
    recorder.see_all(
        at,
        [
            map("m1", 10_000 + round).applied(),
            map("m2", 0).deleted(),
            map(&format!("new-{round}"), 1).applied(),
            pod("ns/p1", "p1").started(103).deleted(),
            pod(&format!("ns/new-{round}"), &format!("new-{round}"))
                .started(120)
                .applied(),
        ],
    );
    recorder.blind(at, "v1.ConfigMap", "test");
    recorder.list(at, &gvk("v1.ConfigMap"), [map("m5", 5).item()]);
}

#[test]
fn what_is_recorded_during_an_export_does_not_change_it() {
    let whole = recorder().export(110, 1_000).bytes;
    for part in [
        1,
        whole.len() / 4,
        whole.len() / 2,
        whole.len() - 200,
        whole.len() - 1,
    ] {
        let mut recorder = recorder();
        let bytes = while_stopped(&mut recorder, part, |recorder| {
            for round in 0..5 {
                disturb(recorder, round);
            }
        });
        assert!(bytes == whole, "stopped at byte {part} of {}", whole.len());
        assert!(recorder.export(110, 1_000).bytes != whole);
    }
}

#[test]
fn what_is_recorded_between_planning_and_writing_does_not_change_an_export() {
    let mut recorder = recorder();
    let whole = recorder.export(110, 1_000);
    let prepared = PreparedExport::prepare(&recorder.reader(), &request()).unwrap();
    disturb(&mut recorder, 0);
    assert_eq!(prepared.summary(), &whole.summary);
    let mut bytes = Vec::new();
    assert_eq!(prepared.write(&mut bytes).unwrap(), whole.summary);
    assert!(bytes == whole.bytes);
}

#[test]
fn an_export_that_outlives_its_read_transactions_still_tells_one_state() {
    let mut recorder = recorder();
    let whole = recorder.export(110, 1_000).bytes;
    let bytes = while_stopped(&mut recorder, whole.len() / 3, |recorder| {
        // Records until the export has to take a new snapshot, however long a commit takes here.
        let until = Instant::now() + Duration::from_millis(READ_TXN_MS_MAX + 100);
        let mut round = 0;
        while Instant::now() < until {
            disturb(recorder, round);
            round += 1;
        }
    });
    assert!(bytes == whole);
}

/// A commit that changes nothing of the record.
fn disturbance(recorder: &mut Recorder) {
    let bookmark = Observation::Bookmark {
        watch: gvk("v1.ConfigMap"),
        resource_version: "1".to_owned(),
    };
    recorder.batch([(s(200), bookmark)]);
}

#[test]
fn a_receiver_that_stalls_keeps_no_old_pages_alive() {
    // As many commits, once with nobody reading and once while an export stands still.
    let work = |recorder: &mut Recorder| {
        for n in 0..400 {
            recorder.batch((0..20).map(|m| {
                let bookmark = Observation::Bookmark {
                    watch: gvk("v1.ConfigMap"),
                    resource_version: format!("{n}-{m}"),
                };
                (s(200 + n), bookmark)
            }));
        }
    };
    let allocated = |recorder: &Recorder| recorder.snapshot().size_on_disk().unwrap().file_bytes;
    let mut alone = recorder();
    work(&mut alone);
    let mut beside = recorder();
    let length = beside.export(110, 1_000).bytes.len();
    // What is done beside it before it stands still is recorded, and takes room too.
    let mut growth = 0;
    for stop_at in [length / 10, length / 2] {
        while_stopped(&mut beside, stop_at, |recorder| {
            // The export may be filling its next sheet, with a snapshot, for a moment longer.
            let deadline = Instant::now() + Duration::from_secs(60);
            loop {
                let before = sk_tracedb::allocated_bytes(&recorder.path()).unwrap();
                (0..40).for_each(|_| disturbance(recorder));
                if sk_tracedb::allocated_bytes(&recorder.path()).unwrap() == before {
                    break;
                }
                assert!(Instant::now() < deadline, "the file grows and grows");
            }
            let before = allocated(recorder);
            work(recorder);
            growth += allocated(recorder).saturating_sub(before);
        });
    }
    let alone = allocated(&alone);
    assert!(
        growth <= alone,
        "{growth} bytes more beside a stalled export, {alone} alone"
    );
}
