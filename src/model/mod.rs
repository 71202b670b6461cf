//! The nouns of a recording, without any I/O.
//!
//! Everything here is plain data: what Kubernetes calls things ([`Gvk`], [`ObjectKey`], [`Uid`], [`OwnerRef`]),
//! when they happened ([`Timestamp`], [`TimeRange`], [`EventKey`]) and what a watch has seen of them
//! ([`Observation`]).

pub mod canonical;
pub mod event;
pub mod gvk;
pub mod horizon;
pub(crate) mod json_fault;
pub mod object_key;
pub mod observation;
pub mod owner_ref;
pub mod pod_lifecycle;
pub mod pod_spec;
pub mod quantity;
pub mod redaction_key;
pub mod selector;
pub mod simkube_hash;
pub mod timestamp;

pub use canonical::ContentHash;
pub use event::{Action, EventKey};
pub use gvk::Gvk;
pub use horizon::Horizon;
pub use object_key::ObjectKey;
pub use observation::{Item, Observation, ObservedObject, ObservedPod, WatchId};
pub use owner_ref::{OwnerFacts, OwnerRef, Uid};
pub use pod_lifecycle::PodTimes;
pub use quantity::{Age, ByteSize};
pub use redaction_key::RedactionKey;
pub use selector::LabelSelector;
pub use timestamp::{MICROS_PER_SECOND, TimeRange, Timestamp};
