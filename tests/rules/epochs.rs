//! X3: a store keeps, epoch by epoch, what was alive. An error there loses objects and lifecycles only in stores that
//! have grown, where nobody looks at every one of them.

use std::collections::BTreeSet;

use serde_json::json;
use sk_tracedb::limits::EPOCH_ROWS_MIN;
use sk_tracedb::model::{Observation, TimeRange};

use crate::support::*;

const WEB: &str = "apps/v1.Deployment";
/// Objects and pods that come and go in one round.
const MAPS: i64 = 1_300;
const PODS: i64 = 4_800;
const ROUNDS: i64 = 12;
/// One in so many of them stays for three rounds, one in so many for ever.
const STAYS_LONG: i64 = 500;
const STAYS: i64 = 1_250;

/// Something that was there from `start` (in the record: from `seen`) to `end`, in seconds.
struct Life {
    name: String,
    start: i64,
    seen: i64,
    end: Option<i64>,
}

fn round_start(round: i64) -> i64 {
    1_000 + round * 100
}

fn lives(kind: &str, a_round: i64) -> Vec<Life> {
    let mut lives = Vec::new();
    for round in 0..ROUNDS {
        for n in 0..a_round {
            let start = round_start(round) + 10;
            let end = match n {
                n if n % STAYS == 1 => None,
                n if n % STAYS_LONG == 1 => Some(start + 340),
                n => Some(start + 40 + n % 7),
            };
            lives.push(Life {
                name: format!("{kind}-{round}-{n}"),
                start,
                seen: start,
                end,
            });
        }
    }
    lives
}

fn map(name: &str) -> Obj {
    obj("v1.ConfigMap", &format!("ns/{name}"), name)
}

fn owner() -> Obj {
    obj(WEB, "ns/web", "web").spec(json!({}))
}

fn life_of(life: &Life) -> Pod {
    let pod = pod(&format!("ns/{}", life.name), &life.name).owned_by(&owner());
    pod.started(life.start)
}

/// All of it as observations in the order of time, in batches of two thousand.
fn record(recorder: &mut Recorder, maps: &[Life], pods: &[Life]) {
    let mut script: Vec<(i64, Observation)> = Vec::new();
    for life in maps {
        script.push((life.seen, map(&life.name).applied()));
        script.extend(life.end.map(|end| (end, map(&life.name).deleted())));
    }
    for life in pods {
        script.extend((life.end != Some(life.seen)).then(|| (life.seen, life_of(life).applied())));
        script.extend(
            life.end
                .map(|end| (end, life_of(life).finished(end).deleted())),
        );
    }
    script.sort_by_key(|(at, _)| *at);
    while !script.is_empty() {
        let batch: Vec<_> = script.drain(..script.len().min(2_000)).collect();
        recorder.batch(batch.into_iter().map(|(at, seen)| (s(at), seen)));
    }
}

fn rows(recorder: &Recorder, table: &str) -> u64 {
    let sizes = recorder.snapshot().size_on_disk().unwrap();
    sizes
        .tables
        .iter()
        .find(|size| size.name == table)
        .unwrap()
        .rows
}

#[test]
fn old_epochs_know_all_that_was_alive_in_them() {
    let mut recorder = Recorder::listed(config(&[
        "v1.ConfigMap: {}",
        "apps/v1.Deployment: {trackLifecycle: true}",
    ]));
    recorder.see(s(101), owner().applied());
    let maps = lives("map", MAPS);
    let mut pods = lives("pod", PODS);
    // Most are seen but once, when they are over.
    for (n, life) in pods.iter_mut().enumerate() {
        life.seen = life.end.filter(|_| n % 4 > 0).unwrap_or(life.seen);
    }
    // Started long before they were seen for the first time: while they ran, epochs came and went.
    let late = |name: &str, start, seen, end| Life {
        name: name.to_owned(),
        start,
        seen,
        end,
    };
    pods.push(late("ancient", round_start(1) + 5, round_start(8), None));
    pods.push(late(
        "antique",
        round_start(3) + 70,
        round_start(7),
        Some(round_start(7) + 1),
    ));
    // The kubelet's clock is ahead of the recorder's: it starts, and ends, in what is the future when it is told.
    pods.push(late(
        "ahead",
        round_start(5),
        round_start(1) + 12,
        Some(round_start(1) + 14),
    ));
    record(&mut recorder, &maps, &pods);
    let epochs = rows(&recorder, "epoch_to_row");
    assert!(epochs >= 4, "only {epochs} epochs: the test shows nothing");
    assert!(maps.len() as u64 + pods.len() as u64 > 3 * EPOCH_ROWS_MIN);

    let snapshot = recorder.snapshot();
    let mut times: Vec<i64> = (0..ROUNDS)
        .flat_map(|round| [9, 10, 49, 50, 53, 90].map(|n| round_start(round) + n))
        .collect();
    times.push(round_start(ROUNDS) + 1_000);
    for at in times {
        let there: BTreeSet<String> = snapshot
            .state_at(s(at))
            .unwrap()
            .map(|version| version.unwrap().key.name)
            .collect();
        let model: BTreeSet<String> = maps
            .iter()
            .filter(|life| life.seen <= at && life.end.is_none_or(|end| end > at))
            .map(|life| life.name.clone())
            .chain(["web".to_owned()])
            .collect();
        let missing: Vec<_> = model.symmetric_difference(&there).take(5).collect();
        assert!(missing.is_empty(), "at {at}: {missing:?} ...");
    }

    for round in [0, 1, 3, 4, 6, 8, 9] {
        // While nothing happens; and a long one, until after its pods have ended and across turns of the epoch.
        let base = round_start(round);
        let long = if round == 3 { 320 } else { 15 };
        for (start, end) in [(base + 60, base + 80), (base + 54, base + 54 + long)] {
            let trace = recorder.export(start, end).trace;
            let mut model: Vec<Lifecycle> = pods
                .iter()
                .map(|life| (life, life.end.map(|end| end.max(life.start))))
                .filter(|(life, ended)| {
                    life.start < end && ended.is_none_or(|ended| ended >= start)
                })
                .map(|(life, ended)| match ended {
                    None => Lifecycle::Running(life.start.max(start)),
                    Some(ended) => Lifecycle::Finished(life.start.max(start), ended),
                })
                .collect();
            model.sort();
            let found = trace.lifecycles_of(WEB, "ns/web");
            assert_eq!(found.len(), model.len(), "lifecycles in [{start}, {end})");
            assert!(found == model, "lifecycles in [{start}, {end}) differ");
        }
    }

    // A list is judged against what is alive, also where that has been alive since the first epoch.
    drop(snapshot);
    let alive = maps.iter().filter(|life| life.end.is_none()).count() as u64;
    assert_eq!(recorder.list(s(9_000), &gvk("v1.ConfigMap"), []), alive);
    assert_eq!(recorder.state(s(9_000)), ["Deployment ns/web web"]);
    let first = maps.iter().find(|life| life.end.is_none()).unwrap();
    let snapshot = recorder.snapshot();
    let history = snapshot
        .history(&map(&first.name).key(), TimeRange::ALL)
        .unwrap();
    assert_eq!(history.count(), 2);
    let run_on = pods.iter().filter(|life| life.end.is_none()).count();
    drop(snapshot);
    recorder.list(s(9_001), &gvk("v1.Pod"), []);
    let ended = recorder
        .export(9_000, 9_002)
        .trace
        .lifecycles_of(WEB, "ns/web");
    assert_eq!(ended, vec![Lifecycle::Finished(9_000, 9_001); run_on]);
    assert!(
        recorder
            .export(9_002, 9_003)
            .trace
            .pod_lifecycles
            .0
            .is_empty()
    );
}
