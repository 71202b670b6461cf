//! One recorded change, as every subject gets it.

use bincode::{Decode, Encode};

/// A change of an object: what is left of a step of the workload after normalizing it and leaving out what is no change.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Change {
    /// When it happened, microseconds since the Unix epoch. Grows with `seq`.
    pub at_us: i64,
    /// Number of the change, from 1.
    pub seq: u64,
    /// Number of the object's incarnation, from 1: what a key that repeats would hold.
    pub object: u64,
    /// The object was deleted; `body` is then empty.
    pub deleted: bool,
    /// API group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Namespace; empty for a cluster-scoped object.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID of the incarnation.
    pub uid: String,
    /// `metadata.ownerReferences`.
    pub owners: Vec<Owner>,
    /// blake3 over what counts as a change.
    pub hash: [u8; 32],
    /// SimKube's hash of the spec.
    pub spec_hash: u64,
    /// The object as MessagePack.
    pub body: Vec<u8>,
    /// Where the object is a pod: what its lifecycle is made from. Only sk-tracedb keeps it.
    pub pod: Option<Pod>,
    /// What owner look-ups found before this change. Only sk-tracedb keeps it.
    pub learned: Vec<Learned>,
}

/// A reference to an owner.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Owner {
    /// `apiVersion`.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
    /// `name`.
    pub name: String,
    /// `uid`.
    pub uid: String,
    /// `controller`.
    pub controller: bool,
}

/// A pod's side of a change.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Pod {
    /// SimKube's pod-spec hash.
    pub spec_hash: u64,
    /// When it started, microseconds since the Unix epoch.
    pub start_us: Option<i64>,
    /// When its containers had ended, microseconds since the Unix epoch.
    pub end_us: Option<i64>,
    /// Whether it will not run again.
    pub terminal: bool,
}

/// An owner that is not recorded as an object.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Learned {
    /// Its UID.
    pub uid: String,
    /// Its API version.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its own owners.
    pub owners: Vec<Owner>,
}

impl Change {
    /// The row that a reader gets back.
    pub fn row(&self) -> Row<'_> {
        Row {
            at_us: self.at_us,
            seq: self.seq,
            deleted: self.deleted,
            body: &self.body,
        }
    }
}

/// What a subject gives back of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// See [`Change::at_us`].
    pub at_us: i64,
    /// See [`Change::seq`].
    pub seq: u64,
    /// See [`Change::deleted`].
    pub deleted: bool,
    /// See [`Change::body`].
    pub body: &'a [u8],
}
