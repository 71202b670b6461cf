//! Guards the record against what happens to API servers: restarts, silence, a history that is compacted away, a backup that is
//! restored, and another cluster behind the same address. After each of them the record must be what the cluster is, say what
//! it did not see, and never mix two clusters.

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DynamicObject, ListParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use super::compare::{CONFIG_MAPS, DEPLOYMENTS, Found, Kind, Wanted, compare, compare_state};
use super::control_plane::{ControlPlane, Options, RECORDER};
use super::objects::{api_of, apply, config_map, delete, deployment};
use super::poll::eventually;
use super::recorder::{Recorder, now_us};

/// Above the longest wait between two tries that a recorder comes to in these tests.
const SOON: Duration = Duration::from_secs(90);

const CONFIG: &[&str] = &[
    "v1.ConfigMap: {}",
    "apps/v1.Deployment: {trackLifecycle: true}",
];
const KINDS: &[Kind] = &[CONFIG_MAPS, DEPLOYMENTS];
const RESOURCES: &[(&str, &str)] = &[("", "configmaps"), ("apps", "deployments")];

fn quiet() -> Options {
    Options {
        controllers: false,
        scheduler: false,
        ..Options::default()
    }
}

async fn recorded(recorder: &Recorder, plane: &ControlPlane, wanted: Wanted) -> Found {
    let truth = plane.truth();
    let found = eventually(SOON, "the record is the truth", async || {
        compare(&recorder.reader()?, &truth.read(), KINDS, wanted)
    })
    .await;
    exists(recorder, plane).await;
    found
}

/// Waits until the record holds what the cluster does.
async fn exists(recorder: &Recorder, plane: &ControlPlane) {
    let client = plane.client().await;
    eventually(
        SOON,
        "what is recorded exists, and nothing else",
        async || {
            for (kind, sample) in [
                (CONFIG_MAPS, config_map("default", "x", "")),
                (DEPLOYMENTS, deployment("default", "x", 0, "")),
            ] {
                compare_state(
                    &recorder.reader()?,
                    kind,
                    &existing(&client, &sample).await?,
                )?;
            }
            Ok(())
        },
    )
    .await;
}

fn version(object: &DynamicObject) -> u64 {
    object.resource_version().unwrap().parse().unwrap()
}

/// All objects of the kind of `sample`.
async fn existing(client: &Client, sample: &Value) -> Result<Vec<Value>, String> {
    let mut everywhere = sample.clone();
    everywhere["metadata"]["namespace"] = json!("");
    let api: Api<DynamicObject> = api_of(client, &everywhere).await;
    let list = api
        .list(&ListParams::default())
        .await
        .map_err(|error| error.to_string())?;
    Ok(list
        .items
        .iter()
        .map(|object| serde_json::to_value(object).unwrap())
        .collect())
}

async fn write_all(client: &Client, round: &str) {
    for n in 0..5 {
        apply(
            client,
            &config_map("default", &format!("settings-{n}"), round),
        )
        .await;
    }
    apply(client, &deployment("default", "web", 1, round)).await;
    // What the round before has left, goes for good.
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    for map in maps
        .list(&ListParams::default().labels("short=lived"))
        .await
        .unwrap()
    {
        delete(client, &config_map("default", &map.name_any(), "")).await;
    }
    let mut short = config_map("default", round, "1");
    short["metadata"]["labels"] = json!({"short": "lived"});
    apply(client, &short).await;
    apply(client, &config_map("default", "again", round)).await;
    delete(client, &config_map("default", "again", "")).await;
    apply(client, &config_map("default", "again", round)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_restarts_dies_or_falls_silent_costs_nothing() {
    let Some(mut plane) = ControlPlane::start_with(quiet()).await else {
        return;
    };
    let client = plane.client().await;
    write_all(&client, "first").await;
    Recorder::permit(&plane, RESOURCES).await;
    let mut recorder = Recorder::of(&plane, CONFIG);
    recorder.start_ready().await;
    write_all(&client, "second").await;
    let before = recorded(&recorder, &plane, Wanted::Everything).await;
    assert_eq!(before.inferred, 0);

    // Silent for a while: nothing happens in it, and what comes afterwards arrives.
    plane.freeze_apiserver();
    let readyz = recorder.readyz_says("readyz check passed", SOON).await;
    assert!(readyz.contains("v1.ConfigMap watching"), "{readyz}");
    plane.thaw_apiserver();
    write_all(&client, "third").await;
    let found = recorded(&recorder, &plane, Wanted::Everything).await;
    assert_eq!(found.inferred, 0, "{found:?}");

    // Gone without a word; and when it is back, it has no history of before.
    plane.kill_apiserver();
    recorder.readyz_says("failing", SOON).await;
    plane.start_apiserver().await;
    write_all(&client, "fourth").await;
    let found = recorded(&recorder, &plane, Wanted::WithoutBlindTimes).await;
    assert_eq!(found.initial, before.initial, "{found:?}");
    let watching = [
        "v1.ConfigMap watching",
        "apps/v1.Deployment watching",
        "v1.Pod watching",
    ];
    for watch in watching {
        recorder.readyz_says(watch, SOON).await;
    }

    // An orderly restart, and writes at once.
    plane.restart_apiserver().await;
    write_all(&client, "fifth").await;
    recorded(&recorder, &plane, Wanted::WithoutBlindTimes).await;
    for watch in watching {
        recorder.readyz_says(watch, SOON).await;
    }
    write_all(&client, "sixth").await;
    let last = recorded(&recorder, &plane, Wanted::WithoutBlindTimes).await;
    recorder.stop();

    // What the record says of it: each outage is a gap of each kind, with both ends.
    let info = recorder.info();
    for kind in ["v1.ConfigMap", "apps/v1.Deployment", "v1.Pod"] {
        let gaps: Vec<_> = info
            .gaps
            .iter()
            .filter(|gap| gap.kind == kind && !gap.reason.contains("nothing is known"))
            .collect();
        assert!((1..=4).contains(&gaps.len()), "{kind}: {gaps:?}");
        assert!(
            gaps.iter()
                .all(|gap| gap.end.is_some_and(|end| end > gap.start)),
            "{kind}: {gaps:?}"
        );
    }
    // Unchanged objects are not recorded again by any of the lists: nothing but true changes was counted.
    let changes: u64 = info
        .kinds
        .iter()
        .map(|kind| kind.applied + kind.deleted)
        .sum();
    assert_eq!(changes, last.changes as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_is_gone_costs_no_more_than_the_changes_between() {
    let Some(mut plane) = ControlPlane::start_with(quiet()).await else {
        return;
    };
    let client = plane.client().await;
    write_all(&client, "first").await;
    apply(&client, &config_map("default", "doomed", "1")).await;
    apply(&client, &config_map("default", "replaced", "1")).await;
    Recorder::permit(&plane, RESOURCES).await;
    let mut recorder = Recorder::of(&plane, CONFIG);
    recorder.start_ready().await;
    let before = recorded(&recorder, &plane, Wanted::Everything).await;

    // While it is down: the watch that it resumes is Gone.
    recorder.kill();
    delete(&client, &config_map("default", "doomed", "")).await;
    delete(&client, &config_map("default", "replaced", "")).await;
    apply(&client, &config_map("default", "replaced", "2")).await;
    apply(&client, &config_map("default", "new", "1")).await;
    apply(&client, &config_map("default", "new", "2")).await;
    write_all(&client, "second").await;
    plane.forget_history().await;
    recorder.start_ready().await;
    let found = recorded(&recorder, &plane, Wanted::WithoutBlindTimes).await;
    assert_eq!(found.initial, before.initial);
    // settings-0..4, web, `first` (gone), `second`, again (gone and there again), doomed (gone), replaced (gone and there
    // again), new.
    assert_eq!(found.inferred, 5 + 1 + 1 + 1 + 2 + 1 + 2 + 1, "{found:?}");
    let expired = recorder.info().gaps;
    assert!(expired.iter().all(|gap| gap.end.is_some()), "{expired:?}");
    let lists = |plural: &str| {
        let record = plane.truth().read();
        let lists = record.reads_by(RECORDER).filter(|read| {
            read.verb == "list"
                && read.plural == plural
                && read.code == 200
                && !read.uri.contains("limit=1&")
                && !read.uri.ends_with("limit=1")
        });
        lists.count()
    };
    assert_eq!(lists("configmaps"), 2);

    // While it runs.
    plane.forget_history().await;
    write_all(&client, "third").await;
    recorded(&recorder, &plane, Wanted::WithoutBlindTimes).await;
    for kind in [
        "v1.ConfigMap watching",
        "apps/v1.Deployment watching",
        "v1.Pod watching",
    ] {
        recorder.readyz_says(kind, SOON).await;
    }
    // Readiness is told from memory, a moment before the end of the gap is durable.
    eventually(SOON, "all gaps have ended", async || {
        let gaps = recorder.info().gaps;
        if gaps.iter().all(|gap| gap.end.is_some()) {
            Ok(())
        } else {
            Err(format!("{gaps:?}"))
        }
    })
    .await;
    write_all(&client, "fourth").await;
    recorded(&recorder, &plane, Wanted::WithoutBlindTimes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_was_restored_is_listed_again_and_another_one_is_refused() {
    let Some(mut planes) = ControlPlane::start_each(vec![quiet(), quiet()]).await else {
        return;
    };
    let other = planes.pop().unwrap();
    let mut plane = planes.pop().unwrap();
    let client = plane.client().await;
    write_all(&client, "first").await;
    apply(&client, &config_map("default", "of-the-backup", "1")).await;
    Recorder::permit(&plane, RESOURCES).await;
    Recorder::permit(&other, RESOURCES).await;
    let backup = plane.backup_etcd().await;

    let mut recorder = Recorder::of(&plane, CONFIG);
    recorder.start_ready().await;
    // Versions that the restored etcd does not reach for a while.
    for n in 0..100 {
        apply(&client, &config_map("default", "after", &n.to_string())).await;
    }
    delete(&client, &config_map("default", "of-the-backup", "")).await;
    write_all(&client, "second").await;
    exists(&recorder, &plane).await;
    plane.restore_etcd(&backup).await;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    assert!(maps.get_opt("after").await.unwrap().is_none());
    exists(&recorder, &plane).await;
    recorder.readyz_says("v1.ConfigMap watching", SOON).await;
    let gaps = recorder.info().gaps;
    let restored = |gap: &&sk_tracedb::query::Gap| gap.reason.contains("history was replaced");
    // No pod was changed, so the version of that watch is one that the backup has.
    for kind in ["v1.ConfigMap", "apps/v1.Deployment"] {
        let gap = gaps.iter().filter(restored).find(|gap| gap.kind == kind);
        assert!(gap.is_some_and(|gap| gap.end.is_some()), "{kind}: {gaps:?}");
    }
    // It goes on from there.
    write_all(&client, "third").await;
    exists(&recorder, &plane).await;

    // And when the same happens while it is down. The restored cluster has by then come to a version behind that of the last
    // deployment which was seen: that watch alone would go on as if nothing had been.
    let ghost = version(&apply(&client, &deployment("default", "ghost", 1, "1")).await);
    for n in 0..100 {
        apply(&client, &config_map("default", "after", &n.to_string())).await;
    }
    let last = version(&apply(&client, &config_map("default", "after", "last")).await);
    exists(&recorder, &plane).await;
    recorder.stop();
    plane.restore_etcd(&backup).await;
    let now = async || {
        version(
            &apply(
                &client,
                &config_map("default", "other", &now_us().to_string()),
            )
            .await,
        )
    };
    while now().await <= ghost {}
    assert!(
        now().await < last,
        "it cannot be told any more that the history is another one"
    );
    recorder.start_ready().await;
    exists(&recorder, &plane).await;
    recorder.stop();

    // The same file against another cluster: refused, with both names, and untouched.
    let mut stranger = Recorder::of(&other, CONFIG);
    stranger.take_db_of(&recorder);
    let before = stranger.info();
    stranger.start();
    let (code, log) = stranger.ended().await;
    assert_eq!(code, Some(1), "{log}");
    for plane in [&plane, &other] {
        let uid = plane.client().await;
        let uid = Api::<k8s_openapi::api::core::v1::Namespace>::all(uid)
            .get("kube-system")
            .await
            .unwrap();
        assert!(log.contains(uid.metadata.uid.as_deref().unwrap()), "{log}");
    }
    assert!(log.contains("hint: "), "{log}");
    assert_eq!(stranger.info(), before);
}
