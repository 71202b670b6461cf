//! Group, version and kind, written as SimKube writes them: `apps/v1.Deployment`, `v1.Pod`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A Kubernetes group, version and kind.
///
/// The text form is `group/version.Kind`; the core group is written `version.Kind`
/// (`/version.Kind` is accepted too). Ordered by group, then kind, then version.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Gvk {
    /// API group; empty for the core group.
    pub group: String,
    /// API version, such as `v1`.
    pub version: String,
    /// Kind, such as `Deployment`.
    pub kind: String,
}

/// A text that is not `group/version.Kind`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a kind: expected group/version.Kind, such as apps/v1.Deployment or v1.Pod"
)]
pub struct InvalidGvk {
    /// The text as given.
    pub text: String,
}

impl Gvk {
    /// A kind from its three parts.
    pub fn new(
        group: impl Into<String>,
        version: impl Into<String>,
        kind: impl Into<String>,
    ) -> Self {
        Self {
            group: group.into(),
            version: version.into(),
            kind: kind.into(),
        }
    }

    /// `v1.Pod`.
    pub fn pod() -> Self {
        Self::new("", "v1", "Pod")
    }

    /// The kind named by an object's `apiVersion` and `kind` fields.
    pub fn from_api_version(api_version: &str, kind: &str) -> Self {
        match api_version.rsplit_once('/') {
            Some((group, version)) => Self::new(group, version, kind),
            None => Self::new("", api_version, kind),
        }
    }

    /// The `apiVersion` field of an object of this kind: `apps/v1`, or `v1` in the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Whether this is the pod kind, in any version.
    pub fn is_pod(&self) -> bool {
        self.group.is_empty() && self.kind == "Pod"
    }

    /// Whether this is the kind of Secrets, in any version.
    pub fn is_secret(&self) -> bool {
        self.group.is_empty() && self.kind == "Secret"
    }
}

impl Ord for Gvk {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (&self.group, &self.kind, &self.version).cmp(&(&other.group, &other.kind, &other.version))
    }
}

impl PartialOrd for Gvk {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Gvk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.group.is_empty() {
            write!(f, "{}/", self.group)?;
        }
        write!(f, "{}.{}", self.version, self.kind)
    }
}

impl FromStr for Gvk {
    type Err = InvalidGvk;

    fn from_str(text: &str) -> Result<Self, InvalidGvk> {
        let invalid = || InvalidGvk {
            text: text.to_owned(),
        };
        let (group, rest) = text.rsplit_once('/').unwrap_or(("", text));
        // The kind is what follows the first dot: versions hold no dots.
        let (version, kind) = rest.split_once('.').ok_or_else(invalid)?;
        let word = |s: &str| !s.is_empty() && s.chars().all(|c| c.is_ascii_alphanumeric());
        let dns = |s: &str| {
            s.chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.')
        };
        if !word(version) || !word(kind) || !dns(group) {
            return Err(invalid());
        }
        Ok(Self::new(group, version, kind))
    }
}

impl Serialize for Gvk {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Gvk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips() {
        for text in [
            "apps/v1.Deployment",
            "v1.Pod",
            "batch.volcano.sh/v1alpha1.Job",
        ] {
            assert_eq!(text.parse::<Gvk>().unwrap().to_string(), text);
        }
        assert_eq!("/v1.Pod".parse::<Gvk>().unwrap(), Gvk::pod());
    }

    #[test]
    fn what_is_no_kind_is_refused_by_name() {
        for text in [
            "",
            "Pod",
            "v1",
            "apps/Deployment",
            "apps/v1.",
            "apps/.Deployment",
            "a b/v1.Pod",
            "v1.Po d",
        ] {
            assert_eq!(
                text.parse::<Gvk>(),
                Err(InvalidGvk {
                    text: text.to_owned()
                }),
                "{text}"
            );
        }
    }
}
