//! R6, R8, R11: what is a change, and what is not recorded.

use serde_json::{Value, json};
use sk_tracedb::model::Gvk;
use sk_tracedb::normalize::normalize;

use crate::support::build::{applied, deleted};
use crate::support::*;

/// Applies versions of one object as the API server sends them; returns which of them were changes.
fn changes(kind: &str, entry: &str, versions: &[Value]) -> Vec<bool> {
    let mut recorder = Recorder::listed(config(&[&format!("{kind}: {entry}")]));
    let kind: Gvk = gvk(kind);
    let tracked = recorder.config.tracked.get(&kind).cloned();
    let redaction = recorder.redaction();
    versions
        .iter()
        .map(|version| {
            let item = normalize(&kind, tracked.as_ref(), &redaction, version.clone()).unwrap();
            recorder.see(s(101), applied(&kind, item)).changes == 1
        })
        .collect()
}

fn version(metadata: Value, rest: Value) -> Value {
    let mut object = rest;
    let mut all = json!({"name": "a", "namespace": "ns", "uid": "1"});
    all.as_object_mut()
        .unwrap()
        .extend(metadata.as_object().unwrap().clone());
    object["metadata"] = all;
    object
}

#[test]
fn of_an_object_with_a_spec_the_spec_counts() {
    let spec = json!({"replicas": 1, "paused": false});
    let versions = [
        version(json!({}), json!({"spec": spec})),
        version(
            json!({"resourceVersion": "2", "generation": 2}),
            json!({"spec": spec, "status": {"ready": 1}}),
        ),
        version(json!({"labels": {"a": "b"}}), json!({"spec": spec})),
        version(json!({}), json!({"spec": {"replicas": 2, "paused": false}})),
    ];
    assert_eq!(
        changes("apps/v1.Deployment", "{}", &versions),
        [true, false, false, true]
    );
    // Where the config asks for it, labels and annotations count too; status and volatile metadata never do.
    assert_eq!(
        changes("apps/v1.Deployment", "{changes: object}", &versions),
        [true, false, true, true]
    );
}

#[test]
fn of_an_object_without_a_spec_everything_but_status_and_volatile_metadata_counts() {
    let versions = [
        version(json!({"resourceVersion": "1"}), json!({"data": {"k": "v"}})),
        version(
            json!({"resourceVersion": "2", "managedFields": []}),
            json!({"data": {"k": "v"}}),
        ),
        version(json!({}), json!({"data": {"k": "w"}})),
        version(json!({"labels": {"a": "b"}}), json!({"data": {"k": "w"}})),
        version(
            json!({"labels": {"a": "b"}}),
            json!({"data": {"k": "w"}, "status": {}}),
        ),
    ];
    assert_eq!(
        changes("v1.ConfigMap", "{}", &versions),
        [true, false, true, true, false]
    );
}

#[test]
fn values_that_simkubes_hash_takes_for_equal_are_changes() {
    let of = |spec: Value| version(json!({}), json!({"spec": spec}));
    let versions = [
        of(json!({"a": []})),
        of(json!({"a": {}})),
        of(json!({"a": ["x", "y"]})),
        of(json!({"a": {"x": "y"}})),
        of(json!({"a": null})),
        of(json!({"a": 0})),
        of(json!({"a": -1})),
        of(json!({"a": u64::MAX})),
        of(json!({"ingress": [{"from": [{"a": 1}, {"b": 2}]}]})),
        of(json!({"ingress": [{"from": [{"a": 1}]}, {"from": [{"b": 2}]}]})),
    ];
    assert_eq!(
        changes("networking.k8s.io/v1.NetworkPolicy", "{}", &versions),
        [true; 10]
    );
}

#[test]
fn with_skip_owned_neither_applies_nor_deletes_of_owned_objects_are_recorded() {
    let kind = gvk("apps/v1.ReplicaSet");
    let mut recorder = Recorder::listed(config(&["apps/v1.ReplicaSet: {skipOwned: true}"]));
    let tracked = recorder.config.tracked.get(&kind).cloned();
    let owner =
        json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "web"}]);
    let owned = version(json!({"ownerReferences": owner}), json!({"spec": {}}));
    let mut free = version(json!({}), json!({"spec": {}}));
    free["metadata"]["name"] = json!("free");
    free["metadata"]["uid"] = json!("2");
    let redaction = recorder.redaction();
    let item =
        |object: &Value| normalize(&kind, tracked.as_ref(), &redaction, object.clone()).unwrap();
    recorder.see_all(
        s(101),
        [applied(&kind, item(&owned)), applied(&kind, item(&free))],
    );
    recorder.see_all(
        s(102),
        [deleted(&kind, item(&owned)), deleted(&kind, item(&free))],
    );
    assert_eq!(
        recorder.export(100, 200).trace.told(),
        ["101 + ReplicaSet ns/free", "102 - ReplicaSet ns/free"]
    );
    // A list that shows a skipped object, and one that does not, are no changes either.
    recorder.see(s(103), applied(&kind, item(&owned)));
    assert_eq!(recorder.list(s(104), &kind, [item(&owned)]), 0);
    assert_eq!(recorder.list(s(105), &kind, []), 0);
}

#[test]
fn owner_chains_run_through_skipped_objects() {
    let mut recorder = Recorder::listed(config(&[
        "apps/v1.Deployment: {trackLifecycle: true}",
        "apps/v1.ReplicaSet: {skipOwned: true}",
    ]));
    let web = obj("apps/v1.Deployment", "ns/web", "web").spec(json!({}));
    let set = obj("apps/v1.ReplicaSet", "ns/web-1", "set")
        .spec(json!({}))
        .owned_by(&web);
    recorder.see(
        s(101),
        pod("ns/p", "p").owned_by(&set).started(90).applied(),
    );
    recorder.see(s(102), applied(&set.gvk, set.skipped_item()));
    recorder.see(s(103), web.applied());
    let trace = recorder.export(100, 200).trace;
    assert_eq!(
        trace.lifecycles_of("apps/v1.Deployment", "ns/web"),
        [Lifecycle::Running(100)]
    );
    assert_eq!(trace.told(), ["103 + Deployment ns/web"]);
}

#[test]
fn a_restart_records_nothing_again() {
    let mut recorder = Recorder::listed(config(&["apps/v1.Deployment: {}", "v1.ConfigMap: {}"]));
    let web = obj("apps/v1.Deployment", "ns/web", "1").spec(json!({"replicas": 1}));
    let map = obj("v1.ConfigMap", "ns/map", "2").field("data", json!({"k": "v"}));
    recorder.see_all(s(101), [web.applied(), map.applied()]);
    let before = recorder.info();
    for round in 0..3 {
        if round == 1 {
            recorder.crash();
            recorder.run_from(s(120));
        } else {
            recorder.restart(s(110 + round * 10), s(111 + round * 10));
        }
        let seen = web.clone().field("status", json!({"round": round}));
        assert_eq!(recorder.list(s(122), &web.gvk, [seen.item()]), 0);
        assert_eq!(recorder.list(s(122), &map.gvk, [map.item()]), 0);
    }
    let after = recorder.info();
    assert_eq!((after.changes, after.kinds), (before.changes, before.kinds));
}
