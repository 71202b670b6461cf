//! What is refused, by name, and before it takes the process down.

use super::*;
use crate::limits::NAME_BYTES_MAX;

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
