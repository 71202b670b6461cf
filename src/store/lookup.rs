//! Point reads that several rooms need, over the tables of either kind of transaction.

use redb::ReadableTable;

use super::rows::{
    EpochRow, EventRow, HistoryRow, HorizonRow, IncarnationRow, ObjectRow, OwnerRow, PodRow,
    WriterRow,
};
use super::tables::{Tables, get, row};
use super::{StoreError, codec, keys, meta};
use crate::model::{EventKey, Horizon, ObjectKey, Timestamp, Uid};

/// Point reads.
pub(crate) trait Lookup: Tables + Sized {
    /// Where the writer stands. The default (nothing written yet) in a new store.
    fn writer_row(&self) -> Result<WriterRow, StoreError> {
        Ok(get(self.meta(), meta::WRITER)?.unwrap_or_default())
    }

    /// How far retention has dropped.
    fn horizon(&self) -> Result<Horizon, StoreError> {
        let row = get::<_, HorizonRow>(self.meta(), meta::HORIZON)?;
        Ok(row.map_or(Horizon::NONE, Horizon::from))
    }

    /// The newest incarnation of a name, with its id.
    fn newest_incarnation(&self, key: &ObjectKey) -> Result<Option<(u64, ObjectRow)>, StoreError> {
        let (start, end) = keys::prefix_range(&keys::object_prefix(key));
        let mut range = self
            .objects()
            .range::<&[u8]>((as_slice(&start), as_slice(&end)))?;
        let Some(entry) = range.next_back() else {
            return Ok(None);
        };
        let (bytes, value) = entry?;
        let (_, id) = keys::object_of("object_to_row", bytes.value())?;
        Ok(Some((id, row::<&[u8], _>(bytes.value(), value.value())?)))
    }

    /// One incarnation of a name.
    fn object(&self, key: &ObjectKey, id: u64) -> Result<Option<ObjectRow>, StoreError> {
        get(self.objects(), keys::object(key, id).as_slice())
    }

    /// What an object id stands for.
    fn incarnation(&self, id: u64) -> Result<Option<IncarnationRow>, StoreError> {
        get(self.incarnations(), id)
    }

    /// The last version of an object whose event lies before `end` (exclusive): its event, and whether it is a delete.
    fn version_before(
        &self,
        id: u64,
        end: EventKey,
    ) -> Result<Option<(EventKey, bool)>, StoreError> {
        let (from, to) = (keys::history(id, FIRST), keys::history(id, end));
        let mut range = self.history().range::<&[u8; 24]>(&from..&to)?;
        let Some(entry) = range.next_back() else {
            return Ok(None);
        };
        let (bytes, value) = entry?;
        let HistoryRow { deleted } = row::<&[u8; 24], _>(bytes.value(), value.value())?;
        Ok(Some((keys::history_event(bytes.value()), deleted)))
    }

    /// The first version of an object whose event lies in [start, end).
    fn version_from(
        &self,
        id: u64,
        start: EventKey,
        end: EventKey,
    ) -> Result<Option<(EventKey, bool)>, StoreError> {
        let (from, to) = (keys::history(id, start), keys::history(id, end));
        let mut range = self.history().range::<&[u8; 24]>(&from..&to)?;
        let Some(entry) = range.next() else {
            return Ok(None);
        };
        let (bytes, value) = entry?;
        let HistoryRow { deleted } = row::<&[u8; 24], _>(bytes.value(), value.value())?;
        Ok(Some((keys::history_event(bytes.value()), deleted)))
    }

    /// The changes from a place on.
    fn events_from(
        &self,
        start: EventKey,
    ) -> Result<impl Iterator<Item = Result<EventKey, StoreError>>, StoreError> {
        let range = self
            .events()
            .range::<&keys::EventBytes>(&keys::event(start)..)?;
        Ok(range.map(|entry| Ok(keys::event_of(entry?.0.value()))))
    }

    /// The header of a change.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when there is none: whoever names an event has read of it in this snapshot.
    fn event(&self, event: EventKey) -> Result<EventRow, StoreError> {
        let bytes = keys::event(event);
        get(self.events(), &bytes)?.ok_or_else(|| StoreError::Damaged {
            table: "event_to_header",
            key: codec::hex(&bytes),
            reason: "the event is missing, but others refer to it".to_owned(),
        })
    }

    /// The object after a change, as MessagePack.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the event has no body, or the bytes are not what was written.
    fn body(&self, event: EventKey) -> Result<Vec<u8>, StoreError> {
        let bytes = keys::event(event);
        match self.bodies().get(&bytes)? {
            Some(sealed) => Ok(codec::unseal(BODY_TABLE, &bytes, sealed.value())?.to_vec()),
            None => Err(StoreError::Damaged {
                table: BODY_TABLE,
                key: codec::hex(&bytes),
                reason: "the body is missing".to_owned(),
            }),
        }
    }

    /// What is known of an owner.
    fn owner(&self, uid: &Uid) -> Result<Option<OwnerRow>, StoreError> {
        get(self.owners(), uid.0.as_str())
    }

    /// A pod's lifecycle.
    fn pod(&self, uid: &Uid) -> Result<Option<PodRow>, StoreError> {
        get(self.pods(), uid.0.as_str())
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

/// Before every event.
pub(crate) const FIRST: EventKey = EventKey {
    at: Timestamp::MIN,
    seq: 0,
};

/// The name that body rows are sealed with.
pub(crate) const BODY_TABLE: &str = "event_to_body";

/// The bounds of a range of byte strings, borrowed.
pub(crate) fn as_slice(bound: &std::ops::Bound<Vec<u8>>) -> std::ops::Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::BODY_TABLE;
    use crate::store::tables::BODIES;
    use redb::TableHandle;

    #[test]
    fn bodies_are_sealed_with_the_name_of_their_table() {
        assert_eq!(BODIES.name(), BODY_TABLE);
    }
}
