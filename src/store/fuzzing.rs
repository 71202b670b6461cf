//! Rows and keys with any bytes in them, for [`crate::fuzzing`].
//!
//! Packed rows refer to others, so they are read as snapshots read them, from tables in memory that hold a base and a
//! dictionary (number 1 each). What is written into the tables for one input is taken back after it.

use std::cell::OnceCell;

use redb::Database;
use redb::backends::InMemoryBackend;

use super::body::compress::Decompressor;
use super::codec::{SEAL_BYTES, seal, unseal};
use super::headers::HeaderLog;
use super::journal::record::RecordReader;
use super::lookup::{FIRST, LAST};
use super::rows::RECODERS;
use super::tables::{PACKED_TABLES, WriteTables};
use super::versions::base;
use super::versions::group::Keyframe;
use super::{StoreError, headers, journal, keys, versions};
use crate::limits::OBJECT_BYTES_MAX;

/// Number of the base and of the dictionary that the tables hold.
const KNOWN: u64 = 1;
/// The base: a body as MessagePack.
const BASE_BODY: &[u8] =
    b"\x83\xaaapiVersion\xa2v1\xa4kind\xa9ConfigMap\xa8metadata\x81\xa4name\xa9something";
/// The dictionary, of raw content.
const DICTIONARY: &[u8] =
    b"apiVersion kind ConfigMap metadata annotations labels name namespace data spec";
/// Versions of a group whose bodies are read: each reads those before it.
const BODIES_MAX: usize = 8;
/// Tables whose rows are packed.
const PACKED: [&str; 5] = [
    journal::record::TABLE,
    headers::TABLE,
    versions::TABLE,
    base::TABLE,
    base::DICTIONARY_TABLE,
];
/// Reads a payload as the row of a table at a key, sealed as the store would have sealed it. `each` gets the bodies in it.
pub(crate) fn decode_row(table: &str, key: &[u8], payload: &[u8], each: &mut dyn FnMut(&[u8])) {
    for (name, recode) in RECODERS.iter().filter(|(name, _)| *name == table) {
        // Without a seal nothing is believed.
        assert!(unseal(name, key, payload).is_err() || payload.len() >= SEAL_BYTES);
        if let Ok(written) = recode(key, &seal(name, key, payload)) {
            let again = recode(key, &written).ok();
            assert_eq!(
                again.as_ref(),
                Some(&written),
                "{table}: a row changes by being written"
            );
        }
    }
    if let Some(name) = PACKED.into_iter().find(|name| *name == table) {
        let _ = read_packed(name, key, payload, each);
    }
    match table {
        "object_to_row" => {
            if let Ok((object, id)) = keys::object_of("object_to_row", key) {
                assert_eq!(
                    keys::object(&object, id),
                    key,
                    "{table}: a key changes by being written"
                );
            }
        }
        "epoch_and_object_to_unit" => {
            let _ = keys::epoch_object_of("epoch_and_object_to_unit", key);
        }
        "epoch_and_pod_to_unit" => {
            let _ = keys::epoch_pod_of("epoch_and_pod_to_unit", key);
        }
        "uid_hash_and_pod_to_unit" => {
            let _ = keys::pod_uid_of("uid_hash_and_pod_to_unit", key);
        }
        "name_and_pod_to_unit" => {
            let _ = keys::pod_name_of("name_and_pod_to_unit", key);
        }
        "uid_to_owner" => {
            let _ = keys::uid_of(key);
        }
        _ => {}
    }
}

fn in_memory() -> Result<Database, StoreError> {
    let backend = InMemoryBackend::new();
    let database = redb::Builder::new()
        .create_with_backend(backend)
        .map_err(|error| StoreError::Database(Box::new(error.into())))?;
    let txn = database.begin_write()?;
    {
        let mut tables = WriteTables::open(&txn)?;
        base::insert(
            &mut tables,
            KNOWN,
            BASE_BODY.len(),
            Keyframe::Raw(BASE_BODY),
        )?;
        base::insert_dictionary(&mut tables, KNOWN, DICTIONARY)?;
    }
    txn.commit()?;
    Ok(database)
}

/// Puts a packed row into the tables, reads everything in it, and takes it back.
pub(crate) fn read_packed(
    table: &'static str,
    key: &[u8],
    payload: &[u8],
    each: &mut dyn FnMut(&[u8]),
) -> Result<(), StoreError> {
    thread_local! {
        static DATABASE: OnceCell<Database> = const { OnceCell::new() };
    }
    DATABASE.with(|cell| {
        let database = match cell.get() {
            Some(database) => database,
            None => {
                let database = in_memory()?;
                cell.get_or_init(|| database)
            }
        };
        let txn = database.begin_write()?;
        let read = {
            let mut tables = WriteTables::open(&txn)?;
            read_row(&mut tables, table, key, &seal(table, key, payload), each)
        };
        txn.abort()?;
        read
    })
}

fn read_row(
    tables: &mut WriteTables<'_>,
    table: &'static str,
    key: &[u8],
    row: &[u8],
    each: &mut dyn FnMut(&[u8]),
) -> Result<(), StoreError> {
    let no_key = || StoreError::Refused("no key of this table".to_owned());
    let decompressor = Decompressor::default();
    let number = || {
        let bytes = key.try_into().map_err(|_| no_key());
        bytes.map(u64::from_be_bytes)
    };
    match table {
        journal::record::TABLE => {
            let mut reader = RecordReader::default();
            let edits = reader.take(number()?, row)?.unwrap_or_default();
            assert!(edits.iter().all(|(table, ..)| *table < PACKED_TABLES.len()));
            reader.finish()
        }
        headers::TABLE => {
            let key = <&[u8; 16]>::try_from(key).map_err(|_| no_key())?;
            tables.events.insert(key, row)?;
            let loaded = HeaderLog::load(tables);
            let read = headers::range(tables, FIRST, LAST)?
                .collect::<Result<Vec<_>, _>>()
                .map(|headers| assert!(headers.len() <= row.len()));
            // What stands at the very end of time is in no range.
            assert!(
                loaded.is_ok() == read.is_ok() || keys::event_of(key) >= LAST,
                "the writer reads what readers do not"
            );
            read
        }
        versions::TABLE => {
            let key = <&[u8; 24]>::try_from(key).map_err(|_| no_key())?;
            tables.versions.insert(key, row)?;
            let object = keys::history_object(key);
            let mut before = None;
            let mut bodies = 0;
            let mut cursors = versions::Cursors::new(1 << 20);
            for version in versions::range(tables, object, FIRST, LAST)? {
                let version = version?;
                // Two versions of one event, which no writer makes, are not told apart.
                let risen = before.is_none_or(|before| before < version.event);
                before = Some(version.event);
                if version.deleted || !risen || bodies == BODIES_MAX {
                    continue;
                }
                bodies += 1;
                let body = versions::body(tables, &decompressor, object, version.event);
                let mut made = vec![0; version.body_len as usize];
                let by_cursor = cursors.body(tables, object, version.event, &mut made);
                assert_eq!(
                    by_cursor.is_ok(),
                    body.is_ok(),
                    "a cursor reads what others do not, or the other way around"
                );
                let body = body?;
                assert_eq!(body.len(), version.body_len as usize, "another length");
                assert!(made == body, "a cursor reads another body");
                each(&body);
            }
            Ok(())
        }
        base::TABLE => {
            tables.bases.insert(number()?, row)?;
            let body = base::body(tables, &decompressor, number()?)?;
            assert!(body.len() <= OBJECT_BYTES_MAX);
            each(&body);
            base::uses(number()?, row.into()).map(drop)
        }
        base::DICTIONARY_TABLE => {
            tables.dictionaries.insert(number()?, row)?;
            let bytes = base::dictionary(tables, number()?)?;
            let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58, 0x09, 0x00, 0x00, b'x'];
            let load = || Ok::<_, StoreError>(bytes);
            let _ = decompressor.decompress(&frame, 1, number()?.max(1), load)?;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The row types.
#[cfg(test)]
pub(crate) fn recoders() -> &'static [(&'static str, super::codec::Recode)] {
    RECODERS
}

/// The tables whose rows are packed.
#[cfg(test)]
pub(crate) fn packed_tables() -> [&'static str; 5] {
    PACKED
}

/// Rows of `meta` that not every store has, or that differ from machine to machine.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) fn meta_rows() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    use super::codec::encode;
    use super::rows::{BackupKept, BackupRow, MarkRow};
    let mark = MarkRow {
        inode: 1,
        born_ns: 2,
        closed_us: Some(3),
    };
    let backup = BackupRow {
        store_id: "00112233445566778899aabbccddeeff".to_owned(),
        at_us: 4,
        first_us: 1,
        last_us: 3,
        last_seq: 2,
        program: "0.1.0".to_owned(),
        kept: Some(BackupKept {
            horizon_us: Some(1),
            changes: 2,
        }),
    };
    [
        (b"mark".to_vec(), encode(b"mark", &mark).unwrap()),
        (b"backup".to_vec(), encode(b"backup", &backup).unwrap()),
    ]
    .map(|(key, row)| {
        let payload = unseal("meta", &key, &row).unwrap().to_vec();
        ("meta", key, payload)
    })
    .into()
}

/// Table, key and payload of some rows of every table.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) fn rows_of(store: &super::Store) -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    const ROWS_OF_A_TABLE: usize = 8;
    let rows = store
        .read_tables()
        .unwrap()
        .first_rows(ROWS_OF_A_TABLE)
        .unwrap();
    rows.into_iter()
        .map(|(table, key, value)| {
            // Cells of `meta`, and rows that are only keys, have no seal.
            let payload = unseal(table, &key, &value).unwrap_or(&value).to_vec();
            (table, key, payload)
        })
        .collect()
}

/// Table, key and payload of packed rows in every form, over what the tables in memory hold.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) fn packed_rows() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    use super::body::compress::Compressor;
    use super::body::{delta, varint::write_varint};
    use super::versions::group::{Version, push};
    use std::convert::Infallible;

    let body = [BASE_BODY, BASE_BODY, b"changed", BASE_BODY].concat();
    let delta_to = |base: &[u8], body: &[u8]| {
        let mut out = Vec::new();
        delta::encode(base, body, &mut out);
        out
    };
    let zstd = |dictionary: u64| {
        let load = || Ok::<_, Infallible>(DICTIONARY.to_vec());
        Compressor::default()
            .compress(&body, dictionary, load)
            .unwrap()
            .unwrap()
    };
    let (plain, with_dictionary, difference) = (zstd(0), zstd(KNOWN), delta_to(BASE_BODY, &body));
    let keyframes = [
        Keyframe::Raw(&body),
        Keyframe::Zstd {
            dictionary: 0,
            bytes: &plain,
        },
        Keyframe::Zstd {
            dictionary: KNOWN,
            bytes: &with_dictionary,
        },
        Keyframe::Delta {
            base: KNOWN,
            bytes: &difference,
        },
        Keyframe::Base { base: KNOWN },
    ];
    let mut rows = Vec::new();
    for keyframe in keyframes {
        let first_body = match keyframe {
            Keyframe::Base { .. } => BASE_BODY,
            _ => &body,
        };
        let event = |n: u64| crate::model::EventKey {
            at: crate::model::Timestamp::from_seconds(100 + n.cast_signed()),
            seq: 7 + n,
        };
        let of = |n: u64, body: &[u8], deleted: bool| Version {
            event: event(n),
            deleted,
            kind: 1 + n / 2,
            spec_hash: if deleted { 0 } else { 0x1234_5678 + n },
            body_len: u32::try_from(body.len()).unwrap(),
        };
        let changed = [first_body, b"!"].concat();
        let mut payload = Vec::new();
        let first = of(0, first_body, false);
        push(&mut payload, None, &first, &keyframe.to_bytes());
        let second = of(1, &changed, false);
        let before = Some((&first, first.body_len));
        push(
            &mut payload,
            before,
            &second,
            &delta_to(first_body, &changed),
        );
        let before = Some((&second, second.body_len));
        push(&mut payload, before, &of(2, &[], true), &[]);
        rows.push((
            versions::TABLE,
            keys::history(9, event(0)).to_vec(),
            payload,
        ));
        if keyframe.base().is_none() {
            let mut payload = Vec::new();
            write_varint(&mut payload, 3);
            write_varint(&mut payload, body.len() as u64);
            payload.extend_from_slice(&keyframe.to_bytes());
            rows.push((base::TABLE, 5_u64.to_be_bytes().to_vec(), payload));
        }
    }
    let key = KNOWN.to_be_bytes().to_vec();
    if let Ok(payload) = base::dictionary_payload(DICTIONARY) {
        rows.push((base::DICTIONARY_TABLE, key, payload));
    }
    rows
}
