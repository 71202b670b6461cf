//! A store with a limit is told far more than fits into it: its file must stay below the limit, and what can be asked of
//! the end must be what was told.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use sk_tracedb::allocated_bytes;
use sk_tracedb::ingest::{Effort, Retention, RetentionPolicy, RetentionStats};
use sk_tracedb::model::{Gvk, Observation, OwnerFacts, Timestamp, Uid};

use crate::support::*;

const LIMIT_BYTES: u64 = 24 << 20;
const TURNS: i64 = 280;
pub const MAPS: i64 = 64;
const MAP_BYTES: usize = 12_000;
const PODS: i64 = 60;
/// Of dropping, and of packing.
const PIECES_A_TURN: u32 = 40;
/// Turns for which a map exists.
pub const LIFE: i64 = 2;

/// Text that does not compress below three quarters.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn text(&mut self, bytes: usize) -> String {
        const LETTERS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::with_capacity(bytes);
        while text.len() < bytes {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            for n in 0..10 {
                text.push(LETTERS[(self.0 >> (6 * n)) as usize & 63] as char);
            }
        }
        text
    }
}

pub fn at(turn: i64) -> Timestamp {
    s(1_000 + 10 * turn)
}

fn map(turn: i64, n: i64) -> Obj {
    obj(
        "v1.ConfigMap",
        &format!("ns/map-{turn}-{n}"),
        &format!("map-{turn}-{n}"),
    )
}

fn job(turn: i64) -> Obj {
    obj(
        "batch/v1.Job",
        &format!("ns/job-{turn}"),
        &format!("job-{turn}"),
    )
}

/// One turn: maps come, the oldest go, pods of a job that nobody will speak of again run and end.
pub fn turn(turn: i64, noise: &mut Noise) -> Vec<Observation> {
    let mut seen = Vec::new();
    for n in 0..MAPS {
        let data = json!({"text": noise.text(MAP_BYTES)});
        seen.push(map(turn, n).field("data", data).applied());
        if turn >= LIFE {
            seen.push(map(turn - LIFE, n).deleted());
        }
    }
    let facts = OwnerFacts {
        gvk: "batch/v1.Job".parse::<Gvk>().unwrap(),
        namespace: "ns".to_owned(),
        name: format!("job-{turn}"),
        owners: Vec::new(),
    };
    let seconds = at(turn).as_seconds();
    for n in 0..PODS {
        let name = format!("pod-{turn}-{n}");
        let run = pod(&format!("ns/{name}"), &name)
            .owned_by(&job(turn))
            .started(seconds);
        seen.push(run.clone().applied());
        seen.push(run.finished(seconds + 1).deleted());
    }
    seen.push(Observation::Owner {
        uid: Uid(format!("job-{turn}")),
        facts: Some(facts),
    });
    seen
}

/// A recorder of ConfigMaps whose file has a limit; retention takes its time by the clock that it is told.
pub fn limited(size_bytes: u64) -> (Recorder, RetentionPolicy, Retention) {
    let mut recorder = Recorder::listed(config(&["v1.ConfigMap: {}"]));
    let policy = RetentionPolicy {
        age_us: None,
        size_bytes: Some(size_bytes),
    };
    let retention = Retention::new(policy, recorder.writer()).unwrap();
    (recorder, policy, retention.unhurried())
}

#[test]
fn ten_times_the_limit_goes_through_a_store_that_stays_below_it() {
    let (mut recorder, _, mut retention) = limited(LIMIT_BYTES);
    let path = recorder.path();
    let stats = RetentionStats::default();
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    let mut sizes = Vec::new();
    let mut told_bytes = 0;
    for n in 0..TURNS {
        let batch = turn(n, &mut noise);
        told_bytes += batch.iter().map(Observation::weight_bytes).sum::<usize>() as u64;
        recorder.batch(batch.into_iter().map(|seen| (at(n), seen)));
        let effort = Effort {
            rows: 16_384,
            time: Duration::from_millis(20),
        };
        // As the writer's thread does it, in the ten seconds of a turn.
        for _ in 0..PIECES_A_TURN {
            let wait = retention.step(recorder.writer(), at(n), &stats).unwrap();
            let packs = recorder.writer().is_packing_due() && !retention.holds_packing(at(n));
            if packs {
                recorder.writer().pack(effort).unwrap();
            }
            if !packs && !wait.is_zero() {
                break;
            }
        }
        sizes.push(allocated_bytes(&path).unwrap());
    }
    let peak = *sizes.iter().max().unwrap();
    println!(
        "told {told_bytes}, peak {peak}, end {}",
        sizes.last().unwrap()
    );
    println!("{stats:?}");
    assert!(
        told_bytes > 10 * LIMIT_BYTES,
        "only {told_bytes} bytes were told"
    );
    assert!(peak <= LIMIT_BYTES, "the file took {peak} bytes: {sizes:?}");
    // Flat: after the first fifth it hardly grows.
    let early = *sizes[..sizes.len() / 5].iter().max().unwrap();
    assert!(
        peak <= early + LIMIT_BYTES / 10,
        "it grew from {early} to {peak}"
    );
    assert!(peak >= LIMIT_BYTES / 2, "too much was dropped: {peak}");

    let there: BTreeSet<String> = recorder.state(at(TURNS)).into_iter().collect();
    let told = (TURNS - LIFE..TURNS)
        .flat_map(|turn| (0..MAPS).map(move |n| map(turn, n)))
        .map(|map| format!("ConfigMap {} {}", map.key().namespaced_name(), map.uid));
    assert_eq!(there, told.collect());
    let horizon = recorder.writer().horizon();
    let kept = at(TURNS - 1).as_seconds() - horizon.first_second().as_seconds();
    assert!(kept >= 10 * 3, "only {kept} s are kept");
    let trace = recorder
        .export(horizon.first_second().as_seconds(), 9_000)
        .trace;
    trace.index();

    // Nothing of what hangs on the past has piled up.
    let info = recorder.info();
    let snapshot = recorder.snapshot();
    let sizes = snapshot.size_on_disk().unwrap();
    let rows = |table: &str| {
        sizes
            .tables
            .iter()
            .find(|size| size.name == table)
            .unwrap()
            .rows
    };
    let all_pods = (TURNS * PODS) as u64;
    assert!(info.pods < all_pods / 3, "{} of {all_pods} pods", info.pods);
    assert!(
        rows("uid_to_owner") < TURNS as u64 + 2 * (MAPS * LIFE * 8) as u64,
        "{}",
        rows("uid_to_owner")
    );
    assert!(rows("epoch_to_row") <= 2, "{} epochs", rows("epoch_to_row"));
    assert!(rows("id_to_incarnation") < (TURNS * MAPS / 4) as u64);
    assert_eq!(rows("uid_to_wanted_owner"), 0);
}
