//! X4: the same record gives the same bytes, in an order that a replay can follow.

use serde_json::json;
use sk_tracedb::export::ExportFilters;
use sk_tracedb::limits::TRACE_EVENT_OBJECTS_MAX;
use sk_tracedb::model::Observation;

use crate::support::*;

fn filters() -> ExportFilters {
    ExportFilters {
        include_cluster_scoped: true,
        ..ExportFilters::default()
    }
}

#[test]
fn the_start_state_is_ordered_namespaces_first_then_what_has_no_owner() {
    let mut recorder = Recorder::listed(config(&[
        "apps/v1.Deployment: {}",
        "apps/v1.ReplicaSet: {}",
        "v1.Namespace: {}",
        "v1.ConfigMap: {}",
        "v1.Service: {}",
    ]));
    // Its owner is not tracked, so it is part of the trace although it is owned.
    let foreign = obj("x.io/v1.App", "b/app", "app");
    let objects = [
        obj("v1.Service", "b/z", "1").spec(json!({})),
        obj("v1.ConfigMap", "a/y", "2").owned_by(&foreign),
        obj("apps/v1.ReplicaSet", "a/x", "3").spec(json!({})),
        obj("v1.Namespace", "b", "4").spec(json!({})),
        obj("v1.ConfigMap", "b/y", "5"),
        obj("v1.ConfigMap", "aa/y", "6"),
        obj("apps/v1.Deployment", "b/x", "7").spec(json!({})),
        obj("v1.ConfigMap", "a/z", "8"),
        obj("v1.Namespace", "a", "9").spec(json!({})),
        obj("apps/v1.Deployment", "a/x-y", "10")
            .spec(json!({}))
            .owned_by(&foreign),
        obj("apps/v1.Deployment", "a/x", "11").spec(json!({})),
    ];
    recorder.see_all(s(101), objects.iter().map(Obj::applied));
    let trace = recorder.export_with(110, 120, filters()).trace;
    assert_eq!(
        trace.start_names(),
        [
            "Namespace a",
            "Namespace b",
            "ConfigMap a/z",
            "ConfigMap aa/y",
            "ConfigMap b/y",
            "Service b/z",
            "Deployment a/x",
            "Deployment b/x",
            "ReplicaSet a/x",
            "ConfigMap a/y",
            "Deployment a/x-y",
        ]
    );
}

/// A busy little record.
fn script() -> Vec<(i64, Observation)> {
    let web = obj("apps/v1.Deployment", "ns/web", "web").spec(json!({"replicas": 2}));
    let mut script = vec![(101, web.applied())];
    for n in 0..40 {
        let at = 102 + n / 4;
        let map = obj(
            "v1.ConfigMap",
            &format!("ns/map-{}", n % 7),
            &format!("m{}", n % 7),
        );
        let seen = map.field("data", json!({"n": n}));
        script.push((
            at,
            if n % 5 == 4 {
                seen.deleted()
            } else {
                seen.applied()
            },
        ));
        let run = pod(&format!("ns/p{n}"), &format!("p{n}"))
            .owned_by(&web)
            .hash(n as u64 % 3);
        script.push((at, run.clone().started(at - n % 3).applied()));
        if n % 2 == 0 {
            script.push((at, run.finished(at).terminal().applied()));
        }
    }
    script
}

fn recorded(batch: usize) -> Recorder {
    let mut recorder = Recorder::listed(config(&[
        "apps/v1.Deployment: {trackLifecycle: true}",
        "v1.ConfigMap: {}",
    ]));
    for part in script().chunks(batch) {
        recorder.batch(part.iter().map(|(at, seen)| (s(*at), seen.clone())));
    }
    recorder
}

#[test]
fn the_same_record_gives_the_same_bytes_however_it_was_batched_and_opened() {
    let mut one = recorded(1);
    let other = recorded(1_000);
    let windows = [(100, 200), (104, 108), (103, 104), (150, 160)];
    let of = |recorder: &Recorder| {
        windows.map(|(start, end)| recorder.export_with(start, end, filters()).bytes)
    };
    let bytes = of(&one);
    assert_eq!(bytes, of(&one));
    assert!(bytes == of(&other), "batches show in the trace");
    one.stop(s(300));
    assert!(bytes == of(&one), "closing the store shows in the trace");
    one.run_from(s(400));
    assert!(bytes == of(&one), "the next run shows in the trace");
}

#[test]
fn events_of_a_busy_second_are_split_and_keep_their_order() {
    let mut recorder = Recorder::listed(config(&["v1.ConfigMap: {}"]));
    let map = |n: usize| obj("v1.ConfigMap", &format!("ns/m{n:05}"), &format!("{n}"));
    let many = 2 * TRACE_EVENT_OBJECTS_MAX + 10;
    recorder.see_all(s(105), (0..many).map(|n| map(n).applied()));
    recorder.see_all(s(105), (0..many).map(|n| map(n).deleted()));
    recorder.see_all(s(105), [map(3).applied()]);
    let trace = recorder.export(100, 200).trace;
    let told = trace.told();
    assert_eq!(told.len(), 2 * many + 1);
    assert!(told[..many].is_sorted() && told[many..2 * many].is_sorted());
    assert_eq!(told[2 * many], "105 + ConfigMap ns/m00003");
    assert_eq!(trace.end_state().len(), 1);
    let largest = trace
        .events
        .iter()
        .map(|event| event.applied_objs.len() + event.deleted_objs.len())
        .max();
    assert_eq!(largest, Some(TRACE_EVENT_OBJECTS_MAX));
}

#[test]
fn a_replay_of_two_adjacent_windows_ends_where_one_of_both_does() {
    let recorder = recorded(7);
    for middle in 101..113 {
        let whole = recorder.export(100, 200).trace.end_state();
        assert_eq!(
            recorder.export(middle, 200).trace.end_state(),
            whole,
            "from {middle}"
        );
        let until = recorder.export(100, middle).trace.end_state();
        let start: Vec<_> = recorder.export(middle, 200).trace.start().to_vec();
        assert_eq!(until.len(), start.len(), "at {middle}");
        assert!(
            start
                .iter()
                .all(|object| until.values().any(|other| other == object))
        );
    }
}
