//! What the values of the tables hold. Plain structs, encoded by [`super::codec`]; times are microseconds since the
//! Unix epoch.

use bincode::{Decode, Encode};

use super::codec::Row;
use crate::model::{
    Action, EventKey, Gvk, Horizon, ObjectKey, OwnerFacts, OwnerRef, Timestamp, Uid,
};

macro_rules! row_of {
    ($($row:ident in $table:literal;)*) => {$(
        impl Row for $row {
            const TABLE: &'static str = $table;
        }
    )*};
}

row_of! {
    EventRow in "event_to_header";
    ObjectRow in "object_to_row";
    IncarnationRow in "id_to_incarnation";
    HistoryRow in "object_and_event_to_action";
    EpochRow in "epoch_to_row";
    OwnerRow in "uid_to_owner";
    WantedRow in "uid_to_wanted_owner";
    PodRow in "uid_to_pod";
    RunRow in "run_to_row";
    GapRow in "gap_to_row";
    WatchRow in "kind_to_watch";
    KindRow in "kind_id_to_kind";
    WriterRow in "meta";
    HorizonRow in "meta";
}

/// A change: everything that planning an export needs, without the body.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct EventRow {
    /// The object was deleted; else created or changed.
    pub deleted: bool,
    /// Object id.
    pub object: u64,
    /// Kind number (group, version and kind as they were).
    pub kind: u64,
    /// SimKube's hash of the spec; 0 for a delete.
    pub spec_hash: u64,
    /// Length of the body as MessagePack; 0 for a delete.
    pub body_len: u32,
    /// The change was inferred: it happened after this time and not later than the event's.
    pub since_us: Option<i64>,
    /// The object was there when its kind was listed for the first time: it was created at some time before.
    pub initial: bool,
}

impl EventRow {
    pub(crate) fn action(&self) -> Action {
        if self.deleted {
            Action::Delete
        } else {
            Action::Apply
        }
    }
}

/// The state of one incarnation of an object.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct ObjectRow {
    /// UID.
    pub uid: String,
    /// Whether it exists.
    pub live: bool,
    /// Time of its last event.
    pub last_us: i64,
    /// Sequence number of its last event.
    pub last_seq: u64,
    /// Hash of what counts as a change.
    pub change_hash: [u8; 32],
    /// Kind number of its last version.
    pub kind: u64,
}

/// What never changes of an incarnation.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct IncarnationRow {
    pub group: String,
    pub kind: String,
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

impl IncarnationRow {
    pub(crate) fn new(key: &ObjectKey, uid: &Uid) -> Self {
        let ObjectKey {
            group,
            kind,
            namespace,
            name,
        } = key.clone();
        Self {
            group,
            kind,
            namespace,
            name,
            uid: uid.0.clone(),
        }
    }

    pub(crate) fn key(&self) -> ObjectKey {
        ObjectKey::new(&*self.group, &*self.kind, &*self.namespace, &*self.name)
    }
}

/// One entry of an object's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct HistoryRow {
    /// The object was deleted; else created or changed.
    pub deleted: bool,
}

/// An epoch: a stretch of the record with its own list of what was alive in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct EpochRow {
    /// Time of the last event before the epoch.
    pub start_us: i64,
    /// Sequence number of the last event before the epoch.
    pub start_seq: u64,
}

/// An owner reference.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct OwnerRefRow {
    pub api_version: String,
    pub kind: String,
    pub name: String,
    pub uid: String,
    pub controller: bool,
}

impl From<&OwnerRef> for OwnerRefRow {
    fn from(owner: &OwnerRef) -> Self {
        Self {
            api_version: owner.api_version.clone(),
            kind: owner.kind.clone(),
            name: owner.name.clone(),
            uid: owner.uid.0.clone(),
            controller: owner.controller,
        }
    }
}

impl From<&OwnerRefRow> for OwnerRef {
    fn from(row: &OwnerRefRow) -> Self {
        Self {
            api_version: row.api_version.clone(),
            kind: row.kind.clone(),
            name: row.name.clone(),
            uid: Uid(row.uid.clone()),
            controller: row.controller,
        }
    }
}

/// An object as an owner of others.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct OwnerRow {
    pub group: String,
    pub version: String,
    pub kind: String,
    pub namespace: String,
    pub name: String,
    pub owners: Vec<OwnerRefRow>,
    /// Object id, where this very object (by UID) is recorded.
    pub object: Option<u64>,
}

impl OwnerRow {
    pub(crate) fn new(facts: &OwnerFacts, object: Option<u64>) -> Self {
        Self {
            group: facts.gvk.group.clone(),
            version: facts.gvk.version.clone(),
            kind: facts.gvk.kind.clone(),
            namespace: facts.namespace.clone(),
            name: facts.name.clone(),
            owners: facts.owners.iter().map(OwnerRefRow::from).collect(),
            object,
        }
    }

    pub(crate) fn gvk(&self) -> Gvk {
        Gvk::new(&*self.group, &*self.version, &*self.kind)
    }
}

/// An owner that has to be looked up.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct WantedRow {
    pub api_version: String,
    pub kind: String,
    /// Namespace of what it owns: its own, unless its kind is cluster-scoped.
    pub namespace: String,
    pub name: String,
    /// Since when it is wanted.
    pub since_us: i64,
}

/// Who a pod's lifecycle belongs to, where that was given and need not be derived: an imported trace names owners only.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct GivenOwner {
    pub group: String,
    pub version: String,
    pub kind: String,
    /// `namespace/name`, or the bare name.
    pub name: String,
}

/// A pod's lifecycle, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct PodRow {
    pub namespace: String,
    pub name: String,
    /// SimKube's pod-spec hash of the first version seen.
    pub spec_hash: u64,
    pub owners: Vec<OwnerRefRow>,
    pub given_owner: Option<GivenOwner>,
    /// When its first container started; never moves once known.
    pub start_us: Option<i64>,
    /// `finishedAt` of the last containers, as the last status told it; not the end while the pod may run again.
    pub containers_end_us: Option<i64>,
    /// When it ended (R14). Moves once at most: from when that was seen to what its containers tell later.
    pub end_us: Option<i64>,
    /// The end was inferred: the pod ended after this time.
    pub end_since_us: Option<i64>,
    /// Whether it is known to have been deleted.
    pub gone: bool,
}

/// One run of a recorder.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct RunRow {
    pub start_us: i64,
    /// Time of the run's last commit.
    pub last_us: i64,
    /// Whether it ended in good order.
    pub closed: bool,
    /// Release of the program.
    pub program: String,
    /// Where the record comes from: `record`, `import`, `demo`.
    pub source: String,
    /// The config in force, as [`crate::config::TracerConfig::to_json`] writes it.
    pub config: String,
}

/// A time in which the record is blind for one kind.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct GapRow {
    /// The watched kind.
    pub watch: String,
    /// Last contact before.
    pub start_us: i64,
    /// When the record could see again; `None` while it cannot.
    pub end_us: Option<i64>,
    pub reason: String,
}

/// How far one watch has come.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct WatchRow {
    /// The version up to which every change is in the record.
    pub resource_version: Option<String>,
    /// When the watch last delivered something.
    pub contact_us: i64,
    /// Since when it is blind.
    pub blind_since_us: Option<i64>,
    /// The open gap, where it is blind.
    pub gap: Option<u64>,
    /// Whether a list of it has ever been completed.
    pub listed: bool,
    /// Whether the config in force tracks it.
    pub tracked: bool,
}

/// A kind, and what is recorded of it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct KindRow {
    pub group: String,
    pub version: String,
    pub kind: String,
    pub applies: u64,
    pub deletes: u64,
    /// Bytes of all bodies as MessagePack.
    pub body_bytes: u64,
    /// Objects that exist. Counted where the version was the object's last.
    pub live: u64,
}

impl KindRow {
    pub(crate) fn gvk(&self) -> Gvk {
        Gvk::new(&*self.group, &*self.version, &*self.kind)
    }
}

/// Where the writer stands; one row, rewritten with every commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct WriterRow {
    /// Time of the last event, or of the latest time seen: times in the record never go below it (R5).
    pub last_us: i64,
    /// Last sequence number given.
    pub last_seq: u64,
    /// Last object id given.
    pub last_object: u64,
    /// Current epoch.
    pub epoch: u64,
    /// Rows of the current epoch in `alive` and `alive_pods`.
    pub epoch_rows: u64,
    /// How many of them it began with.
    pub epoch_carried: u64,
    /// Pods recorded.
    pub pods: u64,
    /// Number of the run that is writing or wrote last.
    pub run: u64,
    /// Last gap number given.
    pub last_gap: u64,
    /// Earliest time in the record; meaningful once there is a run.
    pub first_us: i64,
}

/// How far retention has dropped; see [`Horizon`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct HorizonRow {
    pub at_us: i64,
    pub seq: u64,
}

impl From<Horizon> for HorizonRow {
    fn from(horizon: Horizon) -> Self {
        let event = horizon.event();
        Self {
            at_us: event.at.as_micros(),
            seq: event.seq,
        }
    }
}

impl From<HorizonRow> for Horizon {
    fn from(row: HorizonRow) -> Self {
        Self::before(EventKey {
            at: Timestamp::from_micros(row.at_us),
            seq: row.seq,
        })
    }
}
