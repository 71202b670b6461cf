//! What the values of the tables hold. Plain structs, encoded by [`super::codec`]; times are microseconds since the
//! Unix epoch.

use bincode::{Decode, Encode};

use super::codec::Row;
use super::keys;
use crate::model::{Gvk, ObjectKey, OwnerFacts, OwnerRef, Uid};

macro_rules! row_of {
    ($($row:ident in $table:literal;)*) => {$(
        impl Row for $row {
            const TABLE: &'static str = $table;
        }
    )*
        /// Each row type's table, and how to read a row and write it again.
        #[cfg(any(test, feature = "fuzzing"))]
        pub(super) const RECODERS: &[(&str, super::codec::Recode)] =
            &[$(($table, super::codec::recode::<$row>)),*];
    };
}

pub(crate) use super::backup_row::{BackupKept, BackupRow};
pub(crate) use super::writer_row::WriterRow;

row_of! {
    ObjectRow in "object_to_row";
    IncarnationRow in "id_to_incarnation";
    EpochRow in "epoch_to_row";
    SiblingRow in "owner_and_kind_to_sibling";
    OwnerRow in "uid_to_owner";
    WantedRow in "uid_to_wanted_owner";
    PodRow in "number_to_pod";
    RunRow in "run_to_row";
    GapRow in "gap_to_row";
    WatchRow in "kind_to_watch";
    KindRow in "kind_id_to_kind";
    WriterRow in "meta";
    MarkRow in "meta";
    BackupRow in "meta";
}

/// A UID, packed as [`keys::uid`] says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub(crate) struct UidBytes(Vec<u8>);

impl UidBytes {
    /// As [`keys::uid`] says.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<&Uid> for UidBytes {
    fn from(uid: &Uid) -> Self {
        Self(keys::uid(uid))
    }
}

impl From<&UidBytes> for Uid {
    /// Bytes that are no UID, which a checked row does not hold, give an empty one.
    fn from(bytes: &UidBytes) -> Self {
        keys::uid_of(&bytes.0).unwrap_or_default()
    }
}

/// The state of one incarnation of an object.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct ObjectRow {
    /// UID; `None` of a deleted pod that has a lifecycle, whose row tells it.
    pub uid: Option<UidBytes>,
    /// Whether it exists.
    pub live: bool,
    /// Sequence number of the event with which this row was written: it is not written with every version.
    pub last_seq: u64,
    /// Hash of what counts as a change of that version; later ones have theirs behind them. `None` once it is deleted.
    pub change_hash: Option<ChangeHash>,
    /// Kind number of its last version.
    pub kind: u64,
}

/// How much of a change hash is stored, bytes: enough that no two versions of an object meet by chance.
pub(crate) const CHANGE_HASH_BYTES: usize = 16;

/// The stored part of a change hash.
pub(crate) type ChangeHash = [u8; CHANGE_HASH_BYTES];

/// Cuts a change hash to what is stored.
pub(crate) fn change_hash(hash: &[u8; 32]) -> Option<[u8; CHANGE_HASH_BYTES]> {
    hash.first_chunk().copied()
}

/// What never changes of an incarnation, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum IncarnationRow {
    /// All of it.
    Whole {
        group: String,
        kind: String,
        namespace: String,
        name: String,
        uid: UidBytes,
    },
    /// It is the pod of this number, whose row tells its name and UID. A lifecycle is never dropped before the object.
    Pod(u64),
}

/// What never changes of an incarnation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Incarnation {
    pub(crate) key: ObjectKey,
    pub(crate) uid: Uid,
    /// Number of its lifecycle, where its row refers to that.
    pub(crate) pod: Option<u64>,
}

impl IncarnationRow {
    pub(crate) fn new(key: &ObjectKey, uid: &Uid) -> Self {
        let ObjectKey {
            group,
            kind,
            namespace,
            name,
        } = key.clone();
        Self::Whole {
            group,
            kind,
            namespace,
            name,
            uid: uid.into(),
        }
    }
}

impl Incarnation {
    /// The incarnation whose row refers to a lifecycle.
    pub(crate) fn of_pod(number: u64, pod: &PodRow) -> Self {
        let Gvk { group, kind, .. } = Gvk::pod();
        Self {
            key: ObjectKey::new(group, kind, &*pod.namespace, &*pod.name),
            uid: Uid::from(&pod.uid),
            pod: Some(number),
        }
    }
}

/// An epoch: a stretch of the record with its own list of what was alive in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct EpochRow {
    /// Time of the last event before the epoch.
    pub start_us: i64,
    /// Sequence number of the last event before the epoch.
    pub start_seq: u64,
}

/// An owner, as the objects that it owns name it. What else is known of it is in its own row.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub(crate) struct OwnerRefRow {
    pub kind: String,
    pub uid: UidBytes,
}

impl From<&OwnerRef> for OwnerRefRow {
    fn from(owner: &OwnerRef) -> Self {
        Self {
            kind: owner.kind.clone(),
            uid: (&owner.uid).into(),
        }
    }
}

/// What a new object of an owner is compared with, for the sake of short keyframes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct SiblingRow {
    /// The base that its siblings share; 0: there is none yet, but an object whose group begins with a keyframe.
    pub base: u64,
    /// Id of the object.
    pub object: u64,
    /// Time of the first version of that group.
    pub first_us: i64,
    /// Sequence number of the first version of that group.
    pub first_seq: u64,
    /// Sequence number of the change that used or made this row last.
    pub last_seq: u64,
}

/// An object as an owner of others.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
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

    /// What a pod's lifecycle tells of the pod.
    pub(crate) fn of_pod(pod: PodRow) -> Self {
        let Gvk {
            group,
            version,
            kind,
        } = Gvk::pod();
        Self {
            group,
            version,
            kind,
            namespace: pod.namespace,
            name: pod.name,
            owners: pod.owners,
            object: pod.object,
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
    pub uid: UidBytes,
    pub namespace: String,
    pub name: String,
    /// SimKube's pod-spec hash of the first version seen.
    pub spec_hash: u64,
    pub owners: Vec<OwnerRefRow>,
    pub given_owner: Option<GivenOwner>,
    /// Object id, where the pod is recorded as an object too.
    pub object: Option<u64>,
    pub times: PodTimes,
    /// Whether it is known to have been deleted.
    pub gone: bool,
}

/// When a pod ran, as far as it is known: microseconds since the Unix epoch. How it is stored is said in
/// [`super::pod_times`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PodTimes {
    /// When its first container started; never moves once known.
    pub start_us: Option<i64>,
    /// `finishedAt` of the last containers, as the last status told it; not the end while the pod may run again.
    pub containers_end_us: Option<i64>,
    /// When it ended (R14). Moves once at most: from when that was seen to what its containers tell later.
    pub end_us: Option<i64>,
    /// The end was inferred: the pod ended after this time.
    pub end_since_us: Option<i64>,
}

/// One run of a recorder.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct RunRow {
    pub start_us: i64,
    /// Time of the run's last commit; of the last run, unless it is closed, [`WriterRow::last_us`] tells it.
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
    /// Number of the dictionary for its bodies; 0 while it has none.
    pub dictionary: u64,
}

impl KindRow {
    /// Of a kind of which nothing has been recorded yet.
    pub(crate) fn new(gvk: Gvk) -> Self {
        let Gvk {
            group,
            version,
            kind,
        } = gvk;
        Self {
            group,
            version,
            kind,
            applies: 0,
            deletes: 0,
            body_bytes: 0,
            live: 0,
            dictionary: 0,
        }
    }

    pub(crate) fn gvk(&self) -> Gvk {
        Gvk::new(&*self.group, &*self.version, &*self.kind)
    }
}

/// The number that stands for a group and kind, whatever the version: the least of its kind numbers. It never changes,
/// for later versions get greater ones.
pub(crate) fn identity_kind<'r>(
    kinds: impl IntoIterator<Item = (&'r u64, &'r KindRow)>,
    group: &str,
    kind: &str,
) -> Option<u32> {
    kinds
        .into_iter()
        .filter(|(_, row)| row.group == group && row.kind == kind)
        .map(|(number, _)| *number)
        .min()
        .and_then(|number| u32::try_from(number).ok())
}

/// Which file the store lies in (see `store::mark`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct MarkRow {
    pub inode: u64,
    /// When the file was made, as its file system tells it: nanoseconds.
    pub born_ns: i64,
    /// The time of the file's last change, where it was closed cleanly and nothing wrote to it since.
    pub closed_us: Option<i64>,
}
