//! R9: what happened while the recorder could not see is found at the next list, and recorded as inferred.

use serde_json::json;
use sk_tracedb::model::Observation;

use crate::support::*;

fn web(uid: &str, replicas: i64) -> Obj {
    obj("apps/v1.Deployment", "ns/web", uid).spec(json!({"replicas": replicas}))
}

fn recorder() -> Recorder {
    let mut recorder = Recorder::listed(config(&["apps/v1.Deployment: {trackLifecycle: true}"]));
    recorder.see(s(101), web("1", 1).applied());
    recorder
}

#[test]
fn a_deletion_while_down_is_found_by_uid_and_dated_by_an_interval() {
    for clean in [true, false] {
        let mut recorder = recorder();
        recorder.bookmark(s(105), "apps/v1.Deployment");
        let contact = if clean { 110 } else { 105 };
        if clean {
            recorder.stop(s(110));
        } else {
            recorder.crash();
        }
        recorder.run_from(s(150));
        recorder.list(s(152), &web("", 0).gvk, []);
        let expected = ["101 + 1".to_owned(), format!("152 - 1 (after {contact})")];
        assert_eq!(recorder.story(&web("", 0).key()), expected);
        assert_eq!(recorder.state(s(151)).len(), 1);
        assert_eq!(recorder.state(s(152)).len(), 0);
    }
}

#[test]
fn a_run_that_ends_in_good_order_claims_to_have_seen_what_its_watches_say() {
    let deployments = "apps/v1.Deployment";
    let ended = |complete_until| Observation::Ended {
        watch: gvk(deployments),
        complete_until: s(complete_until),
    };
    // Until when the watch says that it is complete, and since when it is blind then.
    for (said, blind, since) in [
        (None, false, 105),
        (Some(107), false, 107),
        // It has delivered something since it was told to stop.
        (Some(104), false, 104),
        // The clock was set back, or ahead.
        (Some(20), false, 104),
        (Some(900), false, 109),
        (Some(107), true, 105),
    ] {
        let mut recorder = recorder();
        recorder.bookmark(s(105), deployments);
        if blind {
            recorder.blind(s(106), deployments, "a test");
        }
        // Others deliver meanwhile.
        recorder.bookmark(s(109), "v1.Pod");
        if let Some(until) = said {
            recorder.see(s(109), ended(until));
        }
        recorder.end(s(110));
        recorder.run_from(s(150));
        recorder.list(s(152), &web("", 0).gvk, []);
        let expected = ["101 + 1".to_owned(), format!("152 - 1 (after {since})")];
        assert_eq!(recorder.story(&web("", 0).key()), expected, "{said:?}");
    }
}

#[test]
fn a_recreation_while_down_is_a_deletion_and_a_creation() {
    let mut recorder = recorder();
    recorder.restart(s(110), s(150));
    // The same spec: only the UID tells.
    recorder.list(s(152), &web("", 0).gvk, [web("2", 1).item()]);
    assert_eq!(
        recorder.story(&web("", 0).key()),
        ["101 + 1", "152 - 1 (after 110)", "152 + 2 (after 110)"]
    );
    assert_eq!(recorder.state(s(152)), ["Deployment ns/web 2"]);
    assert_eq!(recorder.export(100, 200).trace.end_state().len(), 1);
}

#[test]
fn a_change_while_disconnected_is_inferred_whether_listed_or_resumed() {
    for resumed in [true, false] {
        let mut recorder = recorder();
        recorder.bookmark(s(105), "apps/v1.Deployment");
        recorder.blind(s(110), "apps/v1.Deployment", "connection reset");
        if resumed {
            recorder.see(s(120), web("1", 2).applied());
            recorder.sighted(s(121), "apps/v1.Deployment");
        } else {
            recorder.list(s(120), &web("", 0).gvk, [web("1", 2).item()]);
        }
        recorder.see(s(130), web("1", 3).applied());
        assert_eq!(
            recorder.story(&web("", 0).key()),
            ["101 + 1", "120 + 1 (after 105)", "130 + 1"],
            "resumed: {resumed}"
        );
    }
}

#[test]
fn deletions_delivered_by_a_resumed_watch_are_inferred() {
    let mut recorder = recorder();
    recorder.restart(s(110), s(150));
    recorder.see_all(
        s(151),
        [
            web("1", 1).deleted(),
            web("2", 1).applied(),
            web("2", 1).deleted(),
        ],
    );
    recorder.sighted(s(152), "apps/v1.Deployment");
    assert_eq!(
        recorder.story(&web("", 0).key()),
        [
            "101 + 1",
            "151 - 1 (after 110)",
            "151 + 2 (after 110)",
            "151 - 2 (after 110)"
        ]
    );
}

#[test]
fn pods_that_ended_while_down_end_at_what_their_last_status_says() {
    let mut recorder = recorder();
    let owner = web("1", 1);
    let run = |name: &str| {
        pod(&format!("ns/{name}"), name)
            .owned_by(&owner)
            .started(102)
    };
    let finished = run("finished").finished(108);
    recorder.see_all(
        s(109),
        [
            run("silent").applied(),
            finished.applied(),
            run("stays").applied(),
        ],
    );
    recorder.restart(s(110), s(150));
    recorder.list(
        s(152),
        &sk_tracedb::model::Gvk::pod(),
        [run("stays").item()],
    );
    let trace = recorder.export(100, 200).trace;
    assert_eq!(
        trace.lifecycles_of("apps/v1.Deployment", "ns/web"),
        [
            Lifecycle::Running(102),
            Lifecycle::Finished(102, 108),
            Lifecycle::Finished(102, 152)
        ]
    );
    // Only the window before the list still overlaps them.
    let later = recorder.export(153, 200).trace;
    assert_eq!(
        later.lifecycles_of("apps/v1.Deployment", "ns/web"),
        [Lifecycle::Running(153)]
    );
}

#[test]
fn a_pod_replaced_while_down_has_two_lifecycles() {
    let mut recorder = recorder();
    let owner = web("1", 1);
    let run = |uid: &str, start: i64| pod("ns/db-0", uid).owned_by(&owner).started(start);
    recorder.see(s(103), run("p1", 103).applied());
    recorder.restart(s(110), s(150));
    recorder.list(
        s(152),
        &sk_tracedb::model::Gvk::pod(),
        [run("p2", 130).item()],
    );
    assert_eq!(
        recorder
            .export(100, 200)
            .trace
            .lifecycles_of("apps/v1.Deployment", "ns/web"),
        [Lifecycle::Running(130), Lifecycle::Finished(103, 152)]
    );
}

#[test]
fn a_crash_during_the_first_list_hides_no_deletion() {
    let mut recorder = Recorder::start(config(&["apps/v1.Deployment: {}"]));
    let started = Observation::ListStarted {
        watch: web("", 0).gvk,
    };
    let listed = crate::support::build::listed(&web("", 0).gvk, web("1", 1).item());
    recorder.see_all(s(105), [started, listed]);
    recorder.crash();
    recorder.run_from(s(150));
    recorder.list(s(152), &web("", 0).gvk, []);
    // It was there when the kind was listed for the first time, and it was gone after the recorder had been down.
    assert_eq!(
        recorder.story(&web("", 0).key()),
        ["105 + 1 (initial)", "152 - 1 (after 100)"]
    );
    let gaps = recorder.gap_times(window(106, 150));
    assert!(
        gaps.contains(&("apps/v1.Deployment".to_owned(), 100, Some(152))),
        "{gaps:?}"
    );
}
