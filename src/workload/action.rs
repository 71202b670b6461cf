//! What people and machines begin to do in the cluster.

use super::agenda::Task;
use super::cluster::Cluster;
use super::deployment::Deployment;
use super::job::JobName;
use super::kind::Kind;
use super::object::Kept;
use super::pod::{Pod, Stage};
use super::step::Change;
use super::template::Template;
use crate::model::Timestamp;
use crate::model::timestamp::MICROS_PER_SECOND;

/// How often something is chosen that turns out not to be possible, before the fallback.
const TRIES_MAX: u32 = 8;

/// Something that begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// A new image of a Deployment.
    Release,
    /// `kubectl rollout restart`.
    Restart,
    /// A variable of a Deployment's template.
    EditVariable,
    /// Requests and limits of a Deployment's template.
    EditResources,
    /// A Deployment's replicas.
    Scale,
    /// Labels, which are no change of the spec.
    EditLabels,
    /// Annotations, which are no change of the spec.
    EditAnnotations,
    /// A Deployment's status, which is no change.
    Heartbeat,
    /// A line of a ConfigMap.
    EditConfigMap,
    /// A CronJob's template, schedule or suspension.
    EditCronJob,
    /// Delete and create again under the same name, within a second.
    Recreate,
    /// Delete and create again under the same name, seconds later.
    RecreateLater,
    /// Something new.
    Create,
    /// Something less.
    Delete,
    /// A CronJob's next Job.
    FireCronJob,
    /// A Job by hand.
    StartJob,
    /// A new image of a StatefulSet.
    RollStatefulSet,
    /// A pod of a StatefulSet is deleted; another one of its name follows.
    EvictStateful,
    /// A pod of a Deployment is deleted.
    Evict,
    /// A pod begins to crash.
    Crash,
    /// A pod fails its readiness probe for a while.
    LoseReadiness,
    /// A pod that nobody owns.
    StartBarePod,
    /// A preview namespace comes or goes.
    ChangePreviews,
}

impl Cluster {
    /// Begins something new. `None` only for a cluster in which nothing is possible, which there is not.
    pub(super) fn begin(&mut self, at: Timestamp) -> Option<Change> {
        let namespaces = self.namespaces.len() as u32;
        if !self.built && namespaces < self.plan.namespaces {
            return self.add_namespace(namespaces, false, at);
        }
        for _ in 0..TRIES_MAX {
            let action = self.choose();
            if let Some(change) = self.act(action, at) {
                return Some(change);
            }
        }
        self.edit_config_map(at).or_else(|| self.create(at))
    }

    /// What to begin, by the plan's weights, and so that the number of objects stays what it shall be.
    fn choose(&mut self) -> Action {
        let live = self.tracked_live();
        let wanted = self.plan.objects;
        if live >= wanted {
            self.built = true;
        }
        let margin = wanted / 33;
        if !self.built {
            return Action::Create;
        } else if live > wanted.saturating_add(margin.saturating_mul(3)) {
            return Action::Delete;
        } else if live < wanted.saturating_sub(margin) && self.rng.chance(1, 2) {
            return Action::Create;
        } else if live > wanted.saturating_add(margin) && self.rng.chance(1, 2) {
            return Action::Delete;
        }
        let weights = self.plan.weights;
        let whole = weights.iter().map(|(_, weight)| weight).sum();
        let mut rest = self.rng.below(whole);
        for (action, weight) in weights {
            if rest < *weight {
                return *action;
            }
            rest -= weight;
        }
        Action::EditConfigMap
    }

    fn act(&mut self, action: Action, at: Timestamp) -> Option<Change> {
        match action {
            Action::Release => self.edit_template(at, |template| template.release += 1),
            Action::Restart => self.edit_template(at, |template| template.restarted = Some(at)),
            Action::EditVariable => self.edit_template(at, |t| t.variable_edits += 1),
            Action::EditResources => self.edit_template(at, |t| t.resource_edits += 1),
            Action::Scale => self.scale(at),
            Action::EditLabels => self.edit_metadata(true, at),
            Action::EditAnnotations => self.edit_metadata(false, at),
            Action::Heartbeat => {
                let mut deployment = self.deployments.pick(self.rng.uuid())?;
                deployment.progressed = at;
                self.update(deployment, at)
            }
            Action::EditConfigMap => self.edit_config_map(at),
            Action::EditCronJob => self.edit_cron_job(at),
            Action::Recreate => self.recreate(true, at),
            Action::RecreateLater => self.recreate(false, at),
            Action::Create => self.create(at),
            Action::Delete => self.delete(at),
            Action::FireCronJob => {
                let room = self.jobs.len() < self.plan.jobs_max;
                let cron_job = self.cron_jobs.pick(self.rng.uuid()).filter(|_| room)?;
                self.fire_cron_job(cron_job, at)
            }
            Action::StartJob => {
                if self.jobs.len() >= self.plan.jobs_max {
                    return None;
                }
                let app = self.new_app();
                let name = JobName { app, minute: None };
                self.add_job(name, Template::task(app), None, at)
            }
            Action::RollStatefulSet => {
                let mut set = self.stateful_sets.pick(self.rng.uuid())?;
                if !set.on_delete && set.counts.ready < set.replicas {
                    return None;
                }
                set.template.release += 1;
                self.soon(Task::ReconcileStatefulSet(set.meta.uid), at);
                self.update_spec(set, at)
            }
            Action::EvictStateful => {
                let set = self.stateful_sets.pick(self.rng.uuid())?;
                let pods = self.ordinals(set.meta.uid);
                let index = self.rng.below(pods.len() as u64) as usize;
                let (_, pod) = pods.get(index).filter(|(_, pod)| pod.is_active())?;
                self.delete_pod(*pod, at)
            }
            Action::Evict => {
                let pod = self.pick_serving_pod()?;
                self.delete_pod(pod, at)
            }
            Action::Crash => {
                let pod = self.pick_serving_pod()?;
                self.begin_crashing(pod, at)
            }
            Action::LoseReadiness => {
                let pod = self.pick_serving_pod()?;
                self.lose_readiness(pod, at)
            }
            Action::StartBarePod => self.start_bare_pod(at),
            Action::ChangePreviews => self.change_previews(at),
        }
    }

    /// Edits a Deployment's template. One that is still rolling out is left alone, unless it does not roll out.
    fn edit_template(&mut self, at: Timestamp, edit: impl FnOnce(&mut Template)) -> Option<Change> {
        let mut deployment = self.pick_settled_deployment()?;
        edit(&mut deployment.template);
        if deployment.paused {
            // There is nothing to do for the controller, and its status update follows so soon that a watch sees both
            // as one.
            deployment.counts.observed = deployment.meta.generation + 1;
        } else {
            self.soon(Task::ReconcileDeployment(deployment.meta.uid), at);
        }
        self.update_spec(deployment, at)
    }

    fn scale(&mut self, at: Timestamp) -> Option<Change> {
        let mut deployment = self.pick_settled_deployment()?;
        let (low, high) = self.plan.replicas;
        let replicas = self.rng.between(u64::from(low), u64::from(high)) as u32;
        if replicas == deployment.replicas {
            return None;
        }
        deployment.replicas = replicas;
        self.soon(Task::ReconcileDeployment(deployment.meta.uid), at);
        self.update_spec(deployment, at)
    }

    fn pick_settled_deployment(&mut self) -> Option<Deployment> {
        let deployment = self.deployments.pick(self.rng.uuid())?;
        self.is_settled(&deployment).then_some(deployment)
    }

    /// A ready pod of a Deployment or StatefulSet.
    fn pick_serving_pod(&mut self) -> Option<Pod> {
        let pod = self.pods.pick(self.rng.uuid())?;
        let serves = pod.stage == Stage::Running && pod.is_ready() && !pod.template.task;
        // One that shall crash again keeps to that.
        (serves && pod.crashes_left == 0).then_some(pod)
    }

    fn edit_metadata(&mut self, labels: bool, at: Timestamp) -> Option<Change> {
        fn edit<T: Kept>(cluster: &mut Cluster, labels: bool, at: Timestamp) -> Option<Change> {
            let uid = cluster.rng.uuid();
            let mut thing = T::shelf(cluster).pick(uid)?;
            let meta = thing.meta_mut();
            if labels {
                meta.label_edits += 1;
            } else {
                meta.annotation_edits += 1;
            }
            cluster.update(thing, at)
        }
        match self.rng.below(5) {
            0 => edit::<super::namespace::Namespace>(self, labels, at),
            1 => edit::<super::config_map::ConfigMap>(self, labels, at),
            2 => edit::<super::stateful_set::StatefulSet>(self, labels, at),
            3 => edit::<super::cron_job::CronJob>(self, labels, at),
            _ => edit::<Deployment>(self, labels, at),
        }
    }

    fn edit_cron_job(&mut self, at: Timestamp) -> Option<Change> {
        let mut cron_job = self.cron_jobs.pick(self.rng.uuid())?;
        match self.rng.below(4) {
            0 => cron_job.suspended = !cron_job.suspended,
            1 => cron_job.schedule_edits += 1,
            _ => cron_job.template.release += 1,
        }
        self.update_spec(cron_job, at)
    }

    /// Deletes something and plans to create it again under its name.
    fn recreate(&mut self, at_once: bool, at: Timestamp) -> Option<Change> {
        let (task, change) = match self.rng.below(4) {
            0 => {
                let deployment = self.deployments.pick(self.rng.uuid())?;
                let task = Task::RecreateDeployment(deployment.template.app);
                (task, self.delete_owner(deployment, at))
            }
            1 => {
                let set = self.stateful_sets.pick(self.rng.uuid())?;
                let task = Task::RecreateStatefulSet(set.template.app);
                (task, self.delete_owner(set, at))
            }
            2 => {
                let config_map = self.config_maps.pick(self.rng.uuid())?;
                let task = Task::RecreateConfigMap(config_map.app);
                (task, self.remove(config_map, at))
            }
            _ => {
                let uid = *self.bare_pods.range(self.rng.uuid()..).next()?;
                let pod = self.pods.get(uid)?;
                let task = Task::RecreatePod(pod.template.app);
                (task, self.remove_pod(pod, at))
            }
        };
        if at_once {
            self.soon(task, at);
        } else {
            let wait_us = self.rng.between(2, 40) as i64 * MICROS_PER_SECOND;
            self.agenda.plan(at.plus_micros(wait_us), task);
        }
        change
    }

    /// Creates something of a kind that there are too few of.
    fn create(&mut self, at: Timestamp) -> Option<Change> {
        let missing = self
            .targets()
            .map(|(kind, target, live)| (kind, target.saturating_sub(live) as u64));
        let kind = self.draw(missing).unwrap_or(Kind::ConfigMap);
        let app = self.new_app();
        match kind {
            Kind::Deployment => self.add_deployment(app, at),
            Kind::StatefulSet => self.add_stateful_set(app, at),
            Kind::CronJob => self.add_cron_job(app, at),
            _ => self.add_config_map(app, at),
        }
    }

    /// Deletes something of a kind that there are enough of.
    fn delete(&mut self, at: Timestamp) -> Option<Change> {
        let surplus = self.targets().map(|(kind, target, live)| {
            let enough = target.saturating_mul(9) / 10;
            (kind, live.saturating_sub(enough) as u64)
        });
        match self.draw(surplus)? {
            Kind::Deployment => {
                let deployment = self.deployments.pick(self.rng.uuid())?;
                self.delete_owner(deployment, at)
            }
            Kind::StatefulSet => {
                let set = self.stateful_sets.pick(self.rng.uuid())?;
                self.delete_owner(set, at)
            }
            Kind::CronJob => {
                let cron_job = self.cron_jobs.pick(self.rng.uuid())?;
                self.delete_owner(cron_job, at)
            }
            _ => {
                let config_map = self.config_maps.pick(self.rng.uuid())?;
                self.remove(config_map, at)
            }
        }
    }

    /// Kinds with how many there shall be and how many there are.
    fn targets(&self) -> [(Kind, usize, usize); 4] {
        self.plan.targets.map(|(kind, target)| {
            let live = match kind {
                Kind::Deployment => self.deployments.len(),
                Kind::StatefulSet => self.stateful_sets.len(),
                Kind::CronJob => self.cron_jobs.len(),
                _ => self.config_maps.len(),
            };
            (kind, target, live)
        })
    }

    /// One of the kinds, by weight; `None` where all weights are 0.
    fn draw(&mut self, weights: [(Kind, u64); 4]) -> Option<Kind> {
        let whole: u64 = weights.iter().map(|(_, weight)| weight).sum();
        let mut rest = self.rng.below(whole);
        for (kind, weight) in weights {
            if rest < weight {
                return Some(kind);
            }
            rest -= weight;
        }
        None
    }

    fn start_bare_pod(&mut self, at: Timestamp) -> Option<Change> {
        if self.bare_pods.len() >= self.plan.bare_pods_max {
            return None;
        }
        let app = self.new_app();
        self.add_bare_pod(app, at)
    }
}
