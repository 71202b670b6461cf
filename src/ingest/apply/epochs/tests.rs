//! Guards against a first list that is copied from epoch to epoch while it arrives, against epochs that never end, and
//! against a next epoch that is not made in bounded pieces or misses what is alive when it begins. That all of it changes
//! nothing of what is told is for the model test.

use std::time::Duration;

use serde_json::json;

use super::EpochPace;
use crate::config::TracerConfig;
use crate::ingest::{Effort, Imported, Writer};
use crate::model::{Gvk, Item, Observation, ObservedPod, PodTimes, Timestamp, Uid};
use crate::normalize::{Redaction, normalize};
use crate::store::lookup::as_slice;
use crate::store::tables::Rows;
use crate::store::{Store, keys, verify};

fn config() -> TracerConfig {
    TracerConfig::parse("trackedObjects: {v1.ConfigMap: {}}")
        .unwrap()
        .0
}

fn pod(name: &str) -> Item {
    Item {
        pod: Some(ObservedPod {
            namespace: "ns".to_owned(),
            name: name.to_owned(),
            uid: Uid::from(name),
            owners: Vec::new(),
            spec_hash: 0,
            times: PodTimes::default(),
        }),
        ..Item::default()
    }
}

fn shown(name: &str) -> Observation {
    Observation::Applied {
        watch: Gvk::pod(),
        item: pod(name),
        resource_version: None,
    }
}

fn gone(name: &str) -> Observation {
    Observation::Deleted {
        watch: Gvk::pod(),
        item: pod(name),
        resource_version: None,
    }
}

fn list_started(watch: Gvk) -> Observation {
    Observation::ListStarted { watch }
}

fn list_finished(watch: Gvk) -> Observation {
    let resource_version = "1".to_owned();
    Observation::ListFinished {
        watch,
        resource_version,
    }
}

fn maps() -> Gvk {
    Gvk::new("", "v1", "ConfigMap")
}

/// A record whose pods and ConfigMaps have been listed; its pods get their numbers in the order in which they appear, from 1 on.
struct Told {
    folder: tempfile::TempDir,
    writer: Writer,
    pace: EpochPace,
    seconds: i64,
}

impl Told {
    fn new(pace: EpochPace) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("trace.redb")).unwrap();
        let mut told = Self {
            folder,
            writer: Writer::new(store).unwrap(),
            pace,
            seconds: 100,
        };
        told.begin_run();
        for watch in [Gvk::pod(), maps()] {
            told.see([list_started(watch.clone()), list_finished(watch)]);
        }
        told
    }

    fn begin_run(&mut self) {
        self.writer.set_epoch_pace(self.pace);
        let at = Timestamp::from_seconds(self.seconds);
        let config = config();
        self.writer.begin_run(at, &config, "record", None).unwrap();
    }

    /// All at once, a second after what was before.
    fn see(&mut self, observations: impl IntoIterator<Item = Observation>) {
        self.seconds += 1;
        let at = Timestamp::from_seconds(self.seconds);
        let seen = observations.into_iter().map(|seen| (at, seen));
        self.writer.append(seen).unwrap();
    }

    fn crash(self) -> Self {
        let Self { folder, writer, .. } = self;
        drop(writer);
        let store = Store::open(folder.path().join("trace.redb")).unwrap();
        let writer = Writer::new(store).unwrap();
        let mut told = Self {
            folder,
            writer,
            seconds: self.seconds + 1,
            ..self
        };
        told.begin_run();
        told
    }

    fn epoch(&self) -> u64 {
        self.writer.state.row.epoch
    }

    /// A ConfigMap.
    fn map(&self, name: &str) -> Item {
        let kind = maps();
        let config = config();
        let redaction = Redaction::new(self.writer.redaction_key().unwrap(), &config);
        let json = json!({"metadata": {"name": name, "namespace": "ns", "uid": name}});
        normalize(&kind, config.tracked.get(&kind), &redaction, json).unwrap()
    }

    fn map_shown(&self, name: &str) -> Observation {
        Observation::Applied {
            watch: maps(),
            item: self.map(name),
            resource_version: None,
        }
    }

    fn map_gone(&self, name: &str) -> Observation {
        Observation::Deleted {
            watch: maps(),
            item: self.map(name),
            resource_version: None,
        }
    }

    /// The objects that an epoch lists.
    fn objects(&self, epoch: u64) -> Vec<u64> {
        let tables = self.writer.store.read_tables().unwrap();
        let (from, to) = keys::prefix_range(&epoch.to_be_bytes());
        let mut ids = Vec::new();
        for entry in tables
            .alive
            .range((as_slice(&from), as_slice(&to)))
            .unwrap()
        {
            let key = entry.unwrap().0;
            ids.push(keys::epoch_object_of("", key.value()).unwrap());
        }
        ids
    }

    /// The pods that an epoch lists.
    fn listed(&self, epoch: u64) -> Vec<u64> {
        let tables = self.writer.store.read_tables().unwrap();
        let (from, to) = keys::prefix_range(&epoch.to_be_bytes());
        let mut numbers = Vec::new();
        for entry in tables
            .alive_pods
            .range((as_slice(&from), as_slice(&to)))
            .unwrap()
        {
            let key = entry.unwrap().0;
            numbers.push(keys::epoch_pod_of("", key.value()).unwrap());
        }
        numbers
    }

    fn verified(self) {
        drop(self.writer);
        let path = self.folder.path().join("trace.redb");
        assert_eq!(verify(&path, &mut |_| true).unwrap().findings, []);
    }
}

/// Epochs of six rows, made two rows at a time.
fn by_two() -> EpochPace {
    EpochPace {
        rows_min: 6,
        growth: 0,
        piece: Effort {
            rows: 2,
            time: Duration::from_secs(60),
        },
        looks_per_row: 0,
    }
}

fn names(numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers.map(|number| format!("pod-{number}")).collect()
}

fn all_shown(numbers: std::ops::Range<u64>) -> Vec<Observation> {
    names(numbers).iter().map(|name| shown(name)).collect()
}

#[test]
fn what_a_first_list_shows_is_what_an_epoch_begins_with() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("trace.redb")).unwrap();
    let mut writer = Writer::new(store).unwrap();
    let at = Timestamp::from_seconds(100);
    writer.begin_run(at, &config(), "record", None).unwrap();
    // Rows of the epoch, and how many of them it began with.
    let mut rows = |observations: Vec<Observation>| {
        let seen = observations.into_iter().map(|seen| (at, seen));
        writer.append(seen).unwrap();
        let row = &writer.state.row;
        (row.epoch_rows, row.epoch_carried)
    };
    let (started, finished) = (list_started(Gvk::pod()), list_finished(Gvk::pod()));
    assert_eq!(rows(vec![started.clone(), shown("a"), shown("b")]), (2, 2));
    assert_eq!(rows(vec![shown("b"), shown("c")]), (3, 3));
    assert_eq!(rows(vec![finished.clone(), shown("d")]), (4, 3));
    assert_eq!(
        rows(vec![started, shown("a"), shown("e"), finished]),
        (5, 3)
    );
}

#[test]
fn the_next_epoch_is_made_in_pieces() {
    let mut told = Told::new(by_two());
    told.see(all_shown(1..6));
    assert_eq!((told.epoch(), told.listed(1)), (0, vec![]));
    // Each transaction does its piece, whatever else it does.
    told.see(all_shown(6..8));
    assert_eq!((told.epoch(), told.listed(1)), (0, vec![1, 2]));
    told.see([]);
    assert_eq!((told.epoch(), told.listed(1)), (0, vec![1, 2, 3, 4]));
    told.see([]);
    assert_eq!((told.epoch(), told.listed(1)), (0, vec![1, 2, 3, 4, 5, 6]));
    told.see([]);
    told.see([]);
    assert_eq!(told.epoch(), 1);
    assert_eq!(told.listed(1), [1, 2, 3, 4, 5, 6, 7]);
    let row = told.writer.state.row;
    assert_eq!((row.epoch_rows, row.epoch_carried), (7, 7));
    told.verified();
}

#[test]
fn a_small_epoch_is_made_at_once() {
    let piece = Effort {
        rows: 100,
        time: Duration::from_secs(60),
    };
    let mut told = Told::new(EpochPace { piece, ..by_two() });
    told.see(all_shown(1..7));
    assert_eq!((told.epoch(), told.listed(1)), (1, vec![1, 2, 3, 4, 5, 6]));
}

/// The seventh pod is alive when the next epoch begins, and so must be listed; the sixth is not when it would be copied.
#[test]
fn the_next_epoch_lists_what_comes_while_it_is_made() {
    let mut told = Told::new(by_two());
    told.see(all_shown(1..7));
    assert_eq!(told.listed(1), [1, 2]);
    told.see([gone("pod-1"), gone("pod-6"), shown("pod-7")]);
    assert_eq!(told.listed(1), [1, 2, 3, 4, 7]);
    told.see([gone("pod-7"), shown("pod-8")]);
    told.see([]);
    assert_eq!(
        (told.epoch(), told.listed(1)),
        (1, vec![1, 2, 3, 4, 5, 7, 8])
    );
    // What came in the meantime was added to it: of the eight, it began with five.
    let row = told.writer.state.row;
    assert_eq!((row.epoch_rows, row.epoch_carried), (7, 5));
    told.verified();
}

#[test]
fn a_preparation_that_a_crash_has_ended_begins_anew() {
    let mut told = Told::new(by_two());
    told.see(all_shown(1..7));
    told.see([]);
    assert_eq!((told.epoch(), told.listed(1)), (0, vec![1, 2, 3, 4]));
    // The run that begins does a piece, too.
    let mut told = told.crash();
    assert_eq!((told.epoch(), told.listed(1)), (0, vec![1, 2, 3, 4]));
    told.see([gone("pod-1"), gone("pod-4"), gone("pod-5"), shown("pod-7")]);
    assert_eq!(told.epoch(), 0);
    let mut told = told.crash();
    told.see([shown("pod-8")]);
    for _ in 0..3 {
        told.see([]);
    }
    assert_eq!(told.epoch(), 1);
    // Four of them were dead when it began.
    assert_eq!(told.listed(1), [1, 2, 3, 4, 6, 7, 8]);
    let row = told.writer.state.row;
    assert_eq!((row.epoch_rows, row.epoch_carried), (5, 4));
    told.verified();
}

/// Else the current epoch would grow for ever where more is added than a piece looks at.
#[test]
fn the_next_epoch_is_complete_before_the_current_one_has_doubled() {
    let pace = EpochPace {
        rows_min: 40,
        looks_per_row: 4,
        ..by_two()
    };
    let mut told = Told::new(pace);
    told.see(all_shown(1..41));
    assert_eq!(told.listed(1).len(), 2);
    told.see(all_shown(41..46));
    assert_eq!((told.epoch(), told.listed(1).len()), (0, 2 + 20 + 5));
    told.see(all_shown(46..51));
    assert_eq!(told.epoch(), 1);
    assert_eq!(told.listed(1), (1..51).collect::<Vec<_>>());
}

#[test]
fn the_next_epoch_lists_what_is_imported_while_it_is_made() {
    let mut told = Told::new(by_two());
    told.see(all_shown(1..7));
    assert_eq!((told.epoch(), told.listed(1)), (0, vec![1, 2]));
    let ran = |start: i64, end: Option<i64>| Imported::Lifecycle {
        gvk: "apps/v1.Deployment".parse().unwrap(),
        name: "ns/web".to_owned(),
        pod_spec_hash: 1,
        start: Timestamp::from_seconds(start),
        end: end.map(Timestamp::from_seconds),
    };
    // It has ended; it ends in what is to come; it runs on.
    let lifecycles = [ran(10, Some(20)), ran(10, Some(1_000)), ran(10, None)];
    let at = Timestamp::from_seconds(told.seconds);
    let batch = lifecycles.map(|fact| (at, fact));
    told.writer.append_imported(batch).unwrap();
    assert_eq!((told.epoch(), told.listed(1)), (0, vec![1, 2, 3, 4, 8, 9]));
    told.see([]);
    told.see([]);
    assert_eq!(told.epoch(), 1);
    assert_eq!(told.listed(1), [1, 2, 3, 4, 5, 6, 8, 9]);
}

/// Behind the place that is looked at nothing is looked at again, so what comes to life there must be listed as it does.
#[test]
fn the_next_epoch_lists_what_comes_back_to_life() {
    let mut told = Told::new(EpochPace {
        rows_min: 10,
        ..by_two()
    });
    let maps = names(1..7);
    let mut begin: Vec<_> = maps.iter().map(|name| told.map_shown(name)).collect();
    begin.extend([told.map_gone("pod-3"), told.map_gone("pod-6")]);
    begin.extend(all_shown(1..5));
    told.see(begin);
    told.see([]);
    // The third has been passed, and was dead.
    assert_eq!((told.epoch(), told.objects(1)), (0, vec![1, 2, 4]));
    told.see([told.map_shown("pod-3")]);
    assert_eq!(told.objects(1), [1, 2, 3, 4, 5]);
    // It is counted once, however often it comes back.
    told.see([told.map_gone("pod-3"), told.map_shown("pod-3")]);
    assert_eq!((told.epoch(), told.listed(1)), (0, vec![1, 2]));
    // Pods are gone over: all objects have been passed.
    told.see([told.map_shown("pod-6")]);
    told.see([]);
    assert_eq!(told.epoch(), 1);
    assert_eq!(told.objects(1), [1, 2, 3, 4, 5, 6]);
    assert_eq!(told.listed(1), [1, 2, 3, 4]);
    let row = told.writer.state.row;
    assert_eq!((row.epoch_rows, row.epoch_carried), (10, 8));
    told.verified();
}

/// Its end is told late, and by a clock that is ahead: it lies in the next epoch.
#[test]
fn the_next_epoch_lists_a_pod_whose_end_is_told_late() {
    let mut told = Told::new(by_two());
    let ended = |containers_end: Option<i64>| {
        let mut item = pod("pod-1");
        let times = PodTimes {
            containers_end: containers_end.map(Timestamp::from_seconds),
            terminal: true,
            ..PodTimes::default()
        };
        item.pod = item.pod.map(|pod| ObservedPod { times, ..pod });
        Observation::Applied {
            watch: Gvk::pod(),
            item,
            resource_version: None,
        }
    };
    told.see([shown("pod-1"), shown("pod-2"), ended(None)]);
    told.see(all_shown(3..7));
    assert_eq!((told.epoch(), told.listed(1)), (0, vec![2]));
    told.see([ended(Some(10_000))]);
    assert_eq!((told.epoch(), told.listed(1)), (0, vec![1, 2, 3, 4]));
    told.see([]);
    told.see([]);
    assert_eq!((told.epoch(), told.listed(1)), (1, vec![1, 2, 3, 4, 5, 6]));
}

/// Numbers rise kind by kind: behind a new object of one kind there are old ones of the next.
#[test]
fn new_objects_of_one_kind_do_not_hide_another_kind() {
    let mut told = Told::new(by_two());
    let begin: Vec<_> = names(1..7)
        .iter()
        .map(|name| told.map_shown(name))
        .collect();
    let account = |name: &str| {
        let kind: Gvk = "v1.ServiceAccount".parse().unwrap();
        let config = config();
        let redaction = Redaction::new(told.writer.redaction_key().unwrap(), &config);
        let json = json!({"metadata": {"name": name, "namespace": "ns", "uid": name}});
        let tracked = TracerConfig::parse("trackedObjects: {v1.ServiceAccount: {}}").unwrap();
        let item = normalize(&kind, tracked.0.tracked.get(&kind), &redaction, json).unwrap();
        Observation::Applied {
            watch: kind,
            item,
            resource_version: None,
        }
    };
    let accounts = names(7..9);
    let accounts = accounts.iter().map(|name| account(name));
    told.see(begin.into_iter().chain(accounts).collect::<Vec<_>>());
    assert_eq!((told.epoch(), told.objects(1)), (0, vec![1, 2]));
    told.see([told.map_shown("pod-9"), told.map_shown("pod-10")]);
    told.see([]);
    told.see([]);
    told.see([]);
    told.see([]);
    assert_eq!(told.epoch(), 1);
    assert_eq!(told.objects(1), [1, 2, 3, 4, 5, 6, 9, 10, 7, 8]);
    told.verified();
}
