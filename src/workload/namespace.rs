//! Namespaces: cluster-scoped objects. The teams' stay; previews come, go and come again under the same name.

use super::agenda::Task;
use super::app::{namespace_name, team};
use super::cluster::{Cluster, Shelf};
use super::json::{Fields, fields, list, object, text};
use super::kind::Kind;
use super::object::{Kept, Meta, Object};
use super::step::Change;
use crate::model::Timestamp;
use crate::model::timestamp::MICROS_PER_SECOND;

/// A namespace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Namespace {
    pub(super) meta: Meta,
    pub(super) number: u32,
    /// Somebody tries something out in it; nothing of ours lives there.
    pub(super) preview: bool,
}

impl Object for Namespace {
    fn kind(&self) -> Kind {
        Kind::Namespace
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut Meta {
        &mut self.meta
    }

    fn name(&self) -> String {
        if self.preview {
            format!("preview-{}", self.number)
        } else {
            namespace_name(self.number)
        }
    }

    fn namespace(&self) -> String {
        String::new()
    }

    fn labels(&self) -> Fields {
        fields([
            ("kubernetes.io/metadata.name", text(self.name())),
            ("team", text(team(self.number))),
        ])
    }

    fn annotations(&self) -> Fields {
        Fields::new()
    }

    fn content(&self) -> Fields {
        let phase = match self.meta.deleting {
            Some(_) => "Terminating",
            None => "Active",
        };
        fields([
            ("spec", object([("finalizers", list([text("kubernetes")]))])),
            ("status", object([("phase", text(phase))])),
        ])
    }
}

impl Kept for Namespace {
    fn shelf(cluster: &Cluster) -> &Shelf<Self> {
        &cluster.namespaces
    }

    fn shelf_mut(cluster: &mut Cluster) -> &mut Shelf<Self> {
        &mut cluster.namespaces
    }
}

impl Cluster {
    /// Creates a namespace.
    pub(super) fn add_namespace(
        &mut self,
        number: u32,
        preview: bool,
        at: Timestamp,
    ) -> Option<Change> {
        let namespace = Namespace {
            meta: self.new_meta(at),
            number,
            preview,
        };
        self.add(namespace, at)
    }

    /// Creates a preview namespace, or begins to delete one, which then often comes again under its name.
    pub(super) fn change_previews(&mut self, at: Timestamp) -> Option<Change> {
        let previews: Vec<Namespace> = self
            .namespaces
            .iter()
            .filter(|namespace| namespace.preview && namespace.meta.deleting.is_none())
            .copied()
            .collect();
        if previews.len() < self.plan.previews || previews.is_empty() {
            self.numbers += 1;
            return self.add_namespace(self.numbers, true, at);
        }
        let index = self.rng.below(previews.len() as u64) as usize;
        let mut preview = previews.get(index).copied()?;
        preview.meta.deleting = Some(at);
        self.soon(Task::FinishNamespace(preview.meta.uid), at);
        self.update(preview, at)
    }

    /// Takes an empty namespace out of the cluster.
    pub(super) fn finish_namespace(&mut self, uid: u128, at: Timestamp) -> Option<Change> {
        let namespace = self.namespaces.get(uid)?;
        let again = Task::RecreateNamespace(namespace.number);
        match self.rng.below(3) {
            0 => self.soon(again, at),
            1 => self
                .agenda
                .plan(at.plus_micros(9 * MICROS_PER_SECOND), again),
            _ => {}
        }
        self.remove(namespace, at)
    }
}
