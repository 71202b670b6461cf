//! A synthetic cluster: seeded, repeatable, endless if need be. It feeds the demo, the tests and the benches.
//!
//! A [`Workload`] yields [`Step`]s: raw Kubernetes objects as an API server would send them to a watch, with the time.
//! They go the way of real data (normalize, queue, writer), so whatever is measured or shown with them holds for a
//! real cluster's bytes too. What cannot be watched is there as well: [`Workload::live`] is what a list would return,
//! [`Workload::owner_facts`] answers an owner look-up, [`Workload::skip_steps`] lets time pass while nobody records.
//!
//! What happens in it: rollouts (a new ReplicaSet, pods replaced one by one), scaling, evictions, pods that crash and
//! are restarted, Jobs that finish or fail, CronJobs that make Jobs, StatefulSet pods replaced under their names,
//! edits of ConfigMaps, labels and annotations, status updates that change nothing, deletions, and objects created
//! again under the same name at once (within a second) or later. How the parts work together:
//!
//! ```text
//! pace ----when----> Workload ----what was planned----> cluster.perform -> controllers, pod_life
//! agenda --planned-^     |--------something new-------> cluster.begin   -> action (weights: plan)
//!                        v
//!                      Change -> render -> Step
//! ```
//!
//! The cluster keeps a few hundred bytes for each live object (numbers from which its JSON follows) and a bounded
//! number of planned tasks, so its memory depends on the number of live objects, not on the number of steps. Nothing
//! is random but the seed: own generator (see `rng`), integers only, ordered maps only.
//!
//! ```
//! use sk_tracedb::workload::{Workload, WorkloadOptions};
//!
//! let mut workload = Workload::new(WorkloadOptions { objects: 100, changes: 1_000, ..Default::default() });
//! let recorded = workload.by_ref().take(500).count(); // the recorder is up,
//! let missed = workload.skip_steps(100); // down,
//! let listed = workload.live().count(); // and finds out what it missed.
//! assert_eq!((recorded, missed), (500, 100));
//! assert!(listed > 0);
//! assert_eq!(workload.count(), 400);
//! ```

mod action;
mod agenda;
mod app;
mod cluster;
mod config_map;
mod cron_job;
mod deployment;
mod deployment_controller;
mod job;
mod json;
mod kind;
mod namespace;
mod object;
mod options;
mod pace;
mod plan;
mod pod;
mod pod_life;
mod pod_status;
mod rng;
mod stateful_set;
mod step;
mod template;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub use options::{InvalidMix, Mix, WorkloadOptions};
pub use step::{Step, Verb};

use crate::model::{Gvk, OwnerFacts, Timestamp, Uid};
use cluster::Cluster;
use kind::Kind;
use object::{owner_facts, render, uuid_from_text};
use pace::Pace;
use plan::Plan;
use step::Change;

/// How long before its start a cluster is built that is there from the start, microseconds.
const BUILD_US: u64 = 2 * 3_600 * 1_000_000;
/// Most steps that it takes to build a cluster, for each object.
const BUILD_STEPS_PER_OBJECT_MAX: u64 = 16;

/// The tracer config that fits: every kind but ReplicaSets, which are only links in owner chains.
const CONFIG: &str = "\
trackedObjects:
  v1.Namespace:
    changes: object
  v1.ConfigMap: {}
  v1.Pod:
    trackLifecycle: true
  apps/v1.Deployment:
    trackLifecycle: true
  apps/v1.StatefulSet:
    trackLifecycle: true
    changes: object
  batch/v1.CronJob:
    trackLifecycle: true
  batch/v1.Job:
    trackLifecycle: true
    skipOwned: true
";

/// A synthetic cluster and what happens in it: an iterator over [`WorkloadOptions::changes`] steps.
///
/// Steps are ordered by time and resourceVersion, both strictly growing. A step that adds has a new UID and a name
/// that is free; one that modifies or deletes has the UID of the live object.
pub struct Workload {
    cluster: Cluster,
    pace: Pace,
    changes: u64,
    steps: u64,
}

impl Workload {
    /// The workload that the options describe. With [`WorkloadOptions::warm_start`], builds the cluster first, which
    /// takes some microseconds an object.
    pub fn new(options: WorkloadOptions) -> Self {
        let duration_us = u64::try_from(options.duration.as_micros()).unwrap_or(u64::MAX);
        let pace = Pace::new(options.start, duration_us, options.changes);
        let plan = Plan::new(&options, pace.gap_us());
        let mut workload = Self {
            cluster: Cluster::new(options.seed, plan),
            pace,
            changes: options.changes,
            steps: 0,
        };
        if options.warm_start {
            workload.build(&options);
        }
        workload
    }

    /// The tracer config (YAML) that fits the workload. Pods are tracked as objects; Jobs that have an owner are not
    /// (`skipOwned`); of StatefulSets and Namespaces edited labels count as a change too.
    pub fn config(&self) -> &'static str {
        CONFIG
    }

    /// The kinds that there are, ReplicaSets included.
    pub fn kinds(&self) -> impl Iterator<Item = Gvk> + use<> {
        Kind::ALL.into_iter().map(Kind::gvk)
    }

    /// The objects that exist now: what lists of all kinds would return, in the version of their last step. Ordered by
    /// kind (owners before what they own), then UID.
    pub fn live(&self) -> impl Iterator<Item = (Gvk, Value)> + '_ {
        Kind::ALL.into_iter().flat_map(|kind| {
            let objects = self.cluster.of_kind(kind);
            objects.map(move |object| (kind.gvk(), render(object)))
        })
    }

    /// The objects of one kind that exist now, ordered by UID. None of a kind that there is not.
    pub fn live_of(&self, gvk: &Gvk) -> impl Iterator<Item = Value> + '_ {
        let kind = Kind::ALL.into_iter().find(|kind| kind.gvk() == *gvk);
        kind.into_iter()
            .flat_map(|kind| self.cluster.of_kind(kind))
            .map(render)
    }

    /// The live object with this UID as an owner: what a look-up by name that checks the UID would find.
    pub fn owner_facts(&self, uid: &Uid) -> Option<OwnerFacts> {
        let object = self.cluster.find(uuid_from_text(&uid.0)?)?;
        Some(owner_facts(object.as_ref()))
    }

    /// The version of a list taken now: that of the last step, or of the start.
    pub fn resource_version(&self) -> u64 {
        self.cluster.resource_version
    }

    /// The time of the last step, or of the start.
    pub fn now(&self) -> Timestamp {
        self.pace.now()
    }

    /// How many objects exist that [`Workload::config`] tracks.
    pub fn tracked_live(&self) -> usize {
        self.cluster.tracked_live()
    }

    /// Lets up to `steps` steps happen without yielding them, far quicker than iterating; returns how many did. They
    /// count as steps of the workload.
    pub fn skip_steps(&mut self, steps: u64) -> u64 {
        (0..steps).take_while(|_| self.advance().is_some()).count() as u64
    }

    /// Makes the next step, if there is one left.
    fn advance(&mut self) -> Option<(Timestamp, Change)> {
        if self.steps >= self.changes {
            return None;
        }
        let step = self.happen()?;
        self.steps += 1;
        Some(step)
    }

    /// What happens next: what is planned, where it is due before something new begins.
    fn happen(&mut self) -> Option<(Timestamp, Change)> {
        let beginning = self.pace.next_beginning(self.steps, &mut self.cluster.rng);
        while let Some(due) = self.cluster.agenda.first_due()
            && due <= beginning
        {
            let at = self.pace.earliest(due);
            let task = self.cluster.agenda.pop()?;
            if let Some(change) = self.cluster.perform(task, at) {
                self.pace.move_to(at);
                return Some((at, change));
            }
        }
        let change = self.cluster.begin(beginning)?;
        self.pace.move_to(beginning);
        Some((beginning, change))
    }

    /// Builds the cluster before the start, and lets what is under way come to its end.
    fn build(&mut self, options: &WorkloadOptions) {
        let start = self.pace.clone();
        let steps_max = (options.objects as u64).saturating_mul(BUILD_STEPS_PER_OBJECT_MAX);
        let lead_us = i64::try_from(BUILD_US).unwrap_or(0);
        let build_start = options.start.plus_micros(-lead_us);
        self.pace = Pace::new(build_start, BUILD_US, steps_max);
        while !self.cluster.built && self.steps < steps_max && self.happen().is_some() {
            self.steps += 1;
        }
        while let Some(due) = self.cluster.agenda.first_due()
            && due < options.start
            && let Some(task) = self.cluster.agenda.pop()
        {
            let at = self.pace.earliest(due);
            if self.cluster.perform(task, at).is_some() {
                self.pace.move_to(at);
            }
        }
        let built = self.pace.now();
        self.pace = start;
        if built > self.pace.now() {
            self.pace.move_to(built);
        }
        self.steps = 0;
    }
}

impl Iterator for Workload {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let (at, change) = self.advance()?;
        Some(Step {
            at,
            kind: change.object.kind().gvk(),
            verb: change.verb,
            object: render(change.object.as_ref()),
        })
    }

    fn nth(&mut self, steps: usize) -> Option<Step> {
        self.skip_steps(steps as u64);
        self.next()
    }
}
