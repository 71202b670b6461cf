//! Our hashes against SimKube's for the same values. A hash that differs in one case makes sk-driver miss the lifecycles of every
//! pod of a custom kind: the replay runs, and its pods never end.
//!
//! Needs the library of sk-tracedb: `--features lib`.

#![cfg(feature = "lib")]

use anyhow::{Result, ensure};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};
use sk_tracedb::model::pod_spec::pod_spec_hash;
use sk_tracedb::model::simkube_hash::simkube_hash;
use sk_tracedb_compat::pods::{self, Manner};
use sk_tracedb_compat::{fixtures, referee};

#[test]
fn our_hash_of_the_vectors_is_simkubes() -> Result<()> {
    let Some(vectors) = fixtures::hash_vectors()? else {
        fixtures::skipped("hash vectors");
        return Ok(());
    };
    ensure!(vectors.len() >= 30, "{} vectors", vectors.len());
    for (value, hash) in vectors {
        assert_eq!(simkube_hash(&value), hash, "{value}");
    }
    Ok(())
}

#[test]
fn our_hash_of_any_json_is_simkubes() -> Result<()> {
    let mut runner = runner();
    let strategy = pods::any_json();
    let (mut objects, mut floats) = (0, 0);
    for _ in 0..5000 {
        let value = strategy
            .new_tree(&mut runner)
            .map_err(|reason| anyhow::anyhow!("{reason}"))?
            .current();
        assert_eq!(simkube_hash(&value), referee::json_hash(&value), "{value}");
        objects += usize::from(value.as_object().is_some_and(|object| !object.is_empty()));
        floats += usize::from(value.is_f64());
    }
    ensure!(
        objects > 100 && floats > 50,
        "{objects} objects, {floats} floats"
    );
    Ok(())
}

#[test]
fn our_hash_of_every_recorded_spec_is_simkubes() -> Result<()> {
    let Some(traces) = fixtures::traces()? else {
        fixtures::skipped("recorded traces");
        return Ok(());
    };
    let mut specs = 0;
    for (name, bytes) in traces {
        for (event, _) in referee::import(&bytes)?.iter() {
            for object in &event.applied_objs {
                let spec = object.data.get("spec").unwrap_or(&Value::Null);
                assert_eq!(
                    simkube_hash(spec),
                    referee::index_hash(object),
                    "{name}: {:?}",
                    object.metadata.name
                );
                specs += 1;
            }
        }
    }
    ensure!(specs > 10, "{specs} specs");
    Ok(())
}

#[test]
fn our_pod_spec_hash_is_simkubes_for_every_field_of_a_pod() -> Result<()> {
    let mut specs = 0;
    for manner in [Manner::Server, Manner::Rough] {
        for (name, way) in pods::ways()? {
            let mut runner = runner();
            let strategy = pods::spec_with(&way, manner)?;
            for _ in 0..32 {
                let spec = strategy
                    .new_tree(&mut runner)
                    .map_err(|reason| anyhow::anyhow!("{reason}"))?
                    .current();
                let theirs = referee::stable_pod_spec(&spec)?;
                assert_eq!(
                    pod_spec_hash(&spec),
                    referee::pod_spec_hash(&spec)?,
                    "{manner:?}, around {name}\nspec: {spec}\nwhat SimKube hashes: {theirs}"
                );
                specs += 1;
            }
        }
    }
    ensure!(specs > 5000, "{specs} specs");
    Ok(())
}

#[test]
fn our_pod_spec_hash_is_simkubes_for_pods_as_a_cluster_has_them() -> Result<()> {
    let mut hashes = Vec::new();
    for spec in cluster_pods() {
        let ours = pod_spec_hash(&spec);
        assert_eq!(ours, referee::pod_spec_hash(&spec)?, "{spec}");
        hashes.push(ours);
    }
    // The first four are one pod template on other nodes, with other tokens, ports and accounts; the others differ.
    assert!(
        hashes
            .iter()
            .take(4)
            .all(|hash| Some(hash) == hashes.first())
    );
    hashes.dedup();
    ensure!(hashes.len() == 4, "{hashes:?}");
    Ok(())
}

fn cluster_pods() -> Vec<Value> {
    let plain = json!({
        "containers": [{
            "name": "app", "image": "app:1", "imagePullPolicy": "IfNotPresent",
            "ports": [{"containerPort": 8080, "name": "http", "protocol": "TCP"}],
            "env": [
                {"name": "NODE", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "spec.nodeName"}}},
                {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "0"}}}
            ],
            "resources": {"limits": {"cpu": "500m", "memory": "1536Mi"}, "requests": {"cpu": "0.5"}},
            "livenessProbe": {"httpGet": {"path": "/", "port": "http", "scheme": "HTTP"}, "periodSeconds": 10},
            "readinessProbe": {"tcpSocket": {"port": 8080}},
            "volumeMounts": [
                {"mountPath": "/data", "name": "data"},
                {"mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "name": "kube-api-access-abcde", "readOnly": true}
            ]
        }],
        "initContainers": [{
            "name": "init", "image": "init:1", "ports": [{"containerPort": 1, "protocol": "TCP"}],
            "volumeMounts": [{"mountPath": "/token", "name": "kube-api-access-abcde", "readOnly": true}]
        }],
        "nodeName": "node-1", "serviceAccount": "default", "serviceAccountName": "default",
        "securityContext": {}, "restartPolicy": "Always", "dnsPolicy": "ClusterFirst",
        "tolerations": [{"effect": "NoExecute", "key": "node.kubernetes.io/not-ready", "operator": "Exists", "tolerationSeconds": 300}],
        "volumes": [
            {"name": "data", "emptyDir": {}},
            {"name": "kube-api-access-abcde", "projected": {"defaultMode": 420, "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}
            ]}}
        ]
    });
    let change = |edits: &[(&str, Value)]| {
        let mut spec = plain.clone();
        for (pointer, value) in edits {
            if let Some(place) = spec.pointer_mut(pointer) {
                *place = value.clone();
            }
        }
        spec
    };
    let newer = json!({"limits": {"cpu": "1"}});
    let mut pod_level_resources = plain.clone();
    if let Some(spec) = pod_level_resources.as_object_mut() {
        spec.insert("resources".to_owned(), newer);
    }
    vec![
        plain.clone(),
        change(&[
            ("/nodeName", json!("node-2")),
            ("/serviceAccountName", Value::Null),
            ("/serviceAccount", Value::Null),
        ]),
        change(&[
            ("/containers/0/ports", json!([])),
            (
                "/containers/0/volumeMounts/1/name",
                json!("kube-api-access-zzzzz"),
            ),
            ("/volumes/1/name", json!("kube-api-access-zzzzz")),
        ]),
        pod_level_resources,
        change(&[("/initContainers/0/ports", json!([]))]),
        change(&[("/containers/0/image", json!("app:2"))]),
        change(&[("/volumes/0/name", json!("other"))]),
    ]
}

fn runner() -> TestRunner {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    TestRunner::new_with_rng(Config::default(), rng)
}
