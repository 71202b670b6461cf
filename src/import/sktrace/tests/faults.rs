//! Guards against traces that are taken for something else than they are: each fault is found, at its byte, and said.

use rmp::encode as mp;
use serde_json::{Value, json};

use super::hand_made::*;
use super::{Collector, as_told};
use crate::export::encode::sktrace::reference::{Lifecycle, Trace};
use crate::import::sktrace::{IdentityFault, Problem, TraceSummary, check, read};
use crate::limits::{NAME_BYTES_MAX, TRACE_NAME_BYTES_MAX, TRACE_READ_BUFFER_BYTES};
use crate::model::Gvk;

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

#[test]
fn fields_of_an_event_are_required_once_and_in_their_order() {
    let order = |field, needs| Problem::FieldOrder { field, needs };
    let missing = |field| Problem::MissingField { field };
    let repeated = |field| Problem::RepeatedField { field };
    assert!(check(with_event(&[TS, APPLIED, DELETED]).0.as_slice()).is_ok());
    assert_problem(with_event(&[]), 0, missing("ts"));
    assert_problem(with_event(&[TS]), 0, missing("applied_objs"));
    assert_problem(with_event(&[TS, APPLIED]), 0, missing("deleted_objs"));
    assert_problem(
        with_event(&[APPLIED, TS, DELETED]),
        1,
        order("applied_objs", "ts"),
    );
    assert_problem(
        with_event(&[DELETED, TS, APPLIED]),
        1,
        order("deleted_objs", "ts"),
    );
    assert_problem(
        with_event(&[TS, DELETED, APPLIED]),
        5,
        order("deleted_objs", "applied_objs"),
    );
    assert_problem(with_event(&[TS, TS]), 5, repeated("ts"));
    assert_problem(
        with_event(&[TS, APPLIED, APPLIED]),
        19,
        repeated("applied_objs"),
    );
}

#[test]
fn wrong_types_are_named_with_their_place() {
    let nil: Piece<'_> = &|out| out.push(0xc0);
    let all = [VERSION, CONFIG, EVENTS, INDEX, LIFECYCLES];
    let expected = [
        "the trace's version",
        "the config (a map)",
        "the array of events",
        "the index (a map of kinds)",
        "the lifecycles (a map of owners)",
    ];
    for (index, expected) in expected.into_iter().enumerate() {
        let mut pieces = all.to_vec();
        pieces[index].1 = nil;
        let invalid = invalid(&trace(&pieces));
        assert_eq!(invalid.problem, unexpected(expected, "nil"));
        assert_eq!(invalid.place, all[index].0);
    }
    assert_eq!(
        problem(b"\x81\x01\x02").1,
        unexpected("a field name", "the integer 1")
    );
    assert_problem(
        with_events(&|out| out.extend_from_slice(&[0x91, 0xc3])),
        1,
        unexpected("an event", "true"),
    );
    let ts = "the event's ts (an integer of seconds)";
    let float: Piece<'_> = &|out| mp::write_f64(out, 1.0).unwrap();
    assert_problem(
        with_event(&[("ts", float), APPLIED, DELETED]),
        4,
        unexpected(ts, "the number 1.0"),
    );
    let large: Piece<'_> = &|out| mp::write_u64(out, u64::MAX).unwrap();
    assert_problem(
        with_event(&[("ts", large), APPLIED, DELETED]),
        4,
        unexpected(ts, "the integer 18446744073709551615"),
    );
    let map: Piece<'_> = &|out| out.push(0x80);
    assert_problem(
        with_event(&[TS, ("applied_objs", map), DELETED]),
        18,
        unexpected("an array of objects", "a map of 0"),
    );
    assert_problem(
        with_object(&|out| out.push(0x90)),
        0,
        unexpected("an object (a map)", "an array of 0"),
    );
}

#[test]
fn an_error_names_event_and_object() {
    let mut trace = Trace::small();
    trace.events[1]
        .deleted_objs
        .push(json!({"apiVersion": "v1"}));
    let error = check(trace.to_bytes().as_slice()).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("byte "), "{text}");
    assert!(
        text.ends_with(" (events[1].deleted_objs[1]): the object's kind is missing"),
        "{text}"
    );
    assert!(std::error::Error::source(&error).is_none());
}

#[test]
fn index_entries_are_kinds_names_and_hashes() {
    let index = |kind: Piece<'_>, name: Piece<'_>, hash: Piece<'_>| {
        with_index(&|out| {
            out.push(0x81);
            kind(out);
            out.push(0x81);
            name(out);
            hash(out);
        })
    };
    let kind: Piece<'_> = &|out| put_str(out, "v1.Pod");
    let name: Piece<'_> = &|out| put_str(out, "a/b");
    let hash: Piece<'_> = &|out| out.push(1);
    let nil: Piece<'_> = &|out| out.push(0xc0);
    let minus: Piece<'_> = &|out| out.push(0xff);
    assert!(check(index(kind, name, hash).0.as_slice()).is_ok());
    assert_problem(
        index(nil, name, hash),
        1,
        unexpected("a kind (group/version.Kind)", "nil"),
    );
    assert_problem(index(kind, nil, hash), 9, unexpected("a name", "nil"));
    let expected = "a hash (an integer from 0)";
    assert_problem(
        index(kind, name, minus),
        13,
        unexpected(expected, "the integer -1"),
    );
    assert_problem(
        with_index(&|out| {
            out.push(0x81);
            kind(out);
            out.push(0x91);
        }),
        8,
        unexpected("a map of names and hashes", "an array of 1"),
    );
    let no_kind: Piece<'_> = &|out| put_str(out, "Pod");
    let error = "Pod".parse::<Gvk>().unwrap_err();
    assert_problem(index(no_kind, name, hash), 1, Problem::Gvk(error));

    for bytes in [0, TRACE_NAME_BYTES_MAX + 1] {
        let long: Piece<'_> = &|out| put_str(out, &"x".repeat(bytes));
        let bytes = u32::try_from(bytes).unwrap();
        let problem = |expected| Problem::NameLength { expected, bytes };
        assert_problem(
            index(long, name, hash),
            1,
            problem("a kind (group/version.Kind)"),
        );
        assert_problem(index(kind, long, hash), 9, problem("a name"));
    }
    let longest: Piece<'_> = &|out| put_str(out, &"x".repeat(TRACE_NAME_BYTES_MAX));
    assert!(check(index(kind, longest, hash).0.as_slice()).is_ok());
}

#[test]
fn lifecycles_have_three_forms() {
    let mut trace = Trace::small();
    let lifecycles = trace
        .pod_lifecycles
        .values_mut()
        .next()
        .unwrap()
        .get_mut(&17)
        .unwrap();
    lifecycles.insert(1, Lifecycle::Empty);
    lifecycles.push(Lifecycle::Finished(-5, -5));
    let (read, summary) = Collector::read(trace.to_bytes().as_slice()).unwrap();
    assert_eq!(summary.lifecycles, 3);
    assert_eq!(read, as_told(trace));

    let form = r#"a lifecycle ("Empty", {"Running": start} or {"Finished": [start, end]})"#;
    let times = "an array of start and end";
    let json = |value: Value| with_lifecycle(&move |out| put_json(out, &value));
    let text = |text: &str| unexpected(form, &format!("the text {text:?}"));
    assert!(check(json(json!("Empty")).0.as_slice()).is_ok());
    assert_problem(json(json!("empty")), 0, text("empty"));
    assert_problem(
        json(json!("Running")),
        0,
        unexpected(form, "a text of 7 bytes"),
    );
    assert_problem(json(json!(null)), 0, unexpected(form, "nil"));
    assert_problem(json(json!({})), 0, unexpected(form, "a map of 0"));
    assert_problem(
        json(json!({"Finished": [1, 2], "Running": 1})),
        0,
        unexpected(form, "a map of 2"),
    );
    assert_problem(json(json!({"Failed": 1})), 1, text("Failed"));
    assert_problem(
        json(json!({"Running": [1]})),
        9,
        unexpected("an integer of seconds", "an array of 1"),
    );
    assert_problem(
        json(json!({"Finished": 1})),
        10,
        unexpected(times, "the integer 1"),
    );
    assert_problem(
        json(json!({"Finished": [1]})),
        10,
        unexpected(times, "an array of 1"),
    );
    assert_problem(
        json(json!({"Finished": [1, 2, 3]})),
        10,
        unexpected(times, "an array of 3"),
    );
    assert_problem(
        json(json!({"Finished": [1, "2"]})),
        12,
        unexpected("an integer of seconds", "a text of 1 bytes"),
    );
    let inverted = Problem::LifecycleInverted {
        start_s: 9,
        end_s: 8,
    };
    assert_problem(json(json!({"Finished": [9, 8]})), 10, inverted);
}

#[test]
fn owners_of_lifecycles_are_pairs_and_hashes_unsigned() {
    let owner = "an owner (an array of kind and name)";
    let raw = |bytes: &'static [u8]| with_lifecycles(&move |out| out.extend_from_slice(bytes));
    assert_problem(
        raw(b"\x81\xa6v1.Pod"),
        1,
        unexpected(owner, "a text of 6 bytes"),
    );
    assert_problem(
        raw(b"\x81\x91\xa6v1.Pod"),
        1,
        unexpected(owner, "an array of 1"),
    );
    assert_problem(
        raw(b"\x81\x93\xa6v1.Pod"),
        1,
        unexpected(owner, "an array of 3"),
    );
    assert_problem(
        raw(b"\x81\x92\xa6v1.Pod\xc0"),
        9,
        unexpected("the owner's name", "nil"),
    );
    assert_problem(
        raw(b"\x81\x92\xa6v1.Pod\xa1a\x90"),
        11,
        unexpected("a map of pod-spec hashes", "an array of 0"),
    );
    let hash = "a pod-spec hash (an integer from 0)";
    assert_problem(
        raw(b"\x81\x92\xa6v1.Pod\xa1a\x81\xff"),
        12,
        unexpected(hash, "the integer -1"),
    );
    assert_problem(
        raw(b"\x81\x92\xa6v1.Pod\xa1a\x81\xa217"),
        12,
        unexpected(hash, "a text of 2 bytes"),
    );
    assert_problem(
        raw(b"\x81\x92\xa6v1.Pod\xa1a\x81\x11\x80"),
        13,
        unexpected("an array of lifecycles", "a map of 0"),
    );
}

#[test]
fn time_may_stand_still_and_not_go_backwards() {
    let mut trace = Trace::small();
    trace.events[2].ts = trace.events[1].ts;
    assert!(check(trace.to_bytes().as_slice()).is_ok());
    trace.events[2].ts -= 1;
    let bytes = trace.to_bytes();
    let invalid = invalid(&bytes);
    assert_eq!(invalid.place, "events[2]");
    assert_eq!(
        invalid.problem,
        Problem::TimeWentBackwards {
            previous_seconds: 1_700_000_000,
            ts_seconds: 1_699_999_999,
        }
    );
    assert_eq!(bytes[usize::try_from(invalid.offset).unwrap()], 0xce);
}

#[test]
fn an_object_needs_an_identity() {
    use IdentityFault::{Empty, Missing, NotMap, NotText, TooLong};
    let long = "x".repeat(NAME_BYTES_MAX + 1);
    let longest = "x".repeat(NAME_BYTES_MAX);
    let object = |metadata: Value| json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata});
    for (object, field, fault) in [
        (json!({}), "apiVersion", Missing),
        (json!({"apiVersion": null}), "apiVersion", NotText),
        (json!({"apiVersion": ""}), "apiVersion", Empty),
        (json!({"apiVersion": long}), "apiVersion", TooLong),
        (json!({"apiVersion": "v1"}), "kind", Missing),
        (json!({"apiVersion": "v1", "kind": 1}), "kind", NotText),
        (json!({"apiVersion": "v1", "kind": ""}), "kind", Empty),
        (
            json!({"apiVersion": "v1", "kind": "Pod"}),
            "metadata",
            Missing,
        ),
        (object(json!(null)), "metadata", NotMap),
        (object(json!(["name"])), "metadata", NotMap),
        (object(json!({})), "metadata.name", Missing),
        (object(json!({"name": null})), "metadata.name", NotText),
        (object(json!({"name": ""})), "metadata.name", Empty),
        (object(json!({"name": long})), "metadata.name", TooLong),
        (
            object(json!({"name": "a", "namespace": 1})),
            "metadata.namespace",
            NotText,
        ),
        (
            object(json!({"name": "a", "namespace": long})),
            "metadata.namespace",
            TooLong,
        ),
    ] {
        let problem = Problem::Identity { field, fault };
        assert_problem(with_object(&|out| put_json(out, &object)), 0, problem);
    }
    for metadata in [
        json!({"name": longest, "namespace": longest}),
        json!({"name": "a", "namespace": null}),
        json!({"name": "a", "namespace": ""}),
    ] {
        let object = object(metadata);
        assert!(check(with_object(&|out| put_json(out, &object)).0.as_slice()).is_ok());
    }
}

#[test]
fn only_what_json_has_can_stand_in_an_object() {
    let value = "a value that JSON has";
    let raw = |bytes: &'static [u8]| with_value(&move |out| out.extend_from_slice(bytes));
    assert_problem(
        raw(b"\xc4\x01x"),
        0,
        unexpected(value, "binary data of 1 bytes"),
    );
    assert_problem(
        raw(b"\xd4\x01x"),
        0,
        unexpected(value, "an extension of 1 bytes"),
    );
    assert_problem(
        raw(b"\xc7\x03\x01xyz"),
        0,
        unexpected(value, "an extension of 3 bytes"),
    );
    let reserved = "the byte 0xc1, which MessagePack does not use";
    assert_problem(raw(b"\x91\xc1"), 1, unexpected(value, reserved));
    let key = "a key (a text)";
    assert_problem(raw(b"\x81\x01\x01"), 1, unexpected(key, "the integer 1"));
    assert_problem(raw(b"\x81\xc0\x01"), 1, unexpected(key, "nil"));
    assert_problem(
        raw(b"\x81\xc4\x01k\x01"),
        1,
        unexpected(key, "binary data of 1 bytes"),
    );
    assert_problem(raw(b"\xa4ab\xff\xfe"), 3, Problem::InvalidUtf8);
    assert_problem(raw(b"\x81\xa2a\xff\x01"), 3, Problem::InvalidUtf8);
    for infinite in [f64::INFINITY, f64::NEG_INFINITY] {
        let float = with_value(&|out| mp::write_f64(out, infinite).unwrap());
        assert_problem(float, 0, Problem::InvalidFloat { found: infinite });
        let float = with_value(&|out| mp::write_f32(out, infinite as f32).unwrap());
        assert_problem(float, 0, Problem::InvalidFloat { found: infinite });
    }
    let (bytes, offset) = with_value(&|out| mp::write_f64(out, f64::NAN).unwrap());
    let (at, nan) = problem(&bytes);
    assert!(matches!(nan, Problem::InvalidFloat { found } if found.is_nan()));
    assert_eq!(at, offset);
}

#[test]
fn a_text_that_is_not_utf_8_is_found_across_buffers() {
    let long = TRACE_READ_BUFFER_BYTES + 100;
    let (bytes, offset) = with_value(&|out| {
        mp::write_str_len(out, u32::try_from(long).unwrap()).unwrap();
        out.resize(out.len() + long - 1, b'x');
        out.push(0xff);
    });
    // Five bytes of head, then the text.
    assert_eq!(
        problem(&bytes),
        (offset + 5 + long as u64 - 1, Problem::InvalidUtf8)
    );
}

#[test]
fn a_repeated_key_is_an_error() {
    let key = |key: &str| Problem::RepeatedKey {
        key: key.to_owned(),
    };
    let raw = |bytes: &'static [u8]| with_value(&move |out| out.extend_from_slice(bytes));
    assert_problem(raw(b"\x82\xa1a\x01\xa1a\x01"), 4, key("a"));
    assert_problem(raw(b"\x82\xa1a\x01\xd9\x01a\x01"), 4, key("a"));
    assert!(check(raw(b"\x82\xa1a\x01\xa1b\x81\xa1a\x01").0.as_slice()).is_ok());

    let long = "x".repeat(5_000);
    let twice = with_value(&|out| {
        out.push(0x82);
        for _ in 0..2 {
            put_str(out, &long);
            out.push(1);
        }
    });
    assert_problem(twice, 1 + 5_003 + 1, key(&long[..100]));

    let config = trace(&[
        VERSION,
        ("config", &|out| {
            out.extend_from_slice(b"\x82\xa1a\x01\xa1a\x01")
        }),
    ]);
    assert_eq!(problem(&config), (1 + 9 + 7 + 4, key("a")));
}

#[test]
fn headers_may_be_longer_than_they_need_be() {
    let value = json!({"a": [1, -1, "b"]});
    let (bytes, _) = with_value(&|out| {
        out.extend_from_slice(b"\xdf\0\0\0\x01\xdb\0\0\0\x01a\xdd\0\0\0\x03");
        mp::write_i64(out, 1).unwrap();
        mp::write_i64(out, -1).unwrap();
        out.extend_from_slice(b"\xda\0\x01b");
    });
    let (read, _) = Collector::read(bytes.as_slice()).unwrap();
    assert_eq!(read.events[0].applied_objs[0]["spec"], value);

    let ts: Piece<'_> = &|out| mp::write_i16(out, 7).unwrap();
    let events: Piece<'_> = &|out| {
        out.extend_from_slice(b"\xdd\0\0\0\x01");
        fields(
            out,
            &[
                ("ts", ts),
                ("applied_objs", &|out| out.extend_from_slice(b"\xdc\0\0")),
                DELETED,
            ],
        );
    };
    let version: Piece<'_> = &|out| mp::write_i64(out, 2).unwrap();
    let bytes = trace(&[
        ("version", version),
        CONFIG,
        ("events", events),
        INDEX,
        LIFECYCLES,
    ]);
    assert_eq!(check(bytes.as_slice()).unwrap().first_ts, Some(7));
}

#[test]
fn numbers_keep_their_value() {
    let values = json!([
        0,
        127,
        128,
        255,
        256,
        65_535,
        65_536,
        u32::MAX,
        u64::MAX,
        -1,
        -32,
        -33,
        -128,
        -129,
        -32_768,
        -32_769,
        i32::MIN,
        i64::MIN,
        i64::MAX,
        0.5,
        -0.0,
        1.0,
        f64::MAX,
        f64::MIN_POSITIVE
    ]);
    let (bytes, _) = with_value(&|out| put_json(out, &values));
    let (read, _) = Collector::read(bytes.as_slice()).unwrap();
    let spec = &read.events[0].applied_objs[0]["spec"];
    // As text: 1.0 and 1 differ, and -0.0 and 0.0.
    assert_eq!(spec.to_string(), values.to_string());
    let (bytes, _) = with_value(&|out| mp::write_f32(out, 0.1).unwrap());
    let (read, _) = Collector::read(bytes.as_slice()).unwrap();
    assert_eq!(
        read.events[0].applied_objs[0]["spec"],
        json!(f64::from(0.1f32))
    );
}
