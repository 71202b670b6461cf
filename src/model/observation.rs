//! What a watch tells the ingest: the only way in which facts about a cluster reach a store.

use std::collections::BTreeMap;

use super::{ContentHash, Gvk, ObjectKey, OwnerFacts, OwnerRef, PodTimes, Timestamp, Uid};

/// Names one watch: a kind that is tracked as objects, or `v1.Pod`, which is always watched (for lifecycles, and as
/// objects too where the config tracks it).
pub type WatchId = Gvk;

/// An object as one version of it was seen, normalized (see [`crate::normalize`]).
#[derive(Clone, Debug, PartialEq)]
pub struct ObservedObject {
    /// API version it was read in, such as `v1`.
    pub version: String,
    /// Its name.
    pub key: ObjectKey,
    /// Which incarnation it is.
    pub uid: Uid,
    /// `metadata.ownerReferences`, in their order.
    pub owners: Vec<OwnerRef>,
    /// blake3 over what counts as a change of this kind (R6).
    pub change_hash: ContentHash,
    /// SimKube's hash of `.spec`: written into the `index` of a trace, never used to detect changes.
    pub spec_hash: u64,
    /// The normalized object as MessagePack with string field names: the bytes that go into a trace file.
    pub body: Vec<u8>,
}

/// A pod as one version of it was seen: what its lifecycle is made from.
#[derive(Clone, Debug, PartialEq)]
pub struct ObservedPod {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Which incarnation it is.
    pub uid: Uid,
    /// `metadata.ownerReferences`, in their order. Empty for a bare pod, which owns itself.
    pub owners: Vec<OwnerRef>,
    /// SimKube's pod-spec hash (see [`crate::model::pod_spec`]).
    pub spec_hash: u64,
    /// What its status says of when it ran.
    pub times: PodTimes,
}

/// One thing seen by a watch: the object where its kind is tracked, the pod where it is a pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Item {
    /// Present where the kind is tracked as objects.
    pub object: Option<ObservedObject>,
    /// Present where the thing is a pod.
    pub pod: Option<ObservedPod>,
    /// With the kind's `skipOwned`, an object that has owners is not tracked: this is its UID, key and owners (owner
    /// chains run through it all the same). `object` is then absent.
    pub skipped: Option<(Uid, OwnerFacts)>,
}

/// Something learned about the cluster. Observations of one watch are applied in their order.
///
/// A watch is *blind* from its last contact until [`Observation::ListFinished`] or [`Observation::Sighted`]. What is
/// applied while it is blind is stored as inferred, with the start of the blind interval (R9); the interval is stored
/// as a gap (R10).
#[derive(Clone, Debug, PartialEq)]
pub enum Observation {
    /// A complete list of the watch begins; what an unfinished list before it had seen is forgotten (R7).
    ListStarted {
        /// The watch.
        watch: WatchId,
    },
    /// The item exists, in this version. Between `ListStarted` and `ListFinished` it was listed, else watched.
    Applied {
        /// The watch.
        watch: WatchId,
        /// What was seen.
        item: Item,
        /// The version from which a watch can go on behind this item; `None` while listing.
        resource_version: Option<String>,
    },
    /// A list shows that an object exists whose content could not be read: nothing is recorded of it, but it is not
    /// taken for deleted either (R7).
    Listed {
        /// The watch.
        watch: WatchId,
        /// Which incarnation it is.
        uid: Uid,
    },
    /// The item was deleted; it holds the final version.
    Deleted {
        /// The watch.
        watch: WatchId,
        /// What was seen last.
        item: Item,
        /// The version from which a watch can go on behind this item.
        resource_version: Option<String>,
    },
    /// The list is complete: what is stored as existing and was not listed has been deleted.
    ListFinished {
        /// The watch.
        watch: WatchId,
        /// The version of the list, from which a watch goes on.
        resource_version: String,
    },
    /// Everything up to this version has been delivered.
    Bookmark {
        /// The watch.
        watch: WatchId,
        /// That version.
        resource_version: String,
    },
    /// The watch lost its contact (error, expiry, no permission, unknown kind). A list that was under way is abandoned:
    /// after this comes `ListStarted`, or what a resumed watch delivers. Sent again when the reason changes; the gap
    /// goes on.
    Blind {
        /// The watch.
        watch: WatchId,
        /// Why, in a few words; stored with the gap.
        reason: String,
    },
    /// A resumed watch has caught up with the version that was current when it resumed.
    Sighted {
        /// The watch.
        watch: WatchId,
    },
    /// The watch ends in good order, as the recorder does. Where it does not say so, or is blind, it is blind since its last
    /// contact when it begins again.
    Ended {
        /// The watch.
        watch: WatchId,
        /// What happened up to then has been delivered.
        complete_until: Timestamp,
    },
    /// The answer to an owner look-up; `None`: no object of that name has this UID (any more).
    Owner {
        /// The UID that was asked for.
        uid: Uid,
        /// What was found.
        facts: Option<OwnerFacts>,
    },
}

impl Observation {
    /// The watch this belongs to; `None` for owner look-ups.
    pub fn watch(&self) -> Option<&WatchId> {
        match self {
            Self::ListStarted { watch }
            | Self::Applied { watch, .. }
            | Self::Listed { watch, .. }
            | Self::Deleted { watch, .. }
            | Self::ListFinished { watch, .. }
            | Self::Bookmark { watch, .. }
            | Self::Blind { watch, .. }
            | Self::Ended { watch, .. }
            | Self::Sighted { watch } => Some(watch),
            Self::Owner { .. } => None,
        }
    }

    /// Whether somebody waits until this is durable: for the end of a list or of being blind to be ready, for the end of a
    /// watch to stop.
    pub fn is_waited_for(&self) -> bool {
        matches!(
            self,
            Self::ListStarted { .. }
                | Self::ListFinished { .. }
                | Self::Sighted { .. }
                | Self::Ended { .. }
        )
    }

    /// About how many bytes this holds on to: what a bounded queue counts.
    pub fn weight_bytes(&self) -> usize {
        const FIXED_BYTES: usize = 512;
        match self {
            Self::Applied { item, .. } | Self::Deleted { item, .. } => {
                FIXED_BYTES + item.object.as_ref().map_or(0, |object| object.body.len())
            }
            _ => FIXED_BYTES,
        }
    }
}

/// Labels of an object, as selectors see them.
pub type Labels = BTreeMap<String, String>;
