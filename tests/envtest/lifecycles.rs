//! What pods did, from the audit log alone: when each ran and for which owner, as a trace has to tell it (R1, R2, R14).

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::audit::{Life, Record, What};
use super::support::Lifecycle;
use super::support::Trace;
use super::support::build::simkube_hash;

/// How long after a deletion the record of it may stand, seconds; only where no final status tells the end.
const DELAY_SECONDS_MAX: i64 = 15;

/// One pod that ran.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrueLifecycle {
    pub start: i64,
    /// The earliest and the latest second in which it can have ended; `None`: it is running.
    pub end: Option<(i64, i64)>,
}

/// Owner (kind, `namespace/name`) -> SimKube's pod-spec hash -> its pods, sorted.
pub type Lifecycles<T> = BTreeMap<(String, String), BTreeMap<u64, Vec<T>>>;

/// The lifecycles of all pods that ever ran and that are owned, through whatever, by an object of one of these kinds
/// (`apps/v1.Deployment`).
pub fn true_lifecycles(truth: &Record, kinds: &[&str]) -> Lifecycles<TrueLifecycle> {
    let mut lifecycles = Lifecycles::new();
    for life in truth.lives_of("", "pods") {
        let Some(lifecycle) = lifecycle(life) else {
            continue;
        };
        let Some(owner) = owner(truth, life.last(), kinds) else {
            continue;
        };
        let hash = pod_spec_hash(&life.changes[0].object["spec"]);
        let of_owner: &mut BTreeMap<_, Vec<_>> = lifecycles.entry(owner).or_default();
        of_owner.entry(hash).or_default().push(lifecycle);
    }
    for pods in lifecycles.values_mut().flat_map(BTreeMap::values_mut) {
        pods.sort();
    }
    lifecycles
}

/// Compares a trace whose window holds everything with the truth.
pub fn compare_lifecycles(trace: &Trace, truth: &Lifecycles<TrueLifecycle>) -> Result<(), String> {
    let told = trace.lifecycles();
    let owners: BTreeSet<_> = told.keys().chain(truth.keys()).collect();
    for owner in owners {
        let nothing = BTreeMap::new();
        let (told, true_ones) = (
            told.get(owner).unwrap_or(&BTreeMap::new()).clone(),
            truth.get(owner).unwrap_or(&nothing),
        );
        let same = told.len() == true_ones.len()
            && told
                .iter()
                .zip(true_ones)
                .all(|((told_hash, told), (hash, pods))| {
                    told_hash == hash
                        && told.len() == pods.len()
                        && told.iter().zip(pods).all(|(told, pod)| is(told, pod))
                });
        if !same {
            return Err(format!("{owner:?}: told {told:?}, true {true_ones:?}"));
        }
    }
    Ok(())
}

fn is(told: &Lifecycle, pod: &TrueLifecycle) -> bool {
    match (told, pod.end) {
        (Lifecycle::Running(start), None) => *start == pod.start,
        (Lifecycle::Finished(start, end), Some((first, last))) => {
            *start == pod.start && (first..=last).contains(end)
        }
        _ => false,
    }
}

fn lifecycle(life: &Life) -> Option<TrueLifecycle> {
    let seconds = |value: &Value| {
        value
            .as_str()?
            .parse::<Timestamp>()
            .ok()
            .map(Timestamp::as_second)
    };
    let mut start: Option<i64> = None;
    for change in &life.changes {
        for container in containers(&change.object) {
            for state in ["running", "terminated"] {
                let started = seconds(&container["state"][state]["startedAt"]);
                start = [start, started].into_iter().flatten().min();
            }
        }
    }
    let start = start?;
    // The end of all containers, in the first state of the pod in which it is known to be over.
    let finished = |object: &Value| {
        let ends: Option<Vec<i64>> = containers(object)
            .map(|container| seconds(&container["state"]["terminated"]["finishedAt"]))
            .collect();
        ends?.into_iter().max()
    };
    let terminal = life.changes.iter().find(|change| {
        matches!(
            change.object["status"]["phase"].as_str(),
            Some("Succeeded" | "Failed")
        )
    });
    let end = match (terminal, life.deleted()) {
        (Some(change), _) => {
            let end = finished(&change.object).unwrap();
            Some((end, end))
        }
        (None, Some(deleted)) => Some(match finished(&deleted.object) {
            Some(end) => (end, end),
            None => (
                deleted.received.as_second(),
                deleted.answered.as_second() + DELAY_SECONDS_MAX,
            ),
        }),
        (None, None) => None,
    };
    assert_eq!(life.changes[0].what, What::Created);
    Some(TrueLifecycle { start, end })
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    pod["status"]["containerStatuses"]
        .as_array()
        .into_iter()
        .flatten()
}

fn owner(truth: &Record, object: &Value, kinds: &[&str]) -> Option<(String, String)> {
    let references = object["metadata"]["ownerReferences"].as_array()?;
    for reference in references {
        let text = |field: &str| reference[field].as_str().unwrap();
        let owner = truth.life(text("uid"))?;
        let kind = format!("{}.{}", text("apiVersion"), text("kind"));
        if kinds.contains(&kind.as_str()) {
            return Some((kind, owner.key()));
        }
        if let Some(found) = self::owner(truth, owner.last(), kinds) {
            return Some(found);
        }
    }
    None
}

/// SimKube's pod-spec hash of a spec as the API server answers it (simkube-format.md).
fn pod_spec_hash(spec: &Value) -> u64 {
    let mut spec = spec.clone();
    let access = |item: &Value| {
        item["name"]
            .as_str()
            .is_some_and(|name| name.starts_with("kube-api-access"))
    };
    let fields = spec.as_object_mut().unwrap();
    for field in ["nodeName", "serviceAccount", "serviceAccountName"] {
        fields.remove(field);
    }
    let without = |list: Option<&Value>| -> Value {
        let items = list.and_then(Value::as_array).into_iter().flatten();
        items.filter(|item| !access(item)).cloned().collect()
    };
    let volumes = without(fields.get("volumes"));
    fields.insert("volumes".to_owned(), volumes);
    for (list, ports_count) in [("containers", false), ("initContainers", true)] {
        for container in fields
            .get_mut(list)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            let mounts = without(container.get("volumeMounts"));
            container["volumeMounts"] = mounts;
            if !ports_count {
                container.as_object_mut().unwrap().remove("ports");
            }
        }
    }
    simkube_hash(&spec)
}
