//! Guards what is recorded: a field that is lost here is lost for good, a volatile one that stays is a change at every
//! heartbeat, and an object that SimKube cannot read spoils the whole trace.

mod changes;
mod pods;
mod refused;

use serde_json::json;

use super::*;
use crate::config::TracerConfig;
use crate::model::{OwnerRef, RedactionKey, Timestamp, Uid};

/// What a config without opt-ins redacts, under a key that is always the same.
fn redaction() -> Redaction {
    Redaction::new(RedactionKey::from_bytes([7; 32]), &TracerConfig::default())
}

fn normalize(
    watch: &Gvk,
    tracked: Option<&TrackedKind>,
    object: Value,
) -> Result<Item, NormalizeError> {
    super::normalize(watch, tracked, &redaction(), object)
}

fn normalize_json(
    watch: &Gvk,
    tracked: Option<&TrackedKind>,
    json: &[u8],
) -> Result<Item, NormalizeError> {
    super::normalize_json(watch, tracked, &redaction(), json)
}

fn normalize_pod_lean(json: &[u8]) -> Result<Item, NormalizeError> {
    super::normalize_pod_lean(&redaction(), json)
}

fn gvk(text: &str) -> Gvk {
    text.parse().unwrap()
}

fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "uid": "u-1",
            "resourceVersion": "17",
            "generation": 3,
            "creationTimestamp": "2024-01-01T00:00:00Z",
            "deletionTimestamp": "2024-01-02T00:00:00Z",
            "deletionGracePeriodSeconds": 30,
            "managedFields": [{"manager": "kubectl"}],
            "clusterName": "gone since 1.24",
            "labels": {"app": "web"},
            "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": "{}",
                "deployment.kubernetes.io/revision": "4",
                "team": "a",
            },
            "finalizers": ["x.io/wait"],
            "ownerReferences": [{
                "apiVersion": "x.io/v1", "kind": "App", "name": "shop", "uid": "u-0", "controller": true,
            }],
        },
        "spec": {"replicas": 2, "template": {"spec": {"nodeName": "kept"}}},
        "status": {"replicas": 2},
    })
}

fn pod() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web-0", "namespace": "shop", "uid": "u-2", "labels": {"app": "web"}},
        "spec": {"nodeName": "node-1", "containers": [{"name": "c", "image": "i"}]},
        "status": {
            "phase": "Running",
            "containerStatuses": [{"state": {"running": {"startedAt": "2024-01-01T00:00:10Z"}}}],
        },
    })
}

fn owner(name: &str, controller: bool) -> OwnerRef {
    OwnerRef {
        api_version: "x.io/v1".into(),
        kind: "App".into(),
        name: name.into(),
        uid: Uid::from("u-0"),
        controller,
    }
}

fn object(watch: &str, tracked: &TrackedKind, object: Value) -> ObservedObject {
    normalize(&gvk(watch), Some(tracked), object)
        .unwrap()
        .object
        .unwrap()
}

fn default(watch: &str, json: Value) -> ObservedObject {
    object(watch, &TrackedKind::default(), json)
}

fn stored(observed: &ObservedObject) -> Value {
    rmp_serde::from_slice(&observed.body).unwrap()
}

#[track_caller]
fn refused(watch: &str, object: Value) -> String {
    match normalize(&gvk(watch), Some(&TrackedKind::default()), object) {
        Ok(item) => format!("accepted: {item:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn an_object_is_stored_whole_without_volatile_metadata() {
    let observed = default("apps/v1.Deployment", deployment());
    assert_eq!(
        stored(&observed),
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": "web",
                "namespace": "shop",
                "labels": {"app": "web"},
                "annotations": {"team": "a"},
                "finalizers": ["x.io/wait"],
                "ownerReferences": [{
                    "apiVersion": "x.io/v1", "kind": "App", "name": "shop", "uid": "u-0", "controller": true,
                }],
            },
            "spec": {"replicas": 2, "template": {"spec": {"nodeName": "kept"}}},
            "status": {"replicas": 2},
        })
    );
    assert_eq!(observed.version, "v1");
    assert_eq!(
        observed.key,
        ObjectKey::new("apps", "Deployment", "shop", "web")
    );
    assert_eq!(observed.uid, Uid::from("u-1"));
    assert_eq!(observed.owners, [owner("shop", true)]);
    assert_eq!(observed.spec_hash, simkube_hash(&deployment()["spec"]));
    assert_eq!(observed.body, encode_body(&stored(&observed)));
}

#[test]
fn a_list_item_gets_its_type_and_annotations() {
    let json = json!({"metadata": {"name": "a", "uid": "u", "annotations": null, "labels": null}});
    let observed = default("rbac.authorization.k8s.io/v1.ClusterRole", json);
    assert_eq!(
        stored(&observed),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "a", "annotations": {}},
        })
    );
    assert!(observed.key.is_cluster_scoped());
    assert_eq!(observed.spec_hash, simkube_hash(&Value::Null));
}

#[test]
fn a_pod_is_stored_without_the_node_it_runs_on() {
    let observed = default("v1.Pod", pod());
    assert_eq!(
        stored(&observed)["spec"],
        json!({"containers": [{"name": "c", "image": "i"}]})
    );
    assert_eq!(
        observed.spec_hash,
        simkube_hash(&json!({"containers": [{"name": "c", "image": "i"}]}))
    );
    let mut moved = pod();
    moved["spec"]["nodeName"] = json!("node-2");
    assert_eq!(default("v1.Pod", moved), observed);

    let json = json!({"metadata": {"name": "a", "uid": "u"}, "spec": {"nodeName": "node-1"}});
    let other = default("storage.k8s.io/v1.VolumeAttachment", json);
    assert_eq!(stored(&other)["spec"], json!({"nodeName": "node-1"}));
}

#[test]
fn a_pod_has_a_pod_side_whether_tracked_or_not() {
    let expected = ObservedPod {
        namespace: "shop".into(),
        name: "web-0".into(),
        uid: Uid::from("u-2"),
        owners: vec![],
        spec_hash: pod_spec_hash(&pod()["spec"]),
        times: PodTimes {
            start: Some(Timestamp::from_seconds(1_704_067_210)),
            containers_end: None,
            terminal: false,
        },
    };
    let item = normalize(&Gvk::pod(), None, pod()).unwrap();
    assert_eq!((item.object, item.skipped), (None, None));
    assert_eq!(item.pod, Some(expected.clone()));
    let item = normalize(&Gvk::pod(), Some(&TrackedKind::default()), pod()).unwrap();
    assert!(item.object.is_some());
    assert_eq!(item.pod, Some(expected));
    let item = normalize(
        &gvk("apps/v1.Deployment"),
        Some(&TrackedKind::default()),
        deployment(),
    )
    .unwrap();
    assert_eq!(item.pod, None);
}

#[test]
fn an_owned_object_is_skipped_where_the_kind_says_so() {
    let tracked = TrackedKind {
        skip_owned: true,
        ..TrackedKind::default()
    };
    let item = normalize(&gvk("apps/v1.Deployment"), Some(&tracked), deployment()).unwrap();
    let facts = OwnerFacts {
        gvk: gvk("apps/v1.Deployment"),
        namespace: "shop".into(),
        name: "web".into(),
        owners: vec![owner("shop", true)],
    };
    assert_eq!(item.skipped, Some((Uid::from("u-1"), facts)));
    assert_eq!((item.object, item.pod), (None, None));

    for owners in [json!([]), json!(null)] {
        let mut free = deployment();
        free["metadata"]["ownerReferences"] = owners;
        assert_eq!(object("apps/v1.Deployment", &tracked, free).owners, []);
    }

    let mut owned = pod();
    owned["metadata"]["ownerReferences"] = deployment()["metadata"]["ownerReferences"].clone();
    let item = normalize(&Gvk::pod(), Some(&tracked), owned).unwrap();
    assert!(item.object.is_none() && item.skipped.is_some());
    assert_eq!(item.pod.unwrap().owners, [owner("shop", true)]);
}
