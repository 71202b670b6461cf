//! The state of the synthetic cluster, and the only ways in which it changes.

use std::collections::{BTreeMap, BTreeSet};

use super::agenda::{Agenda, Task};
use super::app::App;
use super::config_map::ConfigMap;
use super::cron_job::CronJob;
use super::deployment::{Deployment, ReplicaSet};
use super::job::Job;
use super::kind::Kind;
use super::namespace::Namespace;
use super::object::{Kept, Meta, Object};
use super::plan::Plan;
use super::pod::Pod;
use super::rng::Rng;
use super::stateful_set::StatefulSet;
use super::step::{Change, Verb};
use crate::model::Timestamp;

/// The objects of one kind by UID: UIDs are random, so that the object behind a random UID is a random object.
#[derive(Debug)]
pub(super) struct Shelf<T>(BTreeMap<u128, T>);

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Copy> Shelf<T> {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, uid: u128) -> Option<T> {
        self.0.get(&uid).copied()
    }

    pub(super) fn insert(&mut self, uid: u128, thing: T) {
        self.0.insert(uid, thing);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.values()
    }

    /// The object next to a (random) UID; `None` where there are none.
    pub(super) fn pick(&self, uid: u128) -> Option<T> {
        let from = self.0.range(uid..).next();
        from.or_else(|| self.0.first_key_value())
            .map(|(_, thing)| *thing)
    }
}

/// A cluster.
///
/// What shows in the JSON of an object changes only together with a [`Change`] that is returned, so that the changes
/// and a list always tell the same.
pub(super) struct Cluster {
    pub(super) rng: Rng,
    pub(super) plan: Plan,
    pub(super) agenda: Agenda,
    pub(super) namespaces: Shelf<Namespace>,
    pub(super) config_maps: Shelf<ConfigMap>,
    pub(super) cron_jobs: Shelf<CronJob>,
    pub(super) deployments: Shelf<Deployment>,
    pub(super) jobs: Shelf<Job>,
    pub(super) stateful_sets: Shelf<StatefulSet>,
    pub(super) replica_sets: Shelf<ReplicaSet>,
    pub(super) pods: Shelf<Pod>,
    /// Application number and ordinal of every live pod of a StatefulSet: the names that are taken.
    pub(super) stateful_pods: BTreeSet<(u32, u32)>,
    /// UIDs of the pods that nobody owns.
    pub(super) bare_pods: BTreeSet<u128>,
    /// Applications and namespaces are numbered.
    pub(super) numbers: u32,
    /// Pods are numbered.
    pub(super) pod_serial: u64,
    /// Whether the cluster once had as many objects as it shall have.
    pub(super) built: bool,
    pub(super) resource_version: u64,
    /// (owner, owned), by UID.
    owned: BTreeSet<(u128, u128)>,
    /// Jobs with an owner, which are not tracked.
    owned_jobs: usize,
}

impl Cluster {
    pub(super) fn new(seed: u64, plan: Plan) -> Self {
        Self {
            rng: Rng::new(seed),
            plan,
            agenda: Agenda::default(),
            namespaces: Shelf::default(),
            config_maps: Shelf::default(),
            cron_jobs: Shelf::default(),
            deployments: Shelf::default(),
            jobs: Shelf::default(),
            stateful_sets: Shelf::default(),
            replica_sets: Shelf::default(),
            pods: Shelf::default(),
            stateful_pods: BTreeSet::new(),
            bare_pods: BTreeSet::new(),
            numbers: 0,
            pod_serial: 0,
            built: false,
            resource_version: 1_000,
            owned: BTreeSet::new(),
            owned_jobs: 0,
        }
    }

    /// Does what was planned; `None` where there is nothing to do any more.
    pub(super) fn perform(&mut self, task: Task, at: Timestamp) -> Option<Change> {
        match task {
            Task::ReconcileDeployment(uid) => self.reconcile_deployment(uid, at),
            Task::ReconcileStatefulSet(uid) => self.reconcile_stateful_set(uid, at),
            Task::ReconcileJob(uid) => self.reconcile_job(uid, at),
            Task::ReconcileCronJob(uid) => self.reconcile_cron_job(uid, at),
            Task::AdvancePod(uid, epoch) => self.advance_pod(uid, epoch, at),
            Task::Collect(owner) => self.collect(owner, at),
            Task::ExpireJob(uid) => self.expire_job(uid, at),
            Task::FinishNamespace(uid) => self.finish_namespace(uid, at),
            Task::DeletePod(uid) => {
                let pod = self.pods.get(uid)?;
                self.delete_pod(pod, at)
            }
            Task::RecreateDeployment(app) => self.add_deployment(app.again(), at),
            Task::RecreateStatefulSet(app) => self.add_stateful_set(app.again(), at),
            Task::RecreateConfigMap(app) => self.add_config_map(app.again(), at),
            Task::RecreateNamespace(number) => self.add_namespace(number, true, at),
            Task::RecreatePod(app) => self.add_bare_pod(app.again(), at),
        }
    }

    /// How many objects exist that the config tracks: everything but ReplicaSets and the Jobs of CronJobs.
    pub(super) fn tracked_live(&self) -> usize {
        let others = self.namespaces.len() + self.config_maps.len() + self.cron_jobs.len();
        let controllers = self.deployments.len() + self.stateful_sets.len() + self.jobs.len();
        (others + controllers + self.pods.len()).saturating_sub(self.owned_jobs)
    }

    /// The objects of a kind, in the order of their UIDs.
    pub(super) fn of_kind(&self, kind: Kind) -> Box<dyn Iterator<Item = &dyn Object> + '_> {
        fn all<T: Kept>(cluster: &Cluster) -> Box<dyn Iterator<Item = &dyn Object> + '_> {
            Box::new(T::shelf(cluster).iter().map(|thing| thing as &dyn Object))
        }
        match kind {
            Kind::Namespace => all::<Namespace>(self),
            Kind::ConfigMap => all::<ConfigMap>(self),
            Kind::CronJob => all::<CronJob>(self),
            Kind::Deployment => all::<Deployment>(self),
            Kind::Job => all::<Job>(self),
            Kind::StatefulSet => all::<StatefulSet>(self),
            Kind::ReplicaSet => all::<ReplicaSet>(self),
            Kind::Pod => all::<Pod>(self),
        }
    }

    /// The live object that has this UID.
    pub(super) fn find(&self, uid: u128) -> Option<Box<dyn Object>> {
        fn boxed<T: Kept>(cluster: &Cluster, uid: u128) -> Option<Box<dyn Object>> {
            let thing = T::shelf(cluster).get(uid)?;
            Some(Box::new(thing))
        }
        boxed::<ReplicaSet>(self, uid)
            .or_else(|| boxed::<Job>(self, uid))
            .or_else(|| boxed::<Deployment>(self, uid))
            .or_else(|| boxed::<StatefulSet>(self, uid))
            .or_else(|| boxed::<CronJob>(self, uid))
            .or_else(|| boxed::<Pod>(self, uid))
            .or_else(|| boxed::<ConfigMap>(self, uid))
            .or_else(|| boxed::<Namespace>(self, uid))
    }

    /// UIDs of what an owner owns, in their order.
    pub(super) fn children(&self, owner: u128) -> impl Iterator<Item = u128> + '_ {
        self.owned
            .range((owner, u128::MIN)..=(owner, u128::MAX))
            .map(|(_, child)| *child)
    }

    /// Plans something that a controller does at once, which takes it some milliseconds.
    pub(super) fn soon(&mut self, task: Task, at: Timestamp) {
        let wait_us = self.rng.between(1, self.plan.reaction_us_max);
        let wait_us = i64::try_from(wait_us).unwrap_or(i64::MAX);
        self.agenda.plan(at.plus_micros(wait_us), task);
    }

    /// An application that there was not before, in one of the teams' namespaces.
    pub(super) fn new_app(&mut self) -> App {
        self.numbers += 1;
        App {
            number: self.numbers,
            namespace: self.rng.below(u64::from(self.plan.namespaces)) as u32,
            incarnation: 0,
            salt: self.rng.bits(),
        }
    }

    /// The metadata of an object that is being created.
    pub(super) fn new_meta(&mut self, at: Timestamp) -> Meta {
        Meta {
            uid: self.rng.uuid(),
            resource_version: 0,
            generation: 1,
            created: at,
            changed: at,
            deleting: None,
            label_edits: 0,
            annotation_edits: 0,
        }
    }

    /// Creates an object.
    pub(super) fn add<T: Kept>(&mut self, thing: T, at: Timestamp) -> Option<Change> {
        if let Some(owner) = thing.owner_uid() {
            self.owned.insert((owner, thing.meta().uid));
            self.owned_jobs += usize::from(thing.kind() == Kind::Job);
        }
        Some(self.store(thing, Verb::Add, at))
    }

    /// Changes an object in anything but its spec.
    pub(super) fn update<T: Kept>(&mut self, thing: T, at: Timestamp) -> Option<Change> {
        Some(self.store(thing, Verb::Modify, at))
    }

    /// Changes an object's spec.
    pub(super) fn update_spec<T: Kept>(&mut self, mut thing: T, at: Timestamp) -> Option<Change> {
        thing.meta_mut().generation += 1;
        self.update(thing, at)
    }

    /// Deletes an object.
    pub(super) fn remove<T: Kept>(&mut self, thing: T, at: Timestamp) -> Option<Change> {
        let uid = thing.meta().uid;
        let change = self.store(thing, Verb::Delete, at);
        T::shelf_mut(self).0.remove(&uid)?;
        if let Some(owner) = thing.owner_uid() {
            self.owned.remove(&(owner, uid));
            self.owned_jobs -= usize::from(thing.kind() == Kind::Job);
        }
        Some(change)
    }

    fn store<T: Kept>(&mut self, mut thing: T, verb: Verb, at: Timestamp) -> Change {
        // Other things are written in a cluster, too.
        self.resource_version += 1 + self.rng.below(4);
        let meta = thing.meta_mut();
        meta.resource_version = self.resource_version;
        meta.changed = at;
        let uid = meta.uid;
        T::shelf_mut(self).insert(uid, thing);
        Change {
            verb,
            object: Box::new(thing),
        }
    }
}
