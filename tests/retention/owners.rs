//! A pod's lifecycle belongs to an object that only a chain of owners leads to, some of them looked up and never seen:
//! those rows must outlive the horizon for as long as a pod needs them, and no longer.

use std::time::Duration;

use serde_json::json;
use sk_tracedb::ingest::Effort;
use sk_tracedb::model::{Horizon, Observation, Uid};

use crate::support::*;

const WEB: &str = "apps/v1.Deployment";

#[test]
fn owners_stay_as_long_as_a_pod_needs_them() {
    let mut recorder = Recorder::listed(config(&["apps/v1.Deployment: {trackLifecycle: true}"]));
    let web = obj(WEB, "ns/web", "web").spec(json!({}));
    recorder.see(s(101), web.applied());
    let set = |n: i64| {
        obj(
            "apps/v1.ReplicaSet",
            &format!("ns/set-{n}"),
            &format!("set-{n}"),
        )
        .owned_by(&web)
    };
    for n in 1..=2 {
        recorder.see(
            s(102),
            Observation::Owner {
                uid: Uid(format!("set-{n}")),
                facts: Some(set(n).facts()),
            },
        );
        let run = pod(&format!("ns/pod-{n}"), &format!("pod-{n}"))
            .owned_by(&set(n))
            .started(102);
        recorder.see(s(103), run.clone().applied());
        if n == 1 {
            recorder.see(s(110), run.finished(110).deleted());
        }
    }
    // The horizon does not go beyond what is recorded.
    let bookmark = Observation::Bookmark {
        watch: gvk(WEB),
        resource_version: "9".to_owned(),
    };
    recorder.see(s(130), bookmark);
    let before = recorder.export(150, 160).bytes;
    let effort = Effort {
        rows: 1_000,
        time: Duration::from_secs(10),
    };
    recorder.writer().begin_sweep();
    let horizon = Horizon::at(s(120));
    while !recorder
        .writer()
        .retain(horizon, effort, false)
        .unwrap()
        .done
    {}
    recorder.writer().begin_sweep();
    while !recorder
        .writer()
        .retain(horizon, effort, false)
        .unwrap()
        .done
    {}
    let after = recorder.export(150, 160);
    assert!(after.bytes == before);
    assert_eq!(
        after.trace.lifecycles_of(WEB, "ns/web"),
        [Lifecycle::Running(150)]
    );
    recorder.writer().fold_all(Duration::MAX).unwrap();
    let sizes = recorder.snapshot().size_on_disk().unwrap();
    let rows = |table: &str| {
        sizes
            .tables
            .iter()
            .find(|size| size.name == table)
            .unwrap()
            .rows
    };
    // The Deployment, and the ReplicaSet whose pod runs on.
    assert_eq!(rows("uid_to_owner"), 2);
    assert_eq!(rows("number_to_pod"), 1);
}
