//! What counts as a change, and what does not.

use super::*;

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
