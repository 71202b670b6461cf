//! What an object is: its kind, name, UID and owners.

use serde_json::{Map, Value};

use super::{NormalizeError, Problem};
use crate::limits::{ERROR_EXCERPT_BYTES_MAX, NAME_BYTES_MAX};
use crate::model::{Gvk, OwnerRef, Uid};

const OWNERS: &str = "metadata.ownerReferences";

/// Name, UID and owners of an object, with all lengths within [`NAME_BYTES_MAX`].
pub(super) struct Identity {
    /// Empty for a cluster-scoped object.
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: Uid,
    pub(super) owners: Vec<OwnerRef>,
}

/// Checks that an object is of the kind that is watched. List items and some deletes do not say what they are.
pub(super) fn check_kind(
    watch: &Gvk,
    api_version: Option<&str>,
    kind: Option<&str>,
) -> Result<(), NormalizeError> {
    let expected = watch.api_version();
    if api_version.unwrap_or(&expected) == expected && kind.unwrap_or(&watch.kind) == watch.kind {
        return Ok(());
    }
    let found = format!(
        "{} {}",
        api_version.unwrap_or_default(),
        kind.unwrap_or_default()
    );
    let found = found
        .trim()
        .chars()
        .take(ERROR_EXCERPT_BYTES_MAX / 4)
        .collect();
    Err(NormalizeError::new(watch, Problem::WrongKind { found }))
}

impl Identity {
    /// From the parts as they stand in an object. Absent names are empty; `owners` is `None` where the references have
    /// not the form of the Kubernetes API.
    pub(super) fn new(
        watch: &Gvk,
        namespace: &str,
        name: &str,
        uid: &str,
        owners: Option<Vec<OwnerRef>>,
    ) -> Result<Self, NormalizeError> {
        let unnamed = |problem| NormalizeError::new(watch, problem);
        if name.is_empty() {
            return Err(unnamed(Problem::Metadata {
                field: "metadata.name",
            }));
        }
        check_length("metadata.name", name).map_err(unnamed)?;
        check_length("metadata.namespace", namespace).map_err(unnamed)?;
        let named = |problem| NormalizeError::named(watch, namespace, name, problem);
        if uid.is_empty() {
            return Err(named(Problem::Metadata {
                field: "metadata.uid",
            }));
        }
        check_length("metadata.uid", uid).map_err(named)?;
        let owners = owners
            .ok_or(Problem::Metadata { field: OWNERS })
            .map_err(named)?;
        for owner in &owners {
            for part in [&owner.api_version, &owner.kind, &owner.name, &owner.uid.0] {
                check_length(OWNERS, part).map_err(named)?;
            }
        }
        Ok(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: Uid::from(uid),
            owners,
        })
    }

    /// From an object's metadata.
    pub(super) fn from_metadata(
        watch: &Gvk,
        metadata: &Map<String, Value>,
    ) -> Result<Self, NormalizeError> {
        let text = |key: &str, field: &'static str| match metadata.get(key) {
            None | Some(Value::Null) => Ok(""),
            Some(Value::String(text)) => Ok(text.as_str()),
            Some(_) => Err(NormalizeError::new(watch, Problem::Metadata { field })),
        };
        Self::new(
            watch,
            text("namespace", "metadata.namespace")?,
            text("name", "metadata.name")?,
            text("uid", "metadata.uid")?,
            owners(metadata.get("ownerReferences")),
        )
    }
}

fn check_length(field: &'static str, text: &str) -> Result<(), Problem> {
    let bytes = text.len();
    if bytes > NAME_BYTES_MAX {
        Err(Problem::NameTooLong { field, bytes })
    } else {
        Ok(())
    }
}

/// The owner references; `None` where they have not the form of the Kubernetes API.
fn owners(value: Option<&Value>) -> Option<Vec<OwnerRef>> {
    match value {
        None | Some(Value::Null) => Some(vec![]),
        Some(Value::Array(items)) => items.iter().map(owner).collect(),
        Some(_) => None,
    }
}

fn owner(value: &Value) -> Option<OwnerRef> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let flag = |key: &str| match value.get(key) {
        None | Some(Value::Null) => Some(false),
        Some(flag) => flag.as_bool(),
    };
    flag("blockOwnerDeletion")?;
    Some(OwnerRef {
        api_version: text("apiVersion")?,
        kind: text("kind")?,
        name: text("name")?,
        uid: Uid(text("uid")?),
        controller: flag("controller")?,
    })
}
