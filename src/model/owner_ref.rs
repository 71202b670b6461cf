//! Owner references and the UIDs that tie them to objects.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Gvk;

/// The UID of one incarnation of an object, as the API server gave it. Globally unique.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Uid(pub String);

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Uid {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// One entry of `metadata.ownerReferences`. An owner lives in the namespace of what it owns, or in none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnerRef {
    /// `apiVersion` of the owner.
    pub api_version: String,
    /// Kind of the owner.
    pub kind: String,
    /// Name of the owner.
    pub name: String,
    /// UID of the owner.
    pub uid: Uid,
    /// Whether this owner is the managing controller.
    #[serde(default)]
    pub controller: bool,
}

impl OwnerRef {
    /// The owner's kind.
    pub fn gvk(&self) -> Gvk {
        Gvk::from_api_version(&self.api_version, &self.kind)
    }
}

/// What is known of an object as an owner of others: its name and its own owners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerFacts {
    /// Kind.
    pub gvk: Gvk,
    /// Namespace; empty for a cluster-scoped owner.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// The owner's own `metadata.ownerReferences`, in their order.
    pub owners: Vec<OwnerRef>,
}
