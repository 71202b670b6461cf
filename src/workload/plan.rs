//! What a mix means in numbers.

use super::action::Action;
use super::kind::Kind;
use super::options::{Mix, WorkloadOptions};

/// Longest time that a controller takes to react, microseconds.
const REACTION_US_MAX: u64 = 30_000;

/// How large the cluster is and what happens in it.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Tracked objects that shall exist.
    pub(super) objects: usize,
    /// Namespaces that stay.
    pub(super) namespaces: u32,
    /// Namespaces that come and go.
    pub(super) previews: usize,
    pub(super) nodes: u32,
    /// Fewest and most replicas of a Deployment.
    pub(super) replicas: (u32, u32),
    pub(super) stateful_replicas_max: u64,
    /// Of a hundred Deployments and StatefulSets, how many do not roll their edits out.
    pub(super) paused_percent: u64,
    /// How many objects of a kind there shall be.
    pub(super) targets: [(Kind, usize); 4],
    /// Most Jobs at a time, those of CronJobs included.
    pub(super) jobs_max: usize,
    /// Most bare pods at a time.
    pub(super) bare_pods_max: usize,
    /// What happens, and how often.
    pub(super) weights: &'static [(Action, u64)],
    /// Longest time that a controller takes to react, microseconds. Shorter where the steps follow each other so fast
    /// that much else would happen meanwhile.
    pub(super) reaction_us_max: u64,
}

impl Plan {
    pub(super) fn new(options: &WorkloadOptions, gap_us: u64) -> Self {
        let objects = options.objects;
        let of_thousand = |parts: usize| objects.saturating_mul(parts).div_ceil(1_000);
        let targets = |deployments, stateful_sets, cron_jobs, config_maps| {
            [
                (Kind::Deployment, of_thousand(deployments)),
                (Kind::StatefulSet, of_thousand(stateful_sets)),
                (Kind::CronJob, of_thousand(cron_jobs)),
                (Kind::ConfigMap, of_thousand(config_maps)),
            ]
        };
        let mixed = Self {
            objects,
            namespaces: (objects / 50).clamp(3, 64) as u32,
            previews: of_thousand(5),
            nodes: (objects / 40).clamp(3, 5_000) as u32,
            replicas: (1, 4),
            stateful_replicas_max: 3,
            paused_percent: 3,
            targets: targets(120, 30, 20, 330),
            jobs_max: of_thousand(12),
            bare_pods_max: of_thousand(20),
            weights: &MIXED,
            reaction_us_max: gap_us.saturating_mul(4).clamp(1, REACTION_US_MAX),
        };
        match options.mix {
            Mix::Mixed => mixed,
            Mix::UpdateHeavy => Self {
                replicas: (0, 1),
                stateful_replicas_max: 1,
                paused_percent: 98,
                targets: targets(430, 20, 40, 260),
                jobs_max: of_thousand(3),
                bare_pods_max: of_thousand(4),
                weights: &UPDATE_HEAVY,
                ..mixed
            },
            Mix::PodChurn => Self {
                replicas: (3, 7),
                stateful_replicas_max: 5,
                paused_percent: 0,
                targets: targets(110, 25, 20, 50),
                jobs_max: of_thousand(40),
                bare_pods_max: of_thousand(30),
                weights: &POD_CHURN,
                ..mixed
            },
        }
    }
}

const MIXED: [(Action, u64); 23] = [
    (Action::Release, 10),
    (Action::Restart, 2),
    (Action::EditVariable, 4),
    (Action::EditResources, 2),
    (Action::Scale, 8),
    (Action::EditLabels, 8),
    (Action::EditAnnotations, 4),
    (Action::Heartbeat, 20),
    (Action::EditConfigMap, 22),
    (Action::EditCronJob, 4),
    (Action::Recreate, 5),
    (Action::RecreateLater, 3),
    (Action::Create, 4),
    (Action::Delete, 4),
    (Action::FireCronJob, 6),
    (Action::StartJob, 5),
    (Action::RollStatefulSet, 2),
    (Action::EvictStateful, 4),
    (Action::Evict, 5),
    (Action::Crash, 4),
    (Action::LoseReadiness, 6),
    (Action::StartBarePod, 5),
    (Action::ChangePreviews, 3),
];

const UPDATE_HEAVY: [(Action, u64); 23] = [
    (Action::Release, 900),
    (Action::Restart, 60),
    (Action::EditVariable, 900),
    (Action::EditResources, 200),
    (Action::Scale, 2),
    (Action::EditLabels, 10),
    (Action::EditAnnotations, 10),
    (Action::Heartbeat, 40),
    (Action::EditConfigMap, 1_100),
    (Action::EditCronJob, 120),
    (Action::Recreate, 6),
    (Action::RecreateLater, 3),
    (Action::Create, 5),
    (Action::Delete, 5),
    (Action::FireCronJob, 3),
    (Action::StartJob, 3),
    (Action::RollStatefulSet, 60),
    (Action::EvictStateful, 3),
    (Action::Evict, 4),
    (Action::Crash, 2),
    (Action::LoseReadiness, 4),
    (Action::StartBarePod, 3),
    (Action::ChangePreviews, 4),
];

const POD_CHURN: [(Action, u64); 23] = [
    (Action::Release, 6),
    (Action::Restart, 2),
    (Action::EditVariable, 2),
    (Action::EditResources, 1),
    (Action::Scale, 20),
    (Action::EditLabels, 2),
    (Action::EditAnnotations, 1),
    (Action::Heartbeat, 2),
    (Action::EditConfigMap, 3),
    (Action::EditCronJob, 1),
    (Action::Recreate, 2),
    (Action::RecreateLater, 1),
    (Action::Create, 2),
    (Action::Delete, 2),
    (Action::FireCronJob, 14),
    (Action::StartJob, 14),
    (Action::RollStatefulSet, 2),
    (Action::EvictStateful, 10),
    (Action::Evict, 60),
    (Action::Crash, 3),
    (Action::LoseReadiness, 3),
    (Action::StartBarePod, 12),
    (Action::ChangePreviews, 1),
];
