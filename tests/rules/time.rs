//! R5: recorded order never goes backwards, also when the wall clock does.

use serde_json::json;

use crate::support::*;

#[test]
fn times_and_sequence_numbers_never_go_backwards() {
    let mut recorder = Recorder::listed(config(&["v1.ConfigMap: {}"]));
    let map = |n: i64| obj("v1.ConfigMap", "ns/a", "1").field("data", json!({"n": n}));
    let mut told = Vec::new();
    for (n, clock) in [(1, 200), (2, 150), (3, 90), (4, 210), (5, -5), (6, 211)] {
        if n == 4 {
            // The clock stands before the end of the last run.
            recorder.stop(s(120));
            recorder.run_from(s(95));
            recorder.sighted(s(96), "v1.ConfigMap");
        }
        let committed = recorder.see(s(clock), map(n).applied());
        told.push((committed.last.at.as_seconds(), committed.last.seq));
    }
    assert_eq!(
        told,
        [(200, 1), (200, 2), (200, 3), (210, 4), (210, 5), (211, 6)]
    );
    let history = recorder.history(&map(0).key());
    let values: Vec<_> = history
        .iter()
        .map(|entry| entry.object().unwrap().unwrap()["data"]["n"].clone())
        .collect();
    assert_eq!(
        values,
        [json!(1), json!(2), json!(3), json!(4), json!(5), json!(6)]
    );
    assert!(history.windows(2).all(|pair| pair[0].event < pair[1].event));
    assert!(
        history
            .windows(2)
            .all(|pair| pair[0].event.seq < pair[1].event.seq)
    );
    // The export tells them in that order, and its end state is the last.
    let trace = recorder.export(100, 300).trace;
    let order: Vec<_> = trace
        .changes()
        .into_iter()
        .map(|(_, object)| object["data"]["n"].clone())
        .collect();
    assert_eq!(order, values);
    let gaps = recorder.gaps(sk_tracedb::model::TimeRange::ALL);
    assert!(
        gaps.iter()
            .all(|gap| gap.end.is_none_or(|end| end >= gap.start)),
        "{gaps:?}"
    );
    let runs = recorder.info().runs;
    assert!(runs.iter().all(|run| run.start <= run.end));
    assert!(runs[0].end <= runs[1].start);
}

#[test]
fn a_change_is_in_the_window_of_its_own_microsecond() {
    let mut recorder = Recorder::listed(config(&["v1.ConfigMap: {}"]));
    let map = obj("v1.ConfigMap", "ns/a", "1");
    recorder.see(s(110), map.applied());
    recorder.see(us(120_000_001), map.deleted());
    assert_eq!(recorder.state(us(109_999_999)).len(), 0);
    assert_eq!(recorder.state(s(110)).len(), 1);
    assert_eq!(recorder.state(s(120)).len(), 1);
    assert_eq!(recorder.state(us(120_000_001)).len(), 0);
    // Half-open: [start, end).
    assert_eq!(recorder.export(100, 110).trace.told(), [""; 0]);
    assert_eq!(
        recorder.export(110, 120).trace.told(),
        ["110 + ConfigMap ns/a"]
    );
    assert_eq!(
        recorder.export(111, 120).trace.start_names(),
        ["ConfigMap ns/a"]
    );
    let at_its_end = recorder.export(120, 121).trace;
    assert_eq!(at_its_end.start_names(), ["ConfigMap ns/a"]);
    assert_eq!(at_its_end.told(), ["120 - ConfigMap ns/a"]);
    assert_eq!(recorder.export(121, 130).trace.start_names(), [""; 0]);
}

#[test]
fn object_at_answers_as_the_whole_state_does() {
    let mut recorder = Recorder::listed(config(&["v1.ConfigMap: {}"]));
    let map = |uid: &str| obj("v1.ConfigMap", "ns/a", uid);
    recorder.see(s(110), map("1").applied());
    recorder.see(s(120), map("1").deleted());
    recorder.see(s(130), map("2").applied());
    let snapshot = recorder.snapshot();
    for at in 105..135 {
        let one = snapshot.object_at(&map("").key(), s(at)).unwrap();
        let of_state = snapshot.state_at(s(at)).unwrap().next().map(Result::unwrap);
        assert_eq!(one, of_state, "at {at}");
    }
}
