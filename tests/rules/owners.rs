//! R2, R12, X6: who owns whom is settled when both are known, whatever the order of arrival.

use serde_json::json;
use sk_tracedb::model::{Observation, Uid};

use crate::support::*;

/// Deployment web, its ReplicaSet, and three running pods of it.
fn deployment() -> (Obj, Obj, [Pod; 3]) {
    let web = obj("apps/v1.Deployment", "ns/web", "web").spec(json!({"replicas": 3}));
    let set = obj("apps/v1.ReplicaSet", "ns/web-1", "set")
        .spec(json!({"replicas": 3}))
        .owned_by(&web);
    let pods = [1, 2, 3].map(|n| {
        let pod = pod(&format!("ns/web-1-{n}"), &format!("pod-{n}"));
        pod.owned_by(&set).started(50 + n)
    });
    (web, set, pods)
}

#[test]
fn three_running_pods_have_three_lifecycles_whatever_arrives_first() {
    let (web, set, pods) = deployment();
    let answer = Observation::Owner {
        uid: Uid::from("set"),
        facts: Some(set.facts()),
    };
    let pods: Vec<Observation> = pods.iter().map(Pod::applied).collect();
    let tracked = [
        "apps/v1.Deployment: {trackLifecycle: true}",
        "apps/v1.ReplicaSet: {}",
    ];
    // The ReplicaSet comes from its own watch, or from a look-up.
    for (entries, set) in [(&tracked[..], set.applied()), (&tracked[..1], answer)] {
        for order in [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ] {
            let mut recorder = Recorder::listed(config(entries));
            for (n, part) in order.into_iter().enumerate() {
                let at = s(101 + i64::try_from(n).unwrap());
                match part {
                    0 => recorder.see_all(at, pods.clone()),
                    1 => drop(recorder.see(at, set.clone())),
                    _ => drop(recorder.see(at, web.applied())),
                }
            }
            let trace = recorder.export(110, 200).trace;
            assert_eq!(
                trace.lifecycles_of("apps/v1.Deployment", "ns/web"),
                [Lifecycle::Running(110); 3],
                "order {order:?}"
            );
            assert_eq!(trace.pod_lifecycles.0.len(), 1, "order {order:?}");
            // Applying the Deployment creates the ReplicaSet: it must not be in the trace a second time.
            assert_eq!(
                trace.start_names(),
                ["Deployment ns/web"],
                "order {order:?}"
            );
            assert_eq!(recorder.info().wanted_owners, 0, "order {order:?}");
        }
    }
}

#[test]
fn an_owner_of_an_untracked_kind_is_wanted_until_it_is_found() {
    let (web, set, [pod, ..]) = deployment();
    let mut recorder = Recorder::listed(config(&["apps/v1.Deployment: {trackLifecycle: true}"]));
    recorder.see_all(s(101), [web.applied(), pod.applied()]);
    assert_eq!(recorder.info().wanted_owners, 1);
    // An API server that does not know it now may know it later.
    let nothing = Observation::Owner {
        uid: Uid::from("set"),
        facts: None,
    };
    recorder.see(s(102), nothing.clone());
    assert_eq!(recorder.info().wanted_owners, 1);
    recorder.restart(s(103), s(104));
    assert_eq!(recorder.info().wanted_owners, 1);
    let found = Observation::Owner {
        uid: Uid::from("set"),
        facts: Some(set.facts()),
    };
    recorder.see(s(105), found);
    assert_eq!(recorder.info().wanted_owners, 0);
    let lifecycles = recorder
        .export(100, 200)
        .trace
        .lifecycles_of("apps/v1.Deployment", "ns/web");
    assert_eq!(lifecycles, [Lifecycle::Running(100)]);
}

#[test]
fn an_owner_that_was_given_up_is_asked_for_again_when_something_refers_to_it() {
    let (_, set, [pod, other, _]) = deployment();
    let mut recorder = Recorder::listed(config(&["apps/v1.Deployment: {trackLifecycle: true}"]));
    recorder.see(s(101), pod.applied());
    let nothing = Observation::Owner {
        uid: Uid(set.uid.clone()),
        facts: None,
    };
    recorder.see(s(101 + 2 * 86_400), nothing);
    assert_eq!(recorder.info().wanted_owners, 0);
    recorder.see(s(102 + 2 * 86_400), other.applied());
    assert_eq!(recorder.info().wanted_owners, 1);
}

#[test]
fn the_nearest_tracked_ancestor_that_is_in_the_trace_gets_the_lifecycle() {
    let mut recorder = Recorder::listed(config(&[
        "batch/v1.CronJob: {trackLifecycle: true}",
        "batch/v1.Job: {trackLifecycle: true}",
    ]));
    let cron = obj("batch/v1.CronJob", "ns/nightly", "cron").spec(json!({"schedule": "* * * * *"}));
    let owned = obj("batch/v1.Job", "ns/nightly-1", "job-1")
        .spec(json!({}))
        .owned_by(&cron);
    let free = obj("batch/v1.Job", "ns/once", "job-2").spec(json!({}));
    recorder.see_all(s(101), [owned.applied(), free.applied(), cron.applied()]);
    let run = |path: &str, owner: &Obj| pod(path, path).owned_by(owner).started(102).applied();
    recorder.see_all(s(102), [run("ns/p1", &owned), run("ns/p2", &free)]);
    let trace = recorder.export(100, 200).trace;
    let owners: Vec<_> = trace.lifecycles().into_keys().collect();
    assert_eq!(
        owners,
        [
            ("batch/v1.CronJob".to_owned(), "ns/nightly".to_owned()),
            ("batch/v1.Job".to_owned(), "ns/once".to_owned())
        ]
    );
    assert_eq!(
        trace.told(),
        ["101 + Job ns/once", "101 + CronJob ns/nightly"]
    );
}

#[test]
fn a_bare_pod_owns_itself_where_pods_are_tracked_with_lifecycles() {
    let running = pod("ns/solo", "solo").started(102).tracked();
    for (entry, expected) in [
        (
            "v1.Pod: {trackLifecycle: true}",
            vec![Lifecycle::Running(102)],
        ),
        ("v1.Pod: {}", vec![]),
    ] {
        let mut recorder = Recorder::listed(config(&[entry]));
        recorder.see(s(103), running.applied());
        let trace = recorder.export(100, 200).trace;
        assert_eq!(
            trace.lifecycles_of("v1.Pod", "ns/solo"),
            expected,
            "{entry}"
        );
        assert_eq!(trace.told(), ["103 + Pod ns/solo"]);
    }
}

#[test]
fn owners_are_told_apart_by_uid_not_by_name() {
    let mut recorder = Recorder::listed(config(&[
        "apps/v1.StatefulSet: {trackLifecycle: true}",
        "v1.Service: {}",
    ]));
    let set = obj("apps/v1.StatefulSet", "ns/db", "new").spec(json!({}));
    let gone = obj("apps/v1.StatefulSet", "ns/db", "old").spec(json!({}));
    recorder.see(s(101), set.applied());
    // A leftover of an owner that was gone before the record began.
    recorder.see(
        s(102),
        pod("ns/db-0", "p").owned_by(&gone).started(50).applied(),
    );
    let service = obj("v1.Service", "ns/db", "service")
        .spec(json!({}))
        .owned_by(&gone);
    recorder.see(s(103), service.applied());
    let trace = recorder.export(100, 200).trace;
    assert!(trace.pod_lifecycles.0.is_empty());
    assert_eq!(
        trace.told(),
        ["101 + StatefulSet ns/db", "103 + Service ns/db"]
    );
}

#[test]
fn owned_objects_are_left_out_with_their_deletions_whatever_arrives_first() {
    let (web, set, _) = deployment();
    for owner_first in [true, false] {
        let mut recorder = Recorder::listed(config(&[
            "apps/v1.Deployment: {}",
            "apps/v1.ReplicaSet: {}",
        ]));
        let (first, second) = if owner_first {
            (&web, &set)
        } else {
            (&set, &web)
        };
        recorder.see(s(101), first.applied());
        recorder.see(s(111), second.applied());
        recorder.see(s(120), set.deleted());
        for (start, end) in [(100, 200), (105, 200), (115, 200), (100, 115)] {
            let trace = recorder.export(start, end).trace;
            let kinds: Vec<_> = trace.index().into_keys().map(|(kind, _)| kind).collect();
            assert_eq!(
                kinds,
                ["apps/v1.Deployment"],
                "[{start}, {end}), {owner_first}"
            );
            assert!(
                !trace
                    .told()
                    .iter()
                    .any(|change| change.contains("ReplicaSet"))
            );
        }
        // A window in which the owner does not exist yet holds the object itself.
        if !owner_first {
            assert_eq!(
                recorder.export(100, 105).trace.told(),
                ["101 + ReplicaSet ns/web-1"]
            );
        }
    }
}

#[test]
fn lifecycles_name_their_owner_as_the_trace_does_after_a_change_of_version() {
    let mut recorder = Recorder::listed(config(&["x.io/v1beta1.Job: {trackLifecycle: true}"]));
    let beta = obj("x.io/v1beta1.Job", "ns/a", "1").spec(json!({}));
    recorder.see(s(101), beta.applied());
    recorder.see(
        s(102),
        pod("ns/p", "p").owned_by(&beta).started(102).applied(),
    );
    recorder.stop(s(110));
    recorder.config = config(&["x.io/v1.Job: {trackLifecycle: true}"]);
    recorder.run_from(s(120));
    let stable = obj("x.io/v1.Job", "ns/a", "1").spec(json!({}));
    recorder.list(s(121), &stable.gvk, [stable.item()]);
    // Decoding checks that every owner of lifecycles is in the index.
    for (start, end, kind) in [(100, 110, "x.io/v1beta1.Job"), (130, 140, "x.io/v1.Job")] {
        let trace = recorder.export(start, end).trace;
        assert_eq!(
            trace.lifecycles_of(kind, "ns/a").len(),
            1,
            "[{start}, {end})"
        );
    }
}
