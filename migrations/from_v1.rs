//! From version 1: headers in chunks, versions in groups with short bodies, UIDs in 16 bytes. What can be packed is packed
//! by the next recorder.

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata};

use super::lifecycles::{self, Lifecycles};
use super::{v1, write};
use crate::limits::MIGRATION_BATCH_ROWS;
use crate::model::{Gvk, ObjectKey, Uid};
use crate::store::headers::{Header, HeaderLog};
use crate::store::rows::{
    GivenOwner, KindRow, ObjectRow, OwnerRefRow, OwnerRow, PodRow, PodTimes, WriterRow,
    change_hash, identity_kind,
};
use crate::store::tables::put;
use crate::store::versions::{BodyWriter, NewVersion};
use crate::store::{ReadTables, StoreError, WRITER, WriteTables, keys, read_kinds};

/// Writes everything that is in `from` into the new file `to`.
pub(super) fn convert(from: &Database, to: &Database) -> Result<(), StoreError> {
    let txn = from.begin_read()?;
    let mut writer = read_writer(&txn)?;
    write(to, |tables| {
        copy_equal(&txn, tables)?;
        convert_kinds(&txn, tables)
    })?;
    convert_alive(&txn, to)?;
    convert_changes(&txn, to, &mut writer)?;
    convert_pods(&txn, to, &mut writer)?;
    write(to, |tables| put(&mut tables.meta, WRITER, &writer))?;
    convert_incarnations(&txn, to)?;
    convert_objects(&txn, to)?;
    convert_owners(&txn, to)?;
    list_pods(&txn, to)
}

fn read_writer(txn: &ReadTransaction) -> Result<WriterRow, StoreError> {
    let meta = txn.open_table(v1::META)?;
    let Some(value) = meta.get("writer")? else {
        return Ok(WriterRow::default());
    };
    let row: v1::WriterRow = v1::row("meta", b"writer", value.value())?;
    let changes = txn.open_table(v1::EVENTS)?.len()?;
    Ok(WriterRow {
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
        changes,
        ..WriterRow::default()
    })
}

/// Tables whose names, keys and rows are the same: the sealed bytes are valid as they are.
fn copy_equal(txn: &ReadTransaction, tables: &mut WriteTables<'_>) -> Result<(), StoreError> {
    macro_rules! copy {
        ($definition:expr => $table:expr) => {
            for entry in txn.open_table($definition)?.iter()? {
                let (key, value) = entry?;
                $table.insert(key.value(), value.value())?;
            }
        };
    }
    copy!(v1::EPOCHS => tables.epochs);
    copy!(v1::WANTED => tables.wanted);
    copy!(v1::RUNS => tables.runs);
    copy!(v1::GAPS => tables.gaps);
    copy!(v1::WATCHES => tables.watches);
    for entry in txn.open_table(v1::META)?.iter()? {
        let (key, value) = entry?;
        if !["schema_version", "writer"].contains(&key.value()) {
            tables.meta.insert(key.value(), value.value())?;
        }
    }
    Ok(())
}

fn convert_kinds(txn: &ReadTransaction, tables: &mut WriteTables<'_>) -> Result<(), StoreError> {
    for entry in txn.open_table(v1::KINDS)?.iter()? {
        let (key, value) = entry?;
        let bytes = key.value().to_be_bytes();
        let row: v1::KindRow = v1::row("kind_id_to_kind", &bytes, value.value())?;
        put(
            &mut tables.kinds,
            key.value(),
            &KindRow {
                applies: row.applies,
                deletes: row.deletes,
                body_bytes: row.body_bytes,
                live: row.live,
                ..KindRow::new(Gvk::new(row.group, row.version, row.kind))
            },
        )?;
    }
    Ok(())
}

/// What was alive was listed by name.
fn convert_alive(txn: &ReadTransaction, to: &Database) -> Result<(), StoreError> {
    let kinds = read_kinds(&ReadTables::open(&to.begin_read()?)?.kinds)?;
    in_batches(txn.open_table(v1::ALIVE)?.iter()?, to, |tables, key, _| {
        let mut reader = keys::KeyReader::new("epoch_and_object_to_unit", key.value());
        let epoch = reader.number()?;
        let object = reader.object_key()?;
        let id = reader.number()?;
        reader.end()?;
        let kind = identity_kind(&kinds, &object.group, &object.kind).unwrap_or_default();
        let key = keys::epoch_object(epoch, kind, id);
        tables.alive.insert(&key, &[])?;
        Ok(())
    })
}

/// All events with their bodies, in their order, in bounded transactions.
fn convert_changes(
    txn: &ReadTransaction,
    to: &Database,
    writer: &mut WriterRow,
) -> Result<(), StoreError> {
    let events = txn.open_table(v1::EVENTS)?;
    let bodies = txn.open_table(v1::BODIES)?;
    let mut headers = HeaderLog::default();
    let mut versions = BodyWriter::default();
    let mut events = events.iter()?.peekable();
    while events.peek().is_some() {
        write(to, |tables| {
            for entry in events.by_ref().take(MIGRATION_BATCH_ROWS) {
                let (key, value) = entry?;
                let (key, event) = (*key.value(), keys::event_of(key.value()));
                let row: v1::EventRow = v1::row("event_to_header", &key, value.value())?;
                let header = Header {
                    deleted: row.deleted,
                    object: row.object,
                    body_len: row.body_len,
                    since_us: row.since_us,
                    initial: row.initial,
                };
                headers.append(tables, event, &header)?;
                let body = match bodies.get(&key)? {
                    Some(value) if !row.deleted => {
                        Some(crate::store::unseal("event_to_body", &key, value.value())?.to_vec())
                    }
                    _ => None,
                };
                if body.is_none() && !row.deleted {
                    return Err(StoreError::Damaged {
                        table: "event_to_body",
                        key: format!("{} #{}", event.at, event.seq),
                        reason: "the body is missing".to_owned(),
                    });
                }
                let owner = first_owner(txn, row.object)?;
                let mut kind: Option<KindRow> = crate::store::tables::get(&tables.kinds, row.kind)?;
                let new = NewVersion {
                    event,
                    kind: row.kind,
                    spec_hash: row.spec_hash,
                    body: body.as_deref(),
                    owner: owner.as_ref(),
                    initial: false,
                    change_hash: None,
                };
                let dictionary = kind.as_ref().map_or(0, |kind| kind.dictionary);
                let made = versions.append(tables, writer, row.object, dictionary, &new)?;
                if let (Some(made), Some(kind)) = (made, &mut kind) {
                    kind.dictionary = made;
                    put(&mut tables.kinds, row.kind, kind)?;
                }
            }
            headers.flush(tables)
        })?;
    }
    Ok(())
}

fn first_owner(txn: &ReadTransaction, object: u64) -> Result<Option<Uid>, StoreError> {
    let incarnations = txn.open_table(v1::INCARNATIONS)?;
    let Some(value) = incarnations.get(object)? else {
        return Ok(None);
    };
    let bytes = object.to_be_bytes();
    let row: v1::IncarnationRow = v1::row("id_to_incarnation", &bytes, value.value())?;
    let owner = v1::owner(txn, &row.uid)?;
    Ok(owner.and_then(|owner| {
        let first = owner.owners.into_iter().next()?;
        Some(Uid(first.uid))
    }))
}

fn convert_objects(txn: &ReadTransaction, to: &Database) -> Result<(), StoreError> {
    in_batches(
        txn.open_table(v1::OBJECTS)?.iter()?,
        to,
        |tables, key, value| {
            let row: v1::ObjectRow = v1::row("object_to_row", key.value(), value.value())?;
            let new = ObjectRow {
                uid: None,
                live: row.live,
                last_seq: row.last_seq,
                change_hash: change_hash(&row.change_hash).filter(|_| row.live),
                kind: row.kind,
            };
            lifecycles::put_object(tables, key.value(), &Uid(row.uid), new)
        },
    )
}

fn convert_incarnations(txn: &ReadTransaction, to: &Database) -> Result<(), StoreError> {
    in_batches(
        txn.open_table(v1::INCARNATIONS)?.iter()?,
        to,
        |tables, key, value| {
            let bytes = key.value().to_be_bytes();
            let row: v1::IncarnationRow = v1::row("id_to_incarnation", &bytes, value.value())?;
            let object = ObjectKey::new(row.group, row.kind, row.namespace, row.name);
            let row = lifecycles::incarnation(tables, &object, &Uid(row.uid))?;
            put(&mut tables.incarnations, key.value(), &row)
        },
    )
}

fn owner_refs(owners: Vec<v1::OwnerRefRow>) -> Vec<OwnerRefRow> {
    let convert = |owner: v1::OwnerRefRow| OwnerRefRow {
        kind: owner.kind,
        uid: (&Uid(owner.uid)).into(),
    };
    owners.into_iter().map(convert).collect()
}

fn convert_owners(txn: &ReadTransaction, to: &Database) -> Result<(), StoreError> {
    let pods = txn.open_table(v1::PODS)?;
    in_batches(
        txn.open_table(v1::OWNERS)?.iter()?,
        to,
        |tables, key, value| {
            let row: v1::OwnerRow = v1::row("uid_to_owner", key.value().as_bytes(), value.value())?;
            // What is known of a pod is in its lifecycle now.
            if row.group.is_empty() && row.kind == "Pod" && pods.get(key.value())?.is_some() {
                return Ok(());
            }
            put(
                &mut tables.owners,
                keys::uid(&Uid(key.value().to_owned())).as_slice(),
                &OwnerRow {
                    group: row.group,
                    version: row.version,
                    kind: row.kind,
                    namespace: row.namespace,
                    name: row.name,
                    owners: owner_refs(row.owners),
                    object: row.object,
                },
            )
        },
    )
}

fn convert_pods(
    txn: &ReadTransaction,
    to: &Database,
    writer: &mut WriterRow,
) -> Result<(), StoreError> {
    let mut lifecycles = Lifecycles::new();
    for entry in txn.open_table(v1::PODS)?.iter()? {
        let (key, value) = entry?;
        let row: v1::PodRow = v1::row("uid_to_pod", key.value().as_bytes(), value.value())?;
        let object = v1::owner(txn, key.value())?.and_then(|owner| owner.object);
        lifecycles.add(&PodRow {
            uid: (&Uid(key.value().to_owned())).into(),
            namespace: row.namespace,
            name: row.name,
            spec_hash: row.spec_hash,
            owners: owner_refs(row.owners),
            given_owner: row.given_owner.map(GivenOwner::from),
            object,
            times: PodTimes {
                start_us: row.start_us,
                containers_end_us: row.containers_end_us,
                end_us: row.end_us,
                end_since_us: row.end_since_us,
            },
            gone: row.gone,
        })?;
    }
    lifecycles.write(to, writer)
}

fn list_pods(txn: &ReadTransaction, to: &Database) -> Result<(), StoreError> {
    in_batches(
        txn.open_table(v1::ALIVE_PODS)?.iter()?,
        to,
        |tables, key, _| {
            let mut reader = keys::KeyReader::new("epoch_and_pod_to_unit", key.value());
            let (epoch, _, _) = (reader.number()?, reader.text()?, reader.text()?);
            let uid = Uid(reader.text()?);
            reader.end()?;
            lifecycles::list(tables, epoch, &uid)
        },
    )
}

/// Calls `each` with every row, some of them a transaction.
fn in_batches<K: redb::Key + 'static>(
    rows: redb::Range<'_, K, &'static [u8]>,
    to: &Database,
    mut each: impl FnMut(
        &mut WriteTables<'_>,
        redb::AccessGuard<'_, K>,
        redb::AccessGuard<'_, &'static [u8]>,
    ) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut rows = rows.peekable();
    while rows.peek().is_some() {
        write(to, |tables| {
            for entry in rows.by_ref().take(MIGRATION_BATCH_ROWS) {
                let (key, value) = entry?;
                each(tables, key, value)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}
