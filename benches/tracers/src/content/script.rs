//! Scripts from the seeded workload: what is there, and what will happen.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use sk_tracedb::model::Gvk;
use sk_tracedb::workload::{Mix, Verb, Workload, WorkloadOptions};

use super::{Collection, Content, Event, Items, PodTemplates, Rendered, Served};

/// What both tracers accept: a kind with pods.
const CONFIG: &str = "trackedObjects:\n  apps/v1.Deployment:\n    trackLifecycle: true\n";
/// Of a thousand objects of the update-heavy mix, how many are Deployments.
const DEPLOYMENTS_PER_MILLE: usize = 430;
/// More steps than anything here takes.
const STEPS_MAX: u64 = 50_000_000;
/// Seed of everything.
const SEED: u64 = 7;

/// What a trace of everything holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Objects at the start.
    pub objects: u64,
    /// Objects created, and changes of specs.
    pub applied: u64,
    pub deleted: u64,
}

impl Expected {
    /// What is recorded of the events.
    pub fn changes(&self) -> u64 {
        self.applied + self.deleted
    }
}

/// An empty cluster in which nothing happens.
pub fn nothing() -> Content {
    content(Vec::new(), Vec::new(), None)
}

/// About `objects` Deployments, and `changes` recorded changes of them. There are no pods: only Deployments are
/// measured. Every offered event is one that both tracers keep.
pub fn deployments(objects: usize, changes: usize) -> Content {
    let mut workload = workload(objects);
    let deployment = kind("apps/v1.Deployment");
    let live: Vec<_> = workload.live_of(&deployment).collect();
    let mut content = content(live, Vec::new(), None);
    content.version = workload.resource_version();
    let position = position(&content, "deployments");

    let mut specs: HashMap<String, Value> = workload
        .live_of(&deployment)
        .map(|mut object| (uid(&object), object["spec"].take()))
        .collect();
    content.expected.objects = specs.len() as u64;
    while content.events.len() < changes {
        let step = workload.next().expect("the workload has no end");
        if step.kind != deployment {
            continue;
        }
        let uid = uid(&step.object);
        let action = match step.verb {
            Verb::Delete => {
                specs.remove(&uid);
                content.expected.deleted += 1;
                "DELETED"
            }
            Verb::Add | Verb::Modify => {
                let spec = step.object["spec"].clone();
                // A status update: not recorded, and not offered.
                if specs.get(&uid) == Some(&spec) {
                    continue;
                }
                content.expected.applied += 1;
                match specs.insert(uid, spec) {
                    None => "ADDED",
                    Some(_) => "MODIFIED",
                }
            }
        };
        content.events.push(Event {
            collection: position,
            version: workload.resource_version(),
            // As API servers write it: the type first.
            line: Bytes::from(format!(
                "{{\"type\":\"{action}\",\"object\":{}}}\n",
                step.object
            )),
        });
    }
    content
}

/// `objects` Deployments with a ReplicaSet each, and `pods` running pods of theirs. Nothing happens.
pub fn fleet(objects: usize, pods: usize) -> Content {
    // The workload keeps to its number about.
    let workload = workload(objects + objects / 20 + 10);
    let mut deployments: Vec<_> = workload.live_of(&kind("apps/v1.Deployment")).collect();
    deployments.truncate(objects);
    let kept: HashSet<_> = deployments.iter().map(uid).collect();
    let mut newest: HashMap<String, Value> = HashMap::new();
    for set in workload.live_of(&kind("apps/v1.ReplicaSet")) {
        let owner = set["metadata"]["ownerReferences"][0]["uid"].as_str();
        let owner = owner.unwrap_or_default();
        if kept.contains(owner) {
            newest.insert(owner.to_owned(), set);
        }
    }
    let mut sets: Vec<_> = newest.into_values().collect();
    let name = |set: &Value| {
        let text = |field: &str| set["metadata"][field].as_str().map(str::to_owned);
        (text("namespace"), text("name"))
    };
    sets.sort_by_key(name);
    let templates = PodTemplates::new(&workload, &sets, pods);
    let tracked = deployments.len() as u64;
    let mut content = content(deployments, sets, Some(templates));
    content.version = workload.resource_version() + pods as u64 + 1_000;
    content.expected.objects = tracked;
    content
}

fn workload(deployments: usize) -> Workload {
    Workload::new(WorkloadOptions {
        seed: SEED,
        objects: (deployments * 1_000 / DEPLOYMENTS_PER_MILLE).max(50),
        changes: STEPS_MAX,
        // How fast the steps are offered is decided elsewhere.
        duration: Duration::from_millis(50) * STEPS_MAX as u32,
        mix: Mix::UpdateHeavy,
        warm_start: true,
        ..WorkloadOptions::default()
    })
}

fn content(
    deployments: Vec<Value>,
    replica_sets: Vec<Value>,
    pods: Option<PodTemplates>,
) -> Content {
    let rendered = |objects: Vec<Value>| Items::Rendered(objects.into_iter().collect::<Rendered>());
    let namespace = json!({"metadata": {
        "name": "kube-system", "uid": "6f1f2a52-0000-4000-8000-000000000001", "resourceVersion": "1",
        "creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": {}, "status": {"phase": "Active"}});
    let collection = |served, items| Collection { served, items };
    Content {
        collections: vec![
            collection(
                Served::new("v1.Namespace", "namespaces", false),
                rendered(vec![namespace]),
            ),
            collection(
                Served::new("v1.Pod", "pods", true),
                pods.map_or_else(|| rendered(Vec::new()), Items::Pods),
            ),
            collection(
                Served::new("apps/v1.Deployment", "deployments", true),
                rendered(deployments),
            ),
            collection(
                Served::new("apps/v1.ReplicaSet", "replicasets", true),
                rendered(replica_sets),
            ),
        ],
        version: 1_000,
        events: Vec::new(),
        expected: Expected::default(),
        config: CONFIG,
    }
}

fn position(content: &Content, plural: &str) -> usize {
    let mut all = content.collections.iter();
    all.position(|collection| collection.served.plural == plural)
        .expect("every content has the same kinds")
}

fn kind(text: &str) -> Gvk {
    text.parse().expect("a kind of ours")
}

fn uid(object: &Value) -> String {
    let uid = object["metadata"]["uid"].as_str();
    uid.unwrap_or_default().to_owned()
}
