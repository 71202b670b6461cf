//! Traces put together by hand, byte by byte, with the offset of the part in question.

use rmp::encode as mp;
use serde_json::{Value, json};

use crate::import::sktrace::{InvalidTrace, Problem, TraceError, check};

/// Offset and problem of bytes that are no trace.
pub(super) fn problem(bytes: &[u8]) -> (u64, Problem) {
    let invalid = invalid(bytes);
    (invalid.offset, invalid.problem)
}

pub(super) fn invalid(bytes: &[u8]) -> InvalidTrace {
    match check(bytes) {
        Err(TraceError::Invalid(invalid)) => *invalid,
        other => panic!("{other:?}"),
    }
}

pub(super) fn unexpected(expected: &'static str, found: &str) -> Problem {
    Problem::Unexpected {
        expected,
        found: found.to_owned(),
    }
}

pub(super) type Piece<'a> = &'a dyn Fn(&mut Vec<u8>);

pub(super) fn put_str(out: &mut Vec<u8>, text: &str) {
    mp::write_str(out, text).unwrap();
}

pub(super) fn put_json(out: &mut Vec<u8>, value: &Value) {
    rmp_serde::encode::write_named(out, value).unwrap();
}

/// A map of fields, as bytes.
pub(super) fn fields(out: &mut Vec<u8>, fields: &[(&str, Piece<'_>)]) {
    mp::write_map_len(out, u32::try_from(fields.len()).unwrap()).unwrap();
    for (name, value) in fields {
        put_str(out, name);
        value(out);
    }
}

pub(super) const VERSION: (&str, Piece<'static>) = ("version", &|out| out.push(2));
pub(super) const CONFIG: (&str, Piece<'static>) = ("config", &|out| out.push(0x80));
pub(super) const EVENTS: (&str, Piece<'static>) = ("events", &|out| out.push(0x90));
pub(super) const INDEX: (&str, Piece<'static>) = ("index", &|out| out.push(0x80));
pub(super) const LIFECYCLES: (&str, Piece<'static>) = ("pod_lifecycles", &|out| out.push(0x80));

pub(super) fn trace(pieces: &[(&str, Piece<'_>)]) -> Vec<u8> {
    let mut out = Vec::new();
    fields(&mut out, pieces);
    out
}

/// A trace with this in place of its events; and the offset of it.
pub(super) fn with_events(events: Piece<'_>) -> (Vec<u8>, u64) {
    let head = 1 + 8 + 1 + 7 + 1 + 7;
    let bytes = trace(&[VERSION, CONFIG, ("events", events), INDEX, LIFECYCLES]);
    (bytes, head)
}

/// A trace with one event of these fields; and the offset of the event.
pub(super) fn with_event(event: &[(&str, Piece<'_>)]) -> (Vec<u8>, u64) {
    let (bytes, offset) = with_events(&|out| {
        out.push(0x91);
        fields(out, event);
    });
    (bytes, offset + 1)
}

pub(super) const TS: (&str, Piece<'static>) = ("ts", &|out| out.push(7));
pub(super) const APPLIED: (&str, Piece<'static>) = ("applied_objs", &|out| out.push(0x90));
pub(super) const DELETED: (&str, Piece<'static>) = ("deleted_objs", &|out| out.push(0x90));

/// A trace with one applied object; and the offset of the object.
pub(super) fn with_object(object: Piece<'_>) -> (Vec<u8>, u64) {
    let applied = |out: &mut Vec<u8>| {
        out.push(0x91);
        object(out);
    };
    let (bytes, offset) = with_event(&[TS, ("applied_objs", &applied), DELETED]);
    (bytes, offset + 1 + 3 + 1 + 13 + 1)
}

/// An object with an identity and one more field; and the offset of that field's value.
pub(super) fn with_value(value: Piece<'_>) -> (Vec<u8>, u64) {
    let mut head = Vec::new();
    head.push(0x84);
    for text in ["apiVersion", "v1", "kind", "Pod", "metadata"] {
        put_str(&mut head, text);
    }
    put_json(&mut head, &json!({"name": "a"}));
    put_str(&mut head, "spec");
    let (bytes, offset) = with_object(&|out| {
        out.extend_from_slice(&head);
        value(out);
    });
    (bytes, offset + head.len() as u64)
}

/// A trace with this index; and the offset of it.
pub(super) fn with_index(index: Piece<'_>) -> (Vec<u8>, u64) {
    let bytes = trace(&[VERSION, CONFIG, EVENTS, ("index", index), LIFECYCLES]);
    (bytes, 1 + 8 + 1 + 7 + 1 + 7 + 1 + 6)
}

/// A trace with these lifecycles; and the offset of them.
pub(super) fn with_lifecycles(lifecycles: Piece<'_>) -> (Vec<u8>, u64) {
    let last = ("pod_lifecycles", lifecycles);
    let bytes = trace(&[VERSION, CONFIG, EVENTS, INDEX, last]);
    (bytes, 1 + 8 + 1 + 7 + 1 + 7 + 1 + 6 + 1 + 15)
}

/// A trace with one lifecycle; and the offset of it.
pub(super) fn with_lifecycle(lifecycle: Piece<'_>) -> (Vec<u8>, u64) {
    let (bytes, offset) = with_lifecycles(&|out| {
        out.extend_from_slice(&[0x81, 0x92]);
        put_str(out, "v1.Pod");
        put_str(out, "ns/a");
        out.extend_from_slice(&[0x81, 17, 0x91]);
        lifecycle(out);
    });
    (bytes, offset + 2 + 7 + 5 + 3)
}

#[track_caller]
pub(super) fn assert_problem((bytes, base): (Vec<u8>, u64), offset: u64, expected: Problem) {
    assert_eq!(problem(&bytes), (base + offset, expected));
}
