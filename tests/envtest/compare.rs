//! The record against the truth: what the recorder stored, compared change by change with what the audit log says has happened.
//!
//! Nothing of the code under test decides what a change is here: both sides are cut down by this file's own rules
//! (simkube-format.md, and R6 of the product's requirements).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sk_tracedb::model::{Gvk, ObjectKey, TimeRange, Timestamp};
use sk_tracedb::query::{Gap, HistoryEntry};
use sk_tracedb::{Reader, Snapshot};

use super::audit::{Life, Record, What};

/// Longest time between a change and its record while the recorder is in contact, microseconds; generous for busy machines.
const DELAY_US_MAX: i64 = 15_000_000;

/// A tracked kind.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// As in the config.
    pub gvk: &'static str,
    /// Its name in URLs.
    pub plural: &'static str,
    /// What counts as a change.
    pub counts: Counts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// The spec.
    Spec,
    /// Everything but the status and what the API server counts itself.
    Object,
}

pub const DEPLOYMENTS: Kind = Kind {
    gvk: "apps/v1.Deployment",
    plural: "deployments",
    counts: Counts::Spec,
};
pub const STATEFUL_SETS: Kind = Kind {
    gvk: "apps/v1.StatefulSet",
    plural: "statefulsets",
    counts: Counts::Spec,
};
pub const JOBS: Kind = Kind {
    gvk: "batch/v1.Job",
    plural: "jobs",
    counts: Counts::Spec,
};
pub const CONFIG_MAPS: Kind = Kind {
    gvk: "v1.ConfigMap",
    plural: "configmaps",
    counts: Counts::Object,
};
pub const NAMESPACES: Kind = Kind {
    gvk: "v1.Namespace",
    plural: "namespaces",
    counts: Counts::Spec,
};
pub const CLUSTER_ROLES: Kind = Kind {
    gvk: "rbac.authorization.k8s.io/v1.ClusterRole",
    plural: "clusterroles",
    counts: Counts::Object,
};
pub const PRIORITY_CLASSES: Kind = Kind {
    gvk: "scheduling.k8s.io/v1.PriorityClass",
    plural: "priorityclasses",
    counts: Counts::Object,
};
pub const WIDGETS: Kind = Kind {
    gvk: "envtest.dev/v1.Widget",
    plural: "widgets",
    counts: Counts::Spec,
};

impl Kind {
    pub fn parsed(&self) -> Gvk {
        self.gvk.parse().unwrap()
    }

    pub fn group(&self) -> String {
        self.parsed().group
    }

    fn key(&self, namespace: &str, name: &str) -> ObjectKey {
        let gvk = self.parsed();
        ObjectKey::new(gvk.group, gvk.kind, namespace, name)
    }

    /// What counts of an object, on both sides.
    fn state(&self, object: &Value) -> Value {
        match self.counts {
            Counts::Spec => object["spec"].clone(),
            Counts::Object => whole(object),
        }
    }
}

/// An object without what the API server writes into it by itself.
fn whole(object: &Value) -> Value {
    let mut object = object.clone();
    let fields = object.as_object_mut().unwrap();
    for field in ["status", "apiVersion", "kind"] {
        fields.remove(field);
    }
    let metadata = fields["metadata"].as_object_mut().unwrap();
    for field in [
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "managedFields",
        "resourceVersion",
        "uid",
    ] {
        metadata.remove(field);
    }
    if let Some(annotations) = metadata
        .get_mut("annotations")
        .and_then(Value::as_object_mut)
    {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        annotations.remove("deployment.kubernetes.io/revision");
    }
    for field in ["annotations", "labels"] {
        if metadata
            .get(field)
            .is_some_and(|value| value.as_object().is_some_and(serde_json::Map::is_empty))
        {
            metadata.remove(field);
        }
    }
    object
}

/// What is asked of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Every change since the first list. A change of a blind time is there as well, with the interval.
    Everything,
    /// Of a blind time only what was left of it at its end.
    WithoutBlindTimes,
}

/// What a comparison found in the record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Changes recorded.
    pub changes: usize,
    /// Those among them whose time is only known as an interval.
    pub inferred: usize,
    /// Those among them that were there at the first list.
    pub initial: usize,
}

/// One state in an object's life; `None` is its end.
struct Step {
    state: Option<Value>,
    received_us: i64,
    answered_us: i64,
}

fn steps(kind: Kind, life: &Life) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for change in &life.changes {
        let state = (change.what != What::Deleted).then(|| kind.state(&change.object));
        if steps.last().is_some_and(|last| last.state == state) {
            continue;
        }
        steps.push(Step {
            state,
            received_us: change.received.as_microsecond(),
            answered_us: change.answered.as_microsecond(),
        });
    }
    steps
}

/// Compares all objects of some kinds. An `Err` says what differs; it may be that the record is not there yet.
pub fn compare(
    reader: &Reader,
    truth: &Record,
    kinds: &[Kind],
    wanted: Wanted,
) -> Result<Found, String> {
    if !truth.unclear.is_empty() {
        return Err(format!("the truth is not clear: {:?}", truth.unclear));
    }
    let snapshot = reader.snapshot().map_err(|error| error.to_string())?;
    let mut found = Found::default();
    for kind in kinds {
        let of_kind = compare_kind(&snapshot, truth, *kind, wanted)
            .map_err(|why| format!("{}: {why}", kind.gvk))?;
        found.changes += of_kind.changes;
        found.inferred += of_kind.inferred;
        found.initial += of_kind.initial;
    }
    Ok(found)
}

fn compare_kind(
    snapshot: &Snapshot,
    truth: &Record,
    kind: Kind,
    wanted: Wanted,
) -> Result<Found, String> {
    let info = snapshot.info().unwrap();
    let gaps: Vec<&Gap> = info
        .gaps
        .iter()
        .filter(|gap| gap.kind == kind.gvk)
        .collect();
    let first_list = first_list_us(snapshot, kind, truth)?;
    let mut found = Found::default();
    let names: BTreeSet<(&str, &str)> = truth
        .lives_of(&kind.group(), kind.plural)
        .map(|life| (life.namespace.as_str(), life.name.as_str()))
        .collect();
    for (namespace, name) in names {
        let lives = truth.lives_named(&kind.group(), kind.plural, namespace, name);
        let entries = history(snapshot, &kind.key(namespace, name));
        let uids: Vec<&str> = lives.iter().map(|life| life.uid.as_str()).collect();
        // Incarnations follow each other, and none but those that there were.
        let mut order: Vec<&str> = entries.iter().map(|entry| entry.uid.0.as_str()).collect();
        order.dedup();
        if !is_subsequence(&order, &uids) {
            return Err(format!(
                "{namespace}/{name}: incarnations {order:?} recorded of {uids:?}"
            ));
        }
        for life in lives {
            let entries: Vec<&HistoryEntry> = entries
                .iter()
                .filter(|entry| entry.uid.0 == life.uid)
                .collect();
            let of_life = Comparison {
                kind,
                wanted,
                gaps: &gaps,
                first_list,
            }
            .life(life, &entries);
            of_life.map_err(|why| {
                let told: Vec<_> = entries
                    .iter()
                    .map(|entry| (entry.event.at.to_string(), entry.action))
                    .collect();
                format!("{} {}: {why}; recorded: {told:?}", life.key(), life.uid)
            })?;
            found.changes += entries.len();
            found.inferred += entries
                .iter()
                .filter(|entry| entry.since.is_some() && !entry.initial)
                .count();
            found.initial += entries.iter().filter(|entry| entry.initial).count();
        }
    }
    let counted = info.kinds.iter().filter(|counts| counts.kind == kind.gvk);
    let counted: u64 = counted.map(|counts| counts.applied + counts.deleted).sum();
    if counted != found.changes as u64 {
        return Err(format!(
            "{counted} changes recorded, {} of them of objects that there were",
            found.changes
        ));
    }
    Ok(found)
}

/// When the kind was listed for the first time, at the earliest: what was gone before cannot be in the record.
fn first_list_us(snapshot: &Snapshot, kind: Kind, truth: &Record) -> Result<i64, String> {
    let info = snapshot.info().unwrap();
    let start = info.start.ok_or("nothing is recorded")?.as_micros();
    let listed = truth.reads.iter().filter(|read| {
        read.user == super::control_plane::RECORDER
            && read.verb == "list"
            && read.plural == kind.plural
            && read.code == 200
            && read.received.as_microsecond() >= start
    });
    let first = listed.map(|read| read.received.as_microsecond()).min();
    first.ok_or_else(|| "not listed yet".to_owned())
}

struct Comparison<'a> {
    kind: Kind,
    wanted: Wanted,
    gaps: &'a [&'a Gap],
    first_list: i64,
}

impl Comparison<'_> {
    fn life(&self, life: &Life, entries: &[&HistoryEntry]) -> Result<(), String> {
        let steps = steps(self.kind, life);
        let mut next = 0;
        for entry in entries {
            let state = entry.object().unwrap().map(|object| {
                assert_eq!(object["apiVersion"], api_version(&self.kind.parsed()));
                assert_eq!(object["kind"], self.kind.parsed().kind);
                self.kind.state(&object)
            });
            let at = steps[next..]
                .iter()
                .position(|step| step.state == state)
                .ok_or_else(|| format!("this never was so (or not in this order): {state:?}"))?;
            let skipped = &steps[next..next + at];
            if !entry.initial && !skipped.iter().all(|step| self.may_be_missing(step)) {
                return Err(format!(
                    "{} changes are missing before {}",
                    skipped.len(),
                    entry.event.at
                ));
            }
            next += at + 1;
            self.time(&steps[next - 1], entry)?;
        }
        let missing = &steps[next..];
        let over = steps.last().is_some_and(|last| last.state.is_none());
        let before = over && steps[steps.len() - 1].answered_us < self.first_list;
        let unseen = over && missing.iter().all(|step| self.may_be_missing(step));
        if missing.is_empty() || (entries.is_empty() && (before || unseen)) {
            Ok(())
        } else {
            Err(format!(
                "the last {} of {} changes are missing",
                missing.len(),
                steps.len()
            ))
        }
    }

    /// Whether a change lies in a time of which the record need not tell everything.
    fn may_be_missing(&self, step: &Step) -> bool {
        self.wanted == Wanted::WithoutBlindTimes
            && self.gaps.iter().any(|gap| {
                let end = gap.end.unwrap_or(Timestamp::MAX).as_micros();
                step.answered_us >= gap.start.as_micros() && step.received_us <= end
            })
    }

    /// The recorded time of a change must fit the true one.
    fn time(&self, step: &Step, entry: &HistoryEntry) -> Result<(), String> {
        let at = entry.event.at.as_micros();
        let (received, answered) = (step.received_us, step.answered_us);
        if entry.initial {
            return Ok(());
        }
        let when = format!("recorded at {at} for what happened between {received} and {answered}");
        if at < received {
            return Err(format!("{when}: too early"));
        }
        match entry.since {
            Some(since) if since.as_micros() > answered => {
                Err(format!("{when}: inferred since {since}: too late"))
            }
            Some(since) if !self.gaps.iter().any(|gap| gap.start <= since) => Err(format!(
                "{when}: inferred since {since}, and there is no gap"
            )),
            None if at > answered + DELAY_US_MAX => {
                Err(format!("{when}: too late, and not said to be inferred"))
            }
            _ => Ok(()),
        }
    }
}

/// All changes of an object of a name.
pub fn history(snapshot: &Snapshot, key: &ObjectKey) -> Vec<HistoryEntry> {
    let entries = snapshot.history(key, TimeRange::ALL).unwrap();
    entries.collect::<Result<_, _>>().unwrap()
}

/// What the record holds as existing now, against what exists: name -> (uid, state).
pub fn compare_state(reader: &Reader, kind: Kind, existing: &[Value]) -> Result<(), String> {
    let snapshot = reader.snapshot().map_err(|error| error.to_string())?;
    let gvk = kind.parsed();
    let mut recorded = BTreeMap::new();
    for version in snapshot.state_at(Timestamp::MAX.plus_micros(-1)).unwrap() {
        let version = version.unwrap();
        if version.gvk == gvk {
            let state = kind.state(&version.object().unwrap());
            recorded.insert(version.key.namespaced_name(), (version.uid.0, state));
        }
    }
    let text = |object: &Value, field: &str| {
        object["metadata"][field]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let existing: BTreeMap<_, _> = existing
        .iter()
        .map(|object| {
            let key = kind.key(&text(object, "namespace"), &text(object, "name"));
            (
                key.namespaced_name(),
                (text(object, "uid"), kind.state(object)),
            )
        })
        .collect();
    if recorded == existing {
        return Ok(());
    }
    let differ: BTreeSet<_> = recorded
        .iter()
        .chain(&existing)
        .filter(|(name, _)| recorded.get(*name) != existing.get(*name))
        .map(|(name, _)| {
            (
                name,
                recorded.get(name).map(|(uid, _)| uid),
                existing.get(name).map(|(uid, _)| uid),
            )
        })
        .collect();
    Err(format!(
        "{} differ: (name, recorded, existing) {differ:?}",
        kind.gvk
    ))
}

pub fn api_version(gvk: &Gvk) -> String {
    if gvk.group.is_empty() {
        gvk.version.clone()
    } else {
        format!("{}/{}", gvk.group, gvk.version)
    }
}

fn is_subsequence(part: &[&str], whole: &[&str]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|wanted| rest.any(|uid| uid == wanted))
}

/// The states of one object in a trace or in the truth, oldest first, over all incarnations; `None` where it was deleted.
pub type States = BTreeMap<(String, String), Vec<Option<Value>>>;

/// What the audit log says of some kinds, as a trace tells it: incarnations of one name in one sequence.
pub fn true_states(truth: &Record, kinds: &[Kind]) -> States {
    let mut states = States::new();
    for kind in kinds {
        for life in truth.lives_of(&kind.group(), kind.plural) {
            let name = (trace_kind(kind), life.key());
            let steps = steps(*kind, life).into_iter().map(|step| step.state);
            states.entry(name).or_default().extend(steps);
        }
    }
    states
}

/// What a trace says of some kinds. The first state of an object of the start state is its first here.
pub fn told_states(trace: &super::support::Trace, kinds: &[Kind]) -> States {
    let kinds: BTreeMap<String, Kind> =
        kinds.iter().map(|kind| (trace_kind(kind), *kind)).collect();
    let mut states = States::new();
    let start = trace.start().iter().map(|object| {
        (
            super::support::trace::name_of(object),
            false,
            object.clone(),
        )
    });
    let changes = trace
        .changes()
        .into_iter()
        .map(|((_, deleted, kind, name), object)| ((kind, name), deleted, object));
    for (name, deleted, object) in start.chain(changes) {
        let Some(kind) = kinds.get(&name.0) else {
            panic!("{name:?} is not of a tracked kind");
        };
        let state = (!deleted).then(|| kind.state(&object));
        states.entry(name).or_default().push(state);
    }
    states
}

/// `apiVersion.Kind`, as traces name kinds.
fn trace_kind(kind: &Kind) -> String {
    let gvk = kind.parsed();
    format!("{}.{}", api_version(&gvk), gvk.kind)
}
