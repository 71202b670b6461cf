//! What is wanted in an export (X6, X7).

use crate::model::{LabelSelector, ObjectKey, selector::InvalidSelector};
use crate::query::KindMatch;

/// What is wanted in an export. Excluding wins over including; an empty list of inclusions includes everything.
///
/// Whatever the filters say, objects owned by a DaemonSet and objects with an ancestor that is itself part of the trace
/// are left out, as SimKube's replay expects.
#[derive(Clone, Debug, Default)]
pub struct ExportFilters {
    /// Namespaces to leave out.
    pub excluded_namespaces: Vec<String>,
    /// Namespaces to keep; empty: all.
    pub included_namespaces: Vec<String>,
    /// Kinds to leave out.
    pub excluded_kinds: Vec<KindMatch>,
    /// Kinds to keep; empty: all.
    pub included_kinds: Vec<KindMatch>,
    /// Objects to leave out: those that any of these selectors matches.
    pub excluded_labels: Vec<LabelSelector>,
    /// Objects to keep: those that any of these selectors matches; empty: all.
    pub included_labels: Vec<LabelSelector>,
    /// Keep cluster-scoped objects: sk-driver 2.7 crashes on them, so they are left out by default.
    pub include_cluster_scoped: bool,
}

impl ExportFilters {
    /// Checks the selectors.
    ///
    /// # Errors
    /// The first selector that Kubernetes would refuse.
    pub fn validate(&self) -> Result<(), InvalidSelector> {
        self.excluded_labels
            .iter()
            .chain(&self.included_labels)
            .try_for_each(LabelSelector::validate)
    }

    /// Whether an object is wanted as far as its scope goes.
    pub(super) fn wants_scope(&self, key: &ObjectKey) -> bool {
        self.include_cluster_scoped || !key.is_cluster_scoped()
    }

    /// Whether an object of this name is wanted, its scope and labels aside.
    pub(super) fn wants_name(&self, key: &ObjectKey) -> bool {
        let kind_in =
            |kinds: &[KindMatch]| kinds.iter().any(|kind| kind.matches(&key.group, &key.kind));
        if kind_in(&self.excluded_kinds)
            || (!self.included_kinds.is_empty() && !kind_in(&self.included_kinds))
        {
            return false;
        }
        if key.is_cluster_scoped() {
            return true;
        }
        !self.excluded_namespaces.contains(&key.namespace)
            && (self.included_namespaces.is_empty()
                || self.included_namespaces.contains(&key.namespace))
    }

    /// Whether labels matter, so that bodies have to be read while planning.
    pub(super) fn need_labels(&self) -> bool {
        !self.excluded_labels.is_empty() || !self.included_labels.is_empty()
    }

    /// Whether an object with these labels is wanted.
    pub(super) fn wants_labels(&self, labels: &crate::model::observation::Labels) -> bool {
        let matched_by =
            |selectors: &[LabelSelector]| selectors.iter().any(|selector| selector.matches(labels));
        !matched_by(&self.excluded_labels)
            && (self.included_labels.is_empty() || matched_by(&self.included_labels))
    }
}
