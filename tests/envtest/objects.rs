//! Small objects to create, and the ways to create and delete any kind by its JSON.

use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::discovery::{Scope, pinned_kind};
use serde_json::{Value, json};

/// Creates an object of any kind that the API server knows, or changes it to what is given here (server-side apply).
pub async fn apply(client: &Client, object: &Value) -> DynamicObject {
    let api = api_of(client, object).await;
    let name = object["metadata"]["name"].as_str().unwrap();
    let params = PatchParams::apply("envtest").force();
    api.patch(name, &params, &Patch::Apply(object))
        .await
        .unwrap_or_else(|error| panic!("apply {name}: {error:?}"))
}

/// Deletes an object of any kind, in the background (`kubectl delete --wait=false`).
pub async fn delete(client: &Client, object: &Value) {
    let name = object["metadata"]["name"].as_str().unwrap();
    let deleted = api_of(client, object)
        .await
        .delete(name, &DeleteParams::background())
        .await;
    deleted
        .map(drop)
        .unwrap_or_else(|error| panic!("delete {name}: {error:?}"));
}

/// The API for objects like this one, in its namespace (`default` where it does not say).
pub async fn api_of(client: &Client, object: &Value) -> Api<DynamicObject> {
    let (group, version) = match object["apiVersion"].as_str().unwrap().split_once('/') {
        Some((group, version)) => (group, version),
        None => ("", object["apiVersion"].as_str().unwrap()),
    };
    let gvk = GroupVersionKind::gvk(group, version, object["kind"].as_str().unwrap());
    let (resource, capabilities) = pinned_kind(client, &gvk)
        .await
        .unwrap_or_else(|error| panic!("{gvk:?}: {error:?}"));
    match capabilities.scope {
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Namespaced => Api::namespaced_with(
            client.clone(),
            object["metadata"]["namespace"]
                .as_str()
                .unwrap_or("default"),
            &resource,
        ),
    }
}

/// A namespace.
pub fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

/// A config map with one key, `value`.
pub fn config_map(namespace: &str, name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": namespace, "name": name}, "data": {"value": value}})
}

/// A deployment whose pods have the label `app` = its name and one container of this image.
pub fn deployment(namespace: &str, name: &str, replicas: u32, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": namespace, "name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": pod_template(name, image)},
    })
}

/// A stateful set whose pods have the label `app` = its name and one container of this image, all started at once.
pub fn stateful_set(namespace: &str, name: &str, replicas: u32, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "replicas": replicas, "serviceName": name, "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {"app": name}}, "template": pod_template(name, image),
        },
    })
}

/// A job of one pod (label `app` = its name) that is not retried. A driven kubelet finishes the pod with this exit code.
pub fn job(namespace: &str, name: &str, image: &str, exit_code: i32) -> Value {
    let mut template = pod_template(name, image);
    template["metadata"]["annotations"] = json!({super::kubelet::EXIT_CODE: exit_code.to_string()});
    template["spec"]["restartPolicy"] = json!("Never");
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"namespace": namespace, "name": name},
        "spec": {"backoffLimit": 0, "template": template},
    })
}

/// A pod that nobody owns.
pub fn pod(namespace: &str, name: &str, image: &str) -> Value {
    let mut pod = pod_template(name, image);
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["namespace"] = json!(namespace);
    pod["metadata"]["name"] = json!(name);
    pod
}

/// A cluster role that may do nothing but read one resource of the core group.
pub fn cluster_role(name: &str, resource: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name},
        "rules": [{"apiGroups": [""], "resources": [resource], "verbs": ["get"]}],
    })
}

/// A definition of a custom kind with any fields: group `envtest.dev`, version `v1`, plural = the kind in lower case and an `s`.
pub fn custom_kind(kind: &str, namespaced: bool) -> Value {
    let singular = kind.to_lowercase();
    let plural = format!("{singular}s");
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.envtest.dev")},
        "spec": {
            "group": "envtest.dev",
            "names": {"kind": kind, "plural": plural, "singular": singular},
            "scope": if namespaced { "Namespaced" } else { "Cluster" },
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            }],
        },
    })
}

fn pod_template(name: &str, image: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": image, "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}}]},
    })
}
