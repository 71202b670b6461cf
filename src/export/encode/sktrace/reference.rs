//! A trace as plain serde structs: what rmp-serde makes of them is the reference for the encoder and the reader.
//!
//! The structs have the fields of SimKube's `ExportedTrace`, in its order; sorted maps instead of hash maps make the
//! bytes repeatable.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{EncodeError, TraceEncoder};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trace {
    pub(crate) version: u16,
    pub(crate) config: Value,
    pub(crate) events: Vec<Event>,
    pub(crate) index: BTreeMap<String, BTreeMap<String, u64>>,
    pub(crate) pod_lifecycles: BTreeMap<(String, String), BTreeMap<u64, Vec<Lifecycle>>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) ts: i64,
    pub(crate) applied_objs: Vec<Value>,
    pub(crate) deleted_objs: Vec<Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Lifecycle {
    Empty,
    Running(i64),
    Finished(i64, i64),
}

impl Trace {
    pub(crate) fn empty() -> Self {
        Self {
            version: 2,
            config: json!({"trackedObjects": {}}),
            events: vec![],
            index: BTreeMap::new(),
            pod_lifecycles: BTreeMap::new(),
        }
    }

    /// A small trace with one of everything.
    pub(crate) fn small() -> Self {
        let deployment = |replicas: i64| {
            json!({
                "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": "web", "namespace": "shop", "annotations": {}},
                "spec": {"replicas": replicas, "paused": false, "weight": 0.5, "none": null, "list": [1, -1, 300]},
            })
        };
        let gone = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bare", "namespace": "shop"},
        });
        let event = |ts, applied_objs, deleted_objs| Event {
            ts,
            applied_objs,
            deleted_objs,
        };
        Self {
            version: 2,
            config: json!({"trackedObjects": {"apps/v1.Deployment": {"trackLifecycle": true}, "v1.Pod": {}}}),
            events: vec![
                event(1_700_000_000, vec![deployment(1), gone.clone()], vec![]),
                event(1_700_000_000, vec![], vec![gone]),
                event(1_700_000_060, vec![deployment(70_000)], vec![]),
            ],
            index: BTreeMap::from([(
                "apps/v1.Deployment".to_owned(),
                BTreeMap::from([("shop/web".to_owned(), u64::MAX)]),
            )]),
            pod_lifecycles: BTreeMap::from([(
                ("apps/v1.Deployment".to_owned(), "shop/web".to_owned()),
                BTreeMap::from([(
                    17,
                    vec![
                        Lifecycle::Running(1_700_000_001),
                        Lifecycle::Finished(1_700_000_002, 1_700_000_050),
                    ],
                )]),
            )]),
        }
    }

    /// What SimKube would write.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        rmp_serde::to_vec_named(self).unwrap()
    }

    /// What we write.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let len = |len: usize| u32::try_from(len).unwrap();
        let mut trace = TraceEncoder::new(Vec::new());
        trace.header(&self.config, len(self.events.len()))?;
        for event in &self.events {
            trace.event_start(event.ts, len(event.applied_objs.len()))?;
            for object in &event.applied_objs {
                trace.object(&rmp_serde::to_vec_named(object).unwrap())?;
            }
            trace.deleted_start(len(event.deleted_objs.len()))?;
            for object in &event.deleted_objs {
                trace.object(&rmp_serde::to_vec_named(object).unwrap())?;
            }
        }
        trace.index_start(len(self.index.len()))?;
        for (gvk, objects) in &self.index {
            trace.index_kind(gvk, len(objects.len()))?;
            for (name, hash) in objects {
                trace.index_entry(name, *hash)?;
            }
        }
        trace.lifecycles_start(len(self.pod_lifecycles.len()))?;
        for ((gvk, name), hashes) in &self.pod_lifecycles {
            trace.lifecycle_owner(gvk, name, len(hashes.len()))?;
            for (hash, lifecycles) in hashes {
                trace.lifecycle_hash(*hash, len(lifecycles.len()))?;
                for lifecycle in lifecycles {
                    match *lifecycle {
                        Lifecycle::Empty => unreachable!("never written"),
                        Lifecycle::Running(start) => trace.lifecycle(start, None)?,
                        Lifecycle::Finished(start, end) => trace.lifecycle(start, Some(end))?,
                    }
                }
            }
        }
        trace.finish()
    }
}

/// Texts around the lengths at which MessagePack changes the header.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => any::<[char; 3]>().prop_map(String::from_iter),
        4 => "[a-z]{0,8}",
        1 => "[a-z]{30,33}",
        1 => "[a-z]{254,257}",
    ]
}

fn integer() -> impl Strategy<Value = i64> {
    prop_oneof![
        any::<i64>(),
        any::<i32>().prop_map(i64::from),
        any::<i16>().prop_map(i64::from),
        any::<i8>().prop_map(i64::from),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        integer().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        // Numbers that are not finite do not exist in JSON: `from` makes null of them.
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            btree_map(text(), inner, 0..6).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn name() -> impl Strategy<Value = String> {
    "[a-z0-9-]{1,40}"
}

fn gvk() -> impl Strategy<Value = String> {
    "([a-z]{1,8}(\\.[a-z]{1,8})?/)?v[1-9](beta1)?\\.[A-Z][a-z]{1,20}"
}

pub(crate) fn object() -> impl Strategy<Value = Value> {
    let namespace = proptest::option::of(name());
    (name(), name(), name(), namespace, value(), value()).prop_map(
        |(api_version, kind, name, namespace, annotations, spec)| {
            let mut object = json!({
                "apiVersion": api_version, "kind": kind,
                "metadata": {"name": name, "annotations": annotations}, "spec": spec,
            });
            if let (Some(namespace), Some(metadata)) = (namespace, object.get_mut("metadata")) {
                metadata
                    .as_object_mut()
                    .unwrap()
                    .insert("namespace".to_owned(), namespace.into());
            }
            object
        },
    )
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = (integer(), vec(object(), 0..3), vec(object(), 0..2));
    vec(event, 0..5).prop_map(|mut events| {
        events.sort_by_key(|(ts, ..)| *ts);
        events
            .into_iter()
            .map(|(ts, applied_objs, deleted_objs)| Event {
                ts,
                applied_objs,
                deleted_objs,
            })
            .collect()
    })
}

fn lifecycle() -> impl Strategy<Value = Lifecycle> {
    prop_oneof![
        integer().prop_map(Lifecycle::Running),
        (integer(), integer()).prop_map(|(a, b)| Lifecycle::Finished(a.min(b), a.max(b))),
    ]
}

/// Traces that the encoder can write, so without `Empty` lifecycles.
pub(crate) fn trace() -> impl Strategy<Value = Trace> {
    let config = btree_map(text(), value(), 0..4);
    let index = btree_map(gvk(), btree_map(name(), any::<u64>(), 0..5), 0..3);
    let hashes = btree_map(any::<u64>(), vec(lifecycle(), 1..5), 0..3);
    let pod_lifecycles = btree_map((gvk(), name()), hashes, 0..3);
    (config, events(), index, pod_lifecycles).prop_map(|(config, events, index, pod_lifecycles)| {
        Trace {
            version: 2,
            config: Value::Object(config.into_iter().collect()),
            events,
            index,
            pod_lifecycles,
        }
    })
}
