//! SimKube's parser and hashes, called and not repeated.

use anyhow::{Context, Result};
use serde_json::Value;
use sk_core::jsonutils;
use sk_core::k8s::PodExt;
use sk_core::prelude::{DynamicObject, corev1};
use sk_store::ExportedTrace;

/// Reads a trace with SimKube's importer: version 2, all fields, and a config that survives `normalize`.
pub fn import(bytes: &[u8]) -> Result<ExportedTrace> {
    ExportedTrace::import(bytes.to_vec(), None)
}

/// Reads a trace as it stands in the file, without the importer's `normalize` of its config.
pub fn decode(bytes: &[u8]) -> Result<ExportedTrace> {
    rmp_serde::from_slice(bytes).context("SimKube's types do not decode this trace")
}

/// SimKube's hash of any JSON value.
#[must_use]
pub fn json_hash(value: &Value) -> u64 {
    jsonutils::hash(value)
}

/// What SimKube writes into the index for this object.
#[must_use]
pub fn index_hash(object: &DynamicObject) -> u64 {
    jsonutils::hash_option(object.data.get("spec"))
}

/// The pod spec as SimKube hashes it: through its typed `PodSpec` and `stable_spec`.
pub fn stable_pod_spec(spec: &Value) -> Result<Value> {
    let spec: corev1::PodSpec =
        serde_json::from_value(spec.clone()).context("SimKube's PodSpec refuses this spec")?;
    let pod = corev1::Pod {
        spec: Some(spec),
        ..Default::default()
    };
    Ok(serde_json::to_value(pod.stable_spec()?)?)
}

/// SimKube's pod-spec hash, exactly as its tracer computes it.
pub fn pod_spec_hash(spec: &Value) -> Result<u64> {
    Ok(jsonutils::hash(&stable_pod_spec(spec)?))
}
