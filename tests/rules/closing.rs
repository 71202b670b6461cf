//! Before a store is closed, everything is packed in the form that the journal has given it, and the journal goes: nothing of
//! the record may go with it, whatever was being packed before and wherever the closing ended.

use std::time::Duration;

use serde_json::json;
use sk_tracedb::Store;
use sk_tracedb::config::TracerConfig;
use sk_tracedb::export::ExportFilters;
use sk_tracedb::ingest::{Effort, Writer};

use crate::support::recorder::export_of;
use crate::support::*;

fn watched() -> TracerConfig {
    config(&["v1.ConfigMap: {}"])
}

/// Versions of the maps, and pods of which some are gone again; each round has a second of its own.
fn record(recorder: &mut Recorder, maps: i64, rounds: std::ops::Range<i64>) {
    for round in rounds {
        let map = |n: i64| {
            let data = json!({"k": format!("{round} of {n}")});
            obj("v1.ConfigMap", &format!("ns/m{n}"), &format!("m{n}")).field("data", data)
        };
        let pod = |n: i64| pod(&format!("ns/p{n}"), &format!("p{n}"));
        let mut seen: Vec<_> = (0..maps).map(|n| map(n).applied()).collect();
        seen.extend((0..20).map(|n| pod(round * 20 + n).applied()));
        seen.extend((0..20).map(|n| pod((round - 1) * 20 + n).deleted()));
        seen.extend((round % 7 == 3).then(|| map(round).deleted()));
        recorder.see_all(s(100 + round), seen);
    }
}

/// Ends the run in good order, and closes the store after `closing`.
fn close(recorder: &mut Recorder, at: i64, closing: impl FnOnce(&mut Writer)) {
    let mut writer = recorder.take_writer();
    writer.end_run(s(at)).unwrap();
    closing(&mut writer);
    writer.into_store().close().unwrap();
}

fn journal_rows(recorder: &Recorder) -> u64 {
    let tables = recorder.snapshot().size_on_disk().unwrap().tables;
    let journal = tables.iter().find(|table| table.name == "journal");
    journal.unwrap().rows
}

/// What is told of a record of these rounds, which nothing but recording has touched.
fn expected(maps: i64, rounds: i64) -> (Vec<u8>, Vec<String>) {
    let mut recorder = Recorder::listed(watched());
    record(&mut recorder, maps, 1..rounds);
    let told = told(&recorder, rounds);
    assert!(journal_rows(&recorder) > 0);
    told
}

fn told(recorder: &Recorder, rounds: i64) -> (Vec<u8>, Vec<String>) {
    let key = obj("v1.ConfigMap", "ns/m10", "m10").key();
    let exported = recorder.export(100, 100 + rounds);
    (exported.bytes, recorder.story(&key))
}

#[test]
fn a_pass_of_packing_that_is_under_way_keeps_nothing_from_a_close() {
    let expected = expected(150, 20);
    // One row after another is looked at, so it may be in the midst of any table.
    for pieces in [1, 3, 8] {
        let mut recorder = Recorder::listed(watched());
        record(&mut recorder, 150, 1..12);
        recorder.writer().fold_all(Duration::MAX).unwrap();
        let piece = Effort {
            rows: 1,
            time: Duration::from_secs(600),
        };
        for _ in 0..pieces {
            assert!(!recorder.writer().pack(piece).unwrap().done);
        }
        record(&mut recorder, 150, 12..20);
        close(&mut recorder, 200, |writer| {
            writer.pack_all(Duration::MAX).unwrap();
        });
        assert_eq!(journal_rows(&recorder), 0);
        assert_eq!(told(&recorder, 20), expected, "{pieces}");
    }
}

/// Plays it with so many maps. `false`: they are so few that a close does not end half-way.
fn half_way(maps: i64) -> bool {
    let mut recorder = Recorder::listed(watched());
    record(&mut recorder, maps, 1..4);
    // One piece.
    let half = |writer: &mut Writer| writer.pack_within(Duration::ZERO, u64::MAX).unwrap();
    half(recorder.writer());
    if journal_rows(&recorder) == 0 {
        return false;
    }
    // Rows that have been packed already change again.
    record(&mut recorder, maps, 4..6);
    close(&mut recorder, 200, half);
    let expected = expected(maps, 6);
    assert!(journal_rows(&recorder) > 0);
    assert_eq!(told(&recorder, 6), expected);
    let mut writer = Writer::new(Store::open(recorder.path()).unwrap()).unwrap();
    half(&mut writer);
    let exported = export_of(&writer.reader(), window(100, 106), ExportFilters::default());
    assert!(exported.bytes == expected.0);
    writer.pack_all(Duration::MAX).unwrap();
    writer.into_store().close().unwrap();
    assert_eq!(journal_rows(&recorder), 0);
    assert_eq!(told(&recorder, 6), expected);
    true
}

#[test]
fn a_close_that_ends_half_way_leaves_the_record_whole_and_the_next_one_goes_on() {
    assert!([500, 5_000, 50_000].into_iter().any(half_way));
}
