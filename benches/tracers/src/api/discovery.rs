//! What the server serves: `/version`, `/api`, `/apis` and the resources of each group version.

use std::collections::BTreeMap;

use axum::response::Response;
use serde_json::{Value, json};

use super::{json_body, not_found};
use crate::content::{Content, Served};

const VERBS: [&str; 3] = ["get", "list", "watch"];

pub(super) fn answer(content: &Content, path: &str, aggregated: bool) -> Response {
    let found = match path.trim_end_matches('/') {
        "/version" => Some(json!({
            "major": "1", "minor": "33", "gitVersion": "v1.33.0", "gitCommit": "scripted",
            "gitTreeState": "clean", "buildDate": "2026-01-01T00:00:00Z", "goVersion": "none",
            "compiler": "none", "platform": "linux/amd64",
        })),
        "/api" if aggregated => Some(groups_discovered(content, true)),
        "/apis" if aggregated => Some(groups_discovered(content, false)),
        "/api" => Some(
            json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}),
        ),
        "/apis" => Some(json!({
            "kind": "APIGroupList", "apiVersion": "v1",
            "groups": groups(content).into_keys().map(group).collect::<Vec<_>>(),
        })),
        path => resources(content, path).or_else(|| {
            let name = path.strip_prefix("/apis/")?;
            groups(content).contains_key(name).then(|| group(name))
        }),
    };
    found.map_or_else(not_found, |found| json_body(found.to_string()))
}

/// The named groups, each with what it serves.
fn groups(content: &Content) -> BTreeMap<&str, Vec<&Served>> {
    let mut groups: BTreeMap<&str, Vec<&Served>> = BTreeMap::new();
    for collection in &content.collections {
        let served = &collection.served;
        if !served.gvk.group.is_empty() {
            groups.entry(&served.gvk.group).or_default().push(served);
        }
    }
    groups
}

fn group(name: &str) -> Value {
    let version = json!({"groupVersion": format!("{name}/v1"), "version": "v1"});
    json!({"kind": "APIGroup", "apiVersion": "v1", "name": name, "versions": [version], "preferredVersion": version})
}

fn resources(content: &Content, path: &str) -> Option<Value> {
    let all = content.collections.iter().map(|found| &found.served);
    let served: Vec<_> = all.filter(|served| served.root() == path).collect();
    let first = served.first()?;
    let resources: Vec<_> = served.iter().map(|served| resource(served)).collect();
    Some(json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": first.gvk.api_version(),
        "resources": resources,
    }))
}

fn resource(served: &Served) -> Value {
    json!({
        "name": served.plural, "singularName": served.gvk.kind.to_lowercase(), "namespaced": served.namespaced,
        "kind": served.gvk.kind, "verbs": VERBS,
    })
}

/// Aggregated discovery, version 2.
fn groups_discovered(content: &Content, core: bool) -> Value {
    let mut groups = groups(content);
    if core {
        let all = content.collections.iter().map(|found| &found.served);
        let in_core = all.filter(|served| served.gvk.group.is_empty()).collect();
        groups = BTreeMap::from([("", in_core)]);
    }
    let items: Vec<_> = groups
        .into_iter()
        .map(|(name, served)| {
            let resources: Vec<_> = served
                .iter()
                .map(|served| {
                    json!({
                        "resource": served.plural, "singularResource": served.gvk.kind.to_lowercase(),
                        "scope": if served.namespaced { "Namespaced" } else { "Cluster" },
                        "responseKind": {"group": "", "version": "", "kind": served.gvk.kind}, "verbs": VERBS,
                    })
                })
                .collect();
            json!({
                "metadata": {"name": name, "creationTimestamp": null},
                "versions": [{"version": "v1", "resources": resources, "freshness": "Current"}],
            })
        })
        .collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}
