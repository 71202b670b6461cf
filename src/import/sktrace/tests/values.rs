//! Values as MessagePack has them, and as JSON does not.

use rmp::encode as mp;
use serde_json::json;

use super::Collector;
use super::hand_made::*;
use crate::import::sktrace::{Problem, check};
use crate::limits::TRACE_READ_BUFFER_BYTES;

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
