//! StatefulSets: pods that keep their names.

use serde_json::Value;

use super::agenda::Task;
use super::app::App;
use super::cluster::{Cluster, Shelf};
use super::deployment::{common_labels, selector};
use super::json::{Fields, fields, list, object, text};
use super::kind::Kind;
use super::object::{Kept, Meta, Object};
use super::pod::{Pod, PodOwner};
use super::step::Change;
use super::template::Template;
use crate::model::Timestamp;

/// What a StatefulSet's status says of its pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// The generation that the controller has seen.
    observed: u64,
    replicas: u32,
    pub(super) ready: u32,
    updated: u32,
}

/// A StatefulSet.
#[derive(Clone, Copy, Debug)]
pub(super) struct StatefulSet {
    pub(super) meta: Meta,
    pub(super) template: Template,
    pub(super) replicas: u32,
    /// Pods get a new template only when somebody deletes them.
    pub(super) on_delete: bool,
    pub(super) counts: Counts,
}

impl Object for StatefulSet {
    fn kind(&self) -> Kind {
        Kind::StatefulSet
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut Meta {
        &mut self.meta
    }

    fn name(&self) -> String {
        self.template.app.name()
    }

    fn namespace(&self) -> String {
        self.template.app.namespace_name()
    }

    fn labels(&self) -> Fields {
        common_labels(self.template.app, "store")
    }

    fn annotations(&self) -> Fields {
        fields([("backup.example.com/schedule", text("daily"))])
    }

    fn content(&self) -> Fields {
        let app = self.template.app;
        let counts = self.counts;
        let strategy = if self.on_delete {
            "OnDelete"
        } else {
            "RollingUpdate"
        };
        let claim = object([
            ("metadata", object([("name", text("data"))])),
            (
                "spec",
                object([
                    ("accessModes", list([text("ReadWriteOnce")])),
                    (
                        "resources",
                        object([("requests", object([("storage", text("20Gi"))]))]),
                    ),
                ]),
            ),
        ]);
        fields([
            (
                "spec",
                object([
                    ("replicas", Value::from(self.replicas)),
                    ("serviceName", text(app.word())),
                    ("podManagementPolicy", text("OrderedReady")),
                    ("updateStrategy", object([("type", text(strategy))])),
                    ("selector", selector(app, Fields::new())),
                    ("template", self.template.render(Fields::new())),
                    ("volumeClaimTemplates", list([claim])),
                ]),
            ),
            (
                "status",
                object([
                    ("observedGeneration", Value::from(counts.observed)),
                    ("replicas", Value::from(counts.replicas)),
                    ("readyReplicas", Value::from(counts.ready)),
                    ("updatedReplicas", Value::from(counts.updated)),
                    ("updateRevision", text(self.template.hash_name())),
                ]),
            ),
        ])
    }
}

impl Kept for StatefulSet {
    fn shelf(cluster: &Cluster) -> &Shelf<Self> {
        &cluster.stateful_sets
    }

    fn shelf_mut(cluster: &mut Cluster) -> &mut Shelf<Self> {
        &mut cluster.stateful_sets
    }
}

impl Cluster {
    /// Creates a StatefulSet; its controller does the rest.
    pub(super) fn add_stateful_set(&mut self, app: App, at: Timestamp) -> Option<Change> {
        let set = StatefulSet {
            meta: self.new_meta(at),
            template: Template::service(app),
            replicas: self.rng.between(1, self.plan.stateful_replicas_max) as u32,
            on_delete: self.rng.chance(self.plan.paused_percent, 100),
            counts: Counts::default(),
        };
        self.soon(Task::ReconcileStatefulSet(set.meta.uid), at);
        self.add(set, at)
    }

    /// The StatefulSet controller's next step for a StatefulSet, if there is anything to do.
    pub(super) fn reconcile_stateful_set(&mut self, uid: u128, at: Timestamp) -> Option<Change> {
        let set = self.stateful_sets.get(uid)?;
        let change = self.stateful_set_step(set, at);
        if change.is_some() {
            self.soon(Task::ReconcileStatefulSet(uid), at);
        }
        change
    }

    /// A StatefulSet's pods by ordinal, those that are being deleted included: their names are taken.
    pub(super) fn ordinals(&self, uid: u128) -> Vec<(u32, Pod)> {
        let mut pods: Vec<(u32, Pod)> = self
            .pods_of(uid)
            .into_iter()
            .filter_map(|pod| match pod.owner {
                PodOwner::StatefulSet(_, ordinal) => Some((ordinal, pod)),
                _ => None,
            })
            .collect();
        pods.sort_by_key(|(ordinal, _)| *ordinal);
        pods
    }

    fn stateful_set_step(&mut self, set: StatefulSet, at: Timestamp) -> Option<Change> {
        let pods = self.ordinals(set.meta.uid);
        // Where the ordinals are not 0, 1, 2 ..., the first hole is filled; in order, so only behind pods that are ready.
        let hole = (0u32..)
            .zip(&pods)
            .find(|(expected, (ordinal, _))| expected != ordinal)
            .map_or(pods.len() as u32, |(expected, _)| expected);
        let ready_before = pods
            .iter()
            .take_while(|(ordinal, pod)| *ordinal < hole && pod.is_ready())
            .count();
        if hole < set.replicas && ready_before == hole as usize {
            if self
                .stateful_pods
                .contains(&(set.template.app.number, hole))
            {
                // A pod of the StatefulSet's predecessor still has the name.
                let task = Task::ReconcileStatefulSet(set.meta.uid);
                self.agenda.plan(at.plus_micros(400_000), task);
                return None;
            }
            let owner = PodOwner::StatefulSet(set.meta.uid, hole);
            return self.add_pod(owner, set.template, at);
        }
        if let Some((_, surplus)) = pods.last().filter(|(ordinal, _)| *ordinal >= set.replicas)
            && surplus.is_active()
        {
            return self.delete_pod(*surplus, at);
        }
        let outdated = |pod: &Pod| pod.template != set.template;
        if !set.on_delete
            && pods.iter().all(|(_, pod)| pod.is_ready())
            && let Some((_, pod)) = pods.iter().rev().find(|(_, pod)| outdated(pod))
        {
            return self.delete_pod(*pod, at);
        }
        let counts = Counts {
            observed: set.meta.generation,
            replicas: pods.len() as u32,
            ready: pods.iter().filter(|(_, pod)| pod.is_ready()).count() as u32,
            updated: pods.iter().filter(|(_, pod)| !outdated(pod)).count() as u32,
        };
        if counts == set.counts {
            return None;
        }
        self.update(StatefulSet { counts, ..set }, at)
    }
}
