//! Label selectors with Kubernetes' own semantics.
//!
//! A selector matches where all its requirements do. `NotIn` and `DoesNotExist` match where the key is absent; an
//! empty selector matches everything, so as an *excluding* selector it excludes everything.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::observation::Labels;

mod label;
mod query;

pub use label::InvalidLabel;

/// A label selector, in JSON as in the Kubernetes API (`matchLabels`, `matchExpressions`).
///
/// What is read with serde or [`LabelSelector::parse_query`] is valid; one that is put together by hand is checked with
/// [`LabelSelector::validate`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "RawSelector")]
pub struct LabelSelector {
    /// Labels that must have exactly these values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Further requirements.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<Requirement>,
}

/// One requirement on one label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Requirement {
    /// Key of the label.
    pub key: String,
    /// How the values count.
    pub operator: Operator,
    /// At least one for `In` and `NotIn`, none for `Exists` and `DoesNotExist`. The order does not count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// What a requirement asks of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Operator {
    /// The label is present and its value is one of these.
    In,
    /// The label is absent, or its value is none of these.
    NotIn,
    /// The label is present.
    Exists,
    /// The label is absent.
    DoesNotExist,
}

impl Operator {
    const ALL: [Self; 4] = [Self::In, Self::NotIn, Self::Exists, Self::DoesNotExist];

    fn takes_values(self) -> bool {
        matches!(self, Self::In | Self::NotIn)
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::In => "In",
            Self::NotIn => "NotIn",
            Self::Exists => "Exists",
            Self::DoesNotExist => "DoesNotExist",
        })
    }
}

/// Why something is no label selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSelector {
    /// `In` or `NotIn` without values.
    #[error("invalid label selector: {operator} on {key:?} needs at least one value")]
    ValuesMissing {
        /// Key of the requirement.
        key: String,
        /// Its operator.
        operator: Operator,
    },
    /// `Exists` or `DoesNotExist` with values.
    #[error("invalid label selector: {operator} on {key:?} takes no values")]
    ValuesUnexpected {
        /// Key of the requirement.
        key: String,
        /// Its operator.
        operator: Operator,
    },
    /// An operator that label selectors do not have.
    #[error(
        "invalid label selector: {operator:?} on {key:?} is no operator: expected In, NotIn, Exists or DoesNotExist"
    )]
    UnknownOperator {
        /// Key of the requirement.
        key: String,
        /// The operator as given.
        operator: String,
    },
    /// A key or value that no label can have.
    #[error("invalid label selector: {0}")]
    Label(InvalidLabel),
    /// A text that does not follow the grammar of `kubectl -l`.
    #[error("invalid label selector {query:?}: expected {expected} at {found:?}")]
    Syntax {
        /// The text as given, shortened.
        query: String,
        /// What could stand there.
        expected: &'static str,
        /// What stands there instead, to the end of the text, shortened.
        found: String,
    },
    /// A text longer than [`crate::limits::SELECTOR_BYTES_MAX`].
    #[error(
        "invalid label selector: {bytes} bytes long, at most {} are accepted",
        crate::limits::SELECTOR_BYTES_MAX
    )]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

impl LabelSelector {
    /// Reads the text form that `kubectl -l` takes: `app=web,tier!=db,env in (a,b),zone notin (c),x,!y`.
    ///
    /// An empty text selects everything. `!=` and `notin` select objects without the label too.
    ///
    /// # Errors
    /// When the text does not follow that grammar, or names a label that cannot exist. `<` and `>`, which compare
    /// numbers, are not part of a label selector.
    pub fn parse_query(query: &str) -> Result<Self, InvalidSelector> {
        let selector = query::parse(query)?;
        selector.validate()?;
        Ok(selector)
    }

    /// Checks what the API server would check.
    ///
    /// # Errors
    /// When `In` or `NotIn` has no values, `Exists` or `DoesNotExist` has some, or a key or value cannot be that of a
    /// label.
    pub fn validate(&self) -> Result<(), InvalidSelector> {
        for (key, value) in &self.match_labels {
            label::check_key(key).map_err(InvalidSelector::Label)?;
            label::check_value(key, value).map_err(InvalidSelector::Label)?;
        }
        self.match_expressions
            .iter()
            .try_for_each(Requirement::validate)
    }

    /// Whether an object with these labels is selected.
    pub fn matches(&self, labels: &Labels) -> bool {
        let equal = |(key, value)| labels.get(key) == Some(value);
        self.match_labels.iter().all(equal)
            && self.match_expressions.iter().all(|one| one.matches(labels))
    }
}

impl Requirement {
    fn validate(&self) -> Result<(), InvalidSelector> {
        label::check_key(&self.key).map_err(InvalidSelector::Label)?;
        let (key, operator) = (self.key.clone(), self.operator);
        match (operator.takes_values(), self.values.is_empty()) {
            (true, true) => return Err(InvalidSelector::ValuesMissing { key, operator }),
            (false, false) => return Err(InvalidSelector::ValuesUnexpected { key, operator }),
            _ => {}
        }
        let mut values = self.values.iter();
        values
            .try_for_each(|value| label::check_value(&self.key, value))
            .map_err(InvalidSelector::Label)
    }

    /// Whether labels meet this requirement.
    pub fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        let listed = |value: &String| self.values.contains(value);
        match self.operator {
            Operator::In => value.is_some_and(listed),
            Operator::NotIn => !value.is_some_and(listed),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

/// A selector as it stands in JSON. Unknown fields are refused: a misspelt `matchLabels` would otherwise be an empty
/// selector, which matches everything.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawSelector {
    match_labels: Option<BTreeMap<String, String>>,
    match_expressions: Option<Vec<RawRequirement>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRequirement {
    key: String,
    operator: String,
    values: Option<Vec<String>>,
}

impl TryFrom<RawSelector> for LabelSelector {
    type Error = InvalidSelector;

    fn try_from(raw: RawSelector) -> Result<Self, InvalidSelector> {
        let expressions = raw.match_expressions.unwrap_or_default();
        let selector = Self {
            match_labels: raw.match_labels.unwrap_or_default(),
            match_expressions: expressions
                .into_iter()
                .map(Requirement::try_from)
                .collect::<Result<_, _>>()?,
        };
        selector.validate()?;
        Ok(selector)
    }
}

impl TryFrom<RawRequirement> for Requirement {
    type Error = InvalidSelector;

    fn try_from(raw: RawRequirement) -> Result<Self, InvalidSelector> {
        let known = Operator::ALL
            .into_iter()
            .find(|operator| operator.to_string() == raw.operator);
        match known {
            Some(operator) => Ok(Self {
                key: raw.key,
                operator,
                values: raw.values.unwrap_or_default(),
            }),
            None => Err(InvalidSelector::UnknownOperator {
                key: raw.key,
                operator: raw.operator,
            }),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    //! Guards the filters of an export: what a selector wrongly matches is missing from the replay, and an invalid one
    //! must be an error of the client, never a crash or a selector that matches everything.
    use serde_json::json;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect()
    }

    fn selector(json: serde_json::Value) -> LabelSelector {
        serde_json::from_value(json).unwrap()
    }

    fn one(operator: &str, values: &[&str]) -> LabelSelector {
        selector(
            json!({"matchExpressions": [{"key": "env", "operator": operator, "values": values}]}),
        )
    }

    #[test]
    fn an_empty_selector_matches_everything() {
        for json in [
            json!({}),
            json!({"matchLabels": null, "matchExpressions": null}),
            json!({"matchLabels": {}}),
        ] {
            assert!(selector(json.clone()).matches(&labels(&[])), "{json}");
            assert!(
                selector(json.clone()).matches(&labels(&[("a", "b")])),
                "{json}"
            );
        }
    }

    #[test]
    fn operators_match_as_in_kubernetes_also_where_the_key_is_absent() {
        let (absent, listed, other) = (
            labels(&[("x", "a")]),
            labels(&[("env", "a")]),
            labels(&[("env", "z")]),
        );
        for (operator, values, expected) in [
            ("In", &["a", "b"][..], (false, true, false)),
            ("NotIn", &["a", "b"][..], (true, false, true)),
            ("Exists", &[][..], (false, true, true)),
            ("DoesNotExist", &[][..], (true, false, false)),
        ] {
            let selector = one(operator, values);
            let matched = (
                selector.matches(&absent),
                selector.matches(&listed),
                selector.matches(&other),
            );
            assert_eq!(matched, expected, "{operator}");
        }
    }

    #[test]
    fn all_requirements_must_hold() {
        let selector = selector(json!({
            "matchLabels": {"app": "web", "tier": "front"},
            "matchExpressions": [{"key": "env", "operator": "Exists"}],
        }));
        assert!(selector.matches(&labels(&[("app", "web"), ("tier", "front"), ("env", "")])));
        assert!(!selector.matches(&labels(&[("app", "web"), ("tier", "front")])));
        assert!(!selector.matches(&labels(&[("app", "web"), ("env", "")])));
        assert!(!selector.matches(&labels(&[("app", "web"), ("tier", "back"), ("env", "")])));
    }

    #[test]
    fn an_empty_value_is_a_value() {
        assert!(one("In", &[""]).matches(&labels(&[("env", "")])));
        assert!(!one("In", &[""]).matches(&labels(&[])));
    }

    #[test]
    fn what_kubernetes_refuses_is_refused_with_the_reason() {
        let expression = |operator: &str, values: &[&str]| json!({"matchExpressions": [{"key": "env", "operator": operator, "values": values}]});
        for (json, expected) in [
            (
                expression("In", &[]),
                "invalid label selector: In on \"env\" needs at least one value",
            ),
            (
                expression("NotIn", &[]),
                "invalid label selector: NotIn on \"env\" needs at least one value",
            ),
            (
                expression("Exists", &["a"]),
                "invalid label selector: Exists on \"env\" takes no values",
            ),
            (
                expression("DoesNotExist", &["a"]),
                "invalid label selector: DoesNotExist on \"env\" takes no values",
            ),
            (
                expression("in", &["a"]),
                "invalid label selector: \"in\" on \"env\" is no operator: expected In, NotIn, Exists or DoesNotExist",
            ),
            (
                expression("In", &["a b"]),
                "invalid label selector: \"a b\" cannot be the value of label \"env\"",
            ),
            (
                json!({"matchLabels": {"a b": "c"}}),
                "invalid label selector: \"a b\" cannot be the key of a label",
            ),
            (
                json!({"matchLabels": {"a": "-c"}}),
                "invalid label selector: \"-c\" cannot be the value of label \"a\"",
            ),
            (
                json!({"matchLabel": {"a": "c"}}),
                "unknown field `matchLabel`",
            ),
            (
                json!({"matchExpressions": [{"operator": "Exists"}]}),
                "missing field `key`",
            ),
            (
                json!({"matchLabels": {"a": 1}}),
                "invalid type: integer `1`, expected a string",
            ),
            (json!("app=web"), "invalid type: string \"app=web\""),
        ] {
            match serde_json::from_value::<LabelSelector>(json.clone()) {
                Ok(_) => assert_eq!("accepted", expected, "{json}"),
                Err(error) => assert!(error.to_string().contains(expected), "{json}: {error}"),
            }
        }
    }

    #[test]
    fn the_json_form_round_trips() {
        for json in [
            json!({}),
            json!({"matchLabels": {"app": "web"}}),
            json!({"matchExpressions": [
                {"key": "a.b/env", "operator": "NotIn", "values": ["a", "b"]},
                {"key": "x", "operator": "DoesNotExist"},
            ]}),
        ] {
            assert_eq!(serde_json::to_value(selector(json.clone())).unwrap(), json);
        }
    }
}
