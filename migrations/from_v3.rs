//! From versions 2 and 3: lifecycles get numbers, and what repeated their names and UIDs refers to those. Everything is
//! packed on the way, so the new file is not larger than the old one.

use std::ops::Bound;

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition};

use super::lifecycles::{self, Lifecycles};
use super::{v3, write};
use crate::limits::{MIGRATION_BATCH_ROWS, PACKING_STRIDE_ROWS};
use crate::model::{ObjectKey, Uid};
use crate::store::packed::{Edited, Packer, Settled};
use crate::store::rows::{GivenOwner, ObjectRow, OwnerRefRow, PodRow, PodTimes, WriterRow};
use crate::store::tables::{SealedKey, put};
use crate::store::versions::base;
use crate::store::{RowBytes, StoreError, WRITER, WriteTables, codec, keys, unseal};

/// Writes everything that is in `from` into the new file `to`.
pub(super) fn convert(from: &Database, to: &Database) -> Result<(), StoreError> {
    let txn = from.begin_read()?;
    write(to, |_| Ok(()))?;
    copy(&txn, to, v3::EVENTS)?;
    convert_dictionaries(&txn, to)?;
    copy(&txn, to, v3::EPOCHS)?;
    copy(&txn, to, v3::WANTED)?;
    copy(&txn, to, v3::RUNS)?;
    copy(&txn, to, v3::GAPS)?;
    copy(&txn, to, v3::WATCHES)?;
    copy(&txn, to, v3::KINDS)?;
    copy(&txn, to, v3::META)?;
    let mut packing = Packing {
        to,
        packer: Packer::default(),
    };
    packing.convert_equal(&txn)?;
    packing.convert_lifecycles(&txn)
}

/// Dictionaries were not compressed.
fn convert_dictionaries(txn: &ReadTransaction, to: &Database) -> Result<(), StoreError> {
    let table = txn.open_table(v3::DICTIONARIES)?;
    for entry in table.iter()? {
        let (key, _) = entry?;
        let number = base::dictionary_number(key.value());
        let dictionary = v3::dictionary(&table, number)?;
        write(to, |tables| {
            base::insert_dictionary(tables, number, &dictionary)
        })?;
    }
    Ok(())
}

/// A table whose name, keys and rows are the same: the sealed bytes are valid as they are.
fn copy<K: redb::Key + 'static>(
    txn: &ReadTransaction,
    to: &Database,
    definition: TableDefinition<'static, K, &'static [u8]>,
) -> Result<(), StoreError> {
    let table = txn.open_table(definition)?;
    let mut rows = table.iter()?.peekable();
    while rows.peek().is_some() {
        let mut txn = to.begin_write()?;
        // Nothing of it counts before the whole file is synced and renamed.
        txn.set_quick_repair(false);
        {
            let mut table = txn.open_table(definition)?;
            for entry in rows.by_ref().take(MIGRATION_BATCH_ROWS) {
                let (key, value) = entry?;
                table.insert(key.value(), value.value())?;
            }
        }
        txn.commit()?;
    }
    Ok(())
}

/// Writes tables of two parts, and packs what was written.
struct Packing<'a> {
    to: &'a Database,
    packer: Packer,
}

/// Packs all that is in the hot part of a table.
macro_rules! pack {
    ($table:expr, $packer:expr) => {{
        let mut after = Bound::Unbounded;
        loop {
            let all = |_: &[u8], _: RowBytes<'_>, _: Option<&[u8]>| Ok(Settled::AsItIs);
            match $table
                .pack($packer, &after, PACKING_STRIDE_ROWS, Edited::Wait, all)?
                .last
            {
                Some(last) => after = Bound::Excluded(last),
                None => break,
            }
        }
    }};
}

impl Packing<'_> {
    /// Calls `each` with every row, some of them a transaction, and then `pack`.
    fn batches<K: redb::Key + 'static>(
        &mut self,
        rows: v3::Rows<K>,
        mut each: impl FnMut(&mut WriteTables<'_>, &[u8], &[u8]) -> Result<(), StoreError>,
        mut pack: impl FnMut(&mut WriteTables<'_>, &mut Packer) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>
    where
        for<'k> K::SelfType<'k>: SealedKey,
    {
        let mut rows = rows.peekable();
        while rows.peek().is_some() {
            write(self.to, |tables| {
                for entry in rows.by_ref().take(MIGRATION_BATCH_ROWS) {
                    let (key, payload) = entry?;
                    each(tables, &key, &payload)?;
                }
                pack(tables, &mut self.packer)
            })?;
        }
        Ok(())
    }

    /// Tables whose keys and rows are the same.
    fn convert_equal(&mut self, txn: &ReadTransaction) -> Result<(), StoreError> {
        macro_rules! equal {
            ($old:expr, $name:literal => $field:ident, $key:expr) => {
                self.batches(
                    $old.rows(txn)?,
                    |tables, bytes, payload| {
                        let key = $key(bytes).ok_or_else(|| not_a_key($name, bytes))?;
                        let row = codec::seal($name, bytes, payload);
                        tables.$field.insert(key, &row).map(drop)
                    },
                    |tables, packer| {
                        pack!(tables.$field, packer);
                        Ok(())
                    },
                )?
            };
        }
        equal!(v3::VERSIONS, "object_and_event_to_versions" => versions, as_array);
        equal!(v3::BASES, "base_to_body" => bases, as_number);
        equal!(v3::SIBLINGS, "owner_and_kind_to_sibling" => siblings, Some);
        self.batches(
            v3::ALIVE.rows(txn)?,
            |tables, key, _| tables.alive.insert(key, &[]),
            |tables, packer| {
                pack!(tables.alive, packer);
                Ok(())
            },
        )?;
        let owners = txn.open_table(v3::OWNERS)?;
        let mut owners = owners.iter()?.peekable();
        while owners.peek().is_some() {
            write(self.to, |tables| {
                for entry in owners.by_ref().take(MIGRATION_BATCH_ROWS) {
                    let (key, value) = entry?;
                    tables.owners.insert(key.value(), value.value())?;
                }
                pack!(tables.owners, &mut self.packer);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Lifecycles, then what refers to them.
    fn convert_lifecycles(&mut self, txn: &ReadTransaction) -> Result<(), StoreError> {
        let mut lifecycles = Lifecycles::new();
        for entry in v3::PODS.rows(txn)? {
            let (key, payload) = entry?;
            lifecycles.add(&pod(&key, v3::PodRow::read(&key, &payload)?))?;
        }
        if let Some(mut writer) = read_writer(txn)? {
            lifecycles.write(self.to, &mut writer)?;
            write(self.to, |tables| put(&mut tables.meta, WRITER, &writer))?;
        }
        self.pack_lifecycles()?;
        self.batches(
            v3::INCARNATIONS.rows(txn)?,
            |tables, key, payload| {
                let row = v3::IncarnationRow::read(key, payload)?;
                let object = ObjectKey::new(row.group, row.kind, row.namespace, row.name);
                let row = lifecycles::incarnation(tables, &object, &uid(&row.uid))?;
                let id = as_number(key).ok_or_else(|| not_a_key("id_to_incarnation", key))?;
                put(&mut tables.incarnations, id, &row)
            },
            |tables, packer| {
                pack!(tables.incarnations, packer);
                Ok(())
            },
        )?;
        self.batches(
            v3::OBJECTS.rows(txn)?,
            |tables, key, payload| {
                let row = v3::ObjectRow::read(key, payload)?;
                let new = ObjectRow {
                    uid: None,
                    live: row.live,
                    last_seq: row.last_seq,
                    change_hash: row.change_hash,
                    kind: row.kind,
                };
                lifecycles::put_object(tables, key, &uid(&row.uid), new)
            },
            |tables, packer| {
                pack!(tables.objects, packer);
                Ok(())
            },
        )?;
        self.batches(
            v3::ALIVE_PODS.rows(txn)?,
            |tables, key, _| {
                let mut reader = keys::KeyReader::new("epoch_and_pod_to_unit", key);
                let (epoch, _, _) = (reader.number()?, reader.text()?, reader.text()?);
                let rest = key.len() - reader.rest_len();
                lifecycles::list(tables, epoch, &uid(key.get(rest..).unwrap_or_default()))
            },
            // They come in the order of names: all at once in the end.
            |_, _| Ok(()),
        )?;
        write(self.to, |tables| {
            pack!(tables.alive_pods, &mut self.packer);
            Ok(())
        })
    }

    fn pack_lifecycles(&mut self) -> Result<(), StoreError> {
        write(self.to, |tables| {
            pack!(tables.pods, &mut self.packer);
            pack!(tables.pod_uids, &mut self.packer);
            pack!(tables.pod_names, &mut self.packer);
            Ok(())
        })
    }
}

fn as_array(key: &[u8]) -> Option<&keys::HistoryBytes> {
    key.try_into().ok()
}

fn as_number(key: &[u8]) -> Option<u64> {
    key.try_into().ok().map(u64::from_be_bytes)
}

fn not_a_key(table: &'static str, key: &[u8]) -> StoreError {
    StoreError::Damaged {
        table,
        key: codec::hex(key),
        reason: "it is no key of this table".to_owned(),
    }
}

/// Bytes that are no UID, which a checked row does not hold, give an empty one.
fn uid(bytes: &[u8]) -> Uid {
    keys::uid_of(bytes).unwrap_or_default()
}

fn read_writer(txn: &ReadTransaction) -> Result<Option<WriterRow>, StoreError> {
    let meta = txn.open_table(v3::META)?;
    let Some(value) = meta.get("writer")? else {
        return Ok(None);
    };
    let row: v3::WriterRow = v3::row("meta", b"writer", unseal("meta", b"writer", value.value())?)?;
    Ok(Some(WriterRow {
        last_us: row.last_us,
        last_seq: row.last_seq,
        last_object: row.last_object,
        epoch: row.epoch,
        epoch_rows: row.epoch_rows,
        epoch_carried: row.epoch_carried,
        pods: row.pods,
        run: row.run,
        last_gap: row.last_gap,
        first_us: row.first_us,
        changes: row.changes,
        horizon_us: row.horizon_us,
        horizon_seq: row.horizon_seq,
        last_base: row.last_base,
        last_dictionary: row.last_dictionary,
        last_pod: 0,
    }))
}

fn pod(key: &[u8], row: v3::PodRow) -> PodRow {
    let owner = |owner: v3::OwnerRefRow| OwnerRefRow {
        kind: owner.kind,
        uid: (&uid(&owner.uid)).into(),
    };
    PodRow {
        uid: (&uid(key)).into(),
        namespace: row.namespace,
        name: row.name,
        spec_hash: row.spec_hash,
        owners: row.owners.into_iter().map(owner).collect(),
        given_owner: row.given_owner.map(GivenOwner::from),
        object: row.object,
        times: PodTimes {
            start_us: row.start_us,
            containers_end_us: row.containers_end_us,
            end_us: row.end_us,
            end_since_us: row.end_since_us,
        },
        gone: row.gone,
    }
}
