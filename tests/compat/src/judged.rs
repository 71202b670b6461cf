//! A trace that SimKube accepted, as plain values in a fixed order, so that two of them can be compared.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sk_core::k8s::{GVK, PodLifecycleData};
use sk_core::prelude::{DynamicObject, KubeResourceExt};
use sk_store::ExportedTrace;

use crate::referee;

/// `apps/v1.Deployment` and `namespace/name` (`name` alone for a cluster-scoped object).
pub type ObjectName = (String, String);

/// One change of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Unix seconds of the event.
    pub ts: i64,
    /// The object as it stood in the event, or nothing where it was deleted.
    pub applied: Option<Value>,
}

/// Owner, pod-spec hash.
pub type LifecycleKey = (ObjectName, u64);

/// Start and, unless the pod was still running, end; Unix seconds.
pub type Lifecycle = (i64, Option<i64>);

/// Kind and name, as SimKube spells them in `index` and `pod_lifecycles`.
pub fn object_name(object: &DynamicObject) -> Result<ObjectName> {
    let gvk = GVK::from_dynamic_obj(object)
        .with_context(|| format!("{:?} has no kind", object.metadata.name))?;
    Ok((gvk.to_string(), object.namespaced_name()))
}

/// Every object's changes in file order. Within one event the applied objects come first, as a replay takes them.
pub fn changes(trace: &ExportedTrace) -> Result<BTreeMap<ObjectName, Vec<Change>>> {
    let mut all: BTreeMap<ObjectName, Vec<Change>> = BTreeMap::new();
    for (event, _) in trace.iter() {
        for object in &event.applied_objs {
            let change = Change {
                ts: event.ts,
                applied: Some(comparable(object)?),
            };
            all.entry(object_name(object)?).or_default().push(change);
        }
        for object in &event.deleted_objs {
            let change = Change {
                ts: event.ts,
                applied: None,
            };
            all.entry(object_name(object)?).or_default().push(change);
        }
    }
    Ok(all)
}

/// SimKube's hash of the last spec that the trace holds for each object.
pub fn last_spec_hashes(trace: &ExportedTrace) -> Result<BTreeMap<ObjectName, u64>> {
    let mut hashes = BTreeMap::new();
    for (event, _) in trace.iter() {
        for object in &event.applied_objs {
            hashes.insert(object_name(object)?, referee::index_hash(object));
        }
    }
    Ok(hashes)
}

/// The entries of `index`, which `TraceIndex` itself does not list.
pub fn index(trace: &ExportedTrace) -> Result<BTreeMap<ObjectName, u64>> {
    let kinds: BTreeMap<String, BTreeMap<String, u64>> =
        serde_json::from_value(serde_json::to_value(&trace.index)?)?;
    let mut entries = BTreeMap::new();
    for (gvk, objects) in kinds {
        for (name, hash) in objects {
            entries.insert((gvk.clone(), name), hash);
        }
    }
    Ok(entries)
}

/// The lifecycles, each list sorted: what is in it counts here, not where it stands.
pub fn lifecycles(trace: &ExportedTrace) -> Result<BTreeMap<LifecycleKey, Vec<Lifecycle>>> {
    let mut all = BTreeMap::new();
    for ((gvk, owner), by_hash) in &trace.pod_lifecycles {
        for (hash, list) in by_hash {
            let mut plain = list
                .iter()
                .map(plain_lifecycle)
                .collect::<Result<Vec<_>>>()?;
            plain.sort_unstable();
            all.insert(((gvk.to_string(), owner.clone()), *hash), plain);
        }
    }
    Ok(all)
}

/// SimKube's pod-spec hash of every spec that the trace holds of a bare pod, by `namespace/name`.
pub fn bare_pod_hashes(trace: &ExportedTrace) -> Result<BTreeMap<String, BTreeSet<u64>>> {
    let mut hashes: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for (event, _) in trace.iter() {
        for object in &event.applied_objs {
            let (gvk, name) = object_name(object)?;
            if let (true, Some(spec)) = (gvk == "v1.Pod", object.data.get("spec")) {
                hashes
                    .entry(name)
                    .or_default()
                    .insert(referee::pod_spec_hash(spec)?);
            }
        }
    }
    Ok(hashes)
}

/// The config as JSON: `TracerConfig` has no equality of its own.
pub fn config(trace: &ExportedTrace) -> Result<Value> {
    Ok(serde_json::to_value(&trace.config)?)
}

/// Fails with the first entry that is not the same on both sides: whole traces are too long to read.
pub fn ensure_same<K, V>(what: &str, ours: &BTreeMap<K, V>, expected: &BTreeMap<K, V>) -> Result<()>
where
    K: Ord + std::fmt::Debug,
    V: PartialEq + std::fmt::Debug,
{
    let keys: BTreeSet<&K> = ours.keys().chain(expected.keys()).collect();
    for key in keys {
        let (ours, expected) = (ours.get(key), expected.get(key));
        ensure!(
            ours == expected,
            "{what} of {key:?}\nours:     {ours:?}\nexpected: {expected:?}"
        );
    }
    Ok(())
}

/// A window that holds all of a trace: from its first event to behind everything that it knows of.
pub fn whole_range(trace: &ExportedTrace) -> Result<(i64, i64)> {
    let start = trace.start_ts().context("the trace has no events")?;
    let last_event = trace.end_ts().context("the trace has no events")?;
    let last_pod = trace
        .pod_lifecycles
        .values()
        .flat_map(|by_hash| by_hash.values().flatten());
    let last = last_pod.fold(last_event, |last, lifecycle| {
        let known = lifecycle.end_ts().or(lifecycle.start_ts());
        known.map_or(last, |ts| last.max(ts))
    });
    Ok((start, last + 1))
}

/// What SimKube's tools need of a trace and its importer does not check: sk-driver and `skctl validate` panic, stop or replay
/// something else without it.
pub fn check_replayable(trace: &ExportedTrace) -> Result<()> {
    ensure!(trace.version == 2, "version {}", trace.version);
    ensure!(trace.len() > 0, "no events: sk-driver refuses such a trace");
    let mut previous = i64::MIN;
    let mut objects = BTreeSet::new();
    for (event, _) in trace.iter() {
        ensure!(
            event.ts >= previous,
            "time goes back from {previous} to {}",
            event.ts
        );
        previous = event.ts;
        let mut applied_here = BTreeSet::new();
        for object in &event.applied_objs {
            let name = object_name(object)?;
            ensure!(
                object.metadata.namespace.is_some(),
                "{name:?}: sk-driver panics on an object without a namespace"
            );
            ensure!(object.metadata.name.is_some(), "{name:?}: no name");
            ensure!(
                object.metadata.uid.is_none(),
                "{name:?}: a server-side apply with a uid is refused"
            );
            ensure!(
                object.metadata.resource_version.is_none(),
                "{name:?}: an apply with a resourceVersion is refused"
            );
            ensure!(
                object.metadata.managed_fields.is_none(),
                "{name:?}: an apply with managedFields is refused"
            );
            applied_here.insert(name.clone());
            objects.insert(name);
        }
        for object in &event.deleted_objs {
            let name = object_name(object)?;
            ensure!(
                object.metadata.namespace.is_some(),
                "{name:?}: sk-driver panics on an object without a namespace"
            );
            objects.insert(name);
        }
    }
    let index: BTreeSet<ObjectName> = index(trace)?.into_keys().collect();
    let missing: Vec<_> = objects.difference(&index).collect();
    ensure!(
        missing.is_empty(),
        "in the events and not in the index: {missing:?}"
    );
    let stray: Vec<_> = index.difference(&objects).collect();
    ensure!(
        stray.is_empty(),
        "in the index and not in the events: {stray:?}"
    );
    for ((owner, hash), list) in lifecycles(trace)? {
        ensure!(
            index.contains(&owner),
            "{owner:?} owns lifecycles and is not in the index"
        );
        ensure!(
            !list.is_empty(),
            "{owner:?} {hash}: an empty list, on which sk-driver divides by zero"
        );
        for (start, end) in list {
            ensure!(
                end.is_none_or(|end| end >= start),
                "{owner:?} {hash}: ends at {end:?}, before its start {start}"
            );
        }
    }
    Ok(())
}

/// SimKube leaves an empty `annotations` map where there was one to clean; present and absent mean the same.
fn comparable(object: &DynamicObject) -> Result<Value> {
    let mut object = object.clone();
    if object
        .metadata
        .annotations
        .as_ref()
        .is_some_and(BTreeMap::is_empty)
    {
        object.metadata.annotations = None;
    }
    Ok(serde_json::to_value(object)?)
}

fn plain_lifecycle(lifecycle: &PodLifecycleData) -> Result<Lifecycle> {
    match *lifecycle {
        PodLifecycleData::Running(start) => Ok((start, None)),
        PodLifecycleData::Finished(start, end) => Ok((start, Some(end))),
        PodLifecycleData::Empty => anyhow::bail!("an empty lifecycle, which is never stored"),
    }
}
