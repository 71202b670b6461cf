//! Faults of the index and of lifecycles.

use serde_json::{Value, json};

use super::hand_made::*;
use super::{Collector, as_told};
use crate::export::encode::sktrace::reference::{Lifecycle, Trace};
use crate::import::sktrace::{Problem, check};
use crate::limits::TRACE_NAME_BYTES_MAX;
use crate::model::Gvk;

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
