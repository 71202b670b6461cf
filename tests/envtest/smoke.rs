//! Guards the harness itself: where the control plane, the played kubelet or the audit log's truth are not what they seem, every
//! test that is built on them proves nothing.

use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod, Secret};
use kube::ResourceExt;
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use serde_json::{Value, json};

use super::audit::{Truth, What};
use super::control_plane::{ControlPlane, Options, RECORDER};
use super::kubelet::{Kubelet, phase};
use super::objects::{
    apply, config_map, custom_kind, delete, deployment, job, namespace, stateful_set,
};
use super::poll::eventually;

const SOON: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn the_truth_knows_each_step_of_a_deployments_pods() {
    let Some(plane) = ControlPlane::start().await else {
        return;
    };
    let client = plane.client().await;
    let kubelet = Kubelet::join(client.clone(), "node-1").await;
    let pods: Api<Pod> = Api::namespaced(client.clone(), "default");

    apply(&client, &deployment("default", "web", 3, "web:1")).await;
    let running = kubelet.run_all("default", "app=web", 3).await;
    assert_eq!(running.len(), 3);
    assert!(running.iter().all(|pod| phase(pod) == "Running"
        && pod.spec.as_ref().unwrap().node_name.as_deref() == Some("node-1")));

    // One crashes and stays, one is deleted and replaced by the controller.
    let crashed = kubelet.crash("default", &running[0].name_any(), 1).await;
    assert_eq!(phase(&crashed), "Running");
    assert_eq!(
        crashed.status.unwrap().container_statuses.unwrap()[0].restart_count,
        1
    );
    kubelet.run("default", &running[0].name_any()).await;
    kubelet.delete("default", &running[1].name_any()).await;
    let replaced = kubelet.run_all("default", "app=web", 3).await;
    assert!(replaced.iter().all(|pod| pod.uid() != running[1].uid()));

    let truth = plane.truth();
    let listed = pods
        .list(&ListParams::default().labels("app=web"))
        .await
        .unwrap();
    let record = eventually(
        SOON,
        "the truth has all pods in their last version",
        async || {
            let record = truth.read();
            let alive = record.alive("", "pods");
            let same = listed.items.iter().all(|pod| {
                alive
                    .get(&format!("default/{}", pod.name_any()))
                    .is_some_and(|truth| {
                        truth["metadata"]["uid"] == json!(pod.uid())
                            && truth["metadata"]["resourceVersion"] == json!(pod.resource_version())
                    })
            });
            if same && alive.len() == 3 {
                Ok(record)
            } else {
                Err(format!("{:?}", alive.keys()))
            }
        },
    )
    .await;
    assert_eq!(record.unclear, Vec::<String>::new());
    assert_eq!(record.lives_of("", "pods").count(), 4);
    assert_eq!(record.lives_of("apps", "deployments").count(), 1);
    assert_eq!(record.lives_of("apps", "replicasets").count(), 1);

    let gone = record.life(&running[1].uid().unwrap()).unwrap();
    assert_eq!(gone.changes[0].what, What::Created);
    assert_eq!(gone.changes[0].user, "system:kube-controller-manager");
    assert!(gone.deleted().is_some());
    assert_eq!(gone.last()["status"]["phase"], "Succeeded");
    assert!(
        gone.changes
            .iter()
            .any(|change| change.subresource == "binding"
                && change.object["spec"]["nodeName"] == "node-1")
    );
    let crashed = record.life(&running[0].uid().unwrap()).unwrap();
    let restarts: Vec<_> = crashed
        .changes
        .iter()
        .filter_map(|change| {
            change.object["status"]["containerStatuses"][0]["restartCount"].as_i64()
        })
        .collect();
    assert_eq!(
        restarts,
        [0, 0, 1, 1],
        "running, terminated, waiting, running"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driven_kubelet_makes_jobs_stateful_sets_and_namespaces_come_and_go() {
    let Some(plane) = ControlPlane::start().await else {
        return;
    };
    let client = plane.client().await;
    let kubelet = Kubelet::join(client.clone(), "node-1").await;
    let _driver = kubelet.drive();

    apply(&client, &namespace("team")).await;
    apply(&client, &config_map("team", "settings", "1")).await;
    apply(&client, &job("team", "good", "job:1", 0)).await;
    apply(&client, &job("team", "bad", "job:1", 3)).await;
    apply(&client, &stateful_set("team", "db", 2, "db:1")).await;
    apply(&client, &custom_kind("Widget", true)).await;

    let truth = plane.truth();
    let ready = |name: &str, pointer: &'static str, value: i64| {
        let (truth, name) = (truth.clone(), name.to_owned());
        async move {
            eventually(SOON, &format!("{name} has {pointer} {value}"), async || {
                let record = truth.read();
                let groups = [("batch", "jobs"), ("apps", "statefulsets")];
                let seen = groups.iter().find_map(|(group, plural)| {
                    record
                        .alive(group, plural)
                        .get(&name)
                        .map(|object| object.pointer(pointer).cloned())
                });
                if seen == Some(Some(json!(value))) {
                    Ok(())
                } else {
                    Err(format!("{seen:?}"))
                }
            })
            .await;
        }
    };
    ready("team/good", "/status/succeeded", 1).await;
    ready("team/bad", "/status/failed", 1).await;
    ready("team/db", "/status/readyReplicas", 2).await;

    // Replaced in place: the same names, other uids.
    apply(&client, &stateful_set("team", "db", 2, "db:2")).await;
    eventually(SOON, "both pods run again as second lives", async || {
        let record = truth.read();
        for name in ["db-0", "db-1"] {
            let lives = record.lives_named("", "pods", "team", name);
            let image = |at: usize| &lives[at].last()["spec"]["containers"][0]["image"];
            let replaced = lives.len() == 2
                && lives[0].deleted().is_some()
                && image(0) == "db:1"
                && image(1) == "db:2";
            if !replaced || lives[1].last()["status"]["phase"] != "Running" {
                return Err(format!("{name}: {lives:?}"));
            }
        }
        Ok(())
    })
    .await;

    let widget = json!({"apiVersion": "envtest.dev/v1", "kind": "Widget", "metadata": {"namespace": "team", "name": "w"}, "spec": {"size": 1}});
    eventually(SOON, "the custom kind is served", async || {
        let request = http::Request::get("/apis/envtest.dev/v1/widgets")
            .body(Vec::new())
            .unwrap();
        client
            .request_text(request)
            .await
            .map_err(|error| format!("{error:?}"))
    })
    .await;
    apply(&client, &widget).await;
    delete(&client, &custom_kind("Widget", true)).await;
    eventually(SOON, "the widget ended with its kind", async || {
        let record = truth.read();
        let lives: Vec<_> = record.lives_of("envtest.dev", "widgets").collect();
        if lives.len() == 1 && lives[0].deleted().is_some() {
            Ok(())
        } else {
            Err(format!("{lives:?}"))
        }
    })
    .await;

    delete(&client, &namespace("team")).await;
    let record = eventually(
        SOON,
        "everything in the namespace is gone, and then it is",
        async || {
            let record = truth.read();
            let left: Vec<_> = record
                .lives
                .iter()
                .filter(|life| {
                    (life.namespace == "team" || life.name == "team") && life.deleted().is_none()
                })
                .map(|life| format!("{}/{}", life.plural, life.name))
                .collect();
            if left.is_empty() {
                Ok(record)
            } else {
                Err(format!("{left:?}"))
            }
        },
    )
    .await;
    assert_eq!(record.unclear, Vec::<String>::new());
    assert_eq!(
        record
            .lives_named("", "configmaps", "team", "settings")
            .len(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_may_do_what_is_allowed_and_nothing_else() {
    let Some(plane) = ControlPlane::start_with(Options {
        controllers: false,
        scheduler: false,
        ..Options::default()
    })
    .await
    else {
        return;
    };
    let limited = plane.client_for(RECORDER).await;
    let maps: Api<ConfigMap> = Api::all(limited.clone());
    let secrets: Api<Secret> = Api::all(limited.clone());
    let forbidden = |result: kube::Result<()>| matches!(result, Err(kube::Error::Api(status)) if status.code == 403);

    assert!(forbidden(maps.list(&ListParams::default()).await.map(drop)));
    plane.allow(RECORDER, &[("", "configmaps")]).await;
    maps.list(&ListParams::default()).await.unwrap();
    assert!(forbidden(
        secrets.list(&ListParams::default()).await.map(drop)
    ));
    plane.allow(RECORDER, &[]).await;
    assert!(forbidden(maps.list(&ListParams::default()).await.map(drop)));

    let reads = eventually(SOON, "the truth knows who read what", async || {
        let reads: Vec<_> = plane
            .truth()
            .read()
            .reads_by(RECORDER)
            .filter(|read| read.verb == "list")
            .map(|read| (read.plural.clone(), read.code))
            .collect();
        if reads.len() == 4 {
            Ok(reads)
        } else {
            Err(format!("{reads:?}"))
        }
    })
    .await;
    let expected = [
        ("configmaps", 403),
        ("configmaps", 200),
        ("secrets", 403),
        ("configmaps", 403),
    ];
    assert_eq!(
        reads,
        expected.map(|(plural, code)| (plural.to_owned(), code))
    );
}

/// The code with which a watch from `version` ends, or None while it is alive (an event or nothing comes).
async fn watch_code(maps: &Api<ConfigMap>, version: &str) -> Option<u16> {
    let params = WatchParams::default().timeout(1);
    let mut watch = match maps.watch(&params, version).await {
        Ok(watch) => watch.boxed(),
        Err(kube::Error::Api(status)) => return Some(status.code),
        Err(error) => panic!("{error:?}"),
    };
    match watch.next().await {
        Some(Ok(WatchEvent::Error(status))) => Some(status.code),
        Some(Err(error)) => panic!("{error:?}"),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_forgets_its_history_at_a_restart_and_etcd_when_compacted() {
    let quiet = Options {
        controllers: false,
        scheduler: false,
        ..Options::default()
    };
    let uncached = Options {
        watch_cache: false,
        ..quiet.clone()
    };
    let Some(mut planes) = ControlPlane::start_each(vec![quiet, uncached]).await else {
        return;
    };
    let mut uncached = planes.pop().unwrap();
    let mut cached = planes.pop().unwrap();

    for (plane, has_cache) in [(&mut cached, true), (&mut uncached, false)] {
        let client = plane.client().await;
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
        apply(&client, &config_map("default", "settings", "1")).await;
        let old = maps
            .list(&ListParams::default())
            .await
            .unwrap()
            .metadata
            .resource_version
            .unwrap();
        for value in ["2", "3"] {
            apply(&client, &config_map("default", "settings", value)).await;
        }
        assert_eq!(watch_code(&maps, &old).await, None);

        // An orderly restart keeps the address, the clients and the objects.
        plane.restart_apiserver().await;
        assert_eq!(
            maps.get("settings").await.unwrap().data.unwrap()["value"],
            "3"
        );

        let compacted = plane.compact_etcd();
        assert!(compacted > old.parse().unwrap());
        if !has_cache {
            assert_eq!(watch_code(&maps, &old).await, Some(410));
        }
        // Also when nothing has happened since the last version that somebody has.
        let newest = maps
            .list(&ListParams::default())
            .await
            .unwrap()
            .metadata
            .resource_version
            .unwrap();
        assert_eq!(watch_code(&maps, &newest).await, None);
        assert!(plane.forget_history().await > compacted);
        assert_eq!(watch_code(&maps, &newest).await, Some(410));
        assert_eq!(watch_code(&maps, &old).await, Some(410));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_etcd_has_older_versions_and_a_frozen_api_server_does_not_answer() {
    let Some(mut plane) = ControlPlane::start_with(Options {
        scheduler: false,
        ..Options::default()
    })
    .await
    else {
        return;
    };
    let client = plane.client().await;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    let version = async || {
        maps.list(&ListParams::default())
            .await
            .unwrap()
            .metadata
            .resource_version
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };

    apply(&client, &config_map("default", "before", "1")).await;
    let backup = plane.backup_etcd().await;
    for value in 0..200 {
        apply(&client, &config_map("default", "after", &value.to_string())).await;
    }
    let last = version().await;
    plane.restore_etcd(&backup).await;
    assert!(version().await < last, "{last}");
    assert!(maps.get_opt("before").await.unwrap().is_some());
    assert!(maps.get_opt("after").await.unwrap().is_none());

    let nodes: Api<Node> = Api::all(client.clone());
    let limit = Duration::from_millis(500);
    plane.freeze_apiserver();
    assert!(
        tokio::time::timeout(limit, nodes.list(&ListParams::default()))
            .await
            .is_err()
    );
    plane.thaw_apiserver();
    nodes.list(&ListParams::default()).await.unwrap();
}

/// One line of an audit log: a successful write of a pod (`p`, uid `u`) that was answered with this object.
fn audit_line(verb: &str, code: u16, answer: &Value) -> String {
    let line = json!({
        "stage": "ResponseComplete", "verb": verb, "user": {"username": "somebody"}, "requestURI": "/",
        "objectRef": {"resource": "pods", "namespace": "default", "name": "p", "apiVersion": "v1"},
        "responseStatus": {"code": code}, "responseObject": answer,
        "requestReceivedTimestamp": "2026-01-01T00:00:00.000001Z", "stageTimestamp": "2026-01-01T00:00:00.000002Z",
    });
    format!("{line}\n")
}

fn pod_answer(version: u64, metadata: &Value) -> Value {
    let mut pod = json!({"kind": "Pod", "metadata": {"namespace": "default", "name": "p", "uid": "u", "resourceVersion": version.to_string()}});
    for (key, value) in metadata.as_object().unwrap() {
        pod["metadata"][key] = value.clone();
    }
    pod
}

#[test]
fn the_truth_orders_by_version_and_tells_pending_deletions_from_real_ones() {
    let marked =
        json!({"deletionTimestamp": "2026-01-01T00:00:30Z", "deletionGracePeriodSeconds": 30});
    let held = json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 0, "finalizers": ["a/b"]});
    let released =
        json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 0});
    let none = json!({});
    let binding = json!({
        "stage": "ResponseComplete", "verb": "create", "user": {"username": "somebody"}, "requestURI": "/",
        "objectRef": {"resource": "pods", "subresource": "binding", "namespace": "default", "name": "p", "apiVersion": "v1"},
        "requestObject": {"metadata": {"uid": "u"}, "target": {"name": "node-1"}}, "responseStatus": {"code": 201},
        "requestReceivedTimestamp": "2026-01-01T00:00:00.000001Z", "stageTimestamp": "2026-01-01T00:00:00.000002Z",
    });
    let log = [
        // A binding has no version; its line came before that of the creation.
        format!("{binding}\n"),
        audit_line("create", 201, &pod_answer(10, &none)),
        // Answered in the wrong order, one of them changed nothing, one was refused.
        audit_line("patch", 200, &pod_answer(12, &none)),
        audit_line("update", 200, &pod_answer(11, &none)),
        audit_line("patch", 200, &pod_answer(12, &none)),
        audit_line("patch", 409, &json!({"kind": "Status"})),
        // Marked, held by a finalizer, released: only then it is gone.
        audit_line("delete", 200, &pod_answer(13, &marked)),
        audit_line("delete", 200, &pod_answer(14, &held)),
        audit_line("patch", 200, &pod_answer(15, &released)),
        // The beginning of a line that is being written.
        "{\"stage\":".to_owned(),
    ];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    std::fs::write(&path, log.concat()).unwrap();

    let record = Truth::new(path.clone()).read();
    assert_eq!(record.unclear, Vec::<String>::new());
    let [life] = &record.lives[..] else {
        panic!("{:?}", record.lives)
    };
    let changes: Vec<_> = life
        .changes
        .iter()
        .map(|change| (change.what, change.version))
        .collect();
    let expected = [
        (What::Created, 10),
        (What::Updated, 0),
        (What::Updated, 11),
        (What::Updated, 12),
        (What::Updated, 13),
        (What::Updated, 14),
        (What::Deleted, 15),
    ];
    assert_eq!(changes, expected);

    // A deletion that is answered without the object; and what cannot be understood is not passed over.
    let gone = json!({"kind": "Status", "status": "Success", "details": {"uid": "u"}});
    let log = [
        audit_line("create", 201, &pod_answer(10, &none)),
        audit_line("delete", 200, &gone),
        audit_line("delete", 200, &json!({"kind": "Status"})),
        "no JSON\n".to_owned(),
    ];
    std::fs::write(&path, log.concat()).unwrap();
    let record = Truth::new(path).read();
    assert_eq!(
        record.lives[0].deleted().unwrap().object["metadata"]["resourceVersion"],
        "10"
    );
    assert_eq!(record.unclear.len(), 2);
}
