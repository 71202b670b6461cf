//! What is wrong with a trace as a whole is named with its place, and stops the reading there.

use rmp::encode as mp;
use serde_json::json;

use super::Collector;
use super::hand_made::*;
use crate::export::encode::sktrace::reference::Trace;
use crate::import::sktrace::{Problem, TraceSummary, check, read};
use crate::limits::TRACE_READ_BUFFER_BYTES;

#[test]
fn the_smallest_trace_is_empty() {
    let bytes = trace(&[VERSION, CONFIG, EVENTS, INDEX, LIFECYCLES]);
    assert_eq!(check(bytes.as_slice()).unwrap(), TraceSummary::default());
    assert_eq!(
        Collector::read(bytes.as_slice()).unwrap().0,
        Trace {
            config: json!({}),
            ..Trace::empty()
        }
    );
}

#[test]
fn what_is_no_trace_is_refused_at_byte_0() {
    let truncated = Problem::Truncated {
        expected: "a trace",
    };
    assert_eq!(problem(b""), (0, truncated.clone()));
    assert_eq!(problem(b"\xde\0"), (0, truncated));
    for (bytes, found) in [
        (b"{\"version\": 2}".as_slice(), "the integer 123"),
        (b"\x1f\x8b\x08\0", "the integer 31"),
        (b"\xc1", "the byte 0xc1, which MessagePack does not use"),
        (b"\xa3abc", "a text of 3 bytes"),
    ] {
        assert_eq!(problem(bytes), (0, unexpected("a trace", found)));
    }
}

#[test]
fn every_field_is_required_once_and_version_and_config_first() {
    let all = [VERSION, CONFIG, EVENTS, INDEX, LIFECYCLES];
    for (index, (missing, _)) in all.iter().enumerate() {
        let mut pieces = all.to_vec();
        pieces.remove(index);
        let expected = match index {
            0 | 1 => Problem::FieldOrder {
                field: "events",
                needs: missing,
            },
            _ => Problem::MissingField { field: missing },
        };
        assert_eq!(problem(&trace(&pieces)).1, expected);

        let mut pieces = all.to_vec();
        pieces.push(all[index]);
        let bytes = trace(&pieces);
        let at = trace(&all).len() as u64;
        assert_eq!(
            problem(&bytes),
            (at, Problem::RepeatedField { field: missing })
        );
    }
    for order in [
        [CONFIG, VERSION, EVENTS, INDEX, LIFECYCLES],
        [VERSION, CONFIG, LIFECYCLES, INDEX, EVENTS],
    ] {
        assert!(Collector::read(trace(&order).as_slice()).is_ok());
    }
    for (order, field, needs) in [
        (
            [EVENTS, VERSION, CONFIG, INDEX, LIFECYCLES],
            "events",
            "version",
        ),
        (
            [VERSION, INDEX, CONFIG, EVENTS, LIFECYCLES],
            "index",
            "config",
        ),
        (
            [CONFIG, LIFECYCLES, VERSION, EVENTS, INDEX],
            "pod_lifecycles",
            "version",
        ),
    ] {
        let error = check(trace(&order).as_slice()).unwrap_err();
        assert!(error.hint().is_some());
        assert_eq!(
            problem(&trace(&order)).1,
            Problem::FieldOrder { field, needs }
        );
    }
}

#[test]
fn other_versions_are_refused_before_the_visitor_sees_the_config() {
    for (version, hint) in [(0, "1.1.1"), (1, "1.1.1"), (3, "newer"), (300, "newer")] {
        let piece: Piece<'_> = &|out| {
            mp::write_uint(out, version).unwrap();
        };
        for pieces in [
            [("version", piece), CONFIG, EVENTS, INDEX, LIFECYCLES],
            [CONFIG, ("version", piece), EVENTS, INDEX, LIFECYCLES],
        ] {
            let mut collector = Collector::new();
            let error = read(trace(&pieces).as_slice(), &mut collector).unwrap_err();
            assert_eq!(collector.configs, 0);
            assert!(error.hint().unwrap().contains(hint));
            assert_eq!(
                problem(&trace(&pieces)).1,
                Problem::Version { found: version }
            );
        }
    }
    let text: Piece<'_> = &|out| put_str(out, "2");
    let bytes = trace(&[("version", text), CONFIG, EVENTS, INDEX, LIFECYCLES]);
    let expected = unexpected("the trace's version", "a text of 1 bytes");
    assert_eq!(problem(&bytes), (9, expected));
}

#[test]
fn unknown_fields_are_skipped_whatever_they_hold() {
    let unknown: Piece<'_> = &|out| {
        out.push(0x9a);
        put_json(
            out,
            &json!({"a": [null, true, -1, 1.5, "text"], "b": {"events": []}}),
        );
        mp::write_bin(out, b"binary").unwrap();
        mp::write_ext_meta(out, 4, 1).unwrap();
        out.extend_from_slice(b"1234");
        mp::write_ext_meta(out, 5, 1).unwrap();
        out.extend_from_slice(b"12345");
        mp::write_f32(out, f32::NAN).unwrap();
        out.extend_from_slice(b"\xa2\xff\xfe");
        out.extend_from_slice(b"\x81\x01\x02");
        mp::write_i64(out, -5).unwrap();
        mp::write_u64(out, 5).unwrap();
        put_json(out, &json!("x".repeat(3 * TRACE_READ_BUFFER_BYTES)));
    };
    let event: Piece<'_> = &|out| {
        out.push(0x91);
        fields(
            out,
            &[
                ("x", unknown),
                TS,
                ("y", unknown),
                APPLIED,
                DELETED,
                ("z", unknown),
            ],
        );
    };
    let bytes = trace(&[
        ("a", unknown),
        VERSION,
        ("b", unknown),
        CONFIG,
        ("events", event),
        ("c", unknown),
        INDEX,
        LIFECYCLES,
        ("d", unknown),
    ]);
    assert_eq!(check(bytes.as_slice()).unwrap().events, 1);

    let cut: Piece<'_> = &|out| out.extend_from_slice(b"\xdb\xff\xff\xff\xffabc");
    let (offset, problem) = problem(&trace(&[VERSION, ("a", cut)]));
    assert_eq!(offset, 12);
    assert!(matches!(problem, Problem::Truncated { .. }));
}

#[test]
fn what_follows_a_trace_is_an_error() {
    let mut bytes = Trace::small().to_bytes();
    let len = bytes.len() as u64;
    bytes.push(0xc0);
    assert_eq!(problem(&bytes), (len, Problem::TrailingBytes));
    let twice = Trace::small().to_bytes().repeat(2);
    assert_eq!(problem(&twice), (len, Problem::TrailingBytes));
}

#[test]
fn structs_without_field_names_are_refused() {
    let positional = rmp_serde::to_vec(&Trace::small()).unwrap();
    let expected = Problem::Positional {
        expected: "a trace",
        len: 5,
    };
    assert_eq!(problem(&positional), (0, expected));
    let error = check(positional.as_slice()).unwrap_err();
    assert!(error.hint().unwrap().contains("to_vec_named"));

    let event: Piece<'_> = &|out| out.extend_from_slice(&[0x91, 0x93, 7, 0x90, 0x90]);
    let expected = Problem::Positional {
        expected: "an event",
        len: 3,
    };
    assert_problem(with_events(event), 1, expected);
}
