//! Guards the whole way from a cluster to a trace: a change, an incarnation or a pod that is lost, doubled, out of order or at
//! the wrong time makes every replay of the trace a replay of something else, and nobody would notice.

use std::time::Duration;

use kube::ResourceExt;
use serde_json::json;

use super::compare::{
    CONFIG_MAPS, DEPLOYMENTS, JOBS, Kind, STATEFUL_SETS, Wanted, compare, told_states, true_states,
};
use super::control_plane::{ControlPlane, RECORDER};
use super::kubelet::Kubelet;
use super::lifecycles::{compare_lifecycles, true_lifecycles};
use super::objects::{apply, config_map, delete, deployment, job, namespace, stateful_set};
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

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_tells_everything_that_happened_and_nothing_else() {
    let Some(plane) = ControlPlane::start().await else {
        return;
    };
    let client = plane.client().await;
    let kubelet = Kubelet::join(client.clone(), "node-1").await;
    apply(&client, &deployment("default", "early", 1, "early:1")).await;
    apply(&client, &config_map("default", "early", "1")).await;
    let early = kubelet.run_all("default", "app=early", 1).await;
    // From here on by itself: two who run a pod would start it twice.
    let driver = kubelet.drive();

    Recorder::permit(&plane, RESOURCES).await;
    let mut recorder = Recorder::of(&plane, CONFIG);
    let before = now_us() / 1_000_000 - 1;
    recorder.start_ready().await;
    recorder.knows_owners().await;
    let ready = second_after_now();
    eventually(
        SOON,
        "the second from which on everything is new",
        async || {
            if now_us() >= ready * 1_000_000 {
                Ok(())
            } else {
                Err("not yet".to_owned())
            }
        },
    )
    .await;

    // Created, scaled, rolled out, labelled (which is no change), deleted.
    apply(&client, &namespace("team")).await;
    apply(&client, &deployment("team", "web", 3, "web:1")).await;
    let web = kubelet.run_all("team", "app=web", 3).await;
    apply(&client, &deployment("team", "web", 2, "web:1")).await;
    apply(&client, &config_map("team", "settings", "1")).await;
    apply(&client, &config_map("team", "settings", "2")).await;
    let mut labelled = deployment("team", "web", 2, "web:1");
    labelled["metadata"]["labels"] = json!({"tier": "front"});
    apply(&client, &labelled).await;
    apply(&client, &deployment("team", "web", 2, "web:2")).await;
    apply(&client, &stateful_set("team", "db", 2, "db:1")).await;
    apply(&client, &job("team", "good", "job:1", 0)).await;
    apply(&client, &job("team", "bad", "job:1", 3)).await;
    // Deleted and there again, within a second, twice.
    for value in ["3", "4"] {
        delete(&client, &config_map("team", "settings", "")).await;
        apply(&client, &config_map("team", "settings", value)).await;
    }
    let db = kubelet.run_all("team", "app=db", 2).await;
    // A crash is no end; and an end without a last status.
    kubelet.crash("team", &db[0].name_any(), 1).await;
    kubelet.run("team", &db[0].name_any()).await;
    kubelet.force_delete("team", &db[1].name_any()).await;
    delete(&client, &deployment("default", "early", 0, "")).await;
    delete(&client, &config_map("default", "early", "")).await;
    apply(&client, &stateful_set("team", "db", 2, "db:2")).await;

    // Until nothing moves any more: all rolled out, what was deleted is gone.
    let truth = plane.truth();
    eventually(SOON, "the workload comes to rest", async || {
        let record = truth.read();
        let pods = record.alive("", "pods");
        let images: Vec<_> = pods
            .values()
            .map(|pod| {
                (
                    pod["spec"]["containers"][0]["image"].as_str().unwrap(),
                    pod["status"]["phase"].as_str().unwrap_or_default(),
                )
            })
            .collect();
        let count =
            |image: &str, phase: &str| images.iter().filter(|pod| **pod == (image, phase)).count();
        let rest = images.len() == 6
            && count("web:2", "Running") == 2
            && count("db:2", "Running") == 2
            && count("job:1", "Succeeded") == 1
            && count("job:1", "Failed") == 1;
        if rest {
            Ok(())
        } else {
            Err(format!("{images:?}"))
        }
    })
    .await;
    drop(driver);
    assert!(
        truth
            .read()
            .life(&web[2].uid().unwrap())
            .is_some_and(|life| life.deleted().is_some())
    );

    let found = eventually(SOON, "the record is the truth", async || {
        compare(
            &recorder.reader()?,
            &truth.read(),
            KINDS,
            Wanted::Everything,
        )
    })
    .await;
    assert_eq!(found.inferred, 0, "it was never blind");

    // What the trace tells: everything, when the window begins before the record; and from a start state on.
    let record = truth.read();
    let end = second_after_now();
    let whole = eventually(SOON, "the lifecycles are the truth", async || {
        let trace = recorder.trace(before, end).await;
        compare_lifecycles(&trace, &true_lifecycles(&truth.read(), OWNERS))?;
        Ok(trace)
    })
    .await;
    let all = true_states(&record, KINDS);
    let told = told_states(&whole, KINDS);
    for (name, states) in &all {
        let told = told
            .get(name)
            .unwrap_or_else(|| panic!("{name:?} is not in the trace"));
        assert!(
            states.ends_with(told),
            "{name:?}: {told:?} is told of {states:?}"
        );
        let is_new = record.lives.iter().any(|life| {
            name.1 == life.key()
                && KINDS
                    .iter()
                    .any(|kind| name.0 == kind.gvk && kind.plural == life.plural)
                && life.changes[0].received.as_second() >= ready
        });
        assert!(
            !is_new || told == states,
            "{name:?}: {told:?} is told of {states:?}"
        );
    }
    assert_eq!(told.len(), all.len(), "the trace tells of what never was");
    let settings = &told[&("v1.ConfigMap".to_owned(), "team/settings".to_owned())];
    assert_eq!(settings.iter().filter(|state| state.is_none()).count(), 2);
    assert_eq!(settings.len(), 6);
    let web_states = &told[&("apps/v1.Deployment".to_owned(), "team/web".to_owned())];
    assert_eq!(
        web_states.len(),
        3,
        "created, scaled, rolled out: {web_states:?}"
    );

    // Owners are looked up while it records; what follows only exports.
    recorder.knows_owners().await;
    let reads = truth.read().reads_by(RECORDER).count();
    let later = recorder.trace(ready, end).await;
    let start = later.start_names();
    assert!(
        start.contains(&"Deployment default/early".to_owned()),
        "{start:?}"
    );
    assert!(
        start.contains(&"ConfigMap default/early".to_owned()),
        "{start:?}"
    );
    assert_eq!(told_states(&later, KINDS).len(), all.len());
    assert_eq!(later.end_state(), whole.end_state());
    assert_eq!(
        later
            .lifecycles_of("apps/v1.Deployment", "default/early")
            .len(),
        1,
        "{early:?}"
    );

    // An export asks the API server nothing: the pod of `early` ran through a replica set that is gone by now.
    let reads_after = truth.read().reads_by(RECORDER).count();
    assert_eq!(
        reads_after,
        reads,
        "{:?}",
        truth
            .read()
            .reads_by(RECORDER)
            .skip(reads)
            .collect::<Vec<_>>()
    );
    let refused: Vec<_> = record
        .reads_by(RECORDER)
        .filter(|read| read.code == 403)
        .cloned()
        .collect();
    assert!(
        refused.is_empty(),
        "README.md does not ask for rights that the recorder uses: {refused:?}"
    );
    recorder.stop();
    let info = recorder.info();
    assert_eq!(
        (info.runs.len(), info.runs[0].closed, info.wanted_owners),
        (1, true, 0)
    );
}
