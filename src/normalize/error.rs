//! Why something that a watch has seen cannot be recorded.

use super::identity::Identity;
use crate::limits::{NAME_BYTES_MAX, NESTING_DEPTH_MAX, OBJECT_BYTES_MAX};
use crate::model::Gvk;
use crate::model::json_fault::without_values;

/// Why something that a watch has seen cannot be recorded: which object, and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("{object}: {problem}")]
pub struct NormalizeError {
    /// The kind that was watched, with namespace and name as far as they are known.
    pub object: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with an object.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// Not JSON.
    #[error("not JSON of the expected form: {}", without_values(.0))]
    Json(serde_json::Error),
    /// JSON, but no object.
    #[error("not a JSON object")]
    NotAnObject,
    /// An object of another kind than the watch's.
    #[error("an object of another kind, {found}")]
    WrongKind {
        /// The `apiVersion` and `kind` of the object.
        found: String,
    },
    /// Metadata that no API server sends.
    #[error("{field} is absent or not what the Kubernetes API has there")]
    Metadata {
        /// The field.
        field: &'static str,
    },
    /// A name, namespace or UID longer than [`NAME_BYTES_MAX`].
    #[error("{field} is {bytes} bytes long, at most {NAME_BYTES_MAX} are accepted")]
    NameTooLong {
        /// The field.
        field: &'static str,
        /// Its length.
        bytes: usize,
    },
    /// Nested more deeply than [`NESTING_DEPTH_MAX`].
    #[error("nested more than {NESTING_DEPTH_MAX} levels deep")]
    TooDeep,
    /// A body larger than [`OBJECT_BYTES_MAX`].
    #[error("{bytes} bytes as MessagePack, at most {OBJECT_BYTES_MAX} are accepted")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Neither a tracked kind nor a pod: there is nothing to record of it.
    #[error("neither tracked nor a pod")]
    Untracked,
}

impl NormalizeError {
    /// For a thing that is known by its kind only.
    pub(super) fn new(watch: &Gvk, problem: Problem) -> Self {
        Self {
            object: watch.to_string(),
            problem,
        }
    }

    /// For an object whose name is known.
    pub(super) fn of(watch: &Gvk, identity: &Identity, problem: Problem) -> Self {
        Self::named(watch, &identity.namespace, &identity.name, problem)
    }

    pub(super) fn named(watch: &Gvk, namespace: &str, name: &str, problem: Problem) -> Self {
        let object = if namespace.is_empty() {
            format!("{watch} {name}")
        } else {
            format!("{watch} {namespace}/{name}")
        };
        Self { object, problem }
    }
}
