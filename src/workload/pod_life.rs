//! What happens to a pod between its creation and its deletion.

use super::agenda::Task;
use super::app::App;
use super::cluster::Cluster;
use super::object::Object;
use super::pod::{Pod, PodOwner, Stage};
use super::step::Change;
use super::template::Template;
use crate::model::Timestamp;
use crate::model::timestamp::MICROS_PER_SECOND;

/// First wait before a crashed container is restarted, seconds; it doubles with every crash.
const CRASH_BACKOFF_SECONDS: u64 = 10;
/// Longest wait before a crashed container is restarted, seconds.
const CRASH_BACKOFF_SECONDS_MAX: u64 = 300;
/// Exit code of a container that did not stop when it was told to: 128 + SIGKILL.
const KILLED: u32 = 137;

impl Cluster {
    /// Creates a pod.
    pub(super) fn add_pod(
        &mut self,
        owner: PodOwner,
        template: Template,
        at: Timestamp,
    ) -> Option<Change> {
        self.pod_serial += 1;
        let pod = Pod {
            meta: self.new_meta(at),
            owner,
            template,
            serial: self.pod_serial,
            node: self.rng.below(u64::from(self.plan.nodes)) as u32,
            stage: Stage::Pending,
            epoch: 0,
            ready: false,
            ready_changed: at,
            scheduled: None,
            first_started: None,
            started: None,
            finished: None,
            ended: None,
            exit_code: 0,
            restarts: 0,
            crashed: None,
            crashes_left: 0,
            runs_seconds: if template.task {
                self.rng.between(3, 60) as u32
            } else {
                0
            },
        };
        match owner {
            PodOwner::StatefulSet(_, ordinal) => {
                self.stateful_pods.insert((template.app.number, ordinal));
            }
            PodOwner::Nobody(_) => {
                self.bare_pods.insert(pod.meta.uid);
            }
            PodOwner::ReplicaSet(_) | PodOwner::Job(..) => {}
        }
        self.plan_advance(&pod, at, 5_000, 200_000);
        self.add(pod, at)
    }

    /// Starts a bare pod, which runs to its end, and plans that somebody deletes it some time later.
    pub(super) fn add_bare_pod(&mut self, app: App, at: Timestamp) -> Option<Change> {
        let change = self.add_pod(PodOwner::Nobody(app), Template::task(app), at)?;
        let uid = change.object.meta().uid;
        let wait_us = self.rng.between(20, 180) as i64 * MICROS_PER_SECOND;
        self.agenda
            .plan(at.plus_micros(wait_us), Task::DeletePod(uid));
        Some(change)
    }

    /// The pod's next transition.
    pub(super) fn advance_pod(&mut self, uid: u128, epoch: u32, at: Timestamp) -> Option<Change> {
        let mut pod = self.pods.get(uid).filter(|pod| pod.epoch == epoch)?;
        pod.epoch += 1;
        if pod.meta.deleting.is_some() {
            return self.advance_deletion(pod, at);
        }
        match pod.stage {
            Stage::Pending => {
                pod.stage = Stage::Scheduled;
                pod.scheduled = Some(at);
                self.plan_advance(&pod, at, 700_000, 5_000_000);
            }
            Stage::Scheduled => {
                pod.first_started = Some(at);
                self.run(&mut pod, at);
            }
            Stage::Waiting => {
                pod.crashes_left = pod.crashes_left.saturating_sub(1);
                self.run(&mut pod, at);
            }
            Stage::Running if pod.template.task => {
                let failed = self.rng.chance(1, 6);
                end(&mut pod, u32::from(failed), at);
            }
            Stage::Running if pod.crashes_left > 0 => self.crash(&mut pod, at),
            Stage::Running if !pod.ready => set_ready(&mut pod, true, at),
            Stage::Running | Stage::Ended => return None,
        }
        self.wake_owner(&pod, at);
        self.update(pod, at)
    }

    /// Starts, or starts again, the main container.
    fn run(&mut self, pod: &mut Pod, at: Timestamp) {
        pod.stage = Stage::Running;
        pod.started = Some(at);
        set_ready(pod, true, at);
        if pod.template.task {
            let runs_us = u64::from(pod.runs_seconds) * MICROS_PER_SECOND as u64;
            self.plan_advance(pod, at, runs_us, runs_us + 900_000);
        } else if pod.crashes_left > 0 {
            self.plan_advance(pod, at, 1_500_000, 12_000_000);
        }
    }

    /// Ends the main container with an error; the kubelet restarts it later.
    fn crash(&mut self, pod: &mut Pod, at: Timestamp) {
        pod.crashed = pod.started.map(|started| (started, at));
        pod.started = None;
        pod.stage = Stage::Waiting;
        pod.restarts += 1;
        set_ready(pod, false, at);
        let doublings = pod.restarts.saturating_sub(1).min(8);
        let wait_seconds = (CRASH_BACKOFF_SECONDS << doublings).min(CRASH_BACKOFF_SECONDS_MAX);
        let wait_us = wait_seconds * MICROS_PER_SECOND as u64;
        self.plan_advance(pod, at, wait_us, wait_us + 1_000_000);
    }

    /// A running pod crashes now, and then some more times.
    pub(super) fn begin_crashing(&mut self, mut pod: Pod, at: Timestamp) -> Option<Change> {
        pod.epoch += 1;
        pod.crashes_left = self.rng.between(1, 4) as u32;
        self.crash(&mut pod, at);
        self.wake_owner(&pod, at);
        self.update(pod, at)
    }

    /// A running pod fails its readiness probe for some seconds.
    pub(super) fn lose_readiness(&mut self, mut pod: Pod, at: Timestamp) -> Option<Change> {
        pod.epoch += 1;
        set_ready(&mut pod, false, at);
        self.plan_advance(&pod, at, 500_000, 10_000_000);
        self.wake_owner(&pod, at);
        self.update(pod, at)
    }

    /// Deletes a pod: mostly with grace, so that it stops first; else, like one that has nothing to stop, at once.
    pub(super) fn delete_pod(&mut self, mut pod: Pod, at: Timestamp) -> Option<Change> {
        if pod.meta.deleting.is_some() {
            return None;
        }
        let stopping = matches!(pod.stage, Stage::Running | Stage::Waiting);
        if !stopping || self.rng.chance(1, 8) {
            return self.remove_pod(pod, at);
        }
        pod.epoch += 1;
        pod.meta.deleting = Some(at.plus_micros(30 * MICROS_PER_SECOND));
        self.plan_advance(&pod, at, 200_000, 4_000_000);
        self.wake_owner(&pod, at);
        self.update(pod, at)
    }

    /// Takes a pod out of the cluster.
    pub(super) fn remove_pod(&mut self, pod: Pod, at: Timestamp) -> Option<Change> {
        match pod.owner {
            PodOwner::StatefulSet(_, ordinal) => {
                let name = (pod.template.app.number, ordinal);
                self.stateful_pods.remove(&name);
            }
            PodOwner::Nobody(_) => {
                self.bare_pods.remove(&pod.meta.uid);
            }
            PodOwner::ReplicaSet(_) | PodOwner::Job(..) => {}
        }
        self.wake_owner(&pod, at);
        self.remove(pod, at)
    }

    fn advance_deletion(&mut self, mut pod: Pod, at: Timestamp) -> Option<Change> {
        if pod.stage == Stage::Ended {
            return self.remove_pod(pod, at);
        }
        let exit_code = if self.rng.chance(1, 5) { KILLED } else { 0 };
        end(&mut pod, exit_code, at);
        self.plan_advance(&pod, at, 20_000, 300_000);
        self.update(pod, at)
    }

    fn plan_advance(&mut self, pod: &Pod, at: Timestamp, low_us: u64, high_us: u64) {
        let wait_us = self.rng.between(low_us, high_us) as i64;
        let task = Task::AdvancePod(pod.meta.uid, pod.epoch);
        self.agenda.plan(at.plus_micros(wait_us), task);
    }

    /// Lets the pod's controller look at it soon.
    fn wake_owner(&mut self, pod: &Pod, at: Timestamp) {
        let task = match pod.owner {
            PodOwner::Nobody(_) => return,
            PodOwner::ReplicaSet(uid) => {
                let owner = self.replica_sets.get(uid).and_then(|set| set.owner_uid());
                Task::ReconcileDeployment(owner.unwrap_or(uid))
            }
            PodOwner::StatefulSet(uid, _) => Task::ReconcileStatefulSet(uid),
            PodOwner::Job(uid, _) => Task::ReconcileJob(uid),
        };
        self.soon(task, at);
    }
}

/// Ends all containers for good. One that had crashed and waits keeps the times of its last run.
fn end(pod: &mut Pod, exit_code: u32, at: Timestamp) {
    pod.stage = Stage::Ended;
    pod.ended = Some(at);
    match (pod.started, pod.crashed) {
        (None, Some((started, crashed))) => {
            pod.started = Some(started);
            pod.finished = Some(crashed);
            pod.exit_code = 1;
        }
        _ => {
            pod.finished = Some(at);
            pod.exit_code = exit_code;
        }
    }
    set_ready(pod, false, at);
}

fn set_ready(pod: &mut Pod, ready: bool, at: Timestamp) {
    if pod.ready != ready {
        pod.ready = ready;
        pod.ready_changed = at;
    }
}
