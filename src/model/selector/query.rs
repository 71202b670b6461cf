//! The text form of a label selector, as `kubectl -l` takes it.

use super::label::excerpt;
use super::{InvalidSelector, LabelSelector, Operator, Requirement};
use crate::limits::SELECTOR_BYTES_MAX;

/// Reads a query; keys and values are not checked yet.
pub(super) fn parse(query: &str) -> Result<LabelSelector, InvalidSelector> {
    if query.len() > SELECTOR_BYTES_MAX {
        return Err(InvalidSelector::TooLong { bytes: query.len() });
    }
    let mut parser = Parser { query, rest: query };
    let mut selector = LabelSelector::default();
    if parser.at_end() {
        return Ok(selector);
    }
    loop {
        parser.requirement(&mut selector)?;
        if parser.at_end() {
            return Ok(selector);
        }
        if !parser.take(",") {
            return Err(parser.expected("',' or the end"));
        }
    }
}

struct Parser<'a> {
    query: &'a str,
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn requirement(&mut self, selector: &mut LabelSelector) -> Result<(), InvalidSelector> {
        let absent = self.take("!");
        let key = self.word();
        if key.is_empty() || key == "in" || key == "notin" {
            return Err(self.expected("the key of a label"));
        }
        let (operator, values) = if absent {
            (Operator::DoesNotExist, vec![])
        } else if self.at_end() || self.peek(",") {
            (Operator::Exists, vec![])
        } else if self.take("==") || self.take("=") {
            let value = self.word().to_owned();
            // A key can be listed twice; with different values nothing matches.
            if !selector.match_labels.contains_key(key) {
                selector.match_labels.insert(key.to_owned(), value);
                return Ok(());
            }
            (Operator::In, vec![value])
        } else if self.take("!=") {
            (Operator::NotIn, vec![self.word().to_owned()])
        } else {
            let before = self.rest;
            let operator = match self.word() {
                "in" => Operator::In,
                "notin" => Operator::NotIn,
                _ => {
                    self.rest = before;
                    return Err(self.expected("'=', '==', '!=', 'in', 'notin', ',' or the end"));
                }
            };
            (operator, self.values()?)
        };
        selector.match_expressions.push(Requirement {
            key: key.to_owned(),
            operator,
            values,
        });
        Ok(())
    }

    /// `(a, b)`. An empty place between the commas is the empty value.
    fn values(&mut self) -> Result<Vec<String>, InvalidSelector> {
        if !self.take("(") {
            return Err(self.expected("'('"));
        }
        let mut values = vec![];
        loop {
            values.push(self.word().to_owned());
            if self.take(")") {
                return Ok(values);
            }
            if !self.take(",") {
                return Err(self.expected("',' or ')'"));
            }
        }
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
    }

    fn at_end(&mut self) -> bool {
        self.skip_space();
        self.rest.is_empty()
    }

    fn peek(&mut self, symbol: &str) -> bool {
        self.skip_space();
        self.rest.starts_with(symbol)
    }

    fn take(&mut self, symbol: &str) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(symbol) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// What stands before the next symbol or space; may be empty.
    fn word(&mut self) -> &'a str {
        self.skip_space();
        let end = self
            .rest
            .find([' ', '\t', '\r', '\n', '=', '!', '(', ')', ',', '<', '>'])
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        word
    }

    fn expected(&self, expected: &'static str) -> InvalidSelector {
        InvalidSelector::Syntax {
            query: excerpt(self.query),
            expected,
            found: excerpt(self.rest),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    //! Guards the selectors typed on a command line: one that is read otherwise than kubectl reads it selects other
    //! objects than its author has seen in `kubectl get -l`.
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn queries_mean_what_they_mean_to_kubectl() {
        let expression = |key: &str, operator: &str, values: &[&str]| match values {
            [] => json!({"matchExpressions": [{"key": key, "operator": operator}]}),
            values => {
                json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]})
            }
        };
        for (query, expected) in [
            ("", json!({})),
            ("  ", json!({})),
            ("app=web", json!({"matchLabels": {"app": "web"}})),
            ("app==web", json!({"matchLabels": {"app": "web"}})),
            (" app = web ", json!({"matchLabels": {"app": "web"}})),
            ("app=", json!({"matchLabels": {"app": ""}})),
            ("app=,x=y", json!({"matchLabels": {"app": "", "x": "y"}})),
            ("a.b/c=in", json!({"matchLabels": {"a.b/c": "in"}})),
            ("tier!=db", expression("tier", "NotIn", &["db"])),
            ("tier!=", expression("tier", "NotIn", &[""])),
            ("env in (a, b)", expression("env", "In", &["a", "b"])),
            ("env in(a)", expression("env", "In", &["a"])),
            ("env in ()", expression("env", "In", &[""])),
            ("env in (a,)", expression("env", "In", &["a", ""])),
            ("env notin (a)", expression("env", "NotIn", &["a"])),
            ("x", expression("x", "Exists", &[])),
            ("!x", expression("x", "DoesNotExist", &[])),
            ("! x", expression("x", "DoesNotExist", &[])),
            (
                "a=1,a=2",
                json!({
                    "matchLabels": {"a": "1"},
                    "matchExpressions": [{"key": "a", "operator": "In", "values": ["2"]}],
                }),
            ),
            (
                "app=web,tier!=db,env in (a,b),x,!y",
                json!({
                    "matchLabels": {"app": "web"},
                    "matchExpressions": [
                        {"key": "tier", "operator": "NotIn", "values": ["db"]},
                        {"key": "env", "operator": "In", "values": ["a", "b"]},
                        {"key": "x", "operator": "Exists"},
                        {"key": "y", "operator": "DoesNotExist"},
                    ],
                }),
            ),
        ] {
            let selector = LabelSelector::parse_query(query).unwrap();
            assert_eq!(serde_json::to_value(selector).unwrap(), expected, "{query}");
        }
    }

    #[test]
    fn what_kubectl_refuses_is_refused() {
        for query in [
            ",",
            "a,",
            ",a",
            "a,,b",
            "=",
            "=a",
            "!",
            "!!a",
            "!a=b",
            "!a in (b)",
            "a b",
            "a=b c",
            "a=b=c",
            "a===b",
            "a!b",
            "a=!b",
            "in",
            "in in (a)",
            "notin=a",
            "a in",
            "a in b",
            "a in (b",
            "a in (b c)",
            "a in b)",
            "a in (b))",
            "(a)",
            "a<1",
            "a > 1",
            "a in (b)(c)",
            "a=(b)",
            "é=b",
            "a=é",
            "a=-",
            "a/b/c",
        ] {
            assert!(LabelSelector::parse_query(query).is_err(), "{query}");
        }
    }

    #[test]
    fn an_error_says_where_and_what_was_expected() {
        let message = |query: &str| LabelSelector::parse_query(query).unwrap_err().to_string();
        assert_eq!(
            message("a=b,c in d"),
            "invalid label selector \"a=b,c in d\": expected '(' at \"d\""
        );
        assert_eq!(
            message("a b"),
            "invalid label selector \"a b\": expected '=', '==', '!=', 'in', 'notin', ',' or the end at \"b\""
        );
        assert_eq!(
            message("a,"),
            "invalid label selector \"a,\": expected the key of a label at \"\""
        );
        let long = "a".repeat(SELECTOR_BYTES_MAX + 1);
        assert_eq!(
            message(&long),
            "invalid label selector: 65537 bytes long, at most 65536 are accepted"
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(query in "[a-c!=(), <>é/innot]{0,24}") {
            if let Ok(selector) = LabelSelector::parse_query(&query) {
                prop_assert_eq!(selector.validate(), Ok(()));
            }
        }
    }
}
