//! What all objects have: metadata, a name, perhaps an owner.

use serde_json::Value;

use super::cluster::{Cluster, Shelf};
use super::json::{Fields, fields, list, object, text, time};
use super::kind::Kind;
use crate::model::{OwnerFacts, OwnerRef, Timestamp, Uid};

/// The part of `metadata` that the API server keeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meta {
    pub(super) uid: u128,
    pub(super) resource_version: u64,
    /// Counts the changes of the spec, from 1.
    pub(super) generation: u64,
    pub(super) created: Timestamp,
    /// When it last changed.
    pub(super) changed: Timestamp,
    /// `deletionTimestamp`.
    pub(super) deleting: Option<Timestamp>,
    /// How often somebody edited the labels.
    pub(super) label_edits: u32,
    /// How often somebody edited the annotations.
    pub(super) annotation_edits: u32,
}

/// The owner that stands in `metadata.ownerReferences`.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    pub(super) kind: Kind,
    pub(super) uid: u128,
    pub(super) name: String,
}

/// An object of the cluster. It keeps what makes it different from others; its JSON is derived from that alone, so
/// that the memory of a cluster is a few hundred bytes an object.
pub(super) trait Object {
    fn kind(&self) -> Kind;
    fn meta(&self) -> &Meta;
    fn meta_mut(&mut self) -> &mut Meta;
    fn name(&self) -> String;
    /// Empty for a cluster-scoped object.
    fn namespace(&self) -> String;
    /// UID of the owner.
    fn owner_uid(&self) -> Option<u128> {
        None
    }
    /// The owner. Present when `owner_uid` is.
    fn owner(&self) -> Option<Owner> {
        None
    }
    fn labels(&self) -> Fields;
    fn annotations(&self) -> Fields;
    /// Everything but `apiVersion`, `kind` and `metadata`.
    fn content(&self) -> Fields;
}

/// An object that the cluster keeps among others of its kind.
pub(super) trait Kept: Object + Copy + 'static {
    fn shelf(cluster: &Cluster) -> &Shelf<Self>;
    fn shelf_mut(cluster: &mut Cluster) -> &mut Shelf<Self>;
}

/// The text form of a UID.
pub(super) fn uuid_text(uuid: u128) -> String {
    let part = |shift: u32, bits: u32| (uuid >> shift) & ((1 << bits) - 1);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        part(96, 32),
        part(80, 16),
        part(64, 16),
        part(48, 16),
        part(0, 48)
    )
}

/// The UID in a text that [`uuid_text`] wrote.
pub(super) fn uuid_from_text(text: &str) -> Option<u128> {
    let digits: String = text.chars().filter(|character| *character != '-').collect();
    let uuid = u128::from_str_radix(&digits, 16).ok()?;
    (uuid_text(uuid) == text).then_some(uuid)
}

/// The whole object as JSON.
pub(super) fn render(thing: &dyn Object) -> Value {
    let mut whole = thing.content();
    whole.insert("apiVersion".to_owned(), text(thing.kind().api_version()));
    whole.insert("kind".to_owned(), text(thing.kind().name()));
    whole.insert("metadata".to_owned(), metadata(thing));
    Value::Object(whole)
}

/// What is known of the object as an owner of others.
pub(super) fn owner_facts(thing: &dyn Object) -> OwnerFacts {
    OwnerFacts {
        gvk: thing.kind().gvk(),
        namespace: thing.namespace(),
        name: thing.name(),
        owners: thing
            .owner()
            .map(|owner| OwnerRef {
                api_version: owner.kind.api_version().to_owned(),
                kind: owner.kind.name().to_owned(),
                name: owner.name,
                uid: Uid(uuid_text(owner.uid)),
                controller: true,
            })
            .into_iter()
            .collect(),
    }
}

fn metadata(thing: &dyn Object) -> Value {
    let meta = thing.meta();
    let mut metadata = fields([
        ("name", text(thing.name())),
        ("uid", text(uuid_text(meta.uid))),
        ("resourceVersion", text(meta.resource_version.to_string())),
        ("creationTimestamp", time(meta.created)),
        ("managedFields", managed_fields(thing.kind(), meta)),
    ]);
    let mut insert = |name: &str, value: Value| metadata.insert(name.to_owned(), value);
    let namespace = thing.namespace();
    if !namespace.is_empty() {
        insert("namespace", text(namespace));
    }
    // The API server counts generations only where there is a spec that somebody reconciles.
    if !matches!(thing.kind(), Kind::ConfigMap | Kind::Namespace) {
        insert("generation", Value::from(meta.generation));
    }
    if let Some(deleting) = meta.deleting {
        insert("deletionTimestamp", time(deleting));
        insert("deletionGracePeriodSeconds", Value::from(30));
    }
    let mut labels = thing.labels();
    if meta.label_edits > 0 {
        let track = if meta.label_edits.is_multiple_of(2) {
            "stable"
        } else {
            "canary"
        };
        labels.insert("release.example.com/track".to_owned(), text(track));
    }
    if !labels.is_empty() {
        insert("labels", Value::Object(labels));
    }
    let mut annotations = thing.annotations();
    if meta.annotation_edits > 0 {
        let cause = format!("ticket OPS-{}", 1_000 + meta.annotation_edits);
        annotations.insert("kubernetes.io/change-cause".to_owned(), text(cause));
    }
    if !annotations.is_empty() {
        insert("annotations", Value::Object(annotations));
    }
    if let Some(owner) = thing.owner() {
        let reference = object([
            ("apiVersion", text(owner.kind.api_version())),
            ("kind", text(owner.kind.name())),
            ("name", text(owner.name)),
            ("uid", text(uuid_text(owner.uid))),
            ("controller", Value::Bool(true)),
            ("blockOwnerDeletion", Value::Bool(true)),
        ]);
        insert("ownerReferences", list([reference]));
    }
    Value::Object(metadata)
}

/// One entry, much shorter than in real life: it is stripped before anything is stored.
fn managed_fields(kind: Kind, meta: &Meta) -> Value {
    let empty = || Value::Object(Fields::new());
    let managed = match kind {
        Kind::ConfigMap => "f:data",
        _ => "f:spec",
    };
    list([object([
        ("manager", text("kube-controller-manager")),
        ("operation", text("Update")),
        ("apiVersion", text(kind.api_version())),
        ("time", time(meta.changed)),
        ("fieldsType", text("FieldsV1")),
        ("fieldsV1", object([(managed, empty())])),
    ])])
}
