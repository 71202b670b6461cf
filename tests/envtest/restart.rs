//! Guards what a recorder knows after it was away: an acknowledged change that is lost, a change of the downtime that is missed or
//! stands at a time at which it did not happen, and unchanged objects recorded again at every start.

use std::time::Duration;

use kube::ResourceExt;

use super::audit::Record;
use super::compare::{CONFIG_MAPS, DEPLOYMENTS, Found, JOBS, Kind, STATEFUL_SETS, Wanted, compare};
use super::control_plane::{ControlPlane, Options, RECORDER};
use super::kubelet::Kubelet;
use super::lifecycles::{compare_lifecycles, true_lifecycles};
use super::objects::{apply, config_map, delete, deployment, job, stateful_set};
use super::poll::eventually;
use super::recorder::{Recorder, now_us, second_after_now};

const SOON: Duration = Duration::from_secs(60);

const CONFIG: &[&str] = &[
    "apps/v1.Deployment: {trackLifecycle: true}",
    "apps/v1.StatefulSet: {trackLifecycle: true}",
    "batch/v1.Job: {trackLifecycle: true}",
    "v1.ConfigMap: {}",
];
const KINDS: &[Kind] = &[DEPLOYMENTS, STATEFUL_SETS, JOBS, CONFIG_MAPS];
const RESOURCES: &[(&str, &str)] = &[
    ("apps", "deployments"),
    ("apps", "statefulsets"),
    ("batch", "jobs"),
    ("", "configmaps"),
];
const OWNERS: &[&str] = &["apps/v1.Deployment", "apps/v1.StatefulSet", "batch/v1.Job"];

async fn recorded(recorder: &Recorder, plane: &ControlPlane, wanted: Wanted) -> Found {
    let truth = plane.truth();
    eventually(SOON, "the record is the truth", async || {
        compare(&recorder.reader()?, &truth.read(), KINDS, wanted)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorder_that_is_killed_again_and_again_loses_nothing() {
    let Some(plane) = ControlPlane::start().await else {
        return;
    };
    let client = plane.client().await;
    let kubelet = Kubelet::join(client.clone(), "node-1").await;
    for n in 0..20 {
        apply(&client, &config_map("default", &format!("quiet-{n}"), "1")).await;
    }
    apply(&client, &deployment("default", "web", 2, "web:1")).await;
    apply(&client, &stateful_set("default", "db", 1, "db:1")).await;
    kubelet.run_all("default", "app=web", 2).await;
    let db = kubelet.run_all("default", "app=db", 1).await;
    // From here on by itself: two who run a pod would start it twice.
    let driver = kubelet.drive();
    Recorder::permit(&plane, RESOURCES).await;
    let mut recorder = Recorder::of(&plane, CONFIG);
    let start = now_us() / 1_000_000 - 60;
    recorder.start_ready().await;
    recorder.knows_owners().await;
    let first = recorded(&recorder, &plane, Wanted::Everything).await;
    assert_eq!(
        (first.initial, first.inferred),
        (first.changes, 0),
        "{first:?}"
    );

    // Killed in the middle of writes, at whatever moment it is.
    for round in 0..4 {
        let writes = async {
            for n in 0..25 {
                apply(
                    &client,
                    &config_map("default", "busy", &format!("{round}-{n}")),
                )
                .await;
            }
        };
        let kill = async {
            let seen = recorder.info().changes + 5;
            eventually(
                SOON,
                "it has recorded some of them",
                async || match recorder.info().changes {
                    changes if changes >= seen => Ok(()),
                    changes => Err(format!("{changes}")),
                },
            )
            .await;
            let acknowledged = recorder.info().changes;
            recorder.kill();
            acknowledged
        };
        let ((), acknowledged) = tokio::join!(writes, kill);
        assert!(
            recorder.info().changes >= acknowledged,
            "what had been durable is gone"
        );

        // While it is down: created, changed twice, deleted, deleted and created again.
        let name = |what: &str| format!("{what}-{round}");
        apply(&client, &config_map("default", &name("new"), "1")).await;
        apply(&client, &config_map("default", "busy", &name("down"))).await;
        apply(&client, &config_map("default", "busy", &name("down again"))).await;
        delete(
            &client,
            &config_map("default", &format!("quiet-{round}"), ""),
        )
        .await;
        delete(&client, &config_map("default", "quiet-10", "")).await;
        apply(&client, &config_map("default", "quiet-10", &name("again"))).await;
        apply(&client, &job("default", &name("job"), "job:1", 0)).await;
        match round {
            0 => kubelet.delete("default", &db[0].name_any()).await,
            1 => drop(apply(&client, &deployment("default", "web", 2, "web:2")).await),
            2 => delete(&client, &stateful_set("default", "db", 1, "db:1")).await,
            _ => {}
        }
        eventually(SOON, "the job of the downtime has ended", async || {
            let record = plane.truth().read();
            let ended = record
                .alive("batch", "jobs")
                .get(&format!("default/{}", name("job")))
                .is_some_and(|job| job["status"]["succeeded"] == 1);
            if ended {
                Ok(())
            } else {
                Err(format!("{}", record.lives.len()))
            }
        })
        .await;
        recorder.start();
    }
    recorder.ready().await;
    let found = recorded(&recorder, &plane, Wanted::Everything).await;
    // The API server still had the history of the downtimes: all of it is in the record, and said to be of blind times.
    assert!(found.inferred >= 4 * 7, "{found:?}");
    assert_eq!(
        found.initial, first.initial,
        "unchanged objects are not recorded again: {found:?}"
    );

    // One list of each kind, at the first start: later ones only ask for the version.
    let lists = lists(&plane.truth().read());
    assert_eq!(
        lists,
        [
            ("configmaps", 1),
            ("deployments", 1),
            ("jobs", 1),
            ("pods", 1),
            ("statefulsets", 1)
        ]
        .map(|(plural, count)| (plural.to_owned(), count))
    );
    let info = recorder.info();
    assert_eq!(info.runs.len(), 5);
    assert!(info.runs.iter().all(|run| !run.closed));
    for kind in KINDS.iter().map(|kind| kind.gvk).chain(["v1.Pod"]) {
        let gaps: Vec<_> = info
            .gaps
            .iter()
            .filter(|gap| gap.kind == kind && gap.reason.contains("not running"))
            .collect();
        assert!(!gaps.is_empty() && gaps.len() <= 4, "{kind}: {gaps:?}");
        assert!(gaps.iter().all(|gap| gap.end.is_some()), "{kind}: {gaps:?}");
        // Each start of a run lies in a gap of each kind.
        for run in &info.runs[1..] {
            assert!(
                gaps.iter()
                    .any(|gap| gap.start < run.start && gap.end.unwrap() >= run.start),
                "{kind}: {run:?}: {gaps:?}"
            );
        }
    }
    drop(driver);
    eventually(SOON, "the lifecycles are the truth", async || {
        let trace = recorder.trace(start, second_after_now()).await;
        compare_lifecycles(&trace, &true_lifecycles(&plane.truth().read(), OWNERS))
    })
    .await;
}

/// How many lists (not counting those for the version alone) the recorder has made of each resource that it watches.
fn lists(record: &Record) -> Vec<(String, usize)> {
    let mut lists = std::collections::BTreeMap::new();
    let begun = record
        .reads_by(RECORDER)
        .filter(|read| {
            read.verb == "list" && !read.uri.contains("limit=1&") && !read.uri.ends_with("limit=1")
        })
        .filter(|read| read.plural != "replicasets");
    for read in begun {
        *lists.entry(read.plural.clone()).or_default() += 1;
    }
    lists.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorder_that_is_told_to_stop_ends_well_and_goes_on_without_a_list() {
    let quiet = Options {
        controllers: false,
        scheduler: false,
        ..Options::default()
    };
    let Some(mut plane) = ControlPlane::start_with(quiet).await else {
        return;
    };
    let client = plane.client().await;
    for n in 0..10 {
        apply(
            &client,
            &config_map("default", &format!("settings-{n}"), "1"),
        )
        .await;
    }
    Recorder::permit(&plane, &[("", "configmaps"), ("apps", "deployments")]).await;
    let mut recorder = Recorder::of(&plane, &["v1.ConfigMap: {}", "apps/v1.Deployment: {}"]);
    let kinds = [CONFIG_MAPS, DEPLOYMENTS];
    recorder.start_ready().await;
    let before = recorder.info();
    for value in 0..30 {
        apply(
            &client,
            &config_map("default", "settings-1", &value.to_string()),
        )
        .await;
    }
    // Told to stop right behind a write: what had arrived is committed, and the run is closed in order.
    recorder.stop();
    let stopped = recorder.info();
    assert_eq!(stopped.runs.len(), 1);
    assert!(stopped.runs[0].closed);
    let open: Vec<_> = stopped
        .gaps
        .iter()
        .filter(|gap| gap.end.is_none())
        .collect();
    assert!(open.is_empty(), "{open:?}");

    apply(&client, &config_map("default", "settings-2", "2")).await;
    delete(&client, &config_map("default", "settings-3", "")).await;
    recorder.start_ready().await;
    let truth = plane.truth();
    let found = eventually(SOON, "the record is the truth", async || {
        compare(
            &recorder.reader()?,
            &truth.read(),
            &kinds,
            Wanted::Everything,
        )
    })
    .await;
    assert!(found.inferred >= 2, "{found:?}");
    assert_eq!(found.initial as u64, before.changes, "{found:?}");
    let once = ["configmaps", "deployments", "pods"].map(|plural| (plural.to_owned(), 1));
    assert_eq!(lists(&truth.read()), once);

    // Nothing has happened: nothing is recorded. The gap is that of the downtime.
    let changes = recorder.info().changes;
    recorder.stop();
    recorder.start_ready().await;
    recorder.stop();
    let info = recorder.info();
    assert_eq!(info.changes, changes);
    assert_eq!(
        info.runs.iter().map(|run| run.closed).collect::<Vec<_>>(),
        [true; 3]
    );
    for (run, next) in info.runs.iter().zip(&info.runs[1..]) {
        let gap = info.gaps.iter().find(|gap| {
            gap.kind == "v1.ConfigMap"
                && gap.end.is_some_and(|end| end >= next.start)
                && gap.start <= next.start
        });
        let gap = gap.unwrap_or_else(|| panic!("{run:?} to {next:?}: {:?}", info.gaps));
        assert!(
            gap.start <= run.end && gap.reason.contains("not running"),
            "{gap:?} {run:?}"
        );
    }
    assert_eq!(lists(&truth.read()), once);

    // Also when the API server does not answer at all.
    recorder.start_ready().await;
    plane.freeze_apiserver();
    recorder.stop();
    recorder.start();
    plane.thaw_apiserver();
    recorder.ready().await;
    plane.kill_apiserver();
    recorder.stop();
    assert_eq!(recorder.info().changes, changes);
}
