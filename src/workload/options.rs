//! What a workload is made from.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::model::Timestamp;

/// What mostly happens in a workload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mix {
    /// A little of everything that clusters do.
    #[default]
    Mixed,
    /// Mostly small edits of Deployments, StatefulSets, CronJobs and ConfigMaps which do not touch any pod. At least
    /// four of five steps are recorded changes.
    UpdateHeavy,
    /// Mostly pods that come and go: rollouts, scaling, evictions, Jobs.
    PodChurn,
}

/// A text that names no mix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a workload mix: expected mixed, update-heavy or pod-churn")]
pub struct InvalidMix {
    /// The text as given.
    pub text: String,
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mixed => "mixed",
            Self::UpdateHeavy => "update-heavy",
            Self::PodChurn => "pod-churn",
        })
    }
}

impl FromStr for Mix {
    type Err = InvalidMix;

    fn from_str(text: &str) -> Result<Self, InvalidMix> {
        [Self::Mixed, Self::UpdateHeavy, Self::PodChurn]
            .into_iter()
            .find(|mix| mix.to_string() == text)
            .ok_or_else(|| InvalidMix {
                text: text.to_owned(),
            })
    }
}

/// Everything that determines a workload: equal options give equal steps, byte by byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadOptions {
    /// Chooses one of the possible histories.
    pub seed: u64,
    /// About how many tracked objects (see [`super::Workload::tracked_live`]) exist at a time once the cluster is
    /// built. Fewer than about 50 leave no room for every scenario.
    pub objects: usize,
    /// How many steps there are. Not every step is a change that a recorder keeps: status updates are not, nor is
    /// anything of a ReplicaSet.
    pub changes: u64,
    /// The time of the first step, about.
    pub start: Timestamp,
    /// How much time the steps cover, about. What pods and controllers do takes the time that it really takes, so few
    /// steps in a long time leave pauses, and very many in a short time pile up.
    pub duration: Duration,
    /// What mostly happens.
    pub mix: Mix,
    /// Whether the cluster is already built when the first step comes, so that only a list ([`super::Workload::live`])
    /// shows what there is: what a recorder finds in real life. Otherwise the first steps build it.
    pub warm_start: bool,
}

impl Default for WorkloadOptions {
    /// An hour of a small cluster of mixed use, from 2026-01-01T00:00:00Z.
    fn default() -> Self {
        Self {
            seed: 1,
            objects: 300,
            changes: 5_000,
            start: Timestamp::from_seconds(1_767_225_600),
            duration: Duration::from_secs(3_600),
            mix: Mix::Mixed,
            warm_start: false,
        }
    }
}
