//! What is wrong with a JSON text, without repeating the text: it may hold secrets, and errors are logged.

/// What serde_json says, without the value that it met.
///
/// An error of syntax says nothing but what was expected and where. An error of type repeats a text or number of the
/// input, which is left out here.
pub(crate) fn without_values(error: &serde_json::Error) -> String {
    let text = error.to_string();
    // These name fields of our own types.
    let of_ours = text.starts_with("missing field") || text.starts_with("duplicate field");
    if !error.is_data() || of_ours {
        return text;
    }
    match text.rfind(", expected ").and_then(|at| text.get(at..)) {
        Some(expected) => format!("a value of the wrong type{expected}"),
        None => format!(
            "a wrong value at line {} column {}",
            error.line(),
            error.column()
        ),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    //! Guards the log: a Secret that came garbled must not be quoted in it.
    use super::without_values;

    #[derive(Debug, serde::Deserialize)]
    #[allow(dead_code)]
    struct Expected {
        number: u64,
        bytes: Option<std::num::NonZeroU8>,
    }

    fn said(json: &str) -> String {
        without_values(&serde_json::from_str::<Expected>(json).unwrap_err())
    }

    #[test]
    fn neither_texts_nor_numbers_are_repeated() {
        for json in [
            r#""hunter2""#,
            r#"{"number": "hunter2"}"#,
            r#"{"number": "hunter2, expected at hunter2"}"#,
            r#"{"number": 1, "bytes": "hunter2"}"#,
            r#"{"number": "hunter2"#,
            r#"{"number": 1, "hunter2"}"#,
        ] {
            let said = said(json);
            assert!(!said.contains("hunter2"), "{said}");
            assert!(said.contains("line 1 column"), "{said}");
        }
        assert!(!said(r#"{"number": -4711}"#).contains("4711"));
        assert_eq!(
            said(r#"{"number": "x"}"#),
            "a value of the wrong type, expected u64 at line 1 column 14"
        );
        assert_eq!(said("{}"), "missing field `number` at line 1 column 2");
    }
}
