//! What happened to one object, over all its incarnations.

use super::state::decode_body;
use crate::limits::HISTORY_CURSORS_BYTES_MAX;
use crate::model::{Action, EventKey, Gvk, ObjectKey, TimeRange, Timestamp, Uid};
use crate::store::lookup::Lookup;
use crate::store::versions::{self, Cursors, Version};
use crate::store::{Snapshot, StoreError};

/// One change of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryEntry {
    /// Its place in the record.
    pub event: EventKey,
    /// What it did.
    pub action: Action,
    /// Kind, in the version that the object was read in.
    pub gvk: Gvk,
    /// Which incarnation it happened to.
    pub uid: Uid,
    /// The change was inferred: it happened after this time, at `event.at` at the latest (R9).
    pub since: Option<Timestamp>,
    /// The object was there when its kind was listed for the first time.
    pub initial: bool,
    /// The object after the change, as MessagePack; `None` for a delete.
    pub body: Option<Vec<u8>>,
}

impl HistoryEntry {
    /// The object after the change, as JSON; `None` for a delete.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the body is not MessagePack.
    pub fn object(&self) -> Result<Option<serde_json::Value>, StoreError> {
        self.body
            .as_ref()
            .map(|body| decode_body(self.event, body))
            .transpose()
    }
}

impl Snapshot {
    /// The changes of an object in a window, oldest first, over all incarnations of its name. What retention has dropped is
    /// not among them: ask for [`Snapshot::horizon`].
    ///
    /// # Errors
    /// What the file system says; [`StoreError::Damaged`] for a damaged row.
    pub fn history(
        &self,
        key: &ObjectKey,
        window: TimeRange,
    ) -> Result<impl Iterator<Item = Result<HistoryEntry, StoreError>> + '_, StoreError> {
        let from = EventKey {
            at: window.start,
            seq: 0,
        };
        let (from, to) = (
            from.max(self.horizon().event()),
            EventKey {
                at: window.end,
                seq: 0,
            },
        );
        let incarnations = self.incarnations_of(key)?.into_iter();
        Ok(incarnations.flat_map(move |id| {
            let entries: Box<dyn Iterator<Item = Result<HistoryEntry, StoreError>> + '_> =
                match self.history_of(id, from, to) {
                    Err(error) => Box::new(std::iter::once(Err(error))),
                    Ok(entries) => Box::new(entries),
                };
            entries
        }))
    }

    /// The changes of one incarnation.
    fn history_of(
        &self,
        id: u64,
        from: EventKey,
        to: EventKey,
    ) -> Result<impl Iterator<Item = Result<HistoryEntry, StoreError>> + '_, StoreError> {
        let uid = self.tables().incarnation(id)?.map(|row| row.uid);
        let uid = uid.unwrap_or_default();
        let mut cursors = Cursors::new(HISTORY_CURSORS_BYTES_MAX);
        let versions = versions::range(self.tables(), id, from, to)?;
        Ok(versions
            .map(move |version| self.history_entry(id, uid.clone(), &version?, &mut cursors)))
    }

    /// Whether anything was ever recorded of an object of this name.
    ///
    /// # Errors
    /// As [`Snapshot::history`].
    pub fn is_recorded(&self, key: &ObjectKey) -> Result<bool, StoreError> {
        Ok(!self.incarnations_of(key)?.is_empty())
    }

    fn history_entry(
        &self,
        id: u64,
        uid: Uid,
        version: &Version,
        cursors: &mut Cursors,
    ) -> Result<HistoryEntry, StoreError> {
        let event = version.event;
        let header = self.tables().header(event)?;
        let mut body = None;
        if !header.deleted {
            let mut bytes = vec![0; version.body_len as usize];
            cursors.body(self.tables(), id, event, &mut bytes)?;
            body = Some(bytes);
        }
        Ok(HistoryEntry {
            event,
            action: header.action(),
            gvk: self.gvk(version.kind)?,
            uid,
            since: header.since_us.map(Timestamp::from_micros),
            initial: header.initial,
            body,
        })
    }
}
