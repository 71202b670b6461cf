//! What a workload yields.

use serde_json::Value;

use super::object::Object;
use crate::model::{Gvk, Timestamp};

/// What happened to an object, in the words of a watch (`ADDED`, `MODIFIED`, `DELETED`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// It was created.
    Add,
    /// Its spec, metadata, data or only its status changed.
    Modify,
    /// It was deleted; the object is its final version.
    Delete,
}

/// One watch event of the synthetic cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// When it happened. Later than the step before it.
    pub at: Timestamp,
    /// The object's kind.
    pub kind: Gvk,
    /// What happened.
    pub verb: Verb,
    /// The whole object, as the API server sends it.
    pub object: Value,
}

/// A step before its object is written as JSON, which costs far more than to know what happened.
pub(super) struct Change {
    pub(super) verb: Verb,
    pub(super) object: Box<dyn Object>,
}
