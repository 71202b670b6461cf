//! What the scripted cluster holds, and what will happen in it.
//!
//! Lists always show the state at the start; what happens later is only in the watches. So a subject must have listed
//! everything before the first change is offered, which `runs` makes sure of.

mod pods;
mod rendered;
mod script;

use bytes::Bytes;
use sk_tracedb::model::Gvk;

pub use pods::PodTemplates;
pub use rendered::Rendered;
pub use script::{Expected, deployments, fleet, nothing};

/// How much of an object is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// All of it.
    Whole,
    /// `PartialObjectMetadata`.
    Metadata,
}

/// A kind as the server serves it.
#[derive(Clone, Debug)]
pub struct Served {
    pub gvk: Gvk,
    /// Name in URLs, such as `deployments`.
    pub plural: &'static str,
    pub namespaced: bool,
}

impl Served {
    pub fn new(gvk: &str, plural: &'static str, namespaced: bool) -> Self {
        let gvk = gvk.parse().expect("a kind of ours");
        Self {
            gvk,
            plural,
            namespaced,
        }
    }

    /// Path of its group version, such as `/apis/apps/v1`.
    pub fn root(&self) -> String {
        let Gvk { group, version, .. } = &self.gvk;
        match group.as_str() {
            "" => format!("/api/{version}"),
            group => format!("/apis/{group}/{version}"),
        }
    }
}

/// The objects of a kind, in the order of lists.
#[derive(Debug)]
pub enum Items {
    /// Rendered ahead.
    Rendered(Rendered),
    /// Rendered when they are asked for.
    Pods(PodTemplates),
}

impl Items {
    pub fn len(&self) -> usize {
        match self {
            Self::Rendered(items) => items.len(),
            Self::Pods(pods) => pods.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends an object as an item of a list: without `apiVersion` and `kind`, as API servers send it.
    pub fn write(&self, index: usize, form: Form, out: &mut Vec<u8>) {
        match self {
            Self::Rendered(items) => out.extend_from_slice(items.get(index, form)),
            Self::Pods(pods) => pods.write(index, form, out),
        }
    }

    /// Where the object of this name is; the namespace is empty for cluster-scoped kinds.
    pub fn find(&self, namespace: &str, name: &str) -> Option<usize> {
        match self {
            Self::Rendered(items) => items.find(namespace, name),
            Self::Pods(pods) => pods.find(namespace, name),
        }
    }
}

#[derive(Debug)]
pub struct Collection {
    pub served: Served,
    pub items: Items,
}

/// A line of a watch.
#[derive(Clone, Debug)]
pub struct Event {
    /// Position of its kind in [`Content::collections`].
    pub collection: usize,
    /// The object's `resourceVersion`.
    pub version: u64,
    /// With its line end.
    pub line: Bytes,
}

/// A cluster and its future.
#[derive(Debug)]
pub struct Content {
    pub collections: Vec<Collection>,
    /// `resourceVersion` of every list.
    pub version: u64,
    /// What will happen, by version.
    pub events: Vec<Event>,
    /// What a recorder of the kinds in `config` makes of it.
    pub expected: Expected,
    /// The tracer config that the subjects get.
    pub config: &'static str,
}

impl Content {
    /// The collections that a subject with this config watches: Deployments and pods.
    pub fn watched(&self) -> impl Iterator<Item = usize> + '_ {
        let all = self.collections.iter().enumerate();
        all.filter(|(_, collection)| matches!(collection.served.plural, "deployments" | "pods"))
            .map(|(position, _)| position)
    }
}
