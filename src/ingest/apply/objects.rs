//! Objects: what is a change, what is a new incarnation, what is a deletion.

use super::epochs::Appears;
use super::{Apply, Certainty};
use crate::model::{Gvk, ObjectKey, ObservedObject, OwnerFacts, Timestamp, Uid};
use crate::store::headers::Header;
use crate::store::lookup::Lookup;
use crate::store::rows::{IncarnationRow, ObjectRow, OwnerRow, PodRow, UidBytes, change_hash};
use crate::store::tables::{get, put};
use crate::store::versions::NewVersion;
use crate::store::{StoreError, keys};

impl Apply<'_, '_> {
    /// The object exists in this version. Recorded when it is new, back again, or differs from its last version in what
    /// counts as a change (R6, R11). Returns its id.
    pub(super) fn object_applied(
        &mut self,
        at: Timestamp,
        object: &ObservedObject,
        certainty: Certainty,
    ) -> Result<u64, StoreError> {
        let newest = self.newest_incarnation(&object.key)?;
        let (id, before) = match newest {
            Some((id, row)) if self.is_of(id, &row, &object.uid)? => {
                if row.live && row.change_hash == change_hash(&object.change_hash) {
                    return Ok(id);
                }
                (id, Some(row))
            }
            // Another object has taken the name: the deletion between the two was missed (R1, R9).
            Some((id, row)) if row.live => {
                self.record_delete(at, &object.key, id, row, None, certainty)?;
                (self.new_incarnation(object)?, None)
            }
            _ => (self.new_incarnation(object)?, None),
        };
        self.record_apply(at, id, object, before.as_ref(), certainty)?;
        Ok(id)
    }

    /// The object is gone, if it is the one that is stored under its name; a late word of an earlier incarnation changes
    /// nothing. `pod`: its lifecycle, where it has one and that is at hand.
    pub(super) fn object_deleted(
        &mut self,
        at: Timestamp,
        key: &ObjectKey,
        uid: &Uid,
        pod: Option<&PodRow>,
        certainty: Certainty,
    ) -> Result<(), StoreError> {
        match self.newest_incarnation(key)? {
            Some((id, row)) if row.live && self.is_of(id, &row, uid)? => {
                self.record_delete(at, key, id, row, pod, certainty)
            }
            _ => Ok(()),
        }
    }

    /// An object that `skipOwned` ignores (R8). One that was recorded before it got an owner leaves the record here. What
    /// a pod's owners are is in its lifecycle.
    pub(super) fn object_skipped(
        &mut self,
        at: Timestamp,
        uid: &Uid,
        facts: &OwnerFacts,
        certainty: Certainty,
        is_pod: bool,
    ) -> Result<(), StoreError> {
        let key = ObjectKey::new(
            &*facts.gvk.group,
            &*facts.gvk.kind,
            &*facts.namespace,
            &*facts.name,
        );
        self.object_deleted(at, &key, uid, None, certainty)?;
        if is_pod {
            return Ok(());
        }
        self.owner_known(at, uid, OwnerRow::new(facts, None), &facts.owners)
    }

    /// Records that an incarnation is gone. `pod`: the lifecycle of a pod, where it is at hand.
    pub(super) fn record_delete(
        &mut self,
        at: Timestamp,
        key: &ObjectKey,
        id: u64,
        mut row: ObjectRow,
        pod: Option<&PodRow>,
        certainty: Certainty,
    ) -> Result<(), StoreError> {
        let event = self.state.next_event(at);
        let header = Header {
            deleted: true,
            object: id,
            body_len: 0,
            since_us: certainty.since.map(Timestamp::as_micros),
            initial: false,
        };
        let version = NewVersion {
            event,
            kind: row.kind,
            spec_hash: 0,
            body: None,
            owner: None,
            initial: false,
            change_hash: None,
        };
        self.record(&header, &version)?;
        if key.is_pod() && self.is_told_by_lifecycle(key, id, pod)? {
            row.uid = None;
        }
        row.live = false;
        row.change_hash = None;
        row.last_seq = event.seq;
        put(&mut self.tables.objects, &keys::object(key, id), &row)?;
        self.state.objects.forget(key);
        self.state.kinds.count(row.kind, |kind| {
            kind.deletes += 1;
            kind.live = kind.live.saturating_sub(1);
        });
        Ok(())
    }

    /// Whether the UID of a pod's incarnation stands in its lifecycle. `pod` spares a look at a random place: it became the
    /// lifecycle of this incarnation, under this name, in the same moment as the incarnation came to refer to it.
    fn is_told_by_lifecycle(
        &self,
        key: &ObjectKey,
        id: u64,
        pod: Option<&PodRow>,
    ) -> Result<bool, StoreError> {
        if pod.is_some_and(|pod| {
            pod.object == Some(id) && pod.namespace == *key.namespace && pod.name == *key.name
        }) {
            return Ok(true);
        }
        let incarnation = get(&self.tables.incarnations, id)?;
        Ok(matches!(incarnation, Some(IncarnationRow::Pod(_))))
    }

    /// The newest incarnation of a name, with its id. Its row has the hash of its last version.
    pub(super) fn newest_incarnation(
        &mut self,
        key: &ObjectKey,
    ) -> Result<Option<(u64, ObjectRow)>, StoreError> {
        if let Some(known) = self.state.objects.get(key) {
            return Ok(Some(known));
        }
        let Some((id, mut row)) = self.tables.newest_incarnation(key)? else {
            return Ok(None);
        };
        if row.live
            && let Some((last, hash)) = self.state.bodies.last(self.tables, id)?
            && last.event.seq != row.last_seq
        {
            row.last_seq = last.event.seq;
            row.change_hash = hash;
        }
        Ok(Some((id, row)))
    }

    /// Whether an incarnation has this UID.
    fn is_of(&self, id: u64, row: &ObjectRow, uid: &Uid) -> Result<bool, StoreError> {
        Ok(match &row.uid {
            Some(known) => *known == UidBytes::from(uid),
            None => self
                .tables
                .incarnation(id)?
                .is_some_and(|incarnation| incarnation.uid == *uid),
        })
    }

    fn new_incarnation(&mut self, object: &ObservedObject) -> Result<u64, StoreError> {
        self.state.row.last_object += 1;
        let id = self.state.row.last_object;
        put(
            &mut self.tables.incarnations,
            id,
            &IncarnationRow::new(&object.key, &object.uid),
        )?;
        Ok(id)
    }

    /// Records a version of an incarnation, whatever the one before was. `before` is the row that it has so far.
    pub(super) fn record_apply(
        &mut self,
        at: Timestamp,
        id: u64,
        object: &ObservedObject,
        before: Option<&ObjectRow>,
        certainty: Certainty,
    ) -> Result<(), StoreError> {
        let kind = self.state.kinds.number(&object_gvk(object));
        let event = self.state.next_event(at);
        let header = Header {
            deleted: false,
            object: id,
            body_len: u32::try_from(object.body.len()).unwrap_or(u32::MAX),
            since_us: certainty.since_of_presence().map(Timestamp::as_micros),
            initial: certainty.initial,
        };
        let row = ObjectRow {
            uid: Some((&object.uid).into()),
            live: true,
            last_seq: event.seq,
            change_hash: change_hash(&object.change_hash),
            kind,
        };
        // Where nothing else of the row changes, the hash goes with the version.
        let is_told = before
            .is_some_and(|before| before.live && before.uid == row.uid && before.kind == row.kind);
        let version = NewVersion {
            event,
            kind,
            spec_hash: object.spec_hash,
            body: Some(&object.body),
            owner: object.owners.first().map(|owner| &owner.uid),
            initial: certainty.initial,
            change_hash: row.change_hash.filter(|_| is_told),
        };
        self.record(&header, &version)?;
        if !is_told {
            put(
                &mut self.tables.objects,
                &keys::object(&object.key, id),
                &row,
            )?;
        }
        if certainty.initial {
            // There is much of it, and most of it does not change soon.
            self.state.objects.forget(&object.key);
        } else {
            self.state.objects.remember(&object.key, (id, row.clone()));
        }
        let was_live = before.filter(|row| row.live);
        if let Some(row) = was_live {
            self.state
                .kinds
                .count(row.kind, |kind| kind.live = kind.live.saturating_sub(1));
        } else {
            let appears = Appears {
                is_new: before.is_none(),
                is_initial: certainty.initial,
            };
            self.object_alive(&object.key.group, &object.key.kind, id, appears)?;
        }
        let body_bytes = object.body.len() as u64;
        self.state.kinds.count(kind, |kind| {
            kind.applies += 1;
            kind.body_bytes += body_bytes;
            kind.live += 1;
        });
        Ok(())
    }

    fn record(&mut self, header: &Header, version: &NewVersion<'_>) -> Result<(), StoreError> {
        let state = &mut *self.state;
        state.headers.append(self.tables, version.event, header)?;
        state.row.changes += 1;
        state.packing.note(1);
        let dictionary = state.kinds.dictionary(version.kind);
        let made = state.bodies.append(
            self.tables,
            &mut state.row,
            header.object,
            dictionary,
            version,
        )?;
        if let Some(dictionary) = made {
            state
                .kinds
                .count(version.kind, |kind| kind.dictionary = dictionary);
        }
        Ok(())
    }

    /// Others may name the object as their owner.
    pub(super) fn object_as_owner(
        &mut self,
        object: &ObservedObject,
        id: u64,
    ) -> Result<(), StoreError> {
        let facts = OwnerFacts {
            gvk: object_gvk(object),
            namespace: object.key.namespace.clone(),
            name: object.key.name.clone(),
            owners: object.owners.clone(),
        };
        let at = Timestamp::from_micros(self.state.row.last_us);
        self.owner_known(
            at,
            &object.uid,
            OwnerRow::new(&facts, Some(id)),
            &facts.owners,
        )
    }
}

fn object_gvk(object: &ObservedObject) -> Gvk {
    Gvk::new(&*object.key.group, &*object.version, &*object.key.kind)
}
