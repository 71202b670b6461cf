//! Guards against one kind that costs others or its own record: kinds without namespaces, kinds that come and go with their
//! definition, kinds that the recorder may not read (R3, R15).

use std::time::Duration;

use serde_json::{Value, json};

use super::compare::{
    CLUSTER_ROLES, CONFIG_MAPS, Kind, NAMESPACES, PRIORITY_CLASSES, WIDGETS, Wanted, compare,
};
use super::control_plane::{ControlPlane, Options, RECORDER};
use super::objects::{apply, cluster_role, config_map, custom_kind, delete, namespace};
use super::poll::eventually;
use super::recorder::{Recorder, custom};

const SOON: Duration = Duration::from_secs(60);

fn quiet() -> Options {
    Options {
        controllers: false,
        scheduler: false,
        ..Options::default()
    }
}

async fn recorded(
    recorder: &Recorder,
    plane: &ControlPlane,
    kinds: &[Kind],
) -> super::compare::Found {
    let truth = plane.truth();
    eventually(SOON, "the record is the truth", async || {
        compare(
            &recorder.reader()?,
            &truth.read(),
            kinds,
            Wanted::Everything,
        )
    })
    .await
}

fn priority_class(name: &str, description: &str) -> Value {
    json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}, "value": 10, "description": description})
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_without_namespaces_are_deleted_and_created_again() {
    // With controllers: they finish the deletion of a namespace.
    let Some(plane) = ControlPlane::start_with(Options {
        scheduler: false,
        ..Options::default()
    })
    .await
    else {
        return;
    };
    let client = plane.client().await;
    let kinds = [NAMESPACES, CLUSTER_ROLES, PRIORITY_CLASSES];
    apply(&client, &cluster_role("early", "pods")).await;
    Recorder::permit(
        &plane,
        &[
            ("", "namespaces"),
            ("rbac.authorization.k8s.io", "clusterroles"),
            ("scheduling.k8s.io", "priorityclasses"),
        ],
    )
    .await;
    let mut recorder = Recorder::of(
        &plane,
        &[
            "v1.Namespace: {}",
            "rbac.authorization.k8s.io/v1.ClusterRole: {}",
            "scheduling.k8s.io/v1.PriorityClass: {changes: object}",
        ],
    );
    recorder.start_ready().await;

    delete(&client, &cluster_role("early", "")).await;
    apply(&client, &cluster_role("early", "secrets")).await;
    apply(&client, &cluster_role("early", "nodes")).await;
    delete(&client, &cluster_role("early", "")).await;
    apply(&client, &priority_class("high", "one")).await;
    apply(&client, &priority_class("high", "two")).await;
    delete(&client, &priority_class("high", "")).await;
    apply(&client, &priority_class("high", "one")).await;
    for _ in 0..2 {
        apply(&client, &namespace("team")).await;
        delete(&client, &namespace("team")).await;
        eventually(SOON, "the namespace is gone", async || {
            match plane
                .truth()
                .read()
                .alive("", "namespaces")
                .contains_key("team")
            {
                true => Err("it is there".to_owned()),
                false => Ok(()),
            }
        })
        .await;
    }
    let found = recorded(&recorder, &plane, &kinds).await;
    assert_eq!(found.inferred, 0);
    let record = plane.truth().read();
    assert_eq!(record.lives_named("", "namespaces", "", "team").len(), 2);
    assert_eq!(
        record
            .lives_named("rbac.authorization.k8s.io", "clusterroles", "", "early")
            .len(),
        2
    );

    // Nor after a restart, with the deletion in the downtime.
    recorder.kill();
    delete(&client, &priority_class("high", "")).await;
    apply(&client, &cluster_role("early", "pods")).await;
    recorder.start();
    let found = recorded(&recorder, &plane, &kinds).await;
    assert_eq!(found.inferred, 2);
}

async fn serve_widgets(plane: &ControlPlane) {
    let client = plane.client().await;
    apply(&client, &custom_kind("Widget", true)).await;
    eventually(SOON, "widgets are served", async || {
        let request = http::Request::get("/apis/envtest.dev/v1/widgets")
            .body(Vec::new())
            .unwrap();
        client
            .request_text(request)
            .await
            .map_err(|error| format!("{error:?}"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_is_recorded_once_its_definition_is_there_and_each_time_that_it_comes_back() {
    let Some(plane) = ControlPlane::start_with(quiet()).await else {
        return;
    };
    let client = plane.client().await;
    Recorder::permit(&plane, &[("envtest.dev", "widgets"), ("", "configmaps")]).await;
    let mut recorder = Recorder::of(&plane, &["envtest.dev/v1.Widget: {}", "v1.ConfigMap: {}"]);
    recorder.start();
    let says = recorder
        .readyz_says("envtest.dev/v1.Widget failing", SOON)
        .await;
    assert!(
        says.contains("does not serve envtest.dev/v1.Widget"),
        "{says}"
    );
    // The others do not wait for it.
    apply(&client, &config_map("default", "settings", "1")).await;
    recorded(&recorder, &plane, &[CONFIG_MAPS]).await;
    let gaps = recorder.info().gaps;
    assert!(
        gaps.iter()
            .any(|gap| gap.kind == WIDGETS.gvk && gap.end.is_none()),
        "{gaps:?}"
    );

    serve_widgets(&plane).await;
    apply(&client, &custom("Widget", "default", "one", 1)).await;
    apply(&client, &custom("Widget", "default", "two", 2)).await;
    recorder
        .readyz_says("envtest.dev/v1.Widget watching", SOON)
        .await;
    apply(&client, &custom("Widget", "default", "one", 2)).await;
    delete(&client, &custom("Widget", "default", "two", 0)).await;
    recorded(&recorder, &plane, &[WIDGETS]).await;
    let gaps = recorder.info().gaps;
    assert!(gaps.iter().all(|gap| gap.end.is_some()), "{gaps:?}");

    // Away with all its objects, and back with one of the same name and another.
    delete(&client, &custom_kind("Widget", true)).await;
    eventually(SOON, "the definition is gone", async || {
        let gone = plane
            .truth()
            .read()
            .alive("apiextensions.k8s.io", "customresourcedefinitions")
            .is_empty();
        if gone {
            Ok(())
        } else {
            Err("it is there".to_owned())
        }
    })
    .await;
    let says = recorder
        .readyz_says("envtest.dev/v1.Widget failing", SOON)
        .await;
    assert!(says.contains("readyz check passed"), "{says}");
    serve_widgets(&plane).await;
    apply(&client, &custom("Widget", "default", "one", 3)).await;
    apply(&client, &custom("Widget", "default", "three", 3)).await;
    recorder
        .readyz_says("envtest.dev/v1.Widget watching", SOON)
        .await;
    apply(&client, &custom("Widget", "default", "three", 4)).await;
    apply(&client, &config_map("default", "settings", "2")).await;
    let truth = plane.truth();
    eventually(SOON, "the record is the truth", async || {
        compare(
            &recorder.reader()?,
            &truth.read(),
            &[WIDGETS, CONFIG_MAPS],
            Wanted::WithoutBlindTimes,
        )
    })
    .await;
    let record = truth.read();
    assert_eq!(
        record
            .lives_named("envtest.dev", "widgets", "default", "one")
            .len(),
        2
    );
    let gaps = recorder.info().gaps;
    let widgets = gaps.iter().filter(|gap| gap.kind == WIDGETS.gvk);
    assert!(
        widgets.clone().count() >= 2 && gaps.iter().all(|gap| gap.end.is_some()),
        "{gaps:?}"
    );
    assert_eq!(
        gaps.iter()
            .filter(|gap| gap.kind == CONFIG_MAPS.gvk && gap.reason.contains("Widget"))
            .count(),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_may_not_be_read_is_reported_and_picked_up_when_it_may() {
    let Some(plane) = ControlPlane::start_with(quiet()).await else {
        return;
    };
    let client = plane.client().await;
    apply(&client, &cluster_role("early", "pods")).await;
    apply(&client, &config_map("default", "settings", "1")).await;
    Recorder::permit(&plane, &[("", "configmaps")]).await;
    let mut recorder = Recorder::of(
        &plane,
        &[
            "v1.ConfigMap: {}",
            "rbac.authorization.k8s.io/v1.ClusterRole: {}",
        ],
    );
    recorder.start();
    let says = recorder.readyz_says("ClusterRole failing", SOON).await;
    assert!(says.contains("forbidden"), "{says}");
    // A kind that fails from the start does not keep the recorder unready for ever.
    let says = recorder.ready().await;
    assert!(
        says.contains("[!]rbac.authorization.k8s.io/v1.ClusterRole failing"),
        "{says}"
    );
    apply(&client, &config_map("default", "settings", "2")).await;
    recorded(&recorder, &plane, &[CONFIG_MAPS]).await;

    Recorder::permit(
        &plane,
        &[
            ("", "configmaps"),
            ("rbac.authorization.k8s.io", "clusterroles"),
        ],
    )
    .await;
    recorder.readyz_says("ClusterRole watching", SOON).await;
    apply(&client, &cluster_role("early", "nodes")).await;
    let found = recorded(&recorder, &plane, &[CONFIG_MAPS, CLUSTER_ROLES]).await;
    assert_eq!(found.inferred, 0, "{found:?}");

    // Taken away again: a watch that is open goes on, and the next one is refused.
    Recorder::permit(&plane, &[("", "configmaps")]).await;
    recorder.stop();
    apply(&client, &cluster_role("early", "secrets")).await;
    recorder.start();
    let says = recorder.readyz_says("ClusterRole failing", SOON).await;
    assert!(says.contains("forbidden"), "{says}");
    apply(&client, &config_map("default", "settings", "3")).await;
    recorded(&recorder, &plane, &[CONFIG_MAPS]).await;
    let gaps = recorder.info().gaps;
    let open: Vec<_> = gaps
        .iter()
        .filter(|gap| gap.end.is_none())
        .map(|gap| gap.kind.as_str())
        .collect();
    assert!(open.contains(&CLUSTER_ROLES.gvk), "{gaps:?}");
    Recorder::permit(
        &plane,
        &[
            ("", "configmaps"),
            ("rbac.authorization.k8s.io", "clusterroles"),
        ],
    )
    .await;
    let found = recorded(&recorder, &plane, &[CONFIG_MAPS, CLUSTER_ROLES]).await;
    assert!(found.inferred >= 1, "{found:?}");
    let refused = plane
        .truth()
        .read()
        .reads_by(RECORDER)
        .filter(|read| read.code == 403 && read.plural != "clusterroles")
        .count();
    assert_eq!(refused, 0);
}
