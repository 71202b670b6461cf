//! X9: an output appears whole or not at all; and whoever takes a trace in pieces gets all of it, or an error.

use std::fs;
use std::io::{self, Write};

use serde_json::json;
use sk_tracedb::export::sink::FileSink;
use sk_tracedb::export::{ExportError, ExportFilters, ExportRequest, PreparedExport, export};
use sk_tracedb::limits::{EXPORT_BESIDE_SHEET_BYTES, EXPORT_SHEETS};
use sk_tracedb::{Reader, Store};

use crate::support::*;

fn recorder() -> Recorder {
    let mut recorder = Recorder::listed(config(&["v1.ConfigMap: {}"]));
    for n in 0..50 {
        let map = obj("v1.ConfigMap", &format!("ns/m{n}"), &format!("{n}"));
        recorder.see(s(101 + n), map.field("data", json!({"n": n})).applied());
    }
    recorder
}

fn request() -> ExportRequest {
    ExportRequest {
        window: window(120, 300),
        filters: ExportFilters::default(),
    }
}

/// An output that fails behind so many bytes.
struct Failing<W> {
    out: W,
    left: usize,
}

impl<W: Write> Write for Failing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(self.left);
        if length == 0 {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.left -= length;
        self.out.write(&bytes[..length])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[test]
fn a_file_holds_the_whole_trace_and_replaces_what_was_there() {
    let recorder = recorder();
    let path = recorder.folder().join("out.sktrace");
    fs::write(&path, "an older trace").unwrap();
    let mut sink = FileSink::create(&path).unwrap();
    export(&recorder.reader(), &request(), &mut sink).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"an older trace");
    let length = sink.commit().unwrap();
    let bytes = fs::read(&path).unwrap();
    assert_eq!(length, bytes.len() as u64);
    assert!(bytes == recorder.export(120, 300).bytes);
}

#[test]
fn an_export_that_fails_anywhere_leaves_nothing_behind() {
    let mut recorder = recorder();
    let length = recorder.export(120, 300).bytes.len();
    recorder.stop(s(200));
    let reader = Reader::open(recorder.path()).unwrap();
    let outputs = tempfile::tempdir().unwrap();
    let path = outputs.path().join("out.sktrace");
    for left in (0..length).step_by(211).chain([length - 1]) {
        let mut out = Failing {
            out: FileSink::create(&path).unwrap(),
            left,
        };
        let error = export(&reader, &request(), &mut out).unwrap_err();
        assert!(
            matches!(error, ExportError::Encode(_)),
            "after {left} bytes: {error:?}"
        );
        drop(out);
        assert_eq!(
            fs::read_dir(outputs.path()).unwrap().count(),
            0,
            "after {left} bytes"
        );
    }
    fs::write(&path, "an older trace").unwrap();
    let mut out = Failing {
        out: FileSink::create(&path).unwrap(),
        left: length / 2,
    };
    export(&reader, &request(), &mut out).unwrap_err();
    drop(out);
    assert_eq!(fs::read(&path).unwrap(), b"an older trace");
    assert_eq!(fs::read_dir(outputs.path()).unwrap().count(), 1);
}

#[test]
fn no_prefix_of_a_trace_is_a_trace() {
    let bytes = recorder().export(120, 300).bytes;
    let decodes = |length: usize| rmp_serde::from_slice::<Trace>(&bytes[..length]).is_ok();
    assert!(decodes(bytes.len()));
    for length in (0..bytes.len()).step_by(97).chain([bytes.len() - 1]) {
        assert!(!decodes(length), "the first {length} bytes decode");
    }
}

#[test]
fn what_cannot_be_exported_is_said_before_a_byte_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let empty = Store::open(folder.path().join("empty.redb")).unwrap();
    let mut out = Vec::new();
    let error = export(&empty.reader(), &request(), &mut out).unwrap_err();
    assert!(matches!(error, ExportError::Empty), "{error:?}");
    let before = ExportRequest {
        window: window(10, 100),
        filters: ExportFilters::default(),
    };
    let error = export(&recorder().reader(), &before, &mut out).unwrap_err();
    assert!(
        matches!(&error, ExportError::BeforeRecord { end, record_start } if (*end, *record_start) == (s(100), s(100))),
        "{error:?}"
    );
    assert!(out.is_empty());
}

/// A trace of `sheets` pieces, and what it is as a whole.
fn large(sheets: usize) -> (Recorder, ExportRequest, Vec<u8>) {
    let mut recorder = Recorder::listed(config(&["v1.ConfigMap: {}"]));
    let text = "x".repeat(EXPORT_BESIDE_SHEET_BYTES / 16);
    for n in 0..16 * sheets as i64 - 8 {
        let map = obj("v1.ConfigMap", &format!("ns/m{n}"), &format!("{n}"));
        let data = json!({"n": n, "text": text});
        // Sixteen in a second: an event of the trace is as long as a piece.
        recorder.see(s(101 + n / 16), map.field("data", data).applied());
    }
    let request = request();
    let mut bytes = Vec::new();
    export(&recorder.reader(), &request, &mut bytes).unwrap();
    (recorder, request, bytes)
}

#[test]
fn pieces_that_are_kept_are_the_trace_as_long_as_there_are_sheets() {
    let (recorder, request, bytes) = large(EXPORT_SHEETS);
    let prepared = PreparedExport::prepare(&recorder.reader(), &request).unwrap();
    let mut kept = Vec::new();
    prepared
        .write_pieces(|piece| {
            kept.push(piece);
            Ok(())
        })
        .unwrap();
    assert_eq!(kept.len(), EXPORT_SHEETS);
    assert!(kept.concat() == bytes);
}

#[test]
fn pieces_that_are_given_back_are_a_trace_of_any_length() {
    let (recorder, request, bytes) = large(3 * EXPORT_SHEETS);
    for first in [false, true] {
        let mut prepared = PreparedExport::prepare(&recorder.reader(), &request).unwrap();
        if first {
            prepared = prepared.first_of_several();
        }
        let mut all = Vec::new();
        let copy = |piece: bytes::Bytes| {
            all.extend_from_slice(&piece);
            Ok(())
        };
        prepared.write_pieces(copy).unwrap();
        assert!(all == bytes);
    }
}

#[test]
fn who_keeps_all_pieces_and_fails_is_not_waited_for() {
    let (recorder, request, _) = large(3 * EXPORT_SHEETS);
    let prepared = PreparedExport::prepare(&recorder.reader(), &request).unwrap();
    let mut kept = Vec::new();
    let written = prepared.write_pieces(|piece| {
        kept.push(piece);
        if kept.len() < EXPORT_SHEETS {
            return Ok(());
        }
        Err(io::Error::other("enough"))
    });
    assert!(matches!(written, Err(ExportError::Encode(_))));
}
