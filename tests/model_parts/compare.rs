//! The store's story beside the model's.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sk_tracedb::export::ExportFilters;
use sk_tracedb::model::{
    Action, LabelSelector, MICROS_PER_SECOND, ObjectKey, OwnerRef, TimeRange, Timestamp, Uid,
};

use super::play::kind_of;
use super::rules::{Change, Gap, PodLife, Record};
use crate::support::recorder::export_of;
use crate::support::trace::Told;
use crate::support::*;

/// Compares everything that can be asked; the seed chooses times and windows.
pub fn everything(recorder: &Recorder, record: &Record, seed: u64) {
    let mut dice = Dice(seed);
    info(recorder, record);
    gaps(recorder, record, &mut dice);
    for _ in 0..4 {
        state(recorder, record, dice.time(record));
    }
    state(recorder, record, Timestamp::MAX);
    let keys: BTreeSet<&ObjectKey> = record.changes.iter().map(|change| &change.key).collect();
    for key in keys {
        history(recorder, record, key);
    }
    for _ in 0..4 {
        let (one, other) = (dice.time(record), dice.time(record));
        export(
            recorder,
            record,
            one.min(other),
            one.max(other),
            dice.next(),
        );
    }
}

/// Numbers that follow from a seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    /// A time in the record, most often that of something that happened, or a microsecond beside it.
    fn time(&mut self, record: &Record) -> Timestamp {
        let first = record.runs[0].start;
        if record.changes.is_empty() || self.next().is_multiple_of(8) {
            let length = record.runs.last().unwrap().end.as_seconds() - first.as_seconds() + 6;
            let offset = self.below(usize::try_from(length).unwrap());
            return s(first.as_seconds() - 3 + i64::try_from(offset).unwrap());
        }
        let at = record.changes[self.below(record.changes.len())].at;
        at.plus_micros([-1, 0, 0, 1][self.below(4)])
    }
}

fn info(recorder: &Recorder, record: &Record) {
    let info = recorder.info();
    assert_eq!(info.changes, record.changes.len() as u64);
    assert_eq!(info.pods, record.pods.len() as u64);
    let mut kinds: BTreeMap<String, (u64, u64, u64)> = BTreeMap::new();
    for change in &record.changes {
        let counts = kinds.entry(change.gvk.to_string()).or_default();
        match change.after {
            Some(_) => counts.1 += 1,
            None => counts.2 += 1,
        }
    }
    for change in record.state_at(Timestamp::MAX).values() {
        kinds.get_mut(&change.gvk.to_string()).unwrap().0 += 1;
    }
    let told = info.kinds.iter().map(|kind| {
        (
            kind.kind.clone(),
            (kind.objects, kind.applied, kind.deleted),
        )
    });
    assert_eq!(told.collect::<BTreeMap<_, _>>(), kinds);
    let runs: Vec<_> = info
        .runs
        .iter()
        .map(|run| (run.start, run.end, run.closed))
        .collect();
    let expected: Vec<_> = record
        .runs
        .iter()
        .map(|run| (run.start, run.end, run.closed))
        .collect();
    assert_eq!(runs, expected);
    assert_eq!(info.start, Some(record.runs[0].start));
}

fn touching(record: &Record, window: TimeRange) -> Vec<(String, Timestamp, Option<Timestamp>)> {
    let touches =
        |gap: &&Gap| gap.start < window.end && gap.end.is_none_or(|end| end > window.start);
    let told = |gap: &Gap| (gap.kind.clone(), gap.start, gap.end);
    let mut gaps: Vec<_> = record.gaps.iter().filter(touches).map(told).collect();
    gaps.sort();
    gaps
}

fn gaps(recorder: &Recorder, record: &Record, dice: &mut Dice) {
    let (one, other) = (dice.time(record), dice.time(record));
    for window in [
        TimeRange::ALL,
        TimeRange::new(one.min(other), one.max(other)).unwrap(),
    ] {
        let told = |gap: sk_tracedb::query::Gap| (gap.kind, gap.start, gap.end);
        let mut gaps: Vec<_> = recorder.gaps(window).into_iter().map(told).collect();
        gaps.sort();
        assert_eq!(gaps, touching(record, window), "gaps in {window:?}");
    }
}

fn state(recorder: &Recorder, record: &Record, at: Timestamp) {
    let snapshot = recorder.snapshot();
    let there: Vec<_> = snapshot
        .state_at(at)
        .unwrap()
        .map(|version| {
            let version = version.unwrap();
            let object = version.object().unwrap();
            assert_eq!(
                snapshot.object_at(&version.key, at).unwrap().unwrap(),
                version
            );
            (
                version.key,
                version.uid,
                version.gvk,
                version.event.at,
                object,
            )
        })
        .collect();
    let expected: Vec<_> = record
        .state_at(at)
        .into_iter()
        .map(|(key, change)| {
            let object = change.after.as_ref().unwrap().0.clone();
            (
                key,
                change.uid.clone(),
                change.gvk.clone(),
                change.at,
                object,
            )
        })
        .collect();
    assert_eq!(there, expected, "state at {at}");
}

fn history(recorder: &Recorder, record: &Record, key: &ObjectKey) {
    let told: Vec<_> = recorder
        .history(key)
        .into_iter()
        .map(|entry| {
            let object = entry.object().unwrap();
            assert_eq!(entry.action == Action::Apply, object.is_some());
            (
                entry.event.at,
                entry.uid,
                object,
                entry.since,
                entry.initial,
            )
        })
        .collect();
    let expected: Vec<_> = record
        .changes
        .iter()
        .filter(|change| change.key == *key)
        .map(|change| {
            let object = change.after.as_ref().map(|(object, _)| object.clone());
            (
                change.at,
                change.uid.clone(),
                object,
                change.since,
                change.initial,
            )
        })
        .collect();
    assert_eq!(told, expected, "history of {key}");
}

/// One of some filters, and how the model judges by it: kinds and namespaces, labels, cluster scope.
fn filters(number: u64) -> (ExportFilters, Wanted) {
    let blue = || {
        serde_json::from_value::<LabelSelector>(json!({"matchLabels": {"color": "blue"}})).unwrap()
    };
    let none = ExportFilters::default();
    let all: Wanted = Wanted {
        name: |_| true,
        labels: |_| true,
        cluster_scoped: false,
    };
    match number % 7 {
        0 | 1 => (none, all),
        2 => (
            ExportFilters {
                include_cluster_scoped: true,
                ..none
            },
            Wanted {
                cluster_scoped: true,
                ..all
            },
        ),
        3 => (
            ExportFilters {
                excluded_namespaces: vec!["a".to_owned()],
                ..none
            },
            Wanted {
                name: |key| key.namespace != "a",
                ..all
            },
        ),
        4 => (
            ExportFilters {
                excluded_kinds: vec!["deploy".parse().unwrap()],
                ..none
            },
            Wanted {
                name: |key| key.kind != "Deployment",
                ..all
            },
        ),
        5 => (
            ExportFilters {
                excluded_labels: vec![blue()],
                ..none
            },
            Wanted {
                labels: |color| color != Some("blue"),
                ..all
            },
        ),
        _ => (
            ExportFilters {
                included_labels: vec![blue()],
                included_kinds: vec!["Pod".parse().unwrap(), "rs".parse().unwrap()],
                ..none
            },
            Wanted {
                name: |key| ["Pod", "ReplicaSet"].contains(&key.kind.as_str()),
                labels: |color| color == Some("blue"),
                ..all
            },
        ),
    }
}

#[derive(Clone, Copy)]
struct Wanted {
    name: fn(&ObjectKey) -> bool,
    labels: fn(Option<&str>) -> bool,
    cluster_scoped: bool,
}

/// What the rules put into a trace.
struct Expected<'a> {
    record: &'a Record,
    wanted: Wanted,
    window: TimeRange,
}

impl Expected<'_> {
    /// The first version of an incarnation that the window shows.
    fn first(&self, key: &ObjectKey, uid: &Uid) -> Option<&Change> {
        let start = self.window.start.plus_micros(-1);
        if let Some(change) = self.record.state_at(start).get(key)
            && change.uid == *uid
        {
            return Some(change);
        }
        let mut inside = self
            .record
            .changes
            .iter()
            .filter(|change| self.window.contains(change.at));
        inside.find(|change| change.key == *key && change.uid == *uid && change.after.is_some())
    }

    fn owners(&self, uid: &Uid) -> Vec<OwnerRef> {
        self.record
            .owners
            .get(uid)
            .map(|facts| facts.owners.clone())
            .unwrap_or_default()
    }

    /// Part of the trace, if its scope is put aside.
    fn is_wanted(&self, key: &ObjectKey, uid: &Uid) -> bool {
        let Some(first) = self.first(key, uid) else {
            return false;
        };
        let owners = self.owners(uid);
        let body = &first.after.as_ref().unwrap().0;
        let color = body
            .pointer("/metadata/labels/color")
            .and_then(Value::as_str);
        let ended = |life: &PodLife| life.end.is_some_and(|end| end < self.window.start);
        let over =
            key.kind == "Pod" && owners.is_empty() && self.record.pods.get(uid).is_some_and(ended);
        // An ancestor that is in the trace will create it.
        let created = self.record.ancestors(&owners).iter().any(|uid| {
            let facts = &self.record.owners[uid];
            let key = ObjectKey::new(
                &*facts.gvk.group,
                &*facts.gvk.kind,
                &*facts.namespace,
                &*facts.name,
            );
            self.is_part(&key, uid)
        });
        (self.wanted.name)(key)
            && (self.wanted.labels)(color)
            && !owners.iter().any(|owner| owner.kind == "DaemonSet")
            && !over
            && !created
    }

    fn is_part(&self, key: &ObjectKey, uid: &Uid) -> bool {
        (self.wanted.cluster_scoped || !key.namespace.is_empty()) && self.is_wanted(key, uid)
    }

    fn lifecycles(&self) -> BTreeMap<(String, String), BTreeMap<u64, Vec<Lifecycle>>> {
        let runs = self.record.runs.iter();
        let run = runs
            .rev()
            .find(|run| run.start < self.window.end)
            .unwrap_or(&self.record.runs[0]);
        let mut owners: BTreeMap<(String, String), BTreeMap<u64, Vec<Lifecycle>>> = BTreeMap::new();
        for (uid, life) in &self.record.pods {
            let Some(start) = life.start else { continue };
            if start >= self.window.end || life.end.is_some_and(|end| end < self.window.start) {
                continue;
            }
            let start = start.max(self.window.start).as_seconds();
            let lifecycle = match life.end {
                None => Lifecycle::Running(start),
                Some(end) => Lifecycle::Finished(start, end.as_seconds().max(start)),
            };
            let candidates = if life.owners.is_empty() {
                vec![uid.clone()]
            } else {
                self.record.ancestors(&life.owners)
            };
            let owner = candidates
                .iter()
                .filter_map(|uid| self.record.owners.get(uid).map(|facts| (uid, facts)));
            let owner = owner
                .map(|(uid, facts)| {
                    let key = ObjectKey::new(
                        &*facts.gvk.group,
                        &*facts.gvk.kind,
                        &*facts.namespace,
                        &*facts.name,
                    );
                    (uid, key)
                })
                .find(|(uid, key)| {
                    let tracked = run.config.tracked.get(&kind_of(key));
                    tracked.is_some_and(|kind| kind.track_lifecycle) && self.is_part(key, uid)
                });
            if let Some((_, key)) = owner {
                let name = (kind_of(&key).to_string(), key.namespaced_name());
                owners
                    .entry(name)
                    .or_default()
                    .entry(life.hash)
                    .or_default()
                    .push(lifecycle);
            }
        }
        for lifecycles in owners.values_mut().flat_map(|hashes| hashes.values_mut()) {
            lifecycles.sort();
        }
        owners
    }
}

fn told(change: &Change) -> (Told, Value) {
    let kind = kind_of(&change.key);
    let told = (
        change.at.as_seconds(),
        change.after.is_none(),
        kind.to_string(),
        change.key.namespaced_name(),
    );
    let object = match &change.after {
        Some((object, _)) => object.clone(),
        None => {
            let mut metadata = json!({"name": change.key.name});
            if !change.key.namespace.is_empty() {
                metadata["namespace"] = json!(change.key.namespace);
            }
            json!({"apiVersion": kind.api_version(), "kind": kind.kind, "metadata": metadata})
        }
    };
    (told, object)
}

fn export(recorder: &Recorder, record: &Record, start: Timestamp, end: Timestamp, number: u64) {
    // A trace counts whole seconds.
    let (start, end) = (
        start.as_seconds(),
        end.plus_micros(MICROS_PER_SECOND).as_seconds(),
    );
    let window = window(start, end);
    if window.end <= record.runs[0].start {
        return;
    }
    let (filters, wanted) = filters(number);
    let exported = export_of(&recorder.reader(), window, filters);
    let expected = Expected {
        record,
        wanted,
        window,
    };
    let context = format!("[{start}, {end}) with filters {}", number % 7);

    let before = record.state_at(window.start.plus_micros(-1));
    let mut start_state: Vec<&Change> = before.values().copied().collect();
    start_state.retain(|change| expected.is_part(&change.key, &change.uid));
    start_state
        .sort_by_key(|change| (!expected.owners(&change.uid).is_empty(), change.key.clone()));
    let objects: Vec<Value> = start_state.iter().map(|change| told(change).1).collect();
    assert_eq!(exported.trace.start(), objects, "start state of {context}");

    let inside = record
        .changes
        .iter()
        .filter(|change| window.contains(change.at));
    let inside: Vec<&Change> = inside
        .filter(|change| expected.is_part(&change.key, &change.uid))
        .collect();
    let changes: Vec<_> = inside.iter().map(|change| told(change)).collect();
    assert_eq!(exported.trace.changes(), changes, "changes of {context}");

    assert_eq!(
        exported.trace.lifecycles(),
        expected.lifecycles(),
        "lifecycles of {context}"
    );

    let of_window: BTreeSet<(&ObjectKey, &Uid)> = before
        .values()
        .copied()
        .chain(
            record
                .changes
                .iter()
                .filter(|change| window.contains(change.at)),
        )
        .map(|change| (&change.key, &change.uid))
        .collect();
    let left_out = of_window.iter().filter(|(key, uid)| {
        key.namespace.is_empty() && !wanted.cluster_scoped && expected.is_wanted(key, uid)
    });
    assert_eq!(
        exported.summary.cluster_scoped_left_out,
        left_out.count() as u64,
        "{context}"
    );
    let gaps = exported
        .summary
        .gaps
        .into_iter()
        .map(|gap| (gap.kind, gap.start, gap.end));
    let mut gaps: Vec<_> = gaps.collect();
    gaps.sort();
    assert_eq!(gaps, touching(record, window), "gaps of {context}");
}
