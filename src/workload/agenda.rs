//! What is going to happen, and when.

use std::collections::{BTreeMap, BTreeSet};

use super::app::App;
use crate::model::Timestamp;

/// Something to do at a later time. Objects are named by UID; what is gone by then is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Task {
    /// The Deployment controller looks at a Deployment.
    ReconcileDeployment(u128),
    /// The StatefulSet controller looks at a StatefulSet.
    ReconcileStatefulSet(u128),
    /// The Job controller looks at a Job.
    ReconcileJob(u128),
    /// The CronJob controller looks at a CronJob.
    ReconcileCronJob(u128),
    /// The next thing in a pod's life; void when the pod has gone another way since (its epoch differs).
    AdvancePod(u128, u32),
    /// The garbage collector looks for what an owner left behind.
    Collect(u128),
    /// A finished Job's time to live is over.
    ExpireJob(u128),
    /// A namespace that is being deleted is empty.
    FinishNamespace(u128),
    /// A bare pod is deleted.
    DeletePod(u128),
    /// Somebody creates a Deployment under a name used before.
    RecreateDeployment(App),
    /// Somebody creates a StatefulSet under a name used before.
    RecreateStatefulSet(App),
    /// Somebody creates a ConfigMap under a name used before.
    RecreateConfigMap(App),
    /// Somebody creates a bare pod under a name used before.
    RecreatePod(App),
    /// Somebody creates a namespace under a name used before.
    RecreateNamespace(u32),
}

/// Tasks in the order of their times. Holds at most a few for each live object.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    /// By time, then in the order of being planned.
    tasks: BTreeMap<(Timestamp, u64), Task>,
    planned: BTreeSet<Task>,
    sequence: u64,
}

impl Agenda {
    /// Plans a task, unless the same is planned already.
    pub(super) fn plan(&mut self, at: Timestamp, task: Task) {
        if self.planned.insert(task) {
            self.sequence += 1;
            self.tasks.insert((at, self.sequence), task);
        }
    }

    /// How many tasks there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// When the next task is due.
    pub(super) fn first_due(&self) -> Option<Timestamp> {
        self.tasks.keys().next().map(|(at, _)| *at)
    }

    /// Takes the next task.
    pub(super) fn pop(&mut self) -> Option<Task> {
        let (_, task) = self.tasks.pop_first()?;
        self.planned.remove(&task);
        Some(task)
    }
}
