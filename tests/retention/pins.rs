//! What is being exported stays, where retention can know of it; where it cannot, the export fails instead of telling
//! something else than what was recorded.

use std::time::Duration;

use serde_json::json;
use sk_tracedb::Reader;
use sk_tracedb::export::{ExportError, ExportFilters, ExportRequest, PreparedExport};
use sk_tracedb::ingest::{Effort, Writer};
use sk_tracedb::model::Horizon;

use crate::support::*;

const EFFORT: Effort = Effort {
    rows: 1_000,
    time: Duration::from_secs(60),
};

/// A ConfigMap that changes every second from 101 to 200, and so much besides that an export is read in several
/// stretches.
fn recorded() -> Recorder {
    let mut recorder = Recorder::listed(config(&["v1.ConfigMap: {}"]));
    let text = "x".repeat(60_000);
    for second in 101..=200 {
        let map = obj("v1.ConfigMap", "ns/map", "uid").field("data", json!({"n": second}));
        let large = obj(
            "v1.ConfigMap",
            &format!("ns/map-{second}"),
            &format!("uid-{second}"),
        );
        let large = large.field("data", json!({"text": format!("{second}{text}")}));
        recorder.see_all(s(second), [map.applied(), large.applied(), large.deleted()]);
    }
    recorder
}

fn request(start: i64, end: i64) -> ExportRequest {
    ExportRequest {
        window: window(start, end),
        filters: ExportFilters::default(),
    }
}

fn drop_before(writer: &mut Writer, second: i64, force: bool) {
    while !writer
        .retain(Horizon::at(s(second)), EFFORT, force)
        .unwrap()
        .done
    {}
}

#[test]
fn retention_in_the_same_process_waits_for_an_export() {
    let mut recorder = recorded();
    let reader = recorder.reader();
    let expected = recorder.export(120, 200).bytes;
    let prepared = PreparedExport::prepare(&reader, &request(120, 200)).unwrap();
    drop_before(recorder.writer(), 150, false);
    assert_eq!(recorder.writer().horizon().first_second(), s(120));
    // The part that was free to go is gone.
    let refused = PreparedExport::prepare(&reader, &request(119, 200))
        .err()
        .unwrap();
    assert!(
        matches!(refused, ExportError::BeforeHorizon { .. }),
        "{refused}"
    );
    let mut bytes = Vec::new();
    prepared.write(&mut bytes).unwrap();
    assert!(bytes == expected);
    drop_before(recorder.writer(), 150, false);
    assert_eq!(recorder.writer().horizon().first_second(), s(150));
}

#[test]
fn an_export_that_is_passed_over_fails_and_says_so() {
    let mut recorder = recorded();
    let prepared = PreparedExport::prepare(&recorder.reader(), &request(120, 200)).unwrap();
    drop_before(recorder.writer(), 150, true);
    let error = prepared.write(&mut Vec::new()).unwrap_err();
    assert!(matches!(error, ExportError::Dropped { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("1970-01-01T00:02:30Z") && text.contains("hint:"),
        "{text}"
    );
}

#[test]
fn an_export_from_another_process_keeps_its_snapshot_or_fails() {
    let mut recorder = recorded();
    let expected = recorder.export(120, 200).bytes;
    // Opened as another process would open it: it shares nothing with the writer.
    let other = Reader::open(recorder.path()).unwrap();
    let to_file = PreparedExport::prepare(&other, &request(120, 200)).unwrap();
    let to_pipe = PreparedExport::prepare(&other, &request(120, 200)).unwrap();
    drop_before(recorder.writer(), 150, false);
    assert_eq!(recorder.writer().horizon().first_second(), s(150));
    let mut bytes = Vec::new();
    to_file.write_file(&mut bytes).unwrap();
    assert!(bytes == expected);
    let error = to_pipe.write(&mut Vec::new()).unwrap_err();
    assert!(matches!(error, ExportError::Dropped { .. }), "{error}");
}

#[test]
fn a_window_that_begins_too_early_is_refused_or_begins_later() {
    let mut recorder = recorded();
    let expected = recorder.export(150, 200).bytes;
    drop_before(recorder.writer(), 150, false);
    let reader = recorder.reader();
    let refused = PreparedExport::prepare(&reader, &request(149, 200))
        .err()
        .unwrap();
    let text = refused.to_string();
    assert!(
        text.contains("before 1970-01-01T00:02:30Z has been dropped"),
        "{text}"
    );
    assert!(text.contains("hint:"), "{text}");

    let clamped = PreparedExport::prepare_clamped(&reader, &request(100, 200)).unwrap();
    assert_eq!(clamped.summary().clamped_to, Some(s(150)));
    let mut bytes = Vec::new();
    clamped.write(&mut bytes).unwrap();
    assert!(bytes == expected);
    let whole = PreparedExport::prepare_clamped(&reader, &request(150, 200)).unwrap();
    assert_eq!(whole.summary().clamped_to, None);
    // Nothing of the window is left.
    let refused = PreparedExport::prepare_clamped(&reader, &request(110, 149))
        .err()
        .unwrap();
    assert!(
        matches!(refused, ExportError::NothingLeft { .. }),
        "{refused}"
    );
    assert_eq!(
        recorder.info().start,
        Some(recorder.writer().horizon().first_start())
    );
}
