//! The same random story is told to two stores; one of them drops its past in pieces meanwhile. Whatever can be asked of
//! the time behind the horizon must be answered alike, byte for byte.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use sk_tracedb::config::TracerConfig;
use sk_tracedb::export::{ExportFilters, ExportRequest, PreparedExport};
use sk_tracedb::ingest::{Effort, EpochPace, Writer};
use sk_tracedb::model::{
    Horizon, LabelSelector, Observation, OwnerFacts, TimeRange, Timestamp, Uid,
};
use sk_tracedb::{Reader, Store};

use crate::model_parts::{Act, Play, op};
use crate::support::recorder::export_of;
use crate::support::*;

/// Fewer than proptest's 256: each case commits to two real files.
const CASES: u32 = 24;

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(CASES)
}

/// What the store with retention does between two acts.
#[derive(Clone, Debug)]
enum Drop {
    Nothing,
    /// So many pieces of so many rows, towards a horizon at so many per mille of what is recorded.
    Pieces {
        per_mille: i64,
        rows: usize,
        pieces: usize,
        /// Not at a whole second.
        micros: i64,
    },
    BeginSweep,
    /// All of it, a sweep included.
    Whole {
        per_mille: i64,
    },
}

/// The common pace, or small epochs that are made in many pieces.
fn pace(n: usize) -> EpochPace {
    match n % 4 {
        0 => EpochPace::default(),
        n => EpochPace {
            rows_min: n as u64 * 2,
            growth: n as u64 - 1,
            piece: Effort {
                rows: n,
                time: Duration::from_secs(10),
            },
            looks_per_row: n - 1,
        },
    }
}

fn drops() -> impl Strategy<Value = Drop> {
    let pieces = (
        0i64..1_000,
        1usize..12,
        1usize..5,
        prop_oneof![Just(0i64), 0i64..1_000_000],
    );
    prop_oneof![
        4 => Just(Drop::Nothing),
        4 => pieces.prop_map(|(per_mille, rows, pieces, micros)| Drop::Pieces { per_mille, rows, pieces, micros }),
        1 => Just(Drop::BeginSweep),
        1 => (0i64..1_000).prop_map(|per_mille| Drop::Whole { per_mille }),
    ]
}

/// The start of every story.
const START: Timestamp = Timestamp::from_seconds(100);

fn horizon_at(last: Timestamp, per_mille: i64, micros: i64) -> Horizon {
    let length = last.as_micros() - START.as_micros();
    let at = START.plus_micros(length * per_mille / 1_000);
    Horizon::at(s(at.as_seconds()).plus_micros(micros))
}

fn carry_out(writer: &mut Writer, drop: &Drop) {
    let last = writer.last_time();
    let effort = |rows| Effort {
        rows,
        time: Duration::from_secs(10),
    };
    match drop {
        Drop::Nothing => {}
        Drop::Pieces {
            per_mille,
            rows,
            pieces,
            micros,
        } => {
            let target = horizon_at(last, *per_mille, *micros);
            for _ in 0..*pieces {
                writer.retain(target, effort(*rows), false).unwrap();
            }
        }
        Drop::BeginSweep => writer.begin_sweep(),
        Drop::Whole { per_mille } => {
            let target = horizon_at(last, *per_mille, 0);
            while !writer.retain(target, effort(7), false).unwrap().done {}
            writer.begin_sweep();
            while !writer.retain(target, effort(7), false).unwrap().done {}
            assert!(!writer.is_sweeping());
        }
    }
}

/// What the store without retention remembers of owners, and the other has dropped where nothing referred to them any
/// more. The cluster of these stories lets new things name owners that are long gone. Such an owner is looked up again
/// where no watch would bring it ([`look_up`]); of a tracked kind it is not, because a list of all there is lacks it.
#[derive(Default)]
struct Memory {
    told: BTreeMap<Uid, OwnerFacts>,
    /// What was seen before keeps its owners in both stores: they are not told again.
    seen: BTreeSet<Uid>,
}

impl Memory {
    /// Facts about owners, tracked by `config`, of things that come up in this batch for the first time.
    fn forgotten(
        &mut self,
        batch: &[(Timestamp, Observation)],
        config: &TracerConfig,
        owners: &BTreeMap<Uid, OwnerFacts>,
    ) -> BTreeMap<Uid, OwnerFacts> {
        let mut asked = Vec::new();
        let mut known = Vec::new();
        for (_, observation) in batch {
            let item = match observation {
                Observation::Applied { item, .. } | Observation::Deleted { item, .. } => item,
                Observation::Owner { uid, facts } => {
                    if let Some(facts) = facts {
                        asked.extend(facts.owners.clone());
                        known.push(uid.clone());
                    }
                    continue;
                }
                _ => continue,
            };
            let things = [
                item.object
                    .as_ref()
                    .map(|object| (&object.uid, &object.owners)),
                item.pod.as_ref().map(|pod| (&pod.uid, &pod.owners)),
                item.skipped
                    .as_ref()
                    .map(|(uid, facts)| (uid, &facts.owners)),
            ];
            for (uid, owners) in things.into_iter().flatten() {
                if !self.seen.contains(uid) {
                    asked.extend(owners.clone());
                }
                known.push(uid.clone());
            }
        }
        let mut forgotten = BTreeMap::new();
        while let Some(owner) = asked.pop() {
            if let Some(facts) = self.told.get(&owner.uid)
                && config.tracked.contains_key(&owner.gvk())
            {
                asked.extend(facts.owners.clone());
                forgotten.insert(owner.uid, facts.clone());
            }
        }
        for uid in known {
            if let Some(facts) = owners.get(&uid) {
                self.told.insert(uid.clone(), facts.clone());
            }
            self.seen.insert(uid);
        }
        forgotten
    }
}

/// Answers the look-ups that only the store with retention has to make again.
fn look_up(cut: &mut Recorder, kept: &Recorder, owners: &BTreeMap<Uid, OwnerFacts>) {
    let wanted = |recorder: &Recorder| recorder.snapshot().unknown_owners("", 1_000).unwrap();
    let known = wanted(kept);
    let at = cut.writer().last_time();
    for owner in wanted(cut) {
        if !known.contains(&owner) {
            let facts = Some(owners[&owner.uid].clone());
            let uid = owner.uid;
            cut.see(at, Observation::Owner { uid, facts });
        }
    }
}

fn act(recorder: &mut Recorder, act: &Act) {
    match act {
        Act::Batch(batch) => {
            recorder.batch(batch.clone());
        }
        Act::Stop(at) => recorder.end(*at),
        Act::Crash => recorder.crash(),
        Act::Run(at, config) => {
            recorder.config = config.clone();
            recorder.run_from(*at);
        }
    }
}

fn filters() -> Vec<ExportFilters> {
    let blue = serde_json::json!({"matchLabels": {"color": "blue"}});
    let blue: LabelSelector = serde_json::from_value(blue).unwrap();
    let none = ExportFilters::default();
    vec![
        none.clone(),
        ExportFilters {
            include_cluster_scoped: true,
            excluded_kinds: vec!["deploy".parse().unwrap()],
            ..none.clone()
        },
        ExportFilters {
            excluded_labels: vec![blue],
            ..none
        },
    ]
}

/// Compares what both stores say of the time behind the horizon of the second.
fn compare(kept: &Reader, cut: &Reader) {
    let (was, is) = (kept.snapshot().unwrap(), cut.snapshot().unwrap());
    let horizon = is.horizon();
    let (first, last) = is.extent().unwrap();
    // Where everything was dropped, the record ends where it begins.
    assert_eq!(was.extent().unwrap().1.max(first), last);
    // While a piece is on its way, what it will drop cannot be asked for any more.
    let everything = ExportRequest {
        window: TimeRange::new(START, s(last.as_seconds() + 2)).unwrap(),
        filters: ExportFilters::default(),
    };
    let clamped = PreparedExport::prepare_clamped(cut, &everything).unwrap();
    let first = clamped.summary().clamped_to.unwrap_or(START);
    assert!(horizon.allows(first));
    let first = first.as_seconds();
    let last = last.as_seconds() + 2;
    let step = ((last - first) / 5).max(1);
    let steps = |from: i64| {
        (0..6)
            .map(move |n| from + n * step)
            .filter(move |at| *at <= last)
    };
    for start in steps(first) {
        for end in steps(start) {
            for filters in filters() {
                let before = export_of(kept, window(start, end), filters.clone());
                let after = export_of(cut, window(start, end), filters);
                assert_eq!(before.summary, after.summary, "[{start}, {end})");
                assert!(
                    before.bytes == after.bytes,
                    "[{start}, {end}) differs from {horizon}"
                );
            }
        }
        for micros in [-1, 0, 300_000] {
            let at = s(start).plus_micros(micros);
            let state = |snapshot: &sk_tracedb::Snapshot| {
                let state = snapshot.state_at(at);
                state.map(|state| state.map(Result::unwrap).collect::<Vec<_>>())
            };
            if horizon.allows(at.plus_micros(1)) {
                assert_eq!(state(&was).unwrap(), state(&is).unwrap(), "state at {at}");
            } else {
                assert!(
                    state(&is)
                        .unwrap_err()
                        .to_string()
                        .contains("dropped by retention")
                );
            }
        }
        let gaps = |snapshot: &sk_tracedb::Snapshot| {
            let window = TimeRange::new(s(start), Timestamp::MAX).unwrap();
            let gaps = snapshot.gaps(window).unwrap();
            gaps.map(Result::unwrap).collect::<Vec<_>>()
        };
        assert_eq!(gaps(&was), gaps(&is));
    }
    // What is left is counted.
    let info = is.info().unwrap();
    let counted: u64 = info
        .kinds
        .iter()
        .map(|kind| kind.applied + kind.deleted)
        .sum();
    assert_eq!(counted, info.changes);
    let objects = |info: sk_tracedb::query::Info| {
        info.kinds
            .into_iter()
            .map(|kind| (kind.kind, kind.objects))
            .collect::<Vec<_>>()
    };
    assert_eq!(objects(was.info().unwrap()), objects(info));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        ..ProptestConfig::default()
    })]

    #[test]
    fn windows_inside_the_horizon_export_as_if_nothing_had_been_dropped(
        ops in proptest::collection::vec(op(), 20..160),
        drops in proptest::collection::vec(drops(), 1..60),
    ) {
        let mut play = Play::begin();
        let config = play.config();
        for op in &ops {
            play.carry_out(op);
        }
        let verified = |store: &Recorder| sk_tracedb::store::verify(&store.path(), &mut |_| true).unwrap();
        let (script, owners) = play.into_script();
        let mut kept = Recorder::start(config.clone());
        // Epochs that turn where the other store has but one.
        let mut cut = Recorder::start_at_pace(config, pace(ops.len()));
        let mut memory = Memory::default();
        let mut drops = drops.iter().cycle();
        for next in &script {
            act(&mut kept, next);
            act(&mut cut, next);
            let drop = drops.next().unwrap();
            if matches!(next, Act::Stop(_) | Act::Crash) {
                // By hand, and stopped in the middle.
                let mut writer = Writer::new(Store::open(cut.path()).unwrap()).unwrap();
                carry_out(&mut writer, drop);
                continue;
            }
            if let Act::Batch(batch) = next {
                let at = cut.writer().last_time();
                for (uid, facts) in memory.forgotten(batch, &cut.config, &owners) {
                    cut.see(at, Observation::Owner { uid, facts: Some(facts) });
                }
            }
            look_up(&mut cut, &kept, &owners);
            carry_out(cut.writer(), drop);
            if matches!(drop, Drop::Whole { .. } | Drop::BeginSweep) {
                compare(&kept.reader(), &cut.reader());
            }
        }
        carry_out(cut.writer(), &Drop::Pieces { per_mille: 300, rows: 5, pieces: 3, micros: 0 });
        compare(&kept.reader(), &cut.reader());
        prop_assert_eq!(verified(&cut).findings, vec![]);
        carry_out(cut.writer(), &Drop::Whole { per_mille: 600 });
        compare(&kept.reader(), &cut.reader());
        carry_out(cut.writer(), &Drop::Whole { per_mille: 1_000 });
        compare(&kept.reader(), &cut.reader());
        assert!(cut.info().changes <= kept.info().changes);
        prop_assert_eq!(verified(&kept).findings, vec![]);
        prop_assert_eq!(verified(&cut).findings, vec![]);
    }
}
