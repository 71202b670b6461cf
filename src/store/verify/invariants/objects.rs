//! Objects: their rows, their histories and their places in the lists of epochs.

use std::collections::BTreeMap;

use super::Checking;
use crate::model::Uid;
use crate::store::codec::{Row, hex};
use crate::store::lookup::{FIRST, LAST, Lookup};
use crate::store::rows::{Incarnation, IncarnationRow, KindRow, ObjectRow};
use crate::store::tables::Rows;
use crate::store::{StoreError, keys, versions};

impl Checking<'_, '_> {
    /// `object_to_row` agrees with the history of each object, and with `id_to_incarnation`.
    pub(super) fn objects(&mut self) -> Result<(), StoreError> {
        let tables = self.tables;
        let mut live = BTreeMap::<u64, u64>::new();
        for entry in tables.objects.iter()? {
            let (bytes, value) = entry?;
            let name = hex(bytes.value());
            let parsed = self
                .findings
                .keep(keys::object_of(ObjectRow::TABLE, bytes.value()))?;
            let found = self.row::<&[u8], ObjectRow>(bytes.value(), value.value())?;
            let (Some((key, id)), Some(object)) = (parsed, found) else {
                continue;
            };
            let incarnation = self.findings.keep(tables.incarnation(id))?.flatten();
            let agrees = incarnation.is_some_and(|row| {
                row.key == key
                    && match &object.uid {
                        Some(uid) => Uid::from(uid) == row.uid,
                        None => !object.live && row.pod.is_some(),
                    }
            });
            if !agrees {
                let what = format!("id_to_incarnation says otherwise of object {id}");
                self.findings.add(ObjectRow::TABLE, &name, what);
            }
            let last = self.findings.keep(versions::last(tables, id))?.flatten();
            let agrees = last.is_some_and(|(last, hash)| {
                let is_of_row = last.event.seq == object.last_seq;
                let told = if object.live {
                    // Later versions have their hashes behind them.
                    let told = if is_of_row { object.change_hash } else { hash };
                    last.event.seq >= object.last_seq && told.is_some()
                } else {
                    is_of_row && hash.is_none() && object.change_hash.is_none()
                };
                told && last.deleted != object.live && last.kind == object.kind
            });
            if !agrees {
                self.findings.add(
                    ObjectRow::TABLE,
                    &name,
                    "it does not agree with the end of its history",
                );
            }
            if object.live {
                *live.entry(object.kind).or_default() += 1;
            }
        }
        for (number, kind) in self.snapshot.kinds() {
            let counted = live.get(number).copied().unwrap_or_default();
            if kind.live != counted {
                self.findings.add(
                    KindRow::TABLE,
                    &hex(&number.to_be_bytes()),
                    format!(
                        "{counted} objects of {} exist, {} are counted",
                        kind.gvk(),
                        kind.live
                    ),
                );
            }
        }
        Ok(())
    }

    /// Every object id has its row, a beginning, and its places in the lists of epochs.
    pub(super) fn incarnations(&mut self) -> Result<(), StoreError> {
        const TABLE: &str = IncarnationRow::TABLE;
        let tables = self.tables;
        let epochs = self.epochs()?;
        for entry in tables.incarnations.iter()? {
            let (id, value) = entry?;
            let id = id.value();
            let name = hex(&id.to_be_bytes());
            let Some(row) = self.row::<u64, IncarnationRow>(id, value.value())? else {
                continue;
            };
            let incarnation = self.findings.keep(tables.incarnation_of(id, row))?;
            let Some(Incarnation { key, uid, pod }) = incarnation else {
                continue;
            };
            // What a pod is as an owner, its lifecycle tells.
            let is_pod = pod.is_some() || (key.group.is_empty() && key.kind == "Pod");
            if !is_pod && tables.owners.get(keys::uid(&uid).as_slice())?.is_none() {
                let what = format!("{key} has no row in uid_to_owner");
                self.findings.add(TABLE, &name, what);
            }
            if tables
                .objects
                .get(keys::object(&key, id).as_slice())?
                .is_none()
            {
                let what = format!("{key} has no row in object_to_row");
                self.findings.add(TABLE, &name, what);
            }
            let first = self
                .findings
                .keep(tables.version_from(id, FIRST, LAST))?
                .flatten();
            if first.is_none_or(|version| version.deleted) {
                let what = format!("the history of {key} has no beginning");
                self.findings.add(TABLE, &name, what);
            }
            if let Some(first) = first {
                self.listed(&epochs, id, &key, first.event)?;
            }
            if id > self.writer.last_object {
                let what = format!("the last object id given is {}", self.writer.last_object);
                self.findings.add(TABLE, &name, what);
            }
        }
        Ok(())
    }
}
