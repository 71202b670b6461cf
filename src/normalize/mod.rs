//! From an object as the API server sends it to what is recorded of it.
//!
//! Called by the watches and by imports, for every version of every object; pure computation, no I/O. Out of one JSON
//! object comes an [`Item`]: the object side where its kind is tracked ([`ObservedObject`]: change hash, SimKube's
//! hash, the body that is stored), the pod side where it is a pod ([`ObservedPod`]: owners, times, pod-spec hash).
//!
//! What is stored is what sk-tracer stores ("What is stored of an object" in `docs/simkube-format.md`): the whole
//! object, with its status, without volatile metadata (`metadata`), for pods without `spec.nodeName`. A change is
//! decided on that same stored form, so what is not stored is never a change. Data of Secrets, and literal values of
//! environment variables where that is asked for, are digests in it (`redaction`).

use serde_json::{Map, Value};

use crate::config::{ChangeScope, TrackedKind};
use crate::limits::{NESTING_DEPTH_MAX, OBJECT_BYTES_MAX};
use crate::model::canonical::domain_hash;
use crate::model::pod_spec::pod_spec_hash;
use crate::model::simkube_hash::simkube_hash;
use crate::model::{
    ContentHash, Gvk, Item, ObjectKey, ObservedObject, ObservedPod, OwnerFacts, PodTimes,
};

mod body;
mod error;
mod identity;
mod known_specs;
mod lean_pod;
mod metadata;
mod redaction;
mod scan;
mod tree;

pub use body::encode_body;
pub use error::{NormalizeError, Problem};
pub use known_specs::KnownSpecs;
pub use lean_pod::normalize_pod_lean;
pub(crate) use lean_pod::{LeanPod, normalize_lean};
pub use redaction::Redaction;
pub(crate) use scan::Scanner;

use identity::Identity;
use tree::Tree;

/// [`normalize`] from JSON text, by the shortest way: a pod that is not tracked as an object is read lean.
///
/// # Errors
/// As [`normalize`], and when the text is not JSON or is nested more deeply than serde_json accepts (127 levels).
pub fn normalize_json(
    watch: &Gvk,
    tracked: Option<&TrackedKind>,
    redaction: &Redaction,
    json: &[u8],
) -> Result<Item, NormalizeError> {
    normalize_knowing(&mut KnownSpecs::default(), watch, tracked, redaction, json)
}

/// The same, for one object after the other: what was found of the specs of earlier pods is used again. `known` belongs
/// to one `redaction`.
///
/// # Errors
/// As [`normalize_json`]; what is wrong only in a part that the pod-spec hash leaves out may pass.
pub fn normalize_knowing(
    known: &mut KnownSpecs,
    watch: &Gvk,
    tracked: Option<&TrackedKind>,
    redaction: &Redaction,
    json: &[u8],
) -> Result<Item, NormalizeError> {
    normalize_versioned(known, watch, tracked, redaction, json).map(|(item, _)| item)
}

/// The same, and the object's resourceVersion, where it has one.
pub(crate) fn normalize_versioned(
    known: &mut KnownSpecs,
    watch: &Gvk,
    tracked: Option<&TrackedKind>,
    redaction: &Redaction,
    json: &[u8],
) -> Result<(Item, Option<String>), NormalizeError> {
    if tracked.is_none() && watch.is_pod() {
        return lean_pod::read(watch, redaction, json, known);
    }
    let (object, left_out_levels) = match serde_json::from_slice(json) {
        Ok(Tree {
            object,
            left_out_levels,
        }) => (Value::Object(object), left_out_levels),
        // Of an unusual form, or wrong.
        Err(_) => {
            let whole = serde_json::from_slice(json)
                .map_err(|error| NormalizeError::new(watch, Problem::Json(error)))?;
            (whole, 0)
        }
    };
    let version = object
        .pointer("/metadata/resourceVersion")
        .and_then(Value::as_str)
        .filter(|version| !version.is_empty())
        .map(str::to_owned);
    let item = normalize_without(left_out_levels, watch, tracked, redaction, object)?;
    Ok((item, version))
}

/// What is recorded of an object that the watch of `watch` has seen.
///
/// `tracked` is the kind's entry in the config; `None` asks for the pod side only. `redaction` says what is stored as a
/// digest only (S8). `apiVersion` and `kind` are filled
/// in where they are absent, as in the items of a list.
///
/// # Errors
/// When the object is not of that kind, has no name or UID or too long a one, has metadata that no API server sends
/// (SimKube could not read a trace with it), is nested more deeply than [`NESTING_DEPTH_MAX`] or larger than
/// [`OBJECT_BYTES_MAX`]; and without `tracked`, when it is no pod. The error names the object.
pub fn normalize(
    watch: &Gvk,
    tracked: Option<&TrackedKind>,
    redaction: &Redaction,
    object: Value,
) -> Result<Item, NormalizeError> {
    normalize_without(0, watch, tracked, redaction, object)
}

/// The same of an object from whose metadata something was left out that is nested so deeply.
fn normalize_without(
    left_out_levels: usize,
    watch: &Gvk,
    tracked: Option<&TrackedKind>,
    redaction: &Redaction,
    object: Value,
) -> Result<Item, NormalizeError> {
    let Value::Object(mut object) = object else {
        return Err(NormalizeError::new(watch, Problem::NotAnObject));
    };
    let text = |field: &str| object.get(field).and_then(Value::as_str);
    identity::check_kind(watch, text("apiVersion"), text("kind"))?;
    let metadata = match object.remove("metadata") {
        Some(Value::Object(metadata)) => metadata,
        _ => {
            return Err(NormalizeError::new(
                watch,
                Problem::Metadata { field: "metadata" },
            ));
        }
    };
    let identity = Identity::from_metadata(watch, &metadata)?;
    let failed = |problem| NormalizeError::of(watch, &identity, problem);
    let deepest = |parts: &Map<String, Value>| {
        parts
            .values()
            .map(|part| depth(part, NESTING_DEPTH_MAX))
            .max()
    };
    // The object itself is one level, its metadata another.
    let in_metadata = deepest(&metadata).unwrap_or(0).max(left_out_levels);
    let levels = (1 + deepest(&object).unwrap_or(0)).max(2 + in_metadata);
    if levels > NESTING_DEPTH_MAX {
        return Err(failed(Problem::TooDeep));
    }

    // Before any hash: what is not stored is in none.
    for part in object.values_mut() {
        redaction.env(part);
        metadata::strip_inner(part);
    }
    let mut item = Item::default();
    if watch.is_pod() {
        let spec = object.get("spec").unwrap_or(&Value::Null);
        let containers = spec
            .get("containers")
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        let status = object.get("status").unwrap_or(&Value::Null);
        item.pod = Some(ObservedPod {
            namespace: identity.namespace.clone(),
            name: identity.name.clone(),
            uid: identity.uid.clone(),
            owners: identity.owners.clone(),
            spec_hash: pod_spec_hash(spec),
            times: PodTimes::from_status(containers, status),
        });
    }
    let Some(tracked) = tracked else {
        return if watch.is_pod() {
            Ok(item)
        } else {
            Err(failed(Problem::Untracked))
        };
    };
    if tracked.skip_owned && !identity.owners.is_empty() {
        let facts = OwnerFacts {
            gvk: watch.clone(),
            namespace: identity.namespace,
            name: identity.name,
            owners: identity.owners,
        };
        item.skipped = Some((identity.uid, facts));
        return Ok(item);
    }

    let metadata = metadata::stored(metadata).map_err(failed)?;
    object.insert("metadata".into(), Value::Object(metadata));
    object.insert("apiVersion".into(), Value::String(watch.api_version()));
    object.insert("kind".into(), Value::String(watch.kind.clone()));
    if watch.is_secret() {
        redaction.secret(&identity, &mut object);
    }
    if watch.is_pod()
        && let Some(Value::Object(spec)) = object.get_mut("spec")
    {
        spec.remove("nodeName");
    }
    let spec_hash = simkube_hash(object.get("spec").unwrap_or(&Value::Null));
    let change_hash = change_hash(tracked.changes, watch, &mut object);
    let body = body::encode_object(&object);
    if body.len() > OBJECT_BYTES_MAX {
        return Err(failed(Problem::TooLarge { bytes: body.len() }));
    }
    item.object = Some(ObservedObject {
        version: watch.version.clone(),
        key: ObjectKey::new(
            watch.group.clone(),
            watch.kind.clone(),
            identity.namespace,
            identity.name,
        ),
        uid: identity.uid,
        owners: identity.owners,
        change_hash,
        spec_hash,
        body,
    });
    Ok(item)
}

/// An object of a trace file as it is recorded. It has no UID; the one in the result means nothing.
///
/// # Errors
/// As [`normalize`].
pub fn imported(
    redaction: &Redaction,
    mut object: Value,
) -> Result<ObservedObject, NormalizeError> {
    let text = |field: &str| {
        object
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let kind = Gvk::from_api_version(text("apiVersion"), text("kind"));
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        metadata.insert("uid".to_owned(), Value::String("imported".to_owned()));
    }
    let item = normalize(&kind, Some(&TrackedKind::default()), redaction, object)?;
    item.object
        .ok_or_else(|| NormalizeError::new(&kind, Problem::Untracked))
}

/// The hash of what counts as a change (R6), over an object as it is stored; leaves it as it was.
///
/// The API version always counts: an object read in another version is stored anew, since a trace names it by its
/// version. A spec that is `null` is none.
fn change_hash(
    scope: Option<ChangeScope>,
    watch: &Gvk,
    object: &mut Map<String, Value>,
) -> ContentHash {
    let spec = object.get("spec").filter(|spec| !spec.is_null());
    match (scope.unwrap_or(ChangeScope::Spec), spec) {
        (ChangeScope::Spec, Some(spec)) => {
            domain_hash(&format!("spec {}", watch.api_version()), spec)
        }
        (ChangeScope::Object, _) | (ChangeScope::Spec, None) => {
            let status = object.remove("status");
            let whole = Value::Object(std::mem::take(object));
            let hash = domain_hash("object", &whole);
            if let Value::Object(whole) = whole {
                *object = whole;
            }
            if let Some(status) = status {
                object.insert("status".into(), status);
            }
            hash
        }
    }
}

/// How deeply arrays and objects are nested in a value, at most `limit`: 0 for a scalar, 1 for `[]`.
fn depth(value: &Value, limit: usize) -> usize {
    let Some(below) = limit.checked_sub(1) else {
        return 0;
    };
    let deepest = match value {
        Value::Array(items) => items.iter().map(|item| depth(item, below)).max(),
        Value::Object(entries) => entries.values().map(|entry| depth(entry, below)).max(),
        _ => return 0,
    };
    1 + deepest.unwrap_or(0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;
