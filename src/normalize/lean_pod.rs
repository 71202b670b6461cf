//! The short way for pods that are not tracked as objects: most objects of a cluster, and most of its changes.
//!
//! Only names, owners, spec and status are read; labels, annotations and managed fields, about half of a pod, are
//! passed over without being built.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::identity::{self, Identity};
use super::known_specs::{KnownSpec, KnownSpecs};
use super::{NormalizeError, Problem, Redaction};
use crate::model::pod_spec::pod_spec_hash;
use crate::model::{Gvk, Item, ObservedPod, OwnerRef, PodTimes, Uid};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LeanPod<'a> {
    #[serde(borrow, default)]
    api_version: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    metadata: LeanMetadata<'a>,
    #[serde(borrow, default)]
    spec: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LeanMetadata<'a> {
    #[serde(borrow, default)]
    namespace: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    uid: Option<Cow<'a, str>>,
    #[serde(default)]
    owner_references: Option<Vec<LeanOwner>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LeanOwner {
    api_version: String,
    kind: String,
    name: String,
    uid: String,
    #[serde(default)]
    controller: Option<bool>,
}

/// The pod side of a pod, from its JSON: the same item as [`super::normalize`] without `tracked` gives.
///
/// # Errors
/// When the text is not JSON of that form, is of another kind, or has no name or UID or too long a one.
pub fn normalize_pod_lean(redaction: &Redaction, json: &[u8]) -> Result<Item, NormalizeError> {
    read(&Gvk::pod(), redaction, json, &mut KnownSpecs::default())
}

/// The same for pods in the version that is watched.
pub(super) fn read(
    watch: &Gvk,
    redaction: &Redaction,
    json: &[u8],
    known: &mut KnownSpecs,
) -> Result<Item, NormalizeError> {
    let malformed = |error| NormalizeError::new(watch, Problem::Json(error));
    let pod: LeanPod<'_> = serde_json::from_slice(json).map_err(malformed)?;
    identity::check_kind(watch, pod.api_version.as_deref(), pod.kind.as_deref())?;
    let metadata = pod.metadata;
    let owners = metadata
        .owner_references
        .unwrap_or_default()
        .into_iter()
        .map(|owner| OwnerRef {
            api_version: owner.api_version,
            kind: owner.kind,
            name: owner.name,
            uid: Uid(owner.uid),
            controller: owner.controller.unwrap_or(false),
        });
    let identity = Identity::new(
        watch,
        &metadata.namespace.unwrap_or_default(),
        &metadata.name.unwrap_or_default(),
        &metadata.uid.unwrap_or_default(),
        Some(owners.collect()),
    )?;
    let failed = |error| NormalizeError::of(watch, &identity, Problem::Json(error));
    let spec = pod.spec.unwrap_or(RawValue::NULL);
    let spec = known.of(spec, || {
        let mut spec = serde_json::from_str(spec.get()).map_err(failed)?;
        redaction.env(&mut spec);
        let containers = spec.get("containers").and_then(Value::as_array);
        Ok(KnownSpec {
            hash: pod_spec_hash(&spec),
            containers: containers.map_or(0, Vec::len),
        })
    })?;
    let status = pod.status.unwrap_or(RawValue::NULL);
    let times = PodTimes::from_status_json(spec.containers, status.get()).map_err(failed)?;
    Ok(Item {
        pod: Some(ObservedPod {
            namespace: identity.namespace,
            name: identity.name,
            uid: identity.uid,
            owners: identity.owners,
            spec_hash: spec.hash,
            times,
        }),
        ..Item::default()
    })
}
