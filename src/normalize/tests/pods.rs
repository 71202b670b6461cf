//! The quick ways of reading a pod give what the slow one gives.

use proptest::prelude::*;

use super::*;
use crate::model::pod_spec::pod_spec_hash;

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

/// What a simulation makes of a template that was stored without it must have the hash of the pod.
#[test]
fn a_last_applied_configuration_in_a_pods_volume_is_neither_stored_nor_hashed() {
    let pod = |annotations: Value| {
        let claim = json!({"metadata": {"annotations": annotations}, "spec": {"accessModes": ["ReadWriteOnce"]}});
        json!({
            "metadata": {"name": "p", "namespace": "n", "uid": "u"},
            "spec": {
                "containers": [{"name": "c", "image": "i"}],
                "volumes": [{"name": "v", "ephemeral": {"volumeClaimTemplate": claim}}],
            },
        })
    };
    let applied = pod(
        json!({"kubectl.kubernetes.io/last-applied-configuration": "PLAIN", "kept": "as it is"}),
    );
    let hash = pod_spec_hash(&pod(json!({"kept": "as it is"}))["spec"]);
    let tracked = TrackedKind::default();
    let whole = normalize(&Gvk::pod(), Some(&tracked), applied.clone()).unwrap();
    let body = whole.object.unwrap().body;
    assert!(!body.windows(5).any(|bytes| bytes == b"PLAIN"));
    assert!(body.windows(8).any(|bytes| bytes == b"as it is"));
    assert_eq!(whole.pod.unwrap().spec_hash, hash);
    let lean = normalize_pod_lean(applied.to_string().as_bytes()).unwrap();
    assert_eq!(lean.pod.unwrap().spec_hash, hash);
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
        let mut known = KnownSpecs::default();
        for pod in &pods {
            let fresh = normalize_json(&Gvk::pod(), None, pod.as_bytes());
            let again =
                normalize_knowing(&mut known, &Gvk::pod(), None, &redaction(), pod.as_bytes());
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
