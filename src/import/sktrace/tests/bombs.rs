//! Guards against small files that ask for more memory or stack than there is: the process would be killed, and with it
//! the recording.

use rmp::encode as mp;

use super::hand_made::*;
use super::is_truncated;
use crate::import::sktrace::{Problem, TraceError, check};
use crate::limits::{NESTING_DEPTH_MAX, OBJECT_BYTES_MAX, OBJECT_VALUES_MAX};

#[test]
fn lying_lengths_in_an_object_fail_at_the_head() {
    let object = |bytes: &'static [u8]| {
        let (bytes, _) = with_value(&move |out| out.extend_from_slice(bytes));
        problem(&bytes)
    };
    let (_, start) = with_object(&|_| {});
    for bomb in [
        b"\xdb\xff\xff\xff\xff".as_slice(),
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\x81\xdb\xff\xff\xff\xff",
        b"\xdd\x01\0\0\0",
        b"\xdf\0\x80\0\0",
    ] {
        assert_eq!(object(bomb), (start, Problem::ObjectTooLarge));
    }
    // Lengths that an object could have, but this file does not: memory follows the file.
    for bomb in [
        b"\xdb\0\xf0\0\0abc".as_slice(),
        b"\xdd\0\x0f\0\0\xc0",
        b"\xdf\0\x07\0\0\xa0\xc0",
    ] {
        assert!(matches!(
            object(bomb).1,
            Problem::Truncated { .. } | Problem::Unexpected { .. }
        ));
    }
}

#[test]
fn lying_lengths_of_a_trace_fail_at_its_end() {
    for bomb in [
        b"\xdf\xff\xff\xff\xff".as_slice(),
        b"\xdf\xff\xff\xff\xff\xa1a\xc0",
    ] {
        assert!(is_truncated(bomb));
    }
    for section in [EVENTS.0, INDEX.0, LIFECYCLES.0, "unknown"] {
        for bomb in [
            b"\xdd\xff\xff\xff\xff".as_slice(),
            b"\xdf\xff\xff\xff\xff",
            b"\xc6\xff\xff\xff\xff",
            b"\xc9\xff\xff\xff\xff\x01",
        ] {
            let piece: Piece<'_> = &|out| out.extend_from_slice(bomb);
            let bytes = trace(&[VERSION, CONFIG, (section, piece)]);
            let problem = problem(&bytes).1;
            assert!(
                matches!(
                    problem,
                    Problem::Truncated { .. } | Problem::Unexpected { .. }
                ),
                "{section} {bomb:x?}: {problem}"
            );
        }
    }
    let name = with_index(&|out| out.extend_from_slice(b"\x81\xdb\xff\xff\xff\xff"));
    let expected = Problem::NameLength {
        expected: "a kind (group/version.Kind)",
        bytes: u32::MAX,
    };
    assert_problem(name, 1, expected);
}

#[test]
fn an_object_may_be_as_large_as_the_bound_and_no_larger() {
    let sized = |text: usize| {
        with_value(&|out| {
            mp::write_str_len(out, u32::try_from(text).unwrap()).unwrap();
            out.resize(out.len() + text, b'x');
        })
    };
    let (_, value) = with_value(&|_| {});
    let (_, start) = with_object(&|_| {});
    let head = usize::try_from(value - start).unwrap() + 5;
    assert!(check(sized(OBJECT_BYTES_MAX - head).0.as_slice()).is_ok());
    assert_eq!(
        problem(&sized(OBJECT_BYTES_MAX - head + 1).0),
        (start, Problem::ObjectTooLarge)
    );
}

#[test]
fn an_object_may_have_as_many_values_as_the_bound_and_no_more() {
    // Five values are there besides: four fields and the name.
    let sized = |values: usize| {
        with_value(&|out| {
            mp::write_array_len(out, u32::try_from(values).unwrap()).unwrap();
            out.resize(out.len() + values, 0xc0);
        })
    };
    assert!(check(sized(OBJECT_VALUES_MAX - 5).0.as_slice()).is_ok());
    assert_problem(sized(OBJECT_VALUES_MAX - 4), 0, Problem::TooManyValues);
}

#[test]
fn deep_nesting_is_refused_without_a_deep_stack() {
    // The object is the first level; maps and arrays count alike.
    let nested = |depth: usize, open: &'static [u8]| {
        with_value(&move |out| {
            for _ in 0..depth {
                out.extend_from_slice(open);
            }
            out.push(0xc0);
        })
    };
    for open in [b"\x91".as_slice(), b"\x81\xa1a"] {
        let most = NESTING_DEPTH_MAX - 1;
        assert!(check(nested(most, open).0.as_slice()).is_ok());
        let offset = (most * open.len()) as u64;
        assert_problem(nested(most + 1, open), offset, Problem::TooDeep);
        assert_problem(nested(1_000_000, open), offset, Problem::TooDeep);
    }
    for open in [0x91, 0x81] {
        let bomb = |out: &mut Vec<u8>| out.resize(out.len() + 1_000_000, open);
        let bytes = trace(&[VERSION, ("unknown", &bomb)]);
        assert_eq!(
            problem(&bytes),
            (18 + NESTING_DEPTH_MAX as u64, Problem::TooDeep)
        );
        let bytes = trace(&[VERSION, ("config", &bomb)]);
        assert!(matches!(
            check(bytes.as_slice()),
            Err(TraceError::Invalid(_))
        ));
    }
}
