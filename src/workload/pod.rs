//! Pods: what the cluster keeps of one, and how it is written.

use super::app::{App, short_name};
use super::cluster::{Cluster, Shelf};
use super::job::JobName;
use super::json::{Fields, text};
use super::kind::Kind;
use super::object::{Kept, Meta, Object, Owner, uuid_text};
use super::pod_status;
use super::template::Template;
use crate::model::Timestamp;

/// What created a pod, and by that its name.
#[derive(Clone, Copy, Debug)]
pub(super) enum PodOwner {
    /// Somebody did: a bare pod.
    Nobody(App),
    /// The ReplicaSet with this UID.
    ReplicaSet(u128),
    /// The StatefulSet with this UID, for this ordinal.
    StatefulSet(u128, u32),
    /// The Job with this UID and name.
    Job(u128, JobName),
}

/// How far a pod has come. Whether it is being deleted is said by `deletionTimestamp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Created; no node yet.
    Pending,
    /// It has a node; its containers are being created.
    Scheduled,
    /// Its containers run.
    Running,
    /// Its main container crashed and waits to be restarted.
    Waiting,
    /// Its containers have ended for good.
    Ended,
}

/// A pod.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pod {
    pub(super) meta: Meta,
    pub(super) owner: PodOwner,
    pub(super) template: Template,
    /// Counts all pods of the cluster.
    pub(super) serial: u64,
    pub(super) node: u32,
    pub(super) stage: Stage,
    /// Counts its transitions, so that a task planned before another transition is void.
    pub(super) epoch: u32,
    pub(super) ready: bool,
    /// When `ready` last changed.
    pub(super) ready_changed: Timestamp,
    pub(super) scheduled: Option<Timestamp>,
    /// When its containers first started.
    pub(super) first_started: Option<Timestamp>,
    /// When its main container last started.
    pub(super) started: Option<Timestamp>,
    /// When its main container ended for good.
    pub(super) finished: Option<Timestamp>,
    /// When the last of its containers ended for good.
    pub(super) ended: Option<Timestamp>,
    /// Exit code of the main container, once it has ended for good.
    pub(super) exit_code: u32,
    pub(super) restarts: u32,
    /// When the main container's last run began and ended, where it crashed.
    pub(super) crashed: Option<(Timestamp, Timestamp)>,
    /// How often it will still crash.
    pub(super) crashes_left: u32,
    /// How long a task runs, seconds.
    pub(super) runs_seconds: u32,
}

impl Pod {
    /// Whether it counts for its controller: neither being deleted nor at its end.
    pub(super) fn is_active(&self) -> bool {
        self.meta.deleting.is_none() && self.stage != Stage::Ended
    }

    /// Whether its controller can rely on it.
    pub(super) fn is_ready(&self) -> bool {
        self.is_active() && self.ready
    }

    /// Whether it ran to its end by itself, and how.
    pub(super) fn outcome(&self) -> Option<bool> {
        (self.stage == Stage::Ended && self.meta.deleting.is_none()).then_some(self.exit_code == 0)
    }

    fn tail(&self) -> String {
        short_name(self.serial)
    }
}

impl Object for Pod {
    fn kind(&self) -> Kind {
        Kind::Pod
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut Meta {
        &mut self.meta
    }

    fn name(&self) -> String {
        match (self.owner(), self.owner) {
            (_, PodOwner::Nobody(app)) => app.name(),
            (Some(owner), PodOwner::StatefulSet(_, ordinal)) => format!("{}-{ordinal}", owner.name),
            (Some(owner), _) => format!("{}-{}", owner.name, self.tail()),
            (None, _) => self.tail(),
        }
    }

    fn namespace(&self) -> String {
        self.template.app.namespace_name()
    }

    fn owner_uid(&self) -> Option<u128> {
        match self.owner {
            PodOwner::Nobody(_) => None,
            PodOwner::ReplicaSet(uid) | PodOwner::StatefulSet(uid, _) | PodOwner::Job(uid, _) => {
                Some(uid)
            }
        }
    }

    fn owner(&self) -> Option<Owner> {
        let app = self.template.app;
        let (kind, uid, name) = match self.owner {
            PodOwner::Nobody(_) => return None,
            PodOwner::ReplicaSet(uid) => {
                let name = format!("{}-{}", app.name(), self.template.hash_name());
                (Kind::ReplicaSet, uid, name)
            }
            PodOwner::StatefulSet(uid, _) => (Kind::StatefulSet, uid, app.name()),
            PodOwner::Job(uid, name) => (Kind::Job, uid, name.to_string()),
        };
        Some(Owner { kind, uid, name })
    }

    fn labels(&self) -> Fields {
        let mut labels = self.template.labels();
        let mut insert = |name: &str, value: String| labels.insert(name.to_owned(), text(value));
        match self.owner {
            PodOwner::Nobody(_) => {}
            PodOwner::ReplicaSet(_) => {
                insert("pod-template-hash", self.template.hash_name());
            }
            PodOwner::StatefulSet(_, ordinal) => {
                insert("controller-revision-hash", self.template.hash_name());
                insert("apps.kubernetes.io/pod-index", ordinal.to_string());
            }
            PodOwner::Job(uid, name) => {
                insert("batch.kubernetes.io/controller-uid", uuid_text(uid));
                insert("batch.kubernetes.io/job-name", name.to_string());
            }
        }
        labels
    }

    fn annotations(&self) -> Fields {
        self.template.annotations()
    }

    fn content(&self) -> Fields {
        let access = format!(
            "kube-api-access-{}",
            short_name(self.serial.wrapping_mul(7))
        );
        let mut spec = self.template.pod_spec(Some(&access));
        let mut insert = |name: &str, value| spec.insert(name.to_owned(), value);
        insert("enableServiceLinks", true.into());
        insert("preemptionPolicy", text("PreemptLowerPriority"));
        insert("priority", 0.into());
        if self.scheduled.is_some() {
            insert("nodeName", text(pod_status::node_name(self.node)));
        }
        if let PodOwner::StatefulSet(_, ordinal) = self.owner {
            let app = self.template.app;
            insert("hostname", text(format!("{}-{ordinal}", app.name())));
            insert("subdomain", text(app.word()));
        }
        Fields::from_iter([
            ("spec".to_owned(), spec.into()),
            ("status".to_owned(), pod_status::render(self)),
        ])
    }
}

impl Kept for Pod {
    fn shelf(cluster: &Cluster) -> &Shelf<Self> {
        &cluster.pods
    }

    fn shelf_mut(cluster: &mut Cluster) -> &mut Shelf<Self> {
        &mut cluster.pods
    }
}
