//! What existed at a time.

use std::ops::Range;

use super::body_json;
use super::state_ahead::{Reads, StateAhead};
use crate::model::{EventKey, Gvk, ObjectKey, Timestamp, Uid};
use crate::store::lookup::{Lookup, as_slice};
use crate::store::tables::Rows;
use crate::store::versions::Version;
use crate::store::{Snapshot, StoreError, keys};

/// One version of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectVersion {
    /// Kind, in the version that the object was read in.
    pub gvk: Gvk,
    /// Its name.
    pub key: ObjectKey,
    /// Which incarnation it is.
    pub uid: Uid,
    /// The change that made this version.
    pub event: EventKey,
    /// The object as MessagePack with string field names.
    pub body: Vec<u8>,
}

impl ObjectVersion {
    /// The object as JSON.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the body is not MessagePack.
    pub fn object(&self) -> Result<serde_json::Value, StoreError> {
        decode_body(self.event, &self.body)
    }

    /// The text of [`ObjectVersion::object`], compact and on one line.
    ///
    /// # Errors
    /// As [`ObjectVersion::object`].
    pub fn json(&self) -> Result<Vec<u8>, StoreError> {
        match body_json::json(&self.body) {
            Some(text) => Ok(text),
            None => Ok(self.object()?.to_string().into_bytes()),
        }
    }
}

/// A body as JSON.
pub(crate) fn decode_body(event: EventKey, body: &[u8]) -> Result<serde_json::Value, StoreError> {
    rmp_serde::from_slice(body).map_err(|error| StoreError::Damaged {
        table: crate::store::versions::TABLE,
        key: format!("{} #{}", event.at, event.seq),
        reason: error.to_string(),
    })
}

/// An object that was alive when a range of events began.
#[derive(Clone, Debug)]
pub(crate) struct Alive {
    pub(crate) id: u64,
    /// The version that it had then.
    pub(crate) version: Version,
    /// It changes in the range.
    pub(crate) changes: bool,
    /// SimKube's hash of its spec as the range ends; `None`: it is deleted then.
    pub(crate) last_spec_hash: Option<u64>,
}

impl Snapshot {
    /// Every object that existed at `at`, changes at that very microsecond included, in the version it then had.
    /// Ordered by group, kind, namespace, name.
    ///
    /// The cost grows with the number of objects alive around that time, not with the age of the store (X3).
    ///
    /// # Errors
    /// [`StoreError::BeforeHorizon`] where retention has dropped what led there; what the file system says;
    /// [`StoreError::Damaged`] for a damaged row.
    pub fn state_at(
        &self,
        at: Timestamp,
    ) -> Result<impl Iterator<Item = Result<ObjectVersion, StoreError>> + '_, StoreError> {
        self.state_of(at, |_| true)
    }

    /// The same, of those objects only whose names are wanted: the others are not read.
    ///
    /// # Errors
    /// As [`Snapshot::state_at`].
    pub fn state_of<'s>(
        &'s self,
        at: Timestamp,
        is_wanted: impl Fn(&ObjectKey) -> bool + Sync + 's,
    ) -> Result<impl Iterator<Item = Result<ObjectVersion, StoreError>> + 's, StoreError> {
        self.state_made(at, is_wanted, Ok)
    }

    /// The same, each object as `make` makes it, which several threads do at once.
    pub(crate) fn state_made<'s, T: Send + 's>(
        &'s self,
        at: Timestamp,
        is_wanted: impl Fn(&ObjectKey) -> bool + Sync + 's,
        make: impl Fn(ObjectVersion) -> Result<T, StoreError> + Sync + 's,
    ) -> Result<impl Iterator<Item = Result<T, StoreError>> + 's, StoreError> {
        StateAhead::new(self, self.end_of(at)?, Reads::Bodies, is_wanted, make)
    }

    /// The same without the objects' bodies, which are left empty: where nobody looks at them, most of the work is saved.
    ///
    /// # Errors
    /// As [`Snapshot::state_at`].
    pub fn headers_of<'s>(
        &'s self,
        at: Timestamp,
        is_wanted: impl Fn(&ObjectKey) -> bool + Sync + 's,
    ) -> Result<impl Iterator<Item = Result<ObjectVersion, StoreError>> + 's, StoreError> {
        StateAhead::new(self, self.end_of(at)?, Reads::Headers, is_wanted, Ok)
    }

    /// One object as it was at `at`; `None` where it did not exist then.
    ///
    /// # Errors
    /// As [`Snapshot::state_at`].
    pub fn object_at(
        &self,
        key: &ObjectKey,
        at: Timestamp,
    ) -> Result<Option<ObjectVersion>, StoreError> {
        let end = self.end_of(at)?;
        // Incarnations of a name follow each other, so the last one that had begun is the one to ask.
        for id in self.incarnations_of(key)?.into_iter().rev() {
            match self.tables().version_before(id, end)? {
                None => {}
                Some(Version { deleted: true, .. }) => return Ok(None),
                Some(version) => {
                    return self.version(key.clone(), id, &version).map(Some);
                }
            }
        }
        Ok(None)
    }

    /// What the state at `at` follows from lies before this.
    pub(super) fn end_of(&self, at: Timestamp) -> Result<EventKey, StoreError> {
        let horizon = self.horizon();
        let end = at.plus_micros(1);
        if horizon.allows(end) {
            return Ok(EventKey { at: end, seq: 0 });
        }
        Err(StoreError::BeforeHorizon {
            at,
            horizon: horizon.first_start(),
        })
    }

    /// Every object with a wanted id whose last change before some events is not a delete, ordered by kind number and id.
    pub(crate) fn alive_before<'s>(
        &'s self,
        events: Range<EventKey>,
        is_wanted: impl Fn(u64) -> bool + 's,
    ) -> Result<impl Iterator<Item = Result<Alive, StoreError>> + 's, StoreError> {
        let tables = self.tables();
        let Range { start, end } = events;
        let epoch = *tables.epochs_over(start.at, start.at)?.start();
        let (from, to) = keys::prefix_range(&epoch.to_be_bytes());
        let range = tables.alive.range((as_slice(&from), as_slice(&to)))?;
        Ok(range.filter_map(move |entry| {
            let read = || -> Result<Option<Alive>, StoreError> {
                let id = keys::epoch_object_of("epoch_and_object_to_unit", entry?.0.value())?;
                if !is_wanted(id) {
                    return Ok(None);
                }
                let [version, last] = tables.versions_before(id, [start, end])?;
                Ok(version
                    .filter(|version| !version.deleted)
                    .map(|version| Alive {
                        id,
                        version,
                        changes: last.is_some_and(|last| last.event != version.event),
                        last_spec_hash: last
                            .filter(|last| !last.deleted)
                            .map(|last| last.spec_hash),
                    }))
            };
            read().transpose()
        }))
    }

    fn version(
        &self,
        key: ObjectKey,
        id: u64,
        version: &Version,
    ) -> Result<ObjectVersion, StoreError> {
        let uid = self
            .tables()
            .incarnation(id)?
            .map(|row| row.uid)
            .unwrap_or_default();
        Ok(ObjectVersion {
            gvk: self.gvk(version.kind)?,
            key,
            uid,
            event: version.event,
            body: self.body(id, version.event)?,
        })
    }

    /// The ids of all incarnations of a name, oldest first.
    pub(crate) fn incarnations_of(&self, key: &ObjectKey) -> Result<Vec<u64>, StoreError> {
        let (from, to) = keys::prefix_range(&keys::object_prefix(key));
        let mut ids = Vec::new();
        for entry in self
            .tables()
            .objects
            .range((as_slice(&from), as_slice(&to)))?
        {
            ids.push(keys::object_of("object_to_row", entry?.0.value())?.1);
        }
        Ok(ids)
    }
}
