//! The kinds that the synthetic cluster knows.

use crate::model::Gvk;

/// A kind of the synthetic cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Namespace,
    ConfigMap,
    CronJob,
    Deployment,
    Job,
    StatefulSet,
    ReplicaSet,
    Pod,
}

impl Kind {
    /// All kinds, owners before what they own: the order of lists.
    pub(super) const ALL: [Self; 8] = [
        Self::Namespace,
        Self::ConfigMap,
        Self::CronJob,
        Self::Deployment,
        Self::Job,
        Self::StatefulSet,
        Self::ReplicaSet,
        Self::Pod,
    ];

    /// Group, version and kind.
    pub(super) fn gvk(self) -> Gvk {
        Gvk::from_api_version(self.api_version(), self.name())
    }

    /// The `apiVersion` of its objects.
    pub(super) fn api_version(self) -> &'static str {
        match self {
            Self::Namespace | Self::ConfigMap | Self::Pod => "v1",
            Self::CronJob | Self::Job => "batch/v1",
            Self::Deployment | Self::StatefulSet | Self::ReplicaSet => "apps/v1",
        }
    }

    /// The `kind` of its objects.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Namespace => "Namespace",
            Self::ConfigMap => "ConfigMap",
            Self::CronJob => "CronJob",
            Self::Deployment => "Deployment",
            Self::Job => "Job",
            Self::StatefulSet => "StatefulSet",
            Self::ReplicaSet => "ReplicaSet",
            Self::Pod => "Pod",
        }
    }
}
