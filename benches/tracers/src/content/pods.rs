//! Very many running pods in little memory: templates taken from the synthetic cluster, filled in when they are asked for.

use std::io::Write as _;

use serde_json::{Value, json};
use sk_tracedb::model::Gvk;
use sk_tracedb::workload::Workload;

use super::Form;

/// Mean size of a pod in real clusters, bytes of JSON: most of it is `managedFields`.
const POD_BYTES: usize = 8_600;
/// Different pod specs.
const TEMPLATES_MAX: usize = 16;

/// What differs between two pods of a template. The marks stand in the template's JSON; no object holds such a byte.
const MARKS: [(char, Hole); 7] = [
    ('\u{1}', Hole::Name),
    ('\u{2}', Hole::Uid),
    ('\u{3}', Hole::Version),
    ('\u{4}', Hole::Owner),
    ('\u{5}', Hole::OwnerUid),
    ('\u{6}', Hole::Node),
    ('\u{7}', Hole::Namespace),
];

#[derive(Clone, Copy, Debug)]
enum Hole {
    Name,
    Uid,
    Version,
    Owner,
    OwnerUid,
    Node,
    Namespace,
}

#[derive(Debug)]
enum Piece {
    Text(Vec<u8>),
    Hole(Hole),
}

#[derive(Debug)]
struct Template {
    whole: Vec<Piece>,
    metadata: Vec<Piece>,
}

/// A ReplicaSet that owns pods.
#[derive(Debug)]
struct Owner {
    namespace: String,
    name: String,
    uid: String,
}

/// Pods `0..count`. Those of one ReplicaSet stand together, as in the lists of an API server.
#[derive(Debug)]
pub struct PodTemplates {
    templates: Vec<Template>,
    owners: Vec<Owner>,
    count: usize,
}

impl PodTemplates {
    /// `count` pods of the ReplicaSets, with the specs of the workload's pods.
    pub fn new(workload: &Workload, replica_sets: &[Value], count: usize) -> Self {
        let running = workload.live_of(&Gvk::pod()).filter(|pod| {
            pod["status"]["phase"] == "Running"
                && pod["metadata"]["ownerReferences"][0]["kind"] == "ReplicaSet"
        });
        let templates: Vec<_> = running.take(TEMPLATES_MAX).map(Template::new).collect();
        let text = |object: &Value, field: &str| {
            let text = object["metadata"][field].as_str();
            text.unwrap_or_default().to_owned()
        };
        let owners: Vec<_> = replica_sets
            .iter()
            .map(|object| Owner {
                namespace: text(object, "namespace"),
                name: text(object, "name"),
                uid: text(object, "uid"),
            })
            .collect();
        assert!(
            count == 0 || !(templates.is_empty() || owners.is_empty()),
            "the workload has no running pods to copy"
        );
        Self {
            templates,
            owners,
            count,
        }
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn write(&self, index: usize, form: Form, out: &mut Vec<u8>) {
        let position = self.owner(index);
        let owner = &self.owners[position];
        let template = &self.templates[position % self.templates.len()];
        let pieces = match form {
            Form::Whole => &template.whole,
            Form::Metadata => &template.metadata,
        };
        for piece in pieces {
            let hole = match piece {
                Piece::Text(text) => {
                    out.extend_from_slice(text);
                    continue;
                }
                Piece::Hole(hole) => hole,
            };
            // Writing to memory does not fail.
            let _ = match hole {
                Hole::Name => write!(out, "{}-{index:06}", owner.name),
                Hole::Uid => write!(out, "00000000-0000-4000-8000-{index:012x}"),
                Hole::Version => write!(out, "{}", 1_000 + index),
                Hole::Owner => out.write_all(owner.name.as_bytes()),
                Hole::OwnerUid => out.write_all(owner.uid.as_bytes()),
                Hole::Node => write!(out, "node-{:04}", index % 5_000),
                Hole::Namespace => out.write_all(owner.namespace.as_bytes()),
            };
        }
    }

    pub fn find(&self, namespace: &str, name: &str) -> Option<usize> {
        let (owner, number) = name.rsplit_once('-')?;
        let index: usize = number.parse().ok()?;
        if index >= self.count {
            return None;
        }
        let found = &self.owners[self.owner(index)];
        (found.name == owner && found.namespace == namespace).then_some(index)
    }

    /// The position of a pod's owner.
    fn owner(&self, index: usize) -> usize {
        index * self.owners.len() / self.count
    }
}

impl Template {
    fn new(mut pod: Value) -> Self {
        let mark = |hole: &str| json!(hole);
        if let Some(fields) = pod.as_object_mut() {
            fields.remove("apiVersion");
            fields.remove("kind");
        }
        let metadata = &mut pod["metadata"];
        metadata["name"] = mark("\u{1}");
        metadata["uid"] = mark("\u{2}");
        metadata["resourceVersion"] = mark("\u{3}");
        metadata["namespace"] = mark("\u{7}");
        metadata["ownerReferences"][0]["name"] = mark("\u{4}");
        metadata["ownerReferences"][0]["uid"] = mark("\u{5}");
        metadata["generateName"] = json!("\u{4}-");
        pod["spec"]["nodeName"] = mark("\u{6}");
        // Every owner has a spec of its own.
        pod["spec"]["containers"][0]["workingDir"] = json!("/srv/\u{4}");
        fill(&mut pod);
        let metadata = json!({"metadata": pod["metadata"]});
        Self {
            whole: pieces(&pod),
            metadata: pieces(&metadata),
        }
    }
}

/// Adds managed fields, as servers have them, until the pod is as large as pods are.
fn fill(pod: &mut Value) {
    let missing = POD_BYTES.saturating_sub(pod.to_string().len());
    let mut fields = serde_json::Map::new();
    let mut size = 0;
    for number in 0.. {
        if size >= missing {
            break;
        }
        let key = format!("k:{{\"type\":\"example.com/Condition{number:03}\"}}");
        let value = json!({".": {}, "f:lastProbeTime": {}, "f:lastTransitionTime": {}, "f:status": {}, "f:type": {}});
        size += key.len() + value.to_string().len() + 6;
        fields.insert(key, value);
    }
    let entry = json!({
        "manager": "kubelet", "operation": "Update", "apiVersion": "v1", "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1", "subresource": "status",
        "fieldsV1": {"f:status": {"f:conditions": fields}},
    });
    if let Some(entries) = pod["metadata"]["managedFields"].as_array_mut() {
        entries.push(entry);
    }
}

/// Cuts a pod's JSON at its marks.
fn pieces(pod: &Value) -> Vec<Piece> {
    let text = pod.to_string();
    let mut pieces = Vec::new();
    let mut rest = text.as_str();
    // JSON escapes control characters.
    while let Some(at) = rest.find("\\u000") {
        let (before, marked) = rest.split_at(at);
        let code = marked[5..6].parse::<u32>().ok();
        let hole = MARKS
            .iter()
            .find(|(mark, _)| Some(u32::from(*mark)) == code)
            .map(|(_, hole)| *hole)
            .expect("only marks are control characters");
        pieces.push(Piece::Text(before.as_bytes().to_vec()));
        pieces.push(Piece::Hole(hole));
        rest = &marked[6..];
    }
    pieces.push(Piece::Text(rest.as_bytes().to_vec()));
    pieces
}
