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

/// What is read of a pod that is not tracked as an object.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LeanPod<'a> {
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
    /// Of any type: an item of a list needs none.
    #[serde(borrow, default)]
    resource_version: Option<&'a RawValue>,
    #[serde(borrow, default)]
    owner_references: Option<Vec<LeanOwner<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LeanOwner<'a> {
    #[serde(borrow)]
    api_version: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    uid: Cow<'a, str>,
    #[serde(default)]
    controller: Option<bool>,
}

impl LeanPod<'_> {
    /// Its resourceVersion, where it has one.
    pub(crate) fn version(&self) -> Option<String> {
        let version = self.metadata.resource_version?.get();
        let version: String = serde_json::from_str(version).ok()?;
        (!version.is_empty()).then_some(version)
    }

    /// Namespace, name and UID, as far as it has them.
    pub(crate) fn names(&self) -> [&str; 3] {
        let metadata = &self.metadata;
        [&metadata.namespace, &metadata.name, &metadata.uid]
            .map(|text| text.as_deref().unwrap_or_default())
    }
}

/// The pod side of a pod, from its JSON: the same item as [`super::normalize`] without `tracked` gives.
///
/// # Errors
/// When the text is not JSON of that form, is of another kind, or has no name or UID or too long a one.
pub fn normalize_pod_lean(redaction: &Redaction, json: &[u8]) -> Result<Item, NormalizeError> {
    let (item, _) = read(&Gvk::pod(), redaction, json, &mut KnownSpecs::default())?;
    Ok(item)
}

/// The same for pods in the version that is watched. With it, the resourceVersion.
pub(super) fn read(
    watch: &Gvk,
    redaction: &Redaction,
    json: &[u8],
    known: &mut KnownSpecs,
) -> Result<(Item, Option<String>), NormalizeError> {
    let malformed = |error| NormalizeError::new(watch, Problem::Json(error));
    let pod: LeanPod<'_> = serde_json::from_slice(json).map_err(malformed)?;
    let version = pod.version();
    Ok((normalize_lean(known, watch, redaction, &pod)?, version))
}

/// The same of a pod whose parts have been read.
///
/// # Errors
/// When it is of another kind, has no name or UID or too long a one, or a part that is not read yet is malformed.
pub(crate) fn normalize_lean(
    known: &mut KnownSpecs,
    watch: &Gvk,
    redaction: &Redaction,
    pod: &LeanPod<'_>,
) -> Result<Item, NormalizeError> {
    identity::check_kind(watch, pod.api_version.as_deref(), pod.kind.as_deref())?;
    let owners = pod
        .metadata
        .owner_references
        .iter()
        .flatten()
        .map(|owner| OwnerRef {
            api_version: owner.api_version.clone().into_owned(),
            kind: owner.kind.clone().into_owned(),
            name: owner.name.clone().into_owned(),
            uid: Uid(owner.uid.clone().into_owned()),
            controller: owner.controller.unwrap_or(false),
        });
    let [namespace, name, uid] = pod.names();
    let identity = Identity::new(watch, namespace, name, uid, Some(owners.collect()))?;
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
