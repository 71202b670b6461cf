//! A small cluster, and a recorder whose watches see it late, in pieces, or not at all.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;
use sk_tracedb::ingest::{Effort, EpochPace};
use sk_tracedb::model::{Gvk, Item, Observation, Timestamp, Uid, WatchId};

use super::compare;
use super::rules::Record;
use crate::support::build::{applied, deleted, listed};
use crate::support::*;

pub const KINDS: [&str; 6] = [
    "apps/v1.Deployment",
    "apps/v1.ReplicaSet",
    "apps/v1.DaemonSet",
    "v1.ConfigMap",
    "rbac.authorization.k8s.io/v1.ClusterRole",
    "v1.Pod",
];
const CLUSTER_SCOPED: usize = 4;
const POD: usize = 5;
const NAMES: usize = 3;
/// Observations that share a transaction.
const BATCH: usize = 12;

/// What can happen, by numbers that are taken modulo what there is.
#[derive(Clone, Debug)]
pub enum Op {
    /// In the cluster.
    Create {
        kind: usize,
        name: usize,
        owner: usize,
    },
    Change {
        kind: usize,
        name: usize,
        to: u8,
    },
    Status {
        kind: usize,
        name: usize,
    },
    Delete {
        kind: usize,
        name: usize,
        told: bool,
    },
    /// Deleted and created again under its name.
    Replace {
        kind: usize,
        name: usize,
    },
    PodRuns {
        name: usize,
        what: u8,
    },
    /// Between the cluster and the recorder.
    Deliver {
        kind: usize,
    },
    Blind {
        kind: usize,
    },
    Resume {
        kind: usize,
    },
    Relist {
        kind: usize,
        unreadable: bool,
    },
    AbortList {
        kind: usize,
    },
    /// Every watch that has lost its contact resumes where it can, else lists.
    CatchUp,
    LookUp {
        owner: usize,
        found: bool,
    },
    Bookmark {
        kind: usize,
    },
    /// To the recorder.
    Restart {
        clean: bool,
        config: usize,
    },
    Clock {
        seconds: i64,
    },
    /// Compares everything; the number chooses times and windows.
    Look(u64),
}

pub fn op() -> impl Strategy<Value = Op> {
    let kind = || 0..KINDS.len();
    let name = || 0..NAMES;
    prop_oneof![
        8 => (kind(), name(), 0usize..6).prop_map(|(kind, name, owner)| Op::Create { kind, name, owner }),
        4 => (kind(), name(), 0u8..3).prop_map(|(kind, name, to)| Op::Change { kind, name, to }),
        1 => (kind(), name()).prop_map(|(kind, name)| Op::Status { kind, name }),
        5 => (kind(), name(), any::<bool>()).prop_map(|(kind, name, told)| Op::Delete { kind, name, told }),
        6 => (name(), 0u8..6).prop_map(|(name, what)| Op::PodRuns { name, what }),
        3 => (kind(), name()).prop_map(|(kind, name)| Op::Replace { kind, name }),
        4 => Just(Op::CatchUp),
        12 => kind().prop_map(|kind| Op::Deliver { kind }),
        2 => kind().prop_map(|kind| Op::Blind { kind }),
        4 => kind().prop_map(|kind| Op::Resume { kind }),
        6 => (kind(), any::<bool>()).prop_map(|(kind, unreadable)| Op::Relist { kind, unreadable }),
        1 => kind().prop_map(|kind| Op::AbortList { kind }),
        2 => (0usize..8, any::<bool>()).prop_map(|(owner, found)| Op::LookUp { owner, found }),
        1 => kind().prop_map(|kind| Op::Bookmark { kind }),
        2 => (any::<bool>(), 0usize..2).prop_map(|(clean, config)| Op::Restart { clean, config }),
        2 => (-30i64..60).prop_map(|seconds| Op::Clock { seconds }),
        1 => any::<u64>().prop_map(Op::Look),
    ]
}

/// Something in the cluster.
#[derive(Clone, Debug)]
struct Thing {
    object: Obj,
    /// Where it is a pod.
    pod: Option<Pod>,
}

impl Thing {
    fn item(&self) -> Item {
        Item {
            object: Some(self.object.observed()),
            pod: self.pod.as_ref().map(Pod::observed),
            skipped: None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contact {
    Live,
    Lost,
}

/// What the recorder was made to do: played to another store, it makes the same record.
#[allow(dead_code)] // not every test plays it again
#[derive(Clone, Debug)]
pub enum Act {
    Batch(Vec<(Timestamp, Observation)>),
    Stop(Timestamp),
    Crash,
    Run(Timestamp, sk_tracedb::config::TracerConfig),
}

/// The cluster, the recorder, and the model of what the recorder should have.
pub struct Play {
    recorder: Recorder,
    record: Record,
    cluster: BTreeMap<(usize, usize), Thing>,
    /// Everything that ever owned something, for look-ups.
    ever: Vec<Obj>,
    /// What has happened and was not delivered yet.
    undelivered: BTreeMap<usize, VecDeque<Observation>>,
    contact: BTreeMap<usize, Contact>,
    batch: Vec<(Timestamp, Observation)>,
    script: Vec<Act>,
    now_us: i64,
    uids: u64,
}

fn config_of(number: usize) -> sk_tracedb::config::TracerConfig {
    let mut entries = vec![
        "apps/v1.Deployment: {trackLifecycle: true}",
        "apps/v1.DaemonSet: {trackLifecycle: true}",
        "rbac.authorization.k8s.io/v1.ClusterRole: {}",
        "v1.Pod: {trackLifecycle: true}",
    ];
    if number == 0 {
        entries.extend([
            "apps/v1.ReplicaSet: {trackLifecycle: true}",
            "v1.ConfigMap: {}",
        ]);
    }
    config(&entries)
}

impl Play {
    pub fn begin() -> Self {
        Self::begin_at_pace(EpochPace::default())
    }

    /// With epochs that follow each other at this pace.
    pub fn begin_at_pace(pace: EpochPace) -> Self {
        let recorder = Recorder::start_at_pace(config_of(0), pace);
        let mut record = Record::default();
        record.begin_run(s(100), &recorder.config);
        Self {
            recorder,
            record,
            cluster: BTreeMap::new(),
            ever: Vec::new(),
            undelivered: BTreeMap::new(),
            contact: BTreeMap::new(),
            batch: Vec::new(),
            script: Vec::new(),
            now_us: 100_000_000,
            uids: 0,
        }
    }

    pub fn carry_out(&mut self, op: &Op) {
        self.now_us += 370_000;
        match op {
            Op::Create { kind, name, owner } => self.create(*kind, *name, *owner),
            Op::Change { kind, name, to } => self.change(*kind, *name, *to),
            Op::Status { kind, name } => {
                let status = json!({"seen": self.now_us});
                if let Some(thing) = self.cluster.get_mut(&(*kind, *name)) {
                    thing.object = thing.object.clone().field("status", status);
                    self.tell(*kind, *name);
                }
            }
            Op::Delete { kind, name, told } => self.delete(*kind, *name, *told),
            Op::Replace { kind, name } => {
                if self.cluster.contains_key(&(*kind, *name)) {
                    self.delete(*kind, *name, false);
                    self.create(*kind, *name, 0);
                }
            }
            Op::CatchUp => {
                for kind in 0..KINDS.len() {
                    self.resume(kind);
                    if self.contact.get(&kind) != Some(&Contact::Live) {
                        self.relist(kind, false);
                    }
                }
            }
            Op::PodRuns { name, what } => self.pod_runs(*name, *what),
            Op::Deliver { kind } => {
                if self.contact.get(kind) == Some(&Contact::Live) {
                    self.deliver(*kind);
                }
            }
            Op::Blind { kind } => self.lose(*kind),
            Op::Resume { kind } => self.resume(*kind),
            Op::Relist { kind, unreadable } => self.relist(*kind, *unreadable),
            Op::AbortList { kind } => self.abort_list(*kind),
            Op::LookUp { owner, found } => self.look_up(*owner, *found),
            Op::Bookmark { kind } => {
                if self.contact.get(kind) == Some(&Contact::Live) {
                    self.deliver(*kind);
                    self.see(Observation::Bookmark {
                        watch: watch_of(*kind),
                        resource_version: "7".to_owned(),
                    });
                }
            }
            Op::Restart { clean, config } => self.restart(*clean, *config),
            Op::Clock { seconds } => self.now_us += seconds * 1_000_000,
            Op::Look(seed) => {
                self.commit();
                if seed % 2 == 0 {
                    // Rows move; nothing else must.
                    let effort = Effort {
                        rows: usize::try_from(seed / 2 % 50).unwrap() + 1,
                        time: Duration::from_secs(60),
                    };
                    self.recorder.writer().pack(effort).unwrap();
                }
                compare::everything(&self.recorder, &self.record, *seed);
            }
        }
    }

    /// Ends it, and has the store verified.
    #[allow(dead_code)] // not every test ends here
    pub fn verify(mut self) {
        self.commit();
        self.recorder.stop(self.now());
        let verified = sk_tracedb::store::verify(&self.recorder.path(), &mut |_| true).unwrap();
        assert!(verified.intact, "{:?}", verified.findings);
    }

    /// What the recorder did behind its start, and what is known of every owner.
    #[allow(dead_code)] // not every test plays it again
    pub fn into_script(mut self) -> (Vec<Act>, BTreeMap<Uid, sk_tracedb::model::OwnerFacts>) {
        self.commit();
        (self.script, self.record.owners)
    }

    #[allow(dead_code)] // not every test plays it again
    pub fn config(&self) -> sk_tracedb::config::TracerConfig {
        self.recorder.config.clone()
    }

    fn now(&self) -> Timestamp {
        us(self.now_us)
    }

    fn is_tracked(&self, kind: usize) -> bool {
        self.recorder.config.tracked.contains_key(&watch_of(kind))
    }

    /// An observation of the recorder's, committed with others.
    fn see(&mut self, observation: Observation) {
        self.record.observe(self.now(), &observation);
        self.batch.push((self.now(), observation));
        if self.batch.len() >= BATCH {
            self.commit();
        }
    }

    fn commit(&mut self) {
        if !self.batch.is_empty() {
            self.script.push(Act::Batch(self.batch.clone()));
            self.recorder.batch(std::mem::take(&mut self.batch));
        }
    }

    fn create(&mut self, kind: usize, name: usize, owner: usize) {
        if self.cluster.contains_key(&(kind, name)) {
            return;
        }
        self.uids += 1;
        let uid = format!("uid-{}", self.uids);
        let path = match (kind, name) {
            (CLUSTER_SCOPED, name) => format!("name-{name}"),
            (_, 2) => "b/name-0".to_owned(),
            (_, name) => format!("a/name-{name}"),
        };
        let mut object = obj(KINDS[kind], &path, &uid);
        object = match kind {
            3 => object.field("data", json!({"v": 0})),
            4 => object.field("rules", json!(0)),
            _ => object.spec(json!({"v": 0})),
        };
        if owner % 3 == 1 {
            object = object.label("color", "blue");
        }
        // What may own what; an owner that is not there now may have been there before.
        let owner_kind = match (kind, owner) {
            (1, 0..4) => Some(0),
            (3, 0) => Some(0),
            (5, 0..3) => Some(1),
            (5, 3) => Some(0),
            (5, 4) => Some(2),
            _ => None,
        };
        let owned_by = owner_kind.and_then(|owner_kind| {
            let there = self
                .cluster
                .get(&(owner_kind, name))
                .map(|thing| thing.object.clone());
            let gone = || {
                self.ever
                    .iter()
                    .rev()
                    .find(|obj| obj.gvk == watch_of(owner_kind))
                    .cloned()
            };
            there.or_else(gone)
        });
        if let Some(owner) = &owned_by {
            object = object.owned_by(owner);
        }
        self.ever.push(object.clone());
        let pod = (kind == POD).then(|| {
            let mut pod = pod(&path, &uid).hash(self.uids % 3);
            pod.owners.clone_from(&object.owners);
            pod
        });
        self.cluster.insert((kind, name), Thing { object, pod });
        self.tell(kind, name);
    }

    fn change(&mut self, kind: usize, name: usize, to: u8) {
        if let Some(thing) = self.cluster.get_mut(&(kind, name)) {
            let object = thing.object.clone();
            thing.object = match kind {
                3 => object.field("data", json!({"v": to})),
                4 => object.field("rules", json!(to)),
                _ => object.spec(json!({"v": to})),
            };
            self.tell(kind, name);
        }
    }

    fn pod_runs(&mut self, name: usize, what: u8) {
        // The kubelet's clock is not the recorder's.
        let seconds = self.now_us.div_euclid(1_000_000) - 2;
        let Some(thing) = self.cluster.get_mut(&(POD, name)) else {
            return;
        };
        let Some(pod) = thing.pod.take() else { return };
        thing.pod = Some(match what {
            0 | 1 => pod.started(seconds),
            2 => pod.started(seconds - 20),
            3 => pod.finished(seconds),
            4 => pod.terminal(),
            _ => pod.finished(seconds).terminal(),
        });
        self.tell(POD, name);
    }

    fn delete(&mut self, kind: usize, name: usize, told: bool) {
        let seconds = self.now_us.div_euclid(1_000_000) - 1;
        let Some(mut thing) = self.cluster.remove(&(kind, name)) else {
            return;
        };
        if told && let Some(pod) = thing.pod.take() {
            thing.pod = Some(pod.finished(seconds));
        }
        let gone = deleted(&watch_of(kind), thing.item());
        self.undelivered.entry(kind).or_default().push_back(gone);
    }

    /// The watch of the kind has something to deliver.
    fn tell(&mut self, kind: usize, name: usize) {
        let item = self.cluster[&(kind, name)].item();
        let seen = applied(&watch_of(kind), item);
        self.undelivered.entry(kind).or_default().push_back(seen);
    }

    fn deliver(&mut self, kind: usize) {
        for seen in self.undelivered.remove(&kind).unwrap_or_default() {
            self.see(seen);
        }
    }

    fn lose(&mut self, kind: usize) {
        if self.is_tracked(kind) {
            self.contact.insert(kind, Contact::Lost);
            self.see(Observation::Blind {
                watch: watch_of(kind),
                reason: "a test".to_owned(),
            });
        }
    }

    fn resume(&mut self, kind: usize) {
        self.commit();
        let points = self.recorder.writer().resume_points();
        let can_resume = points.contains_key(&watch_of(kind));
        if self.contact.get(&kind) == Some(&Contact::Live) || !self.is_tracked(kind) || !can_resume
        {
            return;
        }
        self.deliver(kind);
        self.see(Observation::Sighted {
            watch: watch_of(kind),
        });
        self.contact.insert(kind, Contact::Live);
    }

    fn items(&self, kind: usize) -> Vec<Thing> {
        let of_kind = self.cluster.iter().filter(|((of, _), _)| *of == kind);
        of_kind.map(|(_, thing)| thing.clone()).collect()
    }

    fn relist(&mut self, kind: usize, unreadable: bool) {
        if !self.is_tracked(kind) {
            return;
        }
        // A list shows what is; what led there is missed.
        self.undelivered.remove(&kind);
        let watch = watch_of(kind);
        self.see(Observation::ListStarted {
            watch: watch.clone(),
        });
        for (n, thing) in self.items(kind).into_iter().enumerate() {
            self.see(if unreadable && n == 1 {
                Observation::Listed {
                    watch: watch.clone(),
                    uid: Uid(thing.object.uid),
                }
            } else {
                listed(&watch, thing.item())
            });
        }
        self.see(Observation::ListFinished {
            watch,
            resource_version: "9".to_owned(),
        });
        self.contact.insert(kind, Contact::Live);
    }

    fn abort_list(&mut self, kind: usize) {
        if !self.is_tracked(kind) {
            return;
        }
        let watch = watch_of(kind);
        self.see(Observation::ListStarted {
            watch: watch.clone(),
        });
        for thing in self.items(kind).into_iter().take(2) {
            self.see(listed(&watch, thing.item()));
        }
        self.lose(kind);
    }

    fn look_up(&mut self, owner: usize, found: bool) {
        let replica_sets: Vec<&Obj> = self
            .ever
            .iter()
            .filter(|object| object.gvk == watch_of(1))
            .collect();
        if replica_sets.is_empty() {
            return;
        }
        let owner = replica_sets[owner % replica_sets.len()].clone();
        self.see(Observation::Owner {
            uid: Uid(owner.uid.clone()),
            facts: found.then(|| owner.facts()),
        });
    }

    fn restart(&mut self, clean: bool, config: usize) {
        self.commit();
        if clean {
            // Some watches end in good order, others are cut off.
            for kind in 0..KINDS.len() {
                if self.is_tracked(kind) && (self.now_us / 1_000_000 + kind as i64) % 3 != 0 {
                    let complete_until = Timestamp::from_micros(self.now_us - 2_000_000);
                    self.see(Observation::Ended {
                        watch: watch_of(kind),
                        complete_until,
                    });
                }
            }
            self.commit();
            self.script.push(Act::Stop(self.now()));
            self.recorder.end(self.now());
            self.record.end_run(self.now());
        } else {
            self.script.push(Act::Crash);
            self.recorder.crash();
            self.record.crash();
        }
        self.now_us += 5_000_000;
        self.recorder.config = config_of(config);
        self.script
            .push(Act::Run(self.now(), self.recorder.config.clone()));
        self.recorder.run_from(self.now());
        self.record.begin_run(self.now(), &self.recorder.config);
        self.contact.clear();
    }
}

/// Small epochs, each made in many pieces.
#[allow(dead_code)] // not every test makes them small
pub fn pace() -> impl Strategy<Value = EpochPace> {
    (1u64..5, 0u64..3, 1usize..4, 0usize..3).prop_map(|(rows_min, growth, rows, looks_per_row)| {
        let time = Duration::from_secs(60);
        EpochPace {
            rows_min,
            growth,
            piece: Effort { rows, time },
            looks_per_row,
        }
    })
}

pub fn watch_of(kind: usize) -> WatchId {
    gvk(KINDS[kind])
}

/// The kind of an object's key, in the one version that these tests have.
pub fn kind_of(key: &sk_tracedb::model::ObjectKey) -> Gvk {
    Gvk::new(&*key.group, "v1", &*key.kind)
}
