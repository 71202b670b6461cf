//! Epochs turn only in stores that have grown, and so does what retention does with them: windows right behind the
//! horizon, on either side of a turn, must find what was alive, and runs and lists of the past must go.

use std::time::Duration;

use serde_json::json;
use sk_tracedb::export::ExportFilters;
use sk_tracedb::ingest::{Effort, Writer};
use sk_tracedb::limits::EPOCH_ROWS_MIN;
use sk_tracedb::model::{Horizon, Observation, Timestamp};
use sk_tracedb::{Reader, Store};

use crate::support::recorder::export_of;
use crate::support::*;

const WEB: &str = "apps/v1.Deployment";
const ROUNDS: i64 = 8;
const PODS: i64 = 7_000;

fn start_of(round: i64) -> i64 {
    1_000 + 100 * round
}

fn owner() -> Obj {
    obj(WEB, "ns/web", "web").spec(json!({}))
}

/// In each round thousands of pods run for a while; a few run on, a few stay when they have ended.
fn told(round: i64) -> Vec<(Timestamp, Observation)> {
    let begin = start_of(round);
    let mut told = Vec::new();
    for n in 0..PODS {
        let name = format!("pod-{round}-{n}");
        let run = pod(&format!("ns/{name}"), &name)
            .owned_by(&owner())
            .started(begin + 5);
        told.push((s(begin + 10), run.clone().applied()));
        match n % 700 {
            0 => {}
            1 => told.push((s(begin + 30), run.finished(begin + 29).terminal().applied())),
            2 => told.push((s(begin + 250), run.finished(begin + 240).deleted())),
            _ => told.push((
                s(begin + 40 + n % 7),
                run.finished(begin + 40 + n % 7).deleted(),
            )),
        }
    }
    let map = obj(
        "v1.ConfigMap",
        &format!("ns/map-{round}"),
        &format!("map-{round}"),
    );
    told.push((s(begin + 20), map.clone().applied()));
    told.push((s(begin + 320), map.deleted()));
    told
}

fn rows(reader: &Reader, table: &str) -> u64 {
    let sizes = reader.snapshot().unwrap().size_on_disk().unwrap();
    sizes
        .tables
        .iter()
        .find(|size| size.name == table)
        .unwrap()
        .rows
}

#[test]
fn windows_behind_the_horizon_find_what_was_alive_in_every_epoch() {
    let mut recorder = Recorder::listed(config(&[
        "v1.ConfigMap: {}",
        "apps/v1.Deployment: {trackLifecycle: true}",
    ]));
    recorder.see(s(101), owner().applied());
    let mut script: Vec<_> = (0..ROUNDS).flat_map(told).collect();
    script.sort_by_key(|(at, _)| *at);
    let turned = EPOCH_ROWS_MIN as usize / 4;
    while !script.is_empty() {
        let batch: Vec<_> = script.drain(..script.len().min(turned)).collect();
        recorder.batch(batch);
    }
    // Runs to be dropped, too.
    recorder.restart(s(3_000), s(3_001));
    recorder.stop(s(3_010));
    let kept_path = recorder.folder().join("kept.redb");
    std::fs::copy(recorder.path(), &kept_path).unwrap();
    let kept = Reader::open(&kept_path).unwrap();
    let epochs = rows(&kept, "epoch_to_row");
    assert!(epochs >= 3, "only {epochs} epochs: the test shows nothing");

    let targets = [1_150, 1_335, 1_560, 3_005];
    for (n, target) in targets.into_iter().enumerate() {
        // The process ends between two pieces, again and again; nothing is lost, and in the end all is done.
        let mut done = false;
        let mut openings = 0;
        while !done {
            let mut writer = Writer::new(Store::open(recorder.path()).unwrap()).unwrap();
            writer.begin_sweep();
            openings += 1;
            let effort = Effort {
                rows: 6_000 << openings.min(6),
                time: Duration::from_secs(60),
            };
            for _ in 0..4 {
                done = writer
                    .retain(Horizon::at(s(target)), effort, false)
                    .unwrap()
                    .done;
            }
            drop(writer);
        }
        let cut = Reader::open(recorder.path()).unwrap();
        for start in [target, target + 31, target + 101] {
            for end in [start + 15, start + 220] {
                let before = export_of(&kept, window(start, end), ExportFilters::default());
                let after = export_of(&cut, window(start, end), ExportFilters::default());
                assert!(
                    before.bytes == after.bytes,
                    "[{start}, {end}) behind {target}"
                );
                assert_eq!(before.summary, after.summary);
            }
        }
        drop(cut);
        let verified = sk_tracedb::store::verify(&recorder.path(), &mut |_| true).unwrap();
        assert!(verified.intact, "{:?}", verified.findings);
        let cut = Reader::open(recorder.path()).unwrap();
        if n + 1 == targets.len() {
            assert_eq!(rows(&cut, "epoch_to_row"), 1);
            assert_eq!(rows(&cut, "run_to_row"), 1, "runs");
            // Those that run on, and those that ended and were never seen to be gone.
            let pods = cut.snapshot().unwrap().info().unwrap().pods;
            assert_eq!(pods, (ROUNDS * 2 * PODS / 700) as u64);
            drop(cut);
            // Packed rows that were dropped take room until they are packed anew.
            let mut writer = Writer::new(Store::open(recorder.path()).unwrap()).unwrap();
            writer.pack_all(Duration::MAX).unwrap();
            writer.into_store().close().unwrap();
            let cut = Reader::open(recorder.path()).unwrap();
            for table in ["epoch_and_pod_to_unit", "number_to_pod"] {
                assert_eq!(rows(&cut, table), 0, "{table}");
                let packed = format!("{table}_packed");
                assert!(rows(&cut, &packed) <= rows(&kept, &packed) / 2, "{table}");
            }
            let verified = sk_tracedb::store::verify(&recorder.path(), &mut |_| true).unwrap();
            assert!(verified.intact, "{:?}", verified.findings);
        }
    }
}
