//! Faults of events and of the objects in them.

use rmp::encode as mp;
use serde_json::{Value, json};

use super::hand_made::*;
use crate::export::encode::sktrace::reference::Trace;
use crate::import::sktrace::{IdentityFault, Problem, check};
use crate::limits::NAME_BYTES_MAX;

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
