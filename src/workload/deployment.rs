//! Deployments and the ReplicaSets that they own.

use serde_json::Value;

use super::app::App;
use super::cluster::{Cluster, Shelf};
use super::json::{Fields, fields, list, object, text, time};
use super::kind::Kind;
use super::object::{Kept, Meta, Object, Owner};
use super::template::Template;
use crate::model::Timestamp;

/// What a Deployment's status says of its pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// The generation that the controller has seen.
    pub(super) observed: u64,
    pub(super) replicas: u32,
    pub(super) updated: u32,
    pub(super) ready: u32,
}

/// A Deployment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deployment {
    pub(super) meta: Meta,
    pub(super) template: Template,
    pub(super) replicas: u32,
    /// Template edits are collected, not rolled out.
    pub(super) paused: bool,
    /// Counts the ReplicaSets made for it.
    pub(super) revision: u32,
    /// UID of its newest ReplicaSet; 0 before there is one.
    pub(super) replica_set: u128,
    pub(super) counts: Counts,
    /// When its status last said that it makes progress.
    pub(super) progressed: Timestamp,
}

/// A ReplicaSet. No config tracks them: they are the link between pods and Deployments.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReplicaSet {
    pub(super) meta: Meta,
    /// UID of the Deployment.
    pub(super) deployment: u128,
    pub(super) template: Template,
    pub(super) replicas: u32,
    pub(super) revision: u32,
    pub(super) ready: u32,
}

/// Labels that a team puts on what it deploys.
pub(super) fn common_labels(app: App, component: &str) -> Fields {
    fields([
        ("app.kubernetes.io/name", text(app.word())),
        ("app.kubernetes.io/instance", text(app.name())),
        ("app.kubernetes.io/component", text(component)),
        ("app.kubernetes.io/managed-by", text("flux")),
        ("team", text(app.team())),
    ])
}

/// `spec.selector` of a controller.
pub(super) fn selector(app: App, more: Fields) -> Value {
    let mut labels = fields([
        ("app.kubernetes.io/name", text(app.word())),
        ("app.kubernetes.io/instance", text(app.name())),
    ]);
    labels.extend(more);
    object([("matchLabels", Value::Object(labels))])
}

/// A condition of a controller's status.
pub(super) fn condition(kind: &str, met: bool, reason: &str, at: Timestamp) -> Value {
    object([
        ("type", text(kind)),
        ("status", text(if met { "True" } else { "False" })),
        ("reason", text(reason)),
        ("lastUpdateTime", time(at)),
        ("lastTransitionTime", time(at)),
    ])
}

impl Object for Deployment {
    fn kind(&self) -> Kind {
        Kind::Deployment
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
        common_labels(self.template.app, "server")
    }

    fn annotations(&self) -> Fields {
        let app = self.template.app;
        let applied = format!(
            "{{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{{\"name\":\"{}\"}}}}\n",
            app.name()
        );
        fields([
            (
                "deployment.kubernetes.io/revision",
                text(self.revision.to_string()),
            ),
            (
                "kubectl.kubernetes.io/last-applied-configuration",
                text(applied),
            ),
        ])
    }

    fn content(&self) -> Fields {
        let counts = self.counts;
        let surge = object([
            ("maxSurge", Value::from(1)),
            ("maxUnavailable", Value::from(0)),
        ]);
        let mut spec = fields([
            ("replicas", Value::from(self.replicas)),
            ("selector", selector(self.template.app, Fields::new())),
            ("template", self.template.render(Fields::new())),
            (
                "strategy",
                object([("type", text("RollingUpdate")), ("rollingUpdate", surge)]),
            ),
            ("revisionHistoryLimit", Value::from(0)),
            ("progressDeadlineSeconds", Value::from(600)),
        ]);
        if self.paused {
            spec.insert("paused".to_owned(), Value::Bool(true));
        }
        let available = counts.ready >= self.replicas;
        let complete = available && counts.updated >= self.replicas;
        let availability = if available {
            "MinimumReplicasAvailable"
        } else {
            "MinimumReplicasUnavailable"
        };
        let progress = if complete {
            "NewReplicaSetAvailable"
        } else {
            "ReplicaSetUpdated"
        };
        let status = fields([
            ("observedGeneration", Value::from(counts.observed)),
            ("replicas", Value::from(counts.replicas)),
            ("updatedReplicas", Value::from(counts.updated)),
            ("readyReplicas", Value::from(counts.ready)),
            ("availableReplicas", Value::from(counts.ready)),
            (
                "conditions",
                list([
                    condition("Available", available, availability, self.progressed),
                    condition("Progressing", true, progress, self.progressed),
                ]),
            ),
        ]);
        fields([("spec", spec.into()), ("status", status.into())])
    }
}

impl Kept for Deployment {
    fn shelf(cluster: &Cluster) -> &Shelf<Self> {
        &cluster.deployments
    }

    fn shelf_mut(cluster: &mut Cluster) -> &mut Shelf<Self> {
        &mut cluster.deployments
    }
}

impl ReplicaSet {
    fn hash_label(&self) -> Fields {
        fields([("pod-template-hash", text(self.template.hash_name()))])
    }
}

impl Object for ReplicaSet {
    fn kind(&self) -> Kind {
        Kind::ReplicaSet
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut Meta {
        &mut self.meta
    }

    fn name(&self) -> String {
        let template = &self.template;
        format!("{}-{}", template.app.name(), template.hash_name())
    }

    fn namespace(&self) -> String {
        self.template.app.namespace_name()
    }

    fn owner_uid(&self) -> Option<u128> {
        Some(self.deployment)
    }

    fn owner(&self) -> Option<Owner> {
        Some(Owner {
            kind: Kind::Deployment,
            uid: self.deployment,
            name: self.template.app.name(),
        })
    }

    fn labels(&self) -> Fields {
        let mut labels = self.template.labels();
        labels.extend(self.hash_label());
        labels
    }

    fn annotations(&self) -> Fields {
        let revision = text(self.revision.to_string());
        fields([("deployment.kubernetes.io/revision", revision)])
    }

    fn content(&self) -> Fields {
        let app = self.template.app;
        fields([
            (
                "spec",
                object([
                    ("replicas", Value::from(self.replicas)),
                    ("selector", selector(app, self.hash_label())),
                    ("template", self.template.render(self.hash_label())),
                ]),
            ),
            (
                "status",
                object([
                    ("observedGeneration", Value::from(self.meta.generation)),
                    ("replicas", Value::from(self.replicas)),
                    ("readyReplicas", Value::from(self.ready)),
                ]),
            ),
        ])
    }
}

impl Kept for ReplicaSet {
    fn shelf(cluster: &Cluster) -> &Shelf<Self> {
        &cluster.replica_sets
    }

    fn shelf_mut(cluster: &mut Cluster) -> &mut Shelf<Self> {
        &mut cluster.replica_sets
    }
}
