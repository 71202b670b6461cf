//! The Deployment controller: one step at a time towards what the spec says.

use super::agenda::Task;
use super::app::App;
use super::cluster::Cluster;
use super::deployment::{Counts, Deployment, ReplicaSet};

use super::pod::{Pod, PodOwner};
use super::step::Change;
use super::template::Template;
use crate::model::Timestamp;

impl Cluster {
    /// Creates a Deployment; its controller does the rest.
    pub(super) fn add_deployment(&mut self, app: App, at: Timestamp) -> Option<Change> {
        let (low, high) = self.plan.replicas;
        let deployment = Deployment {
            meta: self.new_meta(at),
            template: Template::service(app),
            replicas: self.rng.between(u64::from(low), u64::from(high)) as u32,
            paused: self.rng.chance(self.plan.paused_percent, 100),
            revision: 0,
            replica_set: 0,
            counts: Counts::default(),
            progressed: at,
        };
        self.soon(Task::ReconcileDeployment(deployment.meta.uid), at);
        self.add(deployment, at)
    }

    /// The Deployment controller's next step for a Deployment, if there is anything to do.
    pub(super) fn reconcile_deployment(&mut self, uid: u128, at: Timestamp) -> Option<Change> {
        let deployment = self.deployments.get(uid)?;
        let change = self.deployment_step(deployment, at);
        if change.is_some() {
            self.soon(Task::ReconcileDeployment(uid), at);
        }
        change
    }

    fn deployment_step(&mut self, deployment: Deployment, at: Timestamp) -> Option<Change> {
        let current = self.replica_sets.get(deployment.replica_set);
        let Some(current) =
            current.filter(|set| deployment.paused || set.template == deployment.template)
        else {
            return self.add_replica_set(deployment, at);
        };
        let wanted = deployment.replicas;
        if current.replicas != wanted {
            let replicas = wanted;
            return self.update_spec(
                ReplicaSet {
                    replicas,
                    ..current
                },
                at,
            );
        }
        let mut new: Vec<Pod> = self.pods_of(current.meta.uid);
        new.retain(Pod::is_active);
        let mut old: Vec<Pod> = Vec::new();
        let mut emptied = None;
        for set in self.replica_sets_of(deployment.meta.uid) {
            if set.meta.uid != current.meta.uid {
                let pods = self.pods_of(set.meta.uid);
                if pods.is_empty() {
                    emptied = Some(set);
                }
                old.extend(pods.into_iter().filter(Pod::is_active));
            }
        }
        let new_ready = new.iter().filter(|pod| pod.is_ready()).count();
        let old_ready = old.iter().filter(|pod| pod.is_ready()).count();
        let wanted = wanted as usize;
        if new.len() < wanted && new.len() + old.len() < wanted + 1 {
            let owner = PodOwner::ReplicaSet(current.meta.uid);
            return self.add_pod(owner, current.template, at);
        }
        if let Some(surplus) = new.get(wanted) {
            return self.delete_pod(*surplus, at);
        }
        if let Some(outdated) = old.first()
            && new_ready + old.len() > wanted
        {
            return self.delete_pod(*outdated, at);
        }
        if let Some(set) = emptied {
            if set.replicas > 0 {
                return self.update_spec(ReplicaSet { replicas: 0, ..set }, at);
            }
            return self.remove(set, at);
        }
        // Nothing depends on a ReplicaSet's status: it is brought up to date only when it is complete.
        if current.ready as usize != new_ready && new_ready == wanted {
            let ready = new_ready as u32;
            return self.update(ReplicaSet { ready, ..current }, at);
        }
        let counts = Counts {
            observed: deployment.meta.generation,
            replicas: (new.len() + old.len()) as u32,
            updated: new.len() as u32,
            ready: (new_ready + old_ready) as u32,
        };
        let revision = current.revision;
        if counts == deployment.counts && revision == deployment.revision {
            return None;
        }
        self.update(
            Deployment {
                counts,
                revision,
                progressed: at,
                ..deployment
            },
            at,
        )
    }

    fn add_replica_set(&mut self, mut deployment: Deployment, at: Timestamp) -> Option<Change> {
        let set = ReplicaSet {
            meta: self.new_meta(at),
            deployment: deployment.meta.uid,
            template: deployment.template,
            replicas: deployment.replicas,
            revision: deployment.revision + 1,
            ready: 0,
        };
        deployment.replica_set = set.meta.uid;
        // Not a step: nothing of this shows in the Deployment's JSON. Its revision does, and follows with its status.
        self.deployments.insert(deployment.meta.uid, deployment);
        self.add(set, at)
    }

    /// Whether all pods of the Deployment are as its spec says: nothing is under way.
    pub(super) fn is_settled(&self, deployment: &Deployment) -> bool {
        let counts = deployment.counts;
        let settled = counts.updated == deployment.replicas && counts.ready == deployment.replicas;
        deployment.paused || (settled && counts.replicas == deployment.replicas)
    }

    /// The pods that a controller owns, in the order of their UIDs.
    pub(super) fn pods_of(&self, owner: u128) -> Vec<Pod> {
        self.children(owner)
            .filter_map(|uid| self.pods.get(uid))
            .collect()
    }

    fn replica_sets_of(&self, deployment: u128) -> Vec<ReplicaSet> {
        self.children(deployment)
            .filter_map(|uid| self.replica_sets.get(uid))
            .collect()
    }

    /// The garbage collector's next step for what a deleted owner left behind.
    pub(super) fn collect(&mut self, owner: u128, at: Timestamp) -> Option<Change> {
        let next = self.children(owner).find(|uid| {
            self.pods
                .get(*uid)
                .is_none_or(|pod| pod.meta.deleting.is_none())
        })?;
        self.soon(Task::Collect(owner), at);
        if let Some(pod) = self.pods.get(next) {
            return self.delete_pod(pod, at);
        }
        self.soon(Task::Collect(next), at);
        if let Some(set) = self.replica_sets.get(next) {
            return self.remove(set, at);
        }
        let job = self.jobs.get(next)?;
        self.remove(job, at)
    }

    /// Deletes an object that owns others; the garbage collector follows.
    pub(super) fn delete_owner<T: super::object::Kept>(
        &mut self,
        owner: T,
        at: Timestamp,
    ) -> Option<Change> {
        self.soon(Task::Collect(owner.meta().uid), at);
        self.remove(owner, at)
    }
}
