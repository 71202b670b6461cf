//! R10, R15: the record says where it was blind, and nothing that happens to one kind blinds another.

use serde_json::json;

use crate::support::*;

const MAP: &str = "v1.ConfigMap";
const WEB: &str = "apps/v1.Deployment";

fn recorder() -> Recorder {
    Recorder::listed(config(&["v1.ConfigMap: {}", "apps/v1.Deployment: {}"]))
}

fn gap(kind: &str, start: i64, end: Option<i64>) -> (String, i64, Option<i64>) {
    (kind.to_owned(), start, end)
}

#[test]
fn a_broken_watch_is_a_gap_from_its_last_contact_until_it_sees_again() {
    let mut recorder = recorder();
    recorder.bookmark(s(110), MAP);
    recorder.bookmark(s(140), WEB);
    recorder.blind(s(120), MAP, "connection reset");
    recorder.blind(s(121), MAP, "connection refused");
    assert_eq!(recorder.gap_times(window(100, 300)), [gap(MAP, 110, None)]);
    // While it is blind, words of the watch do not end the gap.
    recorder.bookmark(s(125), MAP);
    recorder.sighted(s(140), MAP);
    assert_eq!(
        recorder.gap_times(window(100, 300)),
        [gap(MAP, 110, Some(140))]
    );
    let gaps = recorder.gaps(window(100, 300));
    assert!(
        gaps[0].reason.contains("connection reset"),
        "{}",
        gaps[0].reason
    );
    assert!(
        gaps[0].reason.contains("connection refused"),
        "{}",
        gaps[0].reason
    );
    // Half-open windows: what ends where the window begins, or begins where it ends, is not touched.
    assert_eq!(recorder.gap_times(window(140, 300)), []);
    assert_eq!(recorder.gap_times(window(100, 110)), []);
    assert_eq!(recorder.gap_times(window(139, 300)).len(), 1);
    assert_eq!(recorder.gap_times(window(100, 111)).len(), 1);
    assert_eq!(recorder.gap_times(window(120, 121)).len(), 1);
}

#[test]
fn every_export_that_touches_a_gap_says_so() {
    let mut recorder = recorder();
    recorder.bookmark(s(110), MAP);
    recorder.blind(s(120), MAP, "gone");
    let open = recorder.export(130, 140).summary.gaps;
    assert_eq!((open[0].kind.as_str(), open[0].end), (MAP, None));
    recorder.sighted(s(140), MAP);
    assert_eq!(recorder.export(100, 200).summary.gaps.len(), 1);
    assert_eq!(recorder.export(130, 131).summary.gaps.len(), 1);
    assert_eq!(recorder.export(140, 200).summary.gaps, []);
    assert_eq!(recorder.export(100, 110).summary.gaps, []);
    // What lies before the record is unknown as well.
    assert_eq!(recorder.export(50, 200).summary.record_starts, Some(s(100)));
    assert_eq!(recorder.export(100, 200).summary.record_starts, None);
}

#[test]
fn downtime_is_a_gap_of_every_kind_and_runs_are_told() {
    let mut recorder = recorder();
    recorder.bookmark(s(120), MAP);
    recorder.stop(s(130));
    recorder.run_from(s(150));
    recorder.list(s(151), &gvk(MAP), []);
    recorder.list(s(152), &gvk(WEB), []);
    recorder.sighted(s(153), "v1.Pod");
    // A crash: the last that was heard of each.
    recorder.bookmark(s(160), MAP);
    recorder.crash();
    recorder.run_from(s(170));
    recorder.list_nothing(s(171));
    assert_eq!(
        recorder.gap_times(window(100, 300)),
        [
            gap(WEB, 130, Some(152)),
            gap(WEB, 152, Some(171)),
            gap(MAP, 130, Some(151)),
            gap(MAP, 160, Some(171)),
            gap("v1.Pod", 130, Some(153)),
            gap("v1.Pod", 153, Some(171)),
        ]
    );
    let runs = recorder.info().runs;
    let told: Vec<_> = runs
        .iter()
        .map(|run| (run.start.as_seconds(), run.end.as_seconds(), run.closed))
        .collect();
    assert_eq!(
        told,
        [(100, 130, true), (150, 160, false), (170, 171, false)]
    );
}

#[test]
fn a_gap_goes_on_through_restarts_until_the_kind_is_seen() {
    let mut recorder = recorder();
    recorder.blind(s(110), MAP, "webhook");
    recorder.restart(s(120), s(130));
    recorder.crash();
    recorder.run_from(s(140));
    recorder.list(s(150), &gvk(MAP), []);
    let gaps = recorder.gap_times(window(100, 300));
    assert_eq!(
        gaps.iter().find(|(kind, ..)| kind == MAP),
        Some(&gap(MAP, 100, Some(150)))
    );
}

#[test]
fn a_kind_that_cannot_be_watched_is_a_gap_and_stops_no_other() {
    let mut recorder = Recorder::start(config(&["v1.ConfigMap: {}", "apps/v1.Deployment: {}"]));
    recorder.blind(s(101), MAP, "forbidden");
    recorder.list(s(102), &gvk(WEB), []);
    recorder.list(s(102), &gvk("v1.Pod"), []);
    let web = obj(WEB, "ns/web", "1").spec(json!({}));
    recorder.see(s(103), web.applied());
    recorder.blind(s(110), MAP, "forbidden");
    assert_eq!(
        recorder.export(100, 200).trace.told(),
        ["103 + Deployment ns/web"]
    );
    assert_eq!(recorder.gap_times(window(100, 200)), [gap(MAP, 100, None)]);
    // RBAC comes: it starts with its list, and the gap ends.
    let map = obj(MAP, "ns/map", "2");
    recorder.list(s(150), &gvk(MAP), [map.item()]);
    assert_eq!(
        recorder.gap_times(window(100, 200)),
        [gap(MAP, 100, Some(150))]
    );
    assert_eq!(recorder.story(&map.key()), ["150 + 2 (initial)"]);
}

#[test]
fn downtime_is_a_gap_also_for_a_kind_whose_first_list_was_never_finished() {
    let mut recorder = Recorder::start(config(&["v1.ConfigMap: {}"]));
    recorder.crash();
    recorder.run_from(s(150));
    recorder.list(s(151), &gvk(MAP), []);
    assert!(
        recorder
            .gap_times(window(120, 130))
            .contains(&gap(MAP, 100, Some(151)))
    );
    assert_eq!(recorder.export(120, 130).summary.gaps.len(), 2);
}
