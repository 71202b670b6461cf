//! Lifecycles get their numbers: those of recorded objects in the order of the objects, then the others as they began.

use redb::Database;

use super::{v1, write};
use crate::limits::MIGRATION_BATCH_ROWS;
use crate::model::{ObjectKey, Uid};
use crate::store::lookup::Lookup;
use crate::store::rows::{GivenOwner, IncarnationRow, ObjectRow, PodRow, UidBytes, WriterRow};
use crate::store::scratch::Scratch;
use crate::store::tables::{get, put};
use crate::store::{StoreError, WriteTables, codec, keys, pod_index};

/// Lifecycles that have no numbers yet.
pub(super) struct Lifecycles {
    rows: Scratch,
}

impl Lifecycles {
    pub(super) fn new() -> Self {
        Self {
            rows: Scratch::new(&std::env::temp_dir()),
        }
    }

    pub(super) fn add(&mut self, pod: &PodRow) -> Result<(), StoreError> {
        let (class, order) = match pod.object {
            Some(object) => (0u8, object),
            None => {
                let start = pod.times.start_us.or(pod.times.end_us).unwrap_or(i64::MAX);
                (1, start.cast_unsigned() ^ 1 << 63)
            }
        };
        let mut key = vec![class];
        key.extend_from_slice(&order.to_be_bytes());
        key.extend_from_slice(&keys::uid(&Uid::from(&pod.uid)));
        let value = codec::encode(&[], pod)?;
        self.rows.insert(key, value)
    }

    /// Writes all of them.
    pub(super) fn write(self, to: &Database, writer: &mut WriterRow) -> Result<(), StoreError> {
        let mut rows = self.rows.into_entries()?.peekable();
        while rows.peek().is_some() {
            write(to, |tables| {
                for entry in rows.by_ref().take(MIGRATION_BATCH_ROWS) {
                    let pod: PodRow = codec::decode(&[], entry?.1.as_slice())?;
                    writer.last_pod += 1;
                    let number = writer.last_pod;
                    put(&mut tables.pods, number, &pod)?;
                    pod_index::list(tables, number, &pod)?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// The row of an incarnation, which refers to its lifecycle where there is one. Those are written by now.
pub(super) fn incarnation(
    tables: &WriteTables<'_>,
    key: &ObjectKey,
    uid: &Uid,
) -> Result<IncarnationRow, StoreError> {
    if is_pod(key)
        && let Some((number, pod)) = tables.pod(uid)?
        && (&pod.namespace, &pod.name) == (&key.namespace, &key.name)
    {
        return Ok(IncarnationRow::Pod(number));
    }
    Ok(IncarnationRow::new(key, uid))
}

/// What an object's row says of its UID. Incarnations are written by now.
pub(super) fn uid_of_object(
    tables: &WriteTables<'_>,
    key: &ObjectKey,
    id: u64,
    live: bool,
    uid: &Uid,
) -> Result<Option<UidBytes>, StoreError> {
    if !live
        && is_pod(key)
        && let Some(IncarnationRow::Pod(_)) = get(&tables.incarnations, id)?
    {
        return Ok(None);
    }
    Ok(Some(uid.into()))
}

fn is_pod(key: &ObjectKey) -> bool {
    key.group.is_empty() && key.kind == "Pod"
}

/// Lists a pod in an epoch. One whose lifecycle is gone, which retention left in the list, is left out.
pub(super) fn list(tables: &mut WriteTables<'_>, epoch: u64, uid: &Uid) -> Result<(), StoreError> {
    match tables.pod(uid)? {
        Some((number, _)) => tables
            .alive_pods
            .insert(&keys::epoch_pod(epoch, number), &[]),
        None => Ok(()),
    }
}

/// Writes an object's row.
pub(super) fn put_object(
    tables: &mut WriteTables<'_>,
    key: &[u8],
    uid: &Uid,
    row: ObjectRow,
) -> Result<(), StoreError> {
    let (object, id) = keys::object_of("object_to_row", key)?;
    let uid = uid_of_object(tables, &object, id, row.live, uid)?;
    put(&mut tables.objects, key, &ObjectRow { uid, ..row })
}

impl From<v1::GivenOwner> for GivenOwner {
    fn from(given: v1::GivenOwner) -> Self {
        Self {
            group: given.group,
            version: given.version,
            kind: given.kind,
            name: given.name,
        }
    }
}
