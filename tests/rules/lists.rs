//! R7: what a list proves, and what it does not.

use serde_json::json;
use sk_tracedb::model::{Observation, Uid};

use crate::support::build::listed;
use crate::support::*;

fn map(name: &str, value: i64) -> Obj {
    obj(
        "v1.ConfigMap",
        &format!("ns/{name}"),
        &format!("uid-{name}"),
    )
    .field("data", json!({"v": value}))
}

fn recorder_with(names: &[&str]) -> Recorder {
    let mut recorder = Recorder::listed(config(&["v1.ConfigMap: {}"]));
    recorder.see_all(s(101), names.iter().map(|name| map(name, 1).applied()));
    recorder
}

fn started() -> Observation {
    Observation::ListStarted {
        watch: gvk("v1.ConfigMap"),
    }
}

fn finished() -> Observation {
    Observation::ListFinished {
        watch: gvk("v1.ConfigMap"),
        resource_version: "20".to_owned(),
    }
}

fn item(name: &str) -> Observation {
    listed(&gvk("v1.ConfigMap"), map(name, 1).item())
}

#[test]
fn an_aborted_list_deletes_nothing_and_leaves_no_ghosts() {
    let mut recorder = recorder_with(&["a", "b", "c"]);
    // One page, then the list breaks and starts again: "a", seen in the first try only, is gone.
    recorder.see_all(s(110), [started(), item("a")]);
    recorder.see_all(s(111), [started(), item("b")]);
    assert_eq!(recorder.state(s(111)).len(), 3);
    recorder.see_all(s(112), [item("c"), finished()]);
    assert_eq!(
        recorder.state(s(112)),
        ["ConfigMap ns/b uid-b", "ConfigMap ns/c uid-c"]
    );
}

#[test]
fn a_list_that_lost_its_contact_proves_nothing() {
    let mut recorder = recorder_with(&["a", "b"]);
    recorder.see_all(s(110), [started(), item("a")]);
    recorder.blind(s(111), "v1.ConfigMap", "timeout");
    recorder.see(s(112), finished());
    assert_eq!(recorder.state(s(113)).len(), 2);
    assert_eq!(
        recorder.gap_times(window(100, 200)),
        [("v1.ConfigMap".to_owned(), 101, None)]
    );
}

#[test]
fn a_list_is_forgotten_with_the_run_that_began_it() {
    let mut recorder = recorder_with(&["a", "b"]);
    recorder.see_all(s(110), [started(), item("a")]);
    recorder.crash();
    recorder.run_from(s(120));
    recorder.see(s(121), finished());
    assert_eq!(recorder.state(s(122)).len(), 2);
}

#[test]
fn an_object_that_cannot_be_read_is_not_taken_for_deleted_and_costs_nothing_else() {
    let mut recorder = recorder_with(&["a", "b", "c"]);
    let unreadable = Observation::Listed {
        watch: gvk("v1.ConfigMap"),
        uid: Uid::from("uid-b"),
    };
    let changed = listed(&gvk("v1.ConfigMap"), map("c", 2).item());
    recorder.see_all(
        s(110),
        [started(), item("a"), unreadable, changed, finished()],
    );
    assert_eq!(recorder.state(s(111)).len(), 3);
    assert_eq!(recorder.story(&map("b", 0).key()), ["101 + uid-b"]);
    assert_eq!(recorder.story(&map("c", 0).key()).len(), 2);
}

#[test]
fn a_list_hides_no_deletion_of_its_kind_and_touches_no_other() {
    let mut recorder = Recorder::listed(config(&[
        "v1.ConfigMap: {}",
        "v1.ConfigMapX: {}",
        "x/v1.ConfigMap: {}",
    ]));
    let others = [
        obj("v1.ConfigMapX", "ns/a", "x"),
        obj("x/v1.ConfigMap", "ns/a", "g"),
    ];
    recorder.see_all(s(101), others.iter().map(Obj::applied));
    recorder.see_all(
        s(101),
        (0..2_500).map(|n| map(&format!("m{n}"), 1).applied()),
    );
    let kept = (0..2_500)
        .filter(|n| n % 500 == 7)
        .map(|n| map(&format!("m{n}"), 1).item());
    assert_eq!(recorder.list(s(110), &gvk("v1.ConfigMap"), kept), 2_495);
    let state = recorder.state(s(110));
    assert_eq!(state.len(), 7);
    assert!(state.contains(&"ConfigMapX ns/a x".to_owned()));
    assert!(state.contains(&"ConfigMap ns/a g".to_owned()));
}

#[test]
fn what_vanishes_between_two_tries_of_the_first_list_is_an_inferred_deletion() {
    let mut recorder = Recorder::start(config(&["v1.ConfigMap: {}"]));
    recorder.see_all(s(105), [started(), item("a"), item("b")]);
    recorder.blind(s(106), "v1.ConfigMap", "timeout");
    recorder.see_all(s(110), [started(), item("b"), finished()]);
    assert_eq!(
        recorder.story(&map("a", 0).key()),
        ["105 + uid-a (initial)", "110 - uid-a (after 100)"]
    );
    assert_eq!(
        recorder.story(&map("b", 0).key()),
        ["105 + uid-b (initial)"]
    );
}

#[test]
fn the_first_list_of_pods_is_recorded_as_any_other() {
    let kind = "apps/v1.ReplicaSet";
    let set = obj(kind, "ns/web", "set").spec(json!({"replicas": 1}));
    let other = obj(kind, "ns/other", "other").spec(json!({"replicas": 1}));
    let of = |name: &str, uid: &str| pod(&format!("ns/{name}"), uid).owned_by(&set);
    let watch = gvk("v1.Pod");
    let shown = |pod: Pod| listed(&watch, pod.item());
    let script = [
        Observation::ListStarted {
            watch: watch.clone(),
        },
        shown(of("a", "1").started(90)),
        // A name twice, a pod twice, and one out of order.
        shown(of("b", "2").started(91)),
        shown(of("b", "3").started(92)),
        shown(of("a", "1").started(90).finished(95).terminal()),
        shown(of("aa", "4").started(93)),
        // Known, and then listed.
        of("c", "5").started(94).deleted(),
        shown(of("c", "5").started(94)),
        Observation::Listed {
            watch: watch.clone(),
            uid: Uid::from("6"),
        },
        shown(of("d", "6").started(95)),
        shown(of("d", "7").started(96)),
        Observation::ListFinished {
            watch: watch.clone(),
            resource_version: "20".to_owned(),
        },
    ];
    for last in 1..=script.len() {
        let play = |before: bool| {
            let mut recorder =
                Recorder::start(config(&[&format!("{kind}: {{trackLifecycle: true}}")]));
            recorder.see_all(s(100), [set.applied(), other.applied()]);
            if before {
                recorder.see(s(100), pod("ns/x", "0").owned_by(&other).applied());
            }
            for (n, observation) in script.iter().take(last).enumerate() {
                recorder.see(s(101 + n as i64), observation.clone());
            }
            let pods = recorder.info().pods - u64::from(before);
            let trace = recorder.export(100, 300).trace;
            (pods, trace.lifecycles_of(kind, "ns/web"))
        };
        let played = play(false);
        assert_eq!(played, play(true), "{last} steps");
        assert!(last < 3 || !played.1.is_empty());
    }
}
