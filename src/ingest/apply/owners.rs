//! Who owns whom: facts by UID, and the list of owners that still have to be looked up (R12).

use crate::store::tables::ReadableTable;

use super::Apply;
use crate::model::{OwnerFacts, OwnerRef, Timestamp, Uid};
use crate::store::lookup::Lookup;
use crate::store::rows::{OwnerRow, WantedRow};
use crate::store::tables::{Rows, get, put};
use crate::store::{StoreError, keys};

/// How long an owner that the API server does not have is asked for, microseconds. A later reference to it asks anew.
const WANTED_US_MAX: i64 = 24 * 3_600 * 1_000_000;

impl Apply<'_, '_> {
    /// An object is known by UID: others that name it as their owner have what they need.
    pub(super) fn owner_known(
        &mut self,
        at: Timestamp,
        uid: &Uid,
        mut row: OwnerRow,
        owners: &[OwnerRef],
    ) -> Result<(), StoreError> {
        if let Some(sweep) = &mut self.state.sweep {
            sweep.touch(uid);
        }
        // Every change of an object tells of it as an owner, and seldom anything new.
        if self.state.owners.is_known(uid, &row) {
            return Ok(());
        }
        let told = row.clone();
        let known = self.tables.owner(uid)?;
        // An object id, once known, stays: the look-up of the same object does not know it.
        row.object = row.object.or(known.as_ref().and_then(|known| known.object));
        if known.as_ref() == Some(&row) {
            self.state.owners.remember(uid, &told);
            return Ok(());
        }
        self.state.owners.remember(uid, &told);
        put(&mut self.tables.owners, keys::uid(uid).as_slice(), &row)?;
        if known.is_none() {
            self.tables.wanted.remove(uid.0.as_str())?;
        }
        self.owners_wanted(at, &row.namespace, owners)
    }

    /// Puts on the list of look-ups those owners that no watch will bring.
    pub(super) fn owners_wanted(
        &mut self,
        at: Timestamp,
        namespace: &str,
        owners: &[OwnerRef],
    ) -> Result<(), StoreError> {
        for owner in owners {
            if let Some(sweep) = &mut self.state.sweep {
                sweep.touch(&owner.uid);
            }
            if self.state.owners.is_named(&owner.uid) {
                continue;
            }
            let gvk = owner.gvk();
            let uid = owner.uid.0.as_str();
            if self.state.is_tracked(&gvk.group, &gvk.kind) {
                continue;
            }
            if self
                .tables
                .owners
                .get(keys::uid(&owner.uid).as_slice())?
                .is_some()
                || self.tables.wanted.get(uid)?.is_some()
            {
                self.state.owners.name(&owner.uid);
                continue;
            }
            let row = WantedRow {
                api_version: owner.api_version.clone(),
                kind: owner.kind.clone(),
                namespace: namespace.to_owned(),
                name: owner.name.clone(),
                since_us: at.as_micros(),
            };
            put(&mut self.tables.wanted, uid, &row)?;
            self.state.owners.name(&owner.uid);
        }
        Ok(())
    }

    /// The answer to a look-up. Without facts it stays wanted for a day: an API server that has just been restored, or
    /// a look-up in the wrong version, must not lose an owner for good.
    pub(super) fn owner_answered(
        &mut self,
        at: Timestamp,
        uid: &Uid,
        facts: Option<&OwnerFacts>,
    ) -> Result<(), StoreError> {
        if let Some(facts) = facts {
            return self.owner_known(at, uid, OwnerRow::new(facts, None), &facts.owners);
        }
        let wanted: Option<WantedRow> = get(&self.tables.wanted, uid.0.as_str())?;
        if wanted.is_some_and(|row| row.since_us.saturating_add(WANTED_US_MAX) < at.as_micros()) {
            self.tables.wanted.remove(uid.0.as_str())?;
            self.state.owners.forget();
        }
        Ok(())
    }
}
