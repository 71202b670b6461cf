//! The short way for pods that are not tracked as objects: most objects of a cluster, and most of its changes.
//!
//! Only names, owners, spec and status are read; labels, annotations and managed fields, about half of a pod, are
//! passed over without being built. A pod of the form that API servers write is read in one pass by [`Scanner`], any other
//! by serde_json.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::identity::{self, Identity};
use super::known_specs::{KnownSpec, KnownSpecs, SpecDigest};
use super::scan::Scanner;
use super::{NormalizeError, Problem, Redaction, metadata};
use crate::model::pod_spec::pod_spec_hash;
use crate::model::{Gvk, Item, ObservedPod, OwnerRef, PodTimes, Uid};

/// What is read of a pod that is not tracked as an object.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LeanPod<'a> {
    #[serde(borrow, default)]
    api_version: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    metadata: LeanMetadata<'a>,
    #[serde(borrow, default, deserialize_with = "text")]
    spec: Option<&'a str>,
    /// Of its spec, where that was read on the way.
    #[serde(skip)]
    digest: Option<SpecDigest>,
    #[serde(borrow, default, deserialize_with = "text")]
    status: Option<&'a str>,
}

/// A value as it is written, unless it is null.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de str>, D::Error> {
    let raw = Option::<&RawValue>::deserialize(deserializer)?;
    Ok(raw.map(RawValue::get))
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct LeanMetadata<'a> {
    #[serde(borrow, default)]
    namespace: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    uid: Option<Cow<'a, str>>,
    /// Of any type: an item of a list needs none.
    #[serde(borrow, default, deserialize_with = "text")]
    resource_version: Option<&'a str>,
    #[serde(borrow, default)]
    owner_references: Option<Vec<LeanOwner<'a>>>,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
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

impl<'a> LeanPod<'a> {
    /// Reads a pod that is written as usual. `None`: serde_json has to read it.
    pub(crate) fn scan(scanner: &mut Scanner<'a>, known: &mut KnownSpecs) -> Option<Self> {
        let (mut api_version, mut kind) = (None, None);
        let (mut metadata, mut spec, mut status) = (None, None, None);
        scanner.object(|scanner, key| match key {
            "apiVersion" => once(&mut api_version, scanner.optional_string()?),
            "kind" => once(&mut kind, scanner.optional_string()?),
            "metadata" => once(&mut metadata, LeanMetadata::scan(scanner)?),
            "spec" if scanner.is_null()? => once(&mut spec, None),
            "spec" => once(&mut spec, Some(known.scan(scanner)?)),
            "status" if scanner.is_null()? => once(&mut status, None),
            "status" => once(&mut status, Some(scanner.raw()?)),
            _ => scanner.skip(),
        })?;
        let (spec, digest) = spec.flatten().unzip();
        Some(Self {
            api_version: api_version.flatten().map(Cow::Borrowed),
            kind: kind.flatten().map(Cow::Borrowed),
            metadata: metadata?,
            spec,
            digest: digest.flatten(),
            status: status.flatten(),
        })
    }
}

/// Takes what is written once.
fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    match place.replace(value) {
        None => Some(()),
        Some(_) => None,
    }
}

impl<'a> LeanMetadata<'a> {
    fn scan(scanner: &mut Scanner<'a>) -> Option<Self> {
        let [mut namespace, mut name, mut uid] = [None; 3];
        let (mut resource_version, mut owner_references) = (None, None);
        scanner.object(|scanner, key| match key {
            "namespace" => once(&mut namespace, scanner.optional_string()?),
            "name" => once(&mut name, scanner.optional_string()?),
            "uid" => once(&mut uid, scanner.optional_string()?),
            "resourceVersion" if scanner.is_null()? => once(&mut resource_version, None),
            "resourceVersion" => once(&mut resource_version, Some(scanner.raw()?)),
            "ownerReferences" if scanner.is_null()? => once(&mut owner_references, None),
            "ownerReferences" => {
                let mut owners = Vec::new();
                scanner.array(|scanner| {
                    owners.push(LeanOwner::scan(scanner)?);
                    Some(())
                })?;
                once(&mut owner_references, Some(owners))
            }
            _ => scanner.skip(),
        })?;
        let [namespace, name, uid] =
            [namespace, name, uid].map(|text| text.flatten().map(Cow::Borrowed));
        Some(Self {
            namespace,
            name,
            uid,
            resource_version: resource_version.flatten(),
            owner_references: owner_references.flatten(),
        })
    }
}

impl<'a> LeanOwner<'a> {
    fn scan(scanner: &mut Scanner<'a>) -> Option<Self> {
        let [mut api_version, mut kind, mut name, mut uid] = [None; 4];
        let mut controller = None;
        scanner.object(|scanner, key| match key {
            "apiVersion" => once(&mut api_version, scanner.string()?),
            "kind" => once(&mut kind, scanner.string()?),
            "name" => once(&mut name, scanner.string()?),
            "uid" => once(&mut uid, scanner.string()?),
            "controller" if scanner.is_null()? => once(&mut controller, None),
            "controller" => once(&mut controller, Some(scanner.boolean()?)),
            _ => scanner.skip(),
        })?;
        Some(Self {
            api_version: Cow::Borrowed(api_version?),
            kind: Cow::Borrowed(kind?),
            name: Cow::Borrowed(name?),
            uid: Cow::Borrowed(uid?),
            controller: controller.flatten(),
        })
    }
}

impl LeanPod<'_> {
    /// Its resourceVersion, where it has one.
    pub(crate) fn version(&self) -> Option<String> {
        let version = self.metadata.resource_version?;
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
    let mut scanner = Scanner::new(json);
    let scanned = LeanPod::scan(&mut scanner, known).filter(|_| scanner.end().is_some());
    let pod = match scanned {
        Some(pod) => pod,
        None => serde_json::from_slice(json).map_err(malformed)?,
    };
    let version = pod.version();
    Ok((normalize_lean(known, watch, redaction, &pod)?, version))
}

const NULL: &str = "null";

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
    let spec = pod.spec.unwrap_or(NULL);
    let spec = known.of(spec, pod.digest, || {
        let mut spec = serde_json::from_str(spec).map_err(failed)?;
        redaction.env(&mut spec);
        metadata::strip_inner(&mut spec);
        let containers = spec.get("containers").and_then(Value::as_array);
        Ok(KnownSpec {
            hash: pod_spec_hash(&spec),
            containers: containers.map_or(0, Vec::len),
        })
    })?;
    let status = pod.status.unwrap_or(NULL);
    let times = PodTimes::from_status_json(spec.containers, status).map_err(failed)?;
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    //! Guards against a pod that is read in another way only because its text came by the quick way.

    use proptest::prelude::*;

    use super::*;

    const POD: &str = r#"{"kind":"Pod","metadata":{"name":"web-1","namespace":"shop","uid":"u-1","resourceVersion":"17",
        "labels":{"a\"":"\u00e9"},"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web","uid":"r",
        "controller":true,"blockOwnerDeletion":true}],"managedFields":[{"fieldsV1":{"f:x":{".":{}}}}]},
        "spec":{"containers":[{"name":"c","ports":[{"containerPort":80}],"volumeMounts":[{"name":"kube-api-access-x"}]}],
        "nodeName":"n","volumes":[{"name":"kube-api-access-x"},{"name":"data","emptyDir":{}}]},
        "status":{"phase":"Running","containerStatuses":[{"state":{"running":{"startedAt":"2026-01-01T00:00:00Z"}}}]}}"#;

    fn scan(text: &[u8]) -> Option<LeanPod<'_>> {
        let mut scanner = Scanner::new(text);
        let pod = LeanPod::scan(&mut scanner, &mut KnownSpecs::default())?;
        scanner.end()?;
        Some(pod)
    }

    #[test]
    fn usual_pods_are_scanned() {
        let pod = scan(POD.as_bytes()).unwrap();
        assert!(pod.digest.is_some());
        assert_eq!(pod.version().as_deref(), Some("17"));
        let short =
            r#"{"metadata":{"ownerReferences":null,"name":null},"spec":null,"status":null}"#;
        assert!(scan(short.as_bytes()).is_some());
        let odd = POD.replace(r#""containers":["#, r#""containers":7,"x":["#);
        let odd = scan(odd.as_bytes()).unwrap();
        assert!(odd.digest.is_none() && odd.spec.is_some());
        for unusual in [
            r#"{"metadata":{"name":"\u0061"}}"#,
            r#"{"metadata":{},"spec":{},"spec":{}}"#,
            "{}",
            "[]",
        ] {
            assert!(scan(unusual.as_bytes()).is_none(), "{unusual}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_048))]

        /// Whatever is changed in a pod's text: what is scanned, serde_json reads, too, and the same.
        #[test]
        fn what_is_scanned_is_what_serde_json_reads(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..3u8), 1..3),
        ) {
            let mut text = POD.as_bytes().to_vec();
            for (at, from, how) in changes {
                let byte = *from.get(POD.as_bytes());
                match how {
                    0 => text.insert(at.index(text.len() + 1), byte),
                    1 => *at.get_mut(&mut text) = byte,
                    _ => drop(text.remove(at.index(text.len()))),
                }
            }
            if let Some(scanned) = scan(&text) {
                let read: LeanPod<'_> = serde_json::from_slice(&text).unwrap();
                prop_assert_eq!(LeanPod { digest: None, ..scanned }, read);
            }
        }
    }
}
