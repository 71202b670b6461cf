//! Guards what is recorded: a field that is lost here is lost for good, a volatile one that stays is a change at every
//! heartbeat, and an object that SimKube cannot read spoils the whole trace.
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::config::TracerConfig;
use crate::limits::NAME_BYTES_MAX;
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

/// Whether a change at a pointer (the new value, or `None` to remove the field) is one that is recorded.
fn counts(
    scope: Option<ChangeScope>,
    watch: &str,
    before: &Value,
    pointer: &str,
    value: Option<Value>,
) -> bool {
    let tracked = TrackedKind {
        changes: scope,
        ..TrackedKind::default()
    };
    let mut after = before.clone();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let field = field.replace("~1", "/");
    let parent = after.pointer_mut(parent).unwrap();
    match value {
        Some(value) => parent[field.as_str()] = value,
        None => assert!(
            parent.as_object_mut().unwrap().remove(&field).is_some(),
            "{pointer}"
        ),
    }
    assert_ne!(&after, before, "{pointer} is no change");
    object(watch, &tracked, after).change_hash
        != object(watch, &tracked, before.clone()).change_hash
}

#[test]
fn what_counts_as_a_change_of_an_object_with_a_spec() {
    let before = deployment();
    for (pointer, value, in_spec, in_object) in [
        ("/spec/replicas", Some(json!(3)), true, true),
        ("/spec/replicas", Some(json!(2.0)), true, true),
        ("/spec/empty", Some(json!({})), true, true),
        ("/spec/template", None, true, true),
        ("/metadata/labels/app", Some(json!("api")), false, true),
        ("/metadata/annotations/team", Some(json!("b")), false, true),
        ("/metadata/finalizers", None, false, true),
        (
            "/metadata/ownerReferences/0/uid",
            Some(json!("u-9")),
            false,
            true,
        ),
        ("/metadata/ownerReferences", None, false, true),
        ("/data", Some(json!({"a": "b"})), false, true),
        ("/status/replicas", Some(json!(1)), false, false),
        ("/status", None, false, false),
        ("/metadata/resourceVersion", Some(json!("18")), false, false),
        ("/metadata/generation", Some(json!(4)), false, false),
        ("/metadata/managedFields", None, false, false),
        ("/metadata/creationTimestamp", None, false, false),
        ("/metadata/deletionTimestamp", None, false, false),
        ("/metadata/deletionGracePeriodSeconds", None, false, false),
        ("/metadata/clusterName", None, false, false),
        ("/metadata/uid", Some(json!("u-7")), false, false),
        (
            "/metadata/annotations/deployment.kubernetes.io~1revision",
            None,
            false,
            false,
        ),
    ] {
        for (scope, expected) in [
            (None, in_spec),
            (Some(ChangeScope::Spec), in_spec),
            (Some(ChangeScope::Object), in_object),
        ] {
            let counted = counts(scope, "apps/v1.Deployment", &before, pointer, value.clone());
            assert_eq!(counted, expected, "{pointer} {value:?} {scope:?}");
        }
    }
}

#[test]
fn of_an_object_without_a_spec_everything_but_the_status_counts() {
    for spec in [None, Some(Value::Null)] {
        let mut before = json!({
            "metadata": {"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "1", "labels": {"a": "b"}},
            "data": {"key": "value"},
            "status": {"x": 1},
        });
        if let Some(spec) = spec {
            before["spec"] = spec;
        }
        for scope in [None, Some(ChangeScope::Spec), Some(ChangeScope::Object)] {
            for (pointer, value, expected) in [
                ("/data/key", json!("other"), true),
                ("/binaryData", json!({}), true),
                ("/metadata/labels/a", json!("c"), true),
                ("/spec", json!({}), true),
                ("/status/x", json!(2), false),
                ("/metadata/resourceVersion", json!("2"), false),
            ] {
                let counted = counts(scope, "v1.ConfigMap", &before, pointer, Some(value));
                assert_eq!(counted, expected, "{pointer} {scope:?}");
            }
        }
    }
}

#[test]
fn the_two_scopes_never_have_the_same_hash() {
    let with = |scope| TrackedKind {
        changes: Some(scope),
        ..TrackedKind::default()
    };
    let spec = object("apps/v1.Deployment", &with(ChangeScope::Spec), deployment());
    let whole = object(
        "apps/v1.Deployment",
        &with(ChangeScope::Object),
        deployment(),
    );
    assert_ne!(spec.change_hash, whole.change_hash);
    assert_eq!(spec.body, whole.body);
}

#[test]
fn an_object_read_in_another_version_is_changed() {
    let v1 = default(
        "x.io/v1.App",
        json!({"metadata": {"name": "a", "uid": "u"}, "spec": {}}),
    );
    let v2 = default(
        "x.io/v2.App",
        json!({"metadata": {"name": "a", "uid": "u"}, "spec": {}}),
    );
    assert_ne!(v1.change_hash, v2.change_hash);
    assert_eq!(v1.key, v2.key);
}

#[test]
fn what_no_api_server_sends_is_refused_by_name() {
    let metadata = |key: &str, value: Value| {
        let mut object = deployment();
        object["metadata"][key] = value;
        object
    };
    let long = "x".repeat(NAME_BYTES_MAX + 1);
    let wrong = |field: &str| format!("{field} is absent or not what the Kubernetes API has there");
    let named = |field: &str| format!("apps/v1.Deployment shop/web: {}", wrong(field));
    let unnamed = |field: &str| format!("apps/v1.Deployment: {}", wrong(field));
    let reference = |key: &str, value: Value| {
        let mut object = deployment();
        object["metadata"]["ownerReferences"][0][key] = value;
        object
    };
    for (object, expected) in [
        (json!(null), "apps/v1.Deployment: not a JSON object".into()),
        (json!([]), "apps/v1.Deployment: not a JSON object".into()),
        (json!({}), unnamed("metadata")),
        (json!({"metadata": null}), unnamed("metadata")),
        (json!({"metadata": "x"}), unnamed("metadata")),
        (json!({"metadata": {"uid": "u"}}), unnamed("metadata.name")),
        (metadata("name", json!("")), unnamed("metadata.name")),
        (metadata("name", json!(1)), unnamed("metadata.name")),
        (metadata("namespace", json!(1)), unnamed("metadata.namespace")),
        (metadata("uid", json!(null)), named("metadata.uid")),
        (metadata("uid", json!("")), named("metadata.uid")),
        (metadata("labels", json!({"a": 1})), named("metadata.labels")),
        (metadata("labels", json!([])), named("metadata.labels")),
        (metadata("annotations", json!({"a": null})), named("metadata.annotations")),
        (metadata("finalizers", json!("x")), named("metadata.finalizers")),
        (metadata("finalizers", json!([1])), named("metadata.finalizers")),
        (metadata("generateName", json!({})), named("metadata.generateName")),
        (metadata("selfLink", json!(1)), named("metadata.selfLink")),
        (metadata("ownerReferences", json!({})), named("metadata.ownerReferences")),
        (metadata("ownerReferences", json!(["x"])), named("metadata.ownerReferences")),
        (reference("uid", json!(null)), named("metadata.ownerReferences")),
        (reference("kind", json!(1)), named("metadata.ownerReferences")),
        (reference("controller", json!("yes")), named("metadata.ownerReferences")),
        (reference("blockOwnerDeletion", json!("yes")), named("metadata.ownerReferences")),
        (
            metadata("name", json!(long)),
            "apps/v1.Deployment: metadata.name is 1025 bytes long, at most 1024 are accepted".into(),
        ),
        (
            metadata("namespace", json!(long)),
            "apps/v1.Deployment: metadata.namespace is 1025 bytes long, at most 1024 are accepted".into(),
        ),
        (
            metadata("uid", json!(long)),
            "apps/v1.Deployment shop/web: metadata.uid is 1025 bytes long, at most 1024 are accepted".into(),
        ),
        (
            reference("name", json!(long)),
            "apps/v1.Deployment shop/web: metadata.ownerReferences is 1025 bytes long, at most 1024 are accepted".into(),
        ),
    ] {
        let text = object.to_string();
        assert_eq!(refused("apps/v1.Deployment", object), expected, "{}", text.get(..200).unwrap_or(&text));
    }
    assert_eq!(
        refused("v1.Node", json!({"metadata": {"name": "n"}})),
        "v1.Node n: metadata.uid is absent or not what the Kubernetes API has there"
    );
}

#[test]
fn an_object_of_another_kind_is_refused() {
    for (watch, found) in [
        ("apps/v1.StatefulSet", "apps/v1 Deployment"),
        ("apps/v1beta1.Deployment", "apps/v1 Deployment"),
        ("v1.Pod", "apps/v1 Deployment"),
    ] {
        let expected = format!("{watch}: an object of another kind, {found}");
        assert_eq!(refused(watch, deployment()), expected);
        if watch == "v1.Pod" {
            let error = normalize_pod_lean(deployment().to_string().as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }
    let status = json!({"apiVersion": "v1", "kind": "Status", "metadata": {}, "code": 410});
    assert_eq!(
        refused("v1.ConfigMap", status),
        "v1.ConfigMap: an object of another kind, v1 Status"
    );
}

#[test]
fn only_pods_can_be_seen_untracked() {
    let error = normalize(&gvk("apps/v1.Deployment"), None, deployment()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "apps/v1.Deployment shop/web: neither tracked nor a pod"
    );
}

/// `levels` arrays inside each other.
fn nested(levels: usize) -> Value {
    (1..levels).fold(json!([]), |inner, _| Value::Array(vec![inner]))
}

#[test]
fn nesting_is_bounded() {
    let at = |levels: usize| {
        let mut object = deployment();
        object["spec"] = nested(levels - 1);
        refused("apps/v1.Deployment", object)
    };
    assert!(
        at(NESTING_DEPTH_MAX).starts_with("accepted"),
        "{}",
        at(NESTING_DEPTH_MAX)
    );
    let expected = "apps/v1.Deployment shop/web: nested more than 128 levels deep";
    assert_eq!(at(NESTING_DEPTH_MAX + 1), expected);
    assert_eq!(at(500), expected);
    let mut owned = deployment();
    owned["metadata"]["ownerReferences"][0]["extra"] = nested(NESTING_DEPTH_MAX);
    assert_eq!(refused("apps/v1.Deployment", owned), expected);
}

#[test]
fn deeply_nested_json_is_refused_and_does_not_overflow() {
    let deep = format!(
        "{{\"metadata\":{{}},\"spec\":{}{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    for tracked in [None, Some(&TrackedKind::default())] {
        let error = normalize_json(&Gvk::pod(), tracked, deep.as_bytes()).unwrap_err();
        assert!(
            matches!(error.problem, Problem::Json(_) | Problem::Metadata { .. }),
            "{error}"
        );
    }
    let deep = deep.replace(
        "\"metadata\":{}",
        "\"metadata\":{\"name\":\"a\",\"uid\":\"u\"}",
    );
    for tracked in [None, Some(&TrackedKind::default())] {
        let error = normalize_json(&Gvk::pod(), tracked, deep.as_bytes()).unwrap_err();
        assert!(
            error.to_string().contains("recursion limit exceeded"),
            "{error}"
        );
    }
}

#[test]
fn size_is_bounded() {
    let mut large = deployment();
    large["spec"]["blob"] = json!("x".repeat(OBJECT_BYTES_MAX));
    let message = refused("apps/v1.Deployment", large);
    assert!(
        message.starts_with("apps/v1.Deployment shop/web: "),
        "{}",
        message.get(..200).unwrap_or(&message)
    );
    assert!(message.ends_with("bytes as MessagePack, at most 16777216 are accepted"));
}

#[test]
fn text_that_is_not_json_is_refused() {
    for (tracked, json) in [
        (None, &b"{\"metadata\":"[..]),
        (Some(TrackedKind::default()), &b"{\"metadata\":"[..]),
        (None, &b"\xff"[..]),
        (
            None,
            &b"{\"metadata\":{\"name\":\"a\",\"uid\":\"u\"}} {}"[..],
        ),
        (
            Some(TrackedKind::default()),
            &b"{\"metadata\":{\"name\":\"a\",\"uid\":\"u\"}} {}"[..],
        ),
    ] {
        let error = normalize_json(&Gvk::pod(), tracked.as_ref(), json).unwrap_err();
        assert!(matches!(error.problem, Problem::Json(_)), "{error}");
        assert!(
            error
                .to_string()
                .starts_with("v1.Pod: not JSON of the expected form: "),
            "{error}"
        );
    }
}

#[test]
fn json_gives_what_the_value_gives() {
    let tracked = TrackedKind::default();
    let from_json = normalize_json(
        &gvk("apps/v1.Deployment"),
        Some(&tracked),
        deployment().to_string().as_bytes(),
    );
    let from_value = normalize(&gvk("apps/v1.Deployment"), Some(&tracked), deployment());
    assert_eq!(from_json.unwrap(), from_value.unwrap());
}

/// Pods whose parts come and go, also with wrong types in the status and names that need escapes.
fn any_pod() -> impl Strategy<Value = Value> {
    let time = prop_oneof![
        Just(json!("2024-01-01T00:00:10Z")),
        Just(json!("2024-01-01T00:00:11.5Z")),
        Just(json!("never")),
        Just(json!(5)),
        Just(Value::Null),
    ];
    let state = (time.clone(), time, 0..4).prop_map(|(start, end, kind)| match kind {
        0 => json!({"state": {"running": {"startedAt": start}}}),
        1 => json!({"state": {"terminated": {"startedAt": start, "finishedAt": end}}}),
        2 => json!({"state": {}, "lastState": {"terminated": {"startedAt": start, "finishedAt": end}}}),
        _ => json!({"state": [start]}),
    });
    let states = prop::collection::vec(state, 0..3);
    let owners = prop_oneof![
        Just(Value::Null),
        Just(json!([])),
        Just(json!([{"apiVersion": "a/v1", "kind": "K\"", "name": "n", "uid": "u"}])),
        Just(
            json!([{"apiVersion": "v1", "kind": "K", "name": "n", "uid": "u", "controller": true, "x": [1]}])
        ),
    ];
    let name = prop_oneof![Just("a"), Just("a\"b\\é\n")];
    let phase = prop_oneof![
        Just(json!("Failed")),
        Just(json!("Running")),
        Just(json!(1))
    ];
    (name, owners, states.clone(), states, phase, 0..4u8, 0..3usize).prop_map(
        |(name, owners, init, main, phase, absent, containers)| {
            let mut pod = json!({
                "metadata": {"name": name, "namespace": name, "uid": name, "ownerReferences": owners},
                "spec": {"containers": vec![json!({"name": "c", "ports": [], "newer": 1}); containers]},
                "status": {"phase": phase, "initContainerStatuses": init, "containerStatuses": main},
            });
            match absent {
                0 => pod["spec"] = Value::Null,
                1 => pod["status"] = Value::Null,
                2 => drop(pod.as_object_mut().and_then(|pod| pod.remove("status"))),
                _ => {}
            }
            pod
        },
    )
}

/// Pods of few specs, written in ways that may be taken for each other.
fn any_similar_pod() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just(json!("kube-api-access-aaaaa")),
        Just(json!("kube-api-access-bbbbb")),
        Just(json!("data")),
        Just(json!(1)),
    ];
    let volumes = prop_oneof![
        Just(json!([])),
        name.clone().prop_map(|name| json!([{"name": name}])),
        name.clone()
            .prop_map(|name| json!([{"name": name, "x": 1}, {"name": "last"}])),
        name.prop_map(|name| json!([[name]])),
        Just(json!("none")),
    ];
    let ports = prop_oneof![Just(json!([])), Just(json!([{"containerPort": 80}]))];
    let list = prop_oneof![Just("containers"), Just("initContainers"), Just("other")];
    let field = prop_oneof![
        Just("nodeName"),
        Just("serviceAccount"),
        Just("hostname"),
        Just("volumes"),
    ];
    (volumes.clone(), volumes, ports, list, field, "[ab]", 0..3usize).prop_map(
        |(volumes, mounts, ports, list, field, text, containers)| {
            let container = json!({"name": "c", "ports": ports, "volumeMounts": mounts});
            let containers = Value::from(vec![container; containers]);
            // The same field may be written twice: the last one counts.
            format!(
                r#"{{"metadata":{{"name":"p","uid":"u"}},"spec":{{"volumes":{volumes},"{list}":{containers},"{field}":"{text}"}}}}"#
            )
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_known_of_earlier_specs_changes_nothing(
        pods in prop::collection::vec(any_similar_pod(), 1..64),
    ) {
        let mut known = super::KnownSpecs::default();
        for pod in &pods {
            let fresh = normalize_json(&Gvk::pod(), None, pod.as_bytes());
            let again =
                super::normalize_knowing(&mut known, &Gvk::pod(), None, &redaction(), pod.as_bytes());
            prop_assert_eq!(fresh.unwrap(), again.unwrap(), "{}", pod);
        }
    }
}

proptest! {
    #[test]
    fn the_lean_way_gives_the_same_pod(pod in any_pod()) {
        let lean = normalize_pod_lean(pod.to_string().as_bytes()).unwrap();
        prop_assert_eq!(&lean, &normalize_json(&Gvk::pod(), None, pod.to_string().as_bytes()).unwrap());
        prop_assert_eq!(lean, normalize(&Gvk::pod(), None, pod).unwrap());
    }
}
