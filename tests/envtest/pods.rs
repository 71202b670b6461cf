//! Guards the lifecycles of pods that are hard to attribute: those that ran before the recorder did, and those that take over the
//! name of another. One that is lost or takes another's place makes a simulated cluster too small or its pods too short.

use std::time::Duration;

use kube::ResourceExt;

use super::audit::Record;
use super::control_plane::{ControlPlane, RECORDER};
use super::kubelet::Kubelet;
use super::lifecycles::{compare_lifecycles, true_lifecycles};
use super::objects::{apply, deployment, stateful_set};
use super::poll::eventually;
use super::recorder::{Recorder, now_us, second_after_now};
use super::support::{Lifecycle, Trace};

const SOON: Duration = Duration::from_secs(60);
const CONFIG: &[&str] = &[
    "apps/v1.Deployment: {trackLifecycle: true}",
    "apps/v1.StatefulSet: {trackLifecycle: true}",
];
const OWNERS: &[&str] = &["apps/v1.Deployment", "apps/v1.StatefulSet"];

async fn true_trace(recorder: &Recorder, plane: &ControlPlane, start: i64) -> (Trace, Record) {
    eventually(SOON, "the lifecycles are the truth", async || {
        let record = plane.truth().read();
        let trace = recorder.trace(start, second_after_now()).await;
        compare_lifecycles(&trace, &true_lifecycles(&record, OWNERS))?;
        Ok((trace, record))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_ran_before_the_recorder_and_pods_that_replace_others_have_each_a_lifecycle() {
    let Some(plane) = ControlPlane::start().await else {
        return;
    };
    let client = plane.client().await;
    let kubelet = Kubelet::join(client.clone(), "node-1").await;
    apply(&client, &deployment("default", "web", 3, "web:1")).await;
    apply(&client, &stateful_set("default", "db", 2, "db:1")).await;
    kubelet.run_all("default", "app=web", 3).await;
    let first = kubelet.run_all("default", "app=db", 2).await;
    // From here on by itself: two who run a pod would start it twice.
    let driver = kubelet.drive();

    // The pods are there before anything that owns them is known, and their owners' owners are never watched.
    Recorder::permit(&plane, &[("apps", "deployments"), ("apps", "statefulsets")]).await;
    let mut recorder = Recorder::of(&plane, CONFIG);
    let start = now_us() / 1_000_000 - 60;
    recorder.start_ready().await;
    let (trace, _) = true_trace(&recorder, &plane, start).await;
    let web = trace.lifecycles_of("apps/v1.Deployment", "default/web");
    assert_eq!(web.len(), 3, "{web:?}");
    assert!(web.iter().all(|pod| matches!(pod, Lifecycle::Running(_))));
    let read = plane.truth().read();
    assert!(
        !read
            .reads_by(RECORDER)
            .any(|read| read.verb == "watch" && read.plural == "replicasets"),
        "the chain is looked up, not watched"
    );

    // Replaced under the same name: by one of the same spec, and by one of another.
    kubelet.delete("default", &first[0].name_any()).await;
    eventually(SOON, "db-0 runs a second time", async || {
        let record = plane.truth().read();
        let lives = record.lives_named("", "pods", "default", "db-0");
        let again = lives.len() == 2 && lives[1].last()["status"]["phase"] == "Running";
        if again {
            Ok(())
        } else {
            Err(format!("{} lives", lives.len()))
        }
    })
    .await;
    apply(&client, &stateful_set("default", "db", 2, "db:2")).await;
    eventually(SOON, "both run with the new image", async || {
        let record = plane.truth().read();
        let alive = record.alive("", "pods");
        let new = alive.values().filter(|pod| {
            pod["spec"]["containers"][0]["image"] == "db:2" && pod["status"]["phase"] == "Running"
        });
        match new.count() {
            2 => Ok(()),
            count => Err(format!("{count}")),
        }
    })
    .await;
    drop(driver);

    let (trace, record) = true_trace(&recorder, &plane, start).await;
    assert_eq!(record.lives_named("", "pods", "default", "db-0").len(), 3);
    assert_eq!(record.lives_named("", "pods", "default", "db-1").len(), 2);
    let owner = ("apps/v1.StatefulSet".to_owned(), "default/db".to_owned());
    // A pod of a stateful set knows its own name, so each name and image is another spec.
    let mut db: Vec<Vec<bool>> = trace.lifecycles()[&owner]
        .values()
        .map(|pods| {
            pods.iter()
                .map(|pod| matches!(pod, Lifecycle::Running(_)))
                .collect()
        })
        .collect();
    db.sort();
    assert_eq!(
        db,
        [vec![false], vec![false, false], vec![true], vec![true]]
    );
}
