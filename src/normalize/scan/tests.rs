//! Guards against a text that is taken for JSON although it is none: a pod, and the list that it is in, would be
//! believed where they must not be.

use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::*;

fn is_passed_over(text: &[u8]) -> bool {
    let mut scanner = Scanner::new(text);
    scanner.skip().and_then(|()| scanner.end()).is_some()
}

fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(text).is_ok()
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((".{0,9}", inner), 0..5)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn all_json_is_passed_over(value in any_json()) {
        prop_assert!(is_passed_over(value.to_string().as_bytes()));
        prop_assert!(is_passed_over(serde_json::to_string_pretty(&value).unwrap().as_bytes()));
    }

    /// Changed anywhere, a text is passed over exactly where serde_json passes over it.
    #[test]
    fn what_is_no_json_is_not(
        value in any_json(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any_byte(), 0..3u8), 1..4),
    ) {
        let mut text = value.to_string().into_bytes();
        for (at, byte, how) in changes {
            match how {
                0 => text.insert(at.index(text.len() + 1), byte),
                _ if text.is_empty() => {}
                1 => *at.get_mut(&mut text) = byte,
                _ => drop(text.remove(at.index(text.len()))),
            }
        }
        prop_assert_eq!(is_passed_over(&text), is_json(&text), "{}", String::from_utf8_lossy(&text));
    }
}

fn any_byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        prop::sample::select(b"{}[]\",:\\0123456789.-+eEtrufalsn \n\x00\x1f\x7f\x80\xff".to_vec()),
        any::<u8>(),
    ]
}

#[test]
fn numbers_words_and_escapes_have_one_form() {
    for text in [
        "0",
        "-0",
        "01",
        "-",
        "1.",
        ".1",
        "1.5",
        "1e",
        "1e5",
        "1E+05",
        "1e+",
        "-1.0e-7",
        "true",
        "tru",
        "truE",
        "nul",
        "null",
        "false",
        "+1",
        "0x1",
        "\"\\u00\"",
        "\"\\u00fF\"",
        "\"\\ud800\"",
        "\"\\x\"",
        "\"a",
        "\"\t\"",
        "\"12345678\\\"\"",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{a:1}",
        "{\"a\":}",
        "[]]",
        "{}{}",
        "",
        " ",
        " [ ] ",
        "[1 , 2]",
        "\"\u{7f}\"",
    ] {
        assert_eq!(
            is_passed_over(text.as_bytes()),
            is_json(text.as_bytes()),
            "{text}"
        );
    }
}

#[test]
fn nesting_ends() {
    let nested = |depth: usize| [b"[".repeat(depth), b"]".repeat(depth)].concat();
    assert!(is_passed_over(&nested(DEPTH_MAX)));
    assert!(!is_passed_over(&nested(DEPTH_MAX + 1)));
    assert!(!is_passed_over(&b"{\"a\":".repeat(100_000)));
}

#[test]
fn what_is_asked_for_is_read() {
    let text = br#"{ "a" : "x" , "b":[1, {"c":2}],"d":null,"e":true,"f":"\n"} "#;
    let mut scanner = Scanner::new(text);
    let mut seen = Vec::new();
    let read = scanner.object(|scanner, key| {
        seen.push(match key {
            "a" => scanner.string()?.to_owned(),
            "b" => scanner.raw()?.to_owned(),
            "d" => format!("{:?}", scanner.optional_string()?),
            "e" => format!("{:?}", scanner.boolean()?),
            _ => {
                assert!(scanner.clone().string().is_none());
                scanner.skip().map(|()| key.to_owned())?
            }
        });
        Some(())
    });
    assert!(read.is_some() && scanner.end().is_some());
    assert_eq!(seen, ["x", r#"[1, {"c":2}]"#, "None", "true", "f"]);
    assert!(Scanner::new(b"\"\xff\"").string().is_none());
    assert!(Scanner::new(b"\"\xff\"").raw().is_none());
}
