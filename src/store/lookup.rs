//! Point reads that several rooms need, over the tables of either kind of transaction.

use redb::ReadableTable;

use super::codec::Row;
use super::headers::{self, Header};
use super::rows::{
    EpochRow, Incarnation, IncarnationRow, ObjectRow, OwnerRow, PodRow, UidBytes, WriterRow,
};
use super::tables::{Rows, Tables, get, row};
use super::versions::{self, Version};
use super::{StoreError, codec, keys, meta};
use crate::model::{EventKey, Gvk, Horizon, ObjectKey, Timestamp, Uid};

/// Point reads.
pub(crate) trait Lookup: Tables + Sized {
    /// Where the writer stands. The default (nothing written yet) in a new store.
    fn writer_row(&self) -> Result<WriterRow, StoreError> {
        Ok(get(self.meta(), meta::WRITER)?.unwrap_or_default())
    }

    /// How far retention has dropped.
    fn horizon(&self) -> Result<Horizon, StoreError> {
        Ok(self.writer_row()?.horizon())
    }

    /// The newest incarnation of a name, with its id.
    fn newest_incarnation(&self, key: &ObjectKey) -> Result<Option<(u64, ObjectRow)>, StoreError> {
        let prefix = keys::object_prefix(key);
        if !self.objects().may_have(&prefix)? {
            return Ok(None);
        }
        let (start, end) = keys::prefix_range(&prefix);
        let range = (as_slice(&start), as_slice(&end));
        let Some((bytes, value)) = self.objects().last_in(range)? else {
            return Ok(None);
        };
        let (_, id) = keys::object_of("object_to_row", bytes.value())?;
        Ok(Some((id, row::<&[u8], _>(bytes.value(), value.value())?)))
    }

    /// One incarnation of a name.
    fn object(&self, key: &ObjectKey, id: u64) -> Result<Option<ObjectRow>, StoreError> {
        get(self.objects(), keys::object(key, id).as_slice())
    }

    /// The name and the row behind an object id.
    fn incarnation_object(&self, id: u64) -> Result<Option<(ObjectKey, ObjectRow)>, StoreError> {
        let Some(Incarnation { key, .. }) = self.incarnation(id)? else {
            return Ok(None);
        };
        Ok(self.object(&key, id)?.map(|row| (key, row)))
    }

    /// What an object id stands for.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] also when its row refers to a lifecycle that there is not.
    fn incarnation(&self, id: u64) -> Result<Option<Incarnation>, StoreError> {
        match get(self.incarnations(), id)? {
            Some(row) => self.incarnation_of(id, row).map(Some),
            None => Ok(None),
        }
    }

    /// What the row of an object id stands for.
    ///
    /// # Errors
    /// As [`Lookup::incarnation`].
    fn incarnation_of(&self, id: u64, row: IncarnationRow) -> Result<Incarnation, StoreError> {
        match row {
            IncarnationRow::Whole {
                group,
                kind,
                namespace,
                name,
                uid,
            } => Ok(Incarnation {
                key: ObjectKey::new(group, kind, namespace, name),
                uid: Uid::from(&uid),
                pod: None,
            }),
            IncarnationRow::Pod(number) => match self.pod_of(number)? {
                Some(pod) => Ok(Incarnation::of_pod(number, &pod)),
                None => Err(no_pod(id, number)),
            },
        }
    }

    /// The name of an object id and its UID as it is stored: for those who ask for many.
    ///
    /// # Errors
    /// As [`Lookup::incarnation`].
    fn name_of(&self, id: u64) -> Result<Option<(ObjectKey, UidBytes)>, StoreError> {
        Ok(match get(self.incarnations(), id)? {
            None => None,
            Some(IncarnationRow::Whole {
                group,
                kind,
                namespace,
                name,
                uid,
            }) => Some((ObjectKey::new(group, kind, namespace, name), uid)),
            Some(IncarnationRow::Pod(number)) => {
                let pod = self.pod_of(number)?.ok_or_else(|| no_pod(id, number))?;
                let Gvk { group, kind, .. } = Gvk::pod();
                let key = ObjectKey::new(group, kind, pod.namespace, pod.name);
                Some((key, pod.uid))
            }
        })
    }

    /// The last version of an object whose event lies before `end` (exclusive).
    fn version_before(&self, id: u64, end: EventKey) -> Result<Option<Version>, StoreError> {
        versions::version_before(self, id, end)
    }

    /// The last versions of an object before two events, of which the first is not the later one.
    fn versions_before(
        &self,
        id: u64,
        ends: [EventKey; 2],
    ) -> Result<[Option<Version>; 2], StoreError> {
        versions::versions_before(self, id, ends)
    }

    /// The first version of an object whose event lies in [start, end).
    fn version_from(
        &self,
        id: u64,
        start: EventKey,
        end: EventKey,
    ) -> Result<Option<Version>, StoreError> {
        versions::version_from(self, id, start, end)
    }

    /// The version that an event made.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when there is none: whoever names one has read of it in this snapshot.
    fn version(&self, id: u64, event: EventKey) -> Result<Version, StoreError> {
        let end = EventKey {
            at: event.at,
            seq: event.seq.saturating_add(1),
        };
        match self.version_before(id, end)? {
            Some(version) if version.event == event => Ok(version),
            _ => Err(StoreError::Damaged {
                table: versions::TABLE,
                key: codec::hex(&keys::history(id, event)),
                reason: "the version is missing, but others refer to it".to_owned(),
            }),
        }
    }

    /// The header of a change.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when there is none: whoever names an event has read of it in this snapshot.
    fn header(&self, event: EventKey) -> Result<Header, StoreError> {
        let end = EventKey {
            at: event.at,
            seq: event.seq.saturating_add(1),
        };
        match headers::range(self, event, end)?.next() {
            Some(found) => Ok(found?.1),
            None => Err(StoreError::Damaged {
                table: headers::TABLE,
                key: codec::hex(&keys::event(event)),
                reason: "the event is missing, but others refer to it".to_owned(),
            }),
        }
    }

    /// What is known of an owner.
    fn owner(&self, uid: &Uid) -> Result<Option<OwnerRow>, StoreError> {
        get(self.owners(), keys::uid(uid).as_slice())
    }

    /// A pod's lifecycle, with its number.
    fn pod(&self, uid: &Uid) -> Result<Option<(u64, PodRow)>, StoreError> {
        let prefix = keys::pod_uid_prefix(uid);
        if !self.pod_uids().may_have(&prefix)? {
            return Ok(None);
        }
        let (from, to) = keys::prefix_range(&prefix);
        let bytes = UidBytes::from(uid);
        for entry in self.pod_uids().range((as_slice(&from), as_slice(&to)))? {
            let number = keys::pod_uid_of("uid_hash_and_pod_to_unit", entry?.0.value())?;
            if let Some(pod) = self.pod_of(number)?
                && pod.uid == bytes
            {
                return Ok(Some((number, pod)));
            }
        }
        Ok(None)
    }

    /// The lifecycle of a pod number.
    fn pod_of(&self, number: u64) -> Result<Option<PodRow>, StoreError> {
        get(self.pods(), number)
    }

    /// The epochs in which something alive at an instant of [start, end] is listed, as numbers: from the last one that
    /// began before `start`, to the last one that began before or at `end`.
    fn epochs_over(
        &self,
        start: Timestamp,
        end: Timestamp,
    ) -> Result<std::ops::RangeInclusive<u64>, StoreError> {
        let mut first = None;
        let mut last = 0;
        // Newest first: windows are most often recent. There are few epochs: each spans thousands of objects.
        for entry in self.epochs().iter()?.rev() {
            let (number, value) = entry?;
            let epoch: EpochRow = row::<u64, _>(number.value(), value.value())?;
            let began = Timestamp::from_micros(epoch.start_us);
            if began <= end {
                last = last.max(number.value());
            }
            first = Some(number.value());
            if began < start {
                break;
            }
        }
        let first = first.unwrap_or(0);
        Ok(first..=last.max(first))
    }
}

impl<T: Tables> Lookup for T {}

fn no_pod(id: u64, number: u64) -> StoreError {
    StoreError::Damaged {
        table: IncarnationRow::TABLE,
        key: codec::hex(&id.to_be_bytes()),
        reason: format!("there is no pod {number}"),
    }
}

/// Before every event.
pub(crate) const FIRST: EventKey = EventKey {
    at: Timestamp::MIN,
    seq: 0,
};

/// Behind every event.
pub(crate) const LAST: EventKey = EventKey {
    at: Timestamp::MAX,
    seq: u64::MAX,
};

/// The bounds of a range of byte strings, borrowed.
pub(crate) fn as_slice(bound: &std::ops::Bound<Vec<u8>>) -> std::ops::Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}
