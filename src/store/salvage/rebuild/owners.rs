//! Owners whose rows are lost: those that are recorded tell of themselves, the others cannot be made anew.

use super::Rebuild;
use crate::limits::{SALVAGE_ROWS_PER_COMMIT, SWEEP_MARKS_BYTES_MAX};
use crate::model::{Gvk, OwnerFacts, OwnerRef, Uid};
use crate::store::body::compress::Decompressor;
use crate::store::lookup::{FIRST, LAST, Lookup};
use crate::store::rows::{Incarnation, IncarnationRow, OwnerRefRow, OwnerRow, PodRow};
use crate::store::scratch::Scratch;
use crate::store::tables::{ReadTables, Rows, put, row};
use crate::store::{StoreError, keys, versions};

impl Rebuild<'_, '_> {
    /// Makes the rows of recorded objects as owners anew where they are missing: what an object owns, and who owns it, is
    /// asked of them. Also of pods whose lifecycle, which would tell the same, is lost.
    pub(super) fn remake_owners(&mut self) -> Result<(), StoreError> {
        let tables = self.read()?;
        self.counter
            .begin("looking for owners", tables.incarnations.about()?)?;
        let decompressor = Decompressor::default();
        let mut missing: Vec<(Uid, OwnerRow)> = Vec::new();
        let mut made = 0;
        for entry in tables.incarnations.iter()? {
            let (id, value) = entry?;
            self.counter.row()?;
            let id = id.value();
            let incarnation: IncarnationRow = row::<u64, _>(id, value.value())?;
            let incarnation = tables.incarnation_of(id, incarnation)?;
            if incarnation.pod.is_some() {
                continue;
            }
            // A page of an earlier commit knew the object before it was recorded.
            if tables
                .owner(&incarnation.uid)?
                .is_some_and(|row| row.object.is_some())
            {
                continue;
            }
            if let Some(row) = self.owner_of_body(&tables, &decompressor, id, &incarnation)? {
                missing.push((incarnation.uid, row));
                made += 1;
            }
            if missing.len() >= SALVAGE_ROWS_PER_COMMIT {
                self.store_owners(&mut missing)?;
            }
        }
        self.store_owners(&mut missing)?;
        if made > 0 {
            self.salvage.notes.push(format!(
                "what {made} objects are as owners of others was lost, and is made anew from the objects"
            ));
        }
        Ok(())
    }

    fn store_owners(&self, missing: &mut Vec<(Uid, OwnerRow)>) -> Result<(), StoreError> {
        self.write(|tables| {
            missing.drain(..).try_for_each(|(uid, row)| {
                put(&mut tables.owners, keys::uid(&uid).as_slice(), &row)
            })
        })
    }

    /// What the last version of an object that has a body tells of it.
    fn owner_of_body(
        &self,
        tables: &ReadTables,
        decompressor: &Decompressor,
        id: u64,
        incarnation: &Incarnation,
    ) -> Result<Option<OwnerRow>, StoreError> {
        let mut last = None;
        for version in versions::range(tables, id, FIRST, LAST)? {
            let version = version?;
            if !version.deleted {
                last = Some(version);
            }
        }
        let Some(last) = last else {
            return Ok(None);
        };
        let Some(kind) = self.kinds.get(&last.kind) else {
            return Ok(None);
        };
        let body = versions::body(tables, decompressor, id, last.event)?;
        let object: Option<serde_json::Value> = rmp_serde::from_slice(&body).ok();
        let references = object
            .as_ref()
            .and_then(|object| object.pointer("/metadata/ownerReferences")?.as_array());
        // What is recorded has been read once, so its references are such.
        let owners: Vec<OwnerRef> = references.map_or(Vec::new(), |references| {
            references
                .iter()
                .filter_map(|owner| serde_json::from_value(owner.clone()).ok())
                .collect()
        });
        let facts = OwnerFacts {
            gvk: kind.gvk(),
            namespace: incarnation.key.namespace.clone(),
            name: incarnation.key.name.clone(),
            owners,
        };
        Ok(Some(OwnerRow::new(&facts, Some(id))))
    }

    /// Counts the owners that pods and owners refer to and of which nothing is known. In an intact store those are owners
    /// that were never found; in a broken one nothing tells these from those that are lost.
    pub(super) fn owners_lost(&mut self) -> Result<(), StoreError> {
        if self.salvage.is_intact {
            return Ok(());
        }
        let tables = self.read()?;
        let mut lost = Lost {
            tables: &tables,
            uids: Scratch::with_limit(&std::env::temp_dir(), SWEEP_MARKS_BYTES_MAX),
            count: 0,
        };
        let mut owned = 0_u64;
        for entry in tables.pods.iter()? {
            let (number, value) = entry?;
            self.counter.row()?;
            let pod: PodRow = row::<u64, _>(number.value(), value.value())?;
            owned += u64::from(lost.refers(&pod.owners)?);
        }
        for entry in tables.owners.iter()? {
            let (uid, value) = entry?;
            self.counter.row()?;
            let owner: OwnerRow = row::<&[u8], _>(uid.value(), value.value())?;
            // Pods have been asked already.
            if owner.gvk() != Gvk::pod() {
                owned += u64::from(lost.refers(&owner.owners)?);
            }
        }
        self.salvage.owners_lost = lost.count;
        if lost.count > 0 {
            self.salvage.notes.push(format!(
                "{owned} pods and objects name an owner of which nothing is left: an export takes them as nobody's, or \
                 leaves their lifecycles out"
            ));
        }
        Ok(())
    }
}

/// Owners that are referred to and are not there.
struct Lost<'t> {
    tables: &'t ReadTables,
    uids: Scratch,
    count: u64,
}

impl Lost<'_> {
    /// Whether one of these owners is lost.
    fn refers(&mut self, owners: &[OwnerRefRow]) -> Result<bool, StoreError> {
        let mut any = false;
        for owner in owners {
            let uid = Uid::from(&owner.uid);
            let key = keys::uid(&uid);
            if self.tables.owners.get(key.as_slice())?.is_some()
                || self.tables.wanted.get(uid.0.as_str())?.is_some()
                || self.tables.pod(&uid)?.is_some()
            {
                continue;
            }
            any = true;
            if self.uids.get(&key)?.is_none() {
                self.uids.insert(key, Vec::new())?;
                self.count += 1;
            }
        }
        Ok(any)
    }
}
