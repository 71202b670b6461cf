//! X6, X7: filters decide on objects, so on deletes as on applies.

use serde_json::json;
use sk_tracedb::export::ExportFilters;
use sk_tracedb::model::LabelSelector;
use sk_tracedb::model::selector::{Operator, Requirement};

use crate::support::*;

fn selector(value: serde_json::Value) -> LabelSelector {
    serde_json::from_value(value).unwrap()
}

/// Objects that are created at 101 and deleted at 110, and a pod of each Deployment.
fn recorder() -> Recorder {
    let mut recorder = Recorder::listed(config(&[
        "apps/v1.Deployment: {trackLifecycle: true}",
        "apps/v1.DaemonSet: {trackLifecycle: true}",
        "v1.ConfigMap: {}",
        "v1.Pod: {}",
        "v1.Node: {}",
    ]));
    let agent = obj("apps/v1.DaemonSet", "kube-system/agent", "agent").spec(json!({}));
    let blue = obj("apps/v1.Deployment", "ns/blue", "blue")
        .spec(json!({}))
        .label("color", "blue");
    let red = obj("apps/v1.Deployment", "other/red", "red")
        .spec(json!({}))
        .label("color", "red");
    let objects = [
        obj("v1.ConfigMap", "ns/plain", "plain"),
        obj("v1.ConfigMap", "ns/blue", "blue-map").label("color", "blue"),
        obj("v1.Node", "node", "node")
            .spec(json!({}))
            .label("color", "blue"),
        agent.clone(),
        blue.clone(),
        red.clone(),
    ];
    recorder.see_all(s(101), objects.iter().map(Obj::applied));
    let pods = [
        ("kube-system/a", &agent),
        ("ns/b", &blue),
        ("other/c", &red),
    ];
    let pods = pods.map(|(path, owner)| pod(path, path).owned_by(owner).started(102).tracked());
    recorder.see_all(s(102), pods.iter().map(Pod::applied));
    recorder.see_all(s(110), pods.iter().map(Pod::deleted));
    recorder.see_all(s(110), objects.iter().map(Obj::deleted));
    recorder
}

/// What an export holds: kinds and names, each once, and the owners that have lifecycles.
fn held(recorder: &Recorder, filters: ExportFilters) -> (Vec<String>, Vec<String>) {
    let within = recorder.export_with(105, 120, filters.clone()).trace;
    let across = recorder.export_with(100, 120, filters).trace;
    // In both windows, the same objects, and each deletion with its object (which decoding checks).
    assert_eq!(within.index(), across.index());
    assert_eq!(within.told().len(), within.start().len());
    assert_eq!(across.told().len(), 2 * within.start().len());
    assert_eq!(within.end_state().len(), 0);
    assert_eq!(within.lifecycles().len(), across.lifecycles().len());
    let short =
        |(kind, name): (String, String)| format!("{} {name}", kind.rsplit('.').next().unwrap());
    (
        across.index().into_keys().map(short).collect(),
        across.lifecycles().into_keys().map(short).collect(),
    )
}

const ALL: [&str; 5] = [
    "DaemonSet kube-system/agent",
    "Deployment ns/blue",
    "Deployment other/red",
    "ConfigMap ns/blue",
    "ConfigMap ns/plain",
];

fn expect(filters: ExportFilters, objects: &[&str], lifecycles: &[&str]) {
    let (held, lives) = held(&recorder(), filters);
    assert_eq!(held, objects);
    assert_eq!(lives, lifecycles);
}

#[test]
fn without_filters_owned_and_cluster_scoped_objects_are_left_out() {
    expect(ExportFilters::default(), &ALL, &ALL[..3]);
}

#[test]
fn cluster_scoped_objects_are_kept_on_demand() {
    let filters = ExportFilters {
        include_cluster_scoped: true,
        ..ExportFilters::default()
    };
    let mut with_node = ALL.to_vec();
    with_node.push("Node node");
    expect(filters, &with_node, &ALL[..3]);
}

#[test]
fn namespaces_are_excluded_and_included() {
    let excluded = ExportFilters {
        excluded_namespaces: vec!["ns".to_owned(), "kube-system".to_owned()],
        ..ExportFilters::default()
    };
    expect(
        excluded,
        &["Deployment other/red"],
        &["Deployment other/red"],
    );
    let included = ExportFilters {
        included_namespaces: vec!["ns".to_owned(), "other".to_owned()],
        excluded_namespaces: vec!["other".to_owned()],
        ..ExportFilters::default()
    };
    expect(
        included,
        &[
            "Deployment ns/blue",
            "ConfigMap ns/blue",
            "ConfigMap ns/plain",
        ],
        &["Deployment ns/blue"],
    );
}

#[test]
fn kinds_are_excluded_and_included() {
    let excluded = ExportFilters {
        excluded_kinds: vec![
            "deploy".parse().unwrap(),
            "apps/v1.DaemonSet".parse().unwrap(),
            "Pod".parse().unwrap(),
        ],
        ..ExportFilters::default()
    };
    expect(excluded, &["ConfigMap ns/blue", "ConfigMap ns/plain"], &[]);
    let included = ExportFilters {
        included_kinds: vec!["deployments.apps".parse().unwrap()],
        ..ExportFilters::default()
    };
    expect(
        included,
        &["Deployment ns/blue", "Deployment other/red"],
        &["Deployment ns/blue", "Deployment other/red"],
    );
}

#[test]
fn labels_are_excluded_and_included() {
    let excluded = ExportFilters {
        excluded_labels: vec![selector(json!({"matchLabels": {"color": "blue"}}))],
        excluded_kinds: vec!["Pod".parse().unwrap()],
        ..ExportFilters::default()
    };
    expect(
        excluded,
        &[
            "DaemonSet kube-system/agent",
            "Deployment other/red",
            "ConfigMap ns/plain",
        ],
        &["DaemonSet kube-system/agent", "Deployment other/red"],
    );
    let requirement = json!({"key": "color", "operator": "In", "values": ["blue", "red"]});
    let included = ExportFilters {
        included_labels: vec![selector(json!({"matchExpressions": [requirement]}))],
        excluded_labels: vec![selector(json!({"matchLabels": {"color": "red"}}))],
        ..ExportFilters::default()
    };
    expect(
        included,
        &["Deployment ns/blue", "ConfigMap ns/blue"],
        &["Deployment ns/blue"],
    );
}

#[test]
fn what_a_daemon_set_owns_is_left_out_also_where_the_daemon_set_is_not_in_the_trace() {
    let filters = ExportFilters {
        included_kinds: vec!["Pod".parse().unwrap()],
        ..ExportFilters::default()
    };
    expect(filters, &["Pod ns/b", "Pod other/c"], &[]);
}

#[test]
fn a_selector_that_kubernetes_would_refuse_is_an_error_and_no_crash() {
    let requirement = Requirement {
        key: "a".to_owned(),
        operator: Operator::In,
        values: Vec::new(),
    };
    let invalid = LabelSelector {
        match_expressions: vec![requirement],
        ..LabelSelector::default()
    };
    for filters in [
        ExportFilters {
            excluded_labels: vec![invalid.clone()],
            ..ExportFilters::default()
        },
        ExportFilters {
            included_labels: vec![LabelSelector::default(), invalid],
            ..ExportFilters::default()
        },
    ] {
        assert!(filters.validate().is_err());
    }
    assert!(ExportFilters::default().validate().is_ok());
}

#[test]
fn only_cluster_scoped_objects_that_are_wanted_otherwise_count_as_left_out() {
    let recorder = recorder();
    let left_out = |filters| {
        recorder
            .export_with(100, 120, filters)
            .summary
            .cluster_scoped_left_out
    };
    assert_eq!(left_out(ExportFilters::default()), 1);
    let other_kinds = ExportFilters {
        included_kinds: vec!["ConfigMap".parse().unwrap()],
        ..ExportFilters::default()
    };
    assert_eq!(left_out(other_kinds), 0);
    let no_blue = ExportFilters {
        excluded_labels: vec![selector(json!({"matchLabels": {"color": "blue"}}))],
        ..ExportFilters::default()
    };
    assert_eq!(left_out(no_blue), 0);
}
