//! Guards against a clock that jumps ahead and back: what retention drops meanwhile must not reach into the time that is
//! recorded afterwards, because what lies before the horizon cannot be asked for.

use std::time::Duration;

use serde_json::json;
use sk_tracedb::ingest::{Effort, RetentionPolicy, collect};
use sk_tracedb::model::{Horizon, Timestamp};

use crate::support::*;

fn map(value: i64) -> Obj {
    obj("v1.ConfigMap", "ns/map", "map").field("data", json!({"v": value}))
}

fn drop_before(recorder: &mut Recorder, target: Timestamp) {
    let effort = Effort {
        rows: 100,
        time: Duration::from_secs(10),
    };
    let writer = recorder.writer();
    while !writer
        .retain(Horizon::at(target), effort, false)
        .unwrap()
        .done
    {}
}

#[test]
fn the_horizon_goes_no_further_than_the_record() {
    let mut recorder = Recorder::listed(config(&["v1.ConfigMap: {}"]));
    recorder.see(s(200), map(1).applied());
    let before = recorder.info().changes;
    drop_before(&mut recorder, s(1_000_000));
    assert_eq!(recorder.info().changes, before - 1);
    assert!(recorder.writer().horizon().first_start() <= s(201));

    // The clock is right again, and even behind.
    recorder.see(s(150), map(2).applied());
    recorder.see(s(300), map(3).applied());
    assert_eq!(recorder.info().changes, before + 1);
    let trace = recorder.export(201, 400);
    assert_eq!(trace.summary.applied, 1);
    assert_eq!(trace.summary.start_objects, 1);
    let verified = sk_tracedb::store::verify(&recorder.path(), &mut |_| true).unwrap();
    assert_eq!(verified.findings, vec![]);
}

#[test]
fn by_hand_it_goes_no_further_either() {
    let mut recorder = Recorder::listed(config(&["v1.ConfigMap: {}"]));
    recorder.see(s(200), map(1).applied());
    let nothing = RetentionPolicy::default();
    let writer = recorder.writer();
    let before = Some(s(1_000_000));
    let collected = collect(writer, nothing, before, s(1_000_001), |_| true).unwrap();
    assert_eq!(collected.changes, 1);
    recorder.see(s(150), map(2).applied());
    assert_eq!(recorder.info().changes, 1);
    let verified = sk_tracedb::store::verify(&recorder.path(), &mut |_| true).unwrap();
    assert_eq!(verified.findings, vec![]);
}

#[test]
fn a_record_that_begins_behind_the_horizon_has_lost_nothing() {
    let mut recorder = Recorder::listed(config(&["v1.ConfigMap: {}"]));
    let began = recorder.info().start.unwrap();
    recorder.see(s(2_000), map(1).applied());
    // As an age that is longer than the record has it.
    drop_before(&mut recorder, began.plus_micros(-1_000_000));
    assert!(!recorder.writer().horizon().is_none());
    assert_eq!(recorder.info().horizon, None);
    drop_before(&mut recorder, s(1_500));
    assert_eq!(recorder.info().horizon, Some(s(1_500)));
    assert_eq!(recorder.info().start, Some(s(1_500)));
}
