//! Bases: bodies that keyframes refer to. And siblings: which base, or which object, a new object of an owner is most
//! like.
//!
//! A dictionary's row: `length | zstd frame`. A base's row: `uses | scheme | dictionary | length of the body | bytes`, numbers as varints; scheme and dictionary as
//! in a keyframe. `uses` is the number of groups that refer to it: without any it is removed.

use redb::ReadableTable;

use super::group::Keyframe;
use crate::limits::{OBJECT_BYTES_MAX, PACKED_ROW_BYTES_MAX};
use crate::store::StoreError;
use crate::store::body::compress::{Compressor, Decompressor};
use crate::store::body::varint::{read_varint, write_varint};
use crate::store::codec::{self, RowBytes};
use crate::store::tables::{Rows, Tables, WriteTables};

/// Names of the tables, for seals and messages.
pub(crate) const TABLE: &str = "base_to_body";
pub(crate) const DICTIONARY_TABLE: &str = "dictionary_to_bytes";

fn damaged(base: u64, reason: &str) -> StoreError {
    StoreError::Damaged {
        table: TABLE,
        key: codec::hex(&base.to_be_bytes()),
        reason: reason.to_owned(),
    }
}

/// Added to a dictionary's number: the key of its second copy. So many bodies depend on one row that a single flipped bit
/// must not take it away.
const SECOND_COPY: u64 = 1 << 63;

/// The number of the dictionary at a key of the table.
pub(crate) fn dictionary_number(key: u64) -> u64 {
    key & !SECOND_COPY
}

/// Longest dictionary that is believed to be one, bytes.
const DICTIONARY_BYTES_MAX: usize = 1 << 20;
/// It is compressed once, and there are few of them.
const DICTIONARY_LEVEL: i32 = 19;

/// The payload of a dictionary's row: `length | zstd frame`.
pub(crate) fn dictionary_payload(dictionary: &[u8]) -> Result<Vec<u8>, StoreError> {
    let mut frame = Vec::with_capacity(zstd_safe::compress_bound(dictionary.len()));
    zstd_safe::compress(&mut frame, dictionary, DICTIONARY_LEVEL)
        .map_err(|_| StoreError::Refused("there is no memory to compress rows".to_owned()))?;
    let mut payload = Vec::with_capacity(frame.len() + 3);
    write_varint(&mut payload, dictionary.len() as u64);
    payload.extend_from_slice(&frame);
    Ok(payload)
}

fn read_dictionary(mut payload: &[u8]) -> Option<Vec<u8>> {
    let len = usize::try_from(read_varint(&mut payload)?).ok()?;
    if len > DICTIONARY_BYTES_MAX {
        return None;
    }
    let mut dictionary = Vec::with_capacity(len);
    zstd_safe::decompress(&mut dictionary, payload).ok()?;
    (dictionary.len() == len).then_some(dictionary)
}

/// Stores a dictionary, twice.
pub(crate) fn insert_dictionary(
    tables: &mut WriteTables<'_>,
    number: u64,
    dictionary: &[u8],
) -> Result<(), StoreError> {
    let payload = dictionary_payload(dictionary)?;
    for key in [number, number | SECOND_COPY] {
        let row = codec::seal(DICTIONARY_TABLE, &key.to_be_bytes(), &payload);
        tables.dictionaries.insert(key, row.as_slice())?;
    }
    Ok(())
}

/// A dictionary's bytes, from either copy.
pub(crate) fn dictionary(tables: &impl Tables, number: u64) -> Result<Vec<u8>, StoreError> {
    dictionary_of(tables.dictionaries(), number)
}

fn dictionary_of(
    table: &impl ReadableTable<u64, &'static [u8]>,
    number: u64,
) -> Result<Vec<u8>, StoreError> {
    dictionary_at(table, number)
        .or_else(|error| dictionary_at(table, number | SECOND_COPY).map_err(|_| error))
}

fn dictionary_at(
    table: &impl ReadableTable<u64, &'static [u8]>,
    number: u64,
) -> Result<Vec<u8>, StoreError> {
    let key = number.to_be_bytes();
    let damaged = |reason: &str| StoreError::Damaged {
        table: DICTIONARY_TABLE,
        key: codec::hex(&key),
        reason: reason.to_owned(),
    };
    match table.get(number)? {
        Some(row) => read_dictionary(codec::unseal(DICTIONARY_TABLE, &key, row.value())?)
            .ok_or_else(|| damaged("the row is not that of a dictionary")),
        None => Err(damaged("the dictionary is missing, but bodies refer to it")),
    }
}

/// A body as zstd with the kind's dictionary makes it, or as it is where that is shorter.
pub(crate) fn compressed<'a>(
    tables: &impl Tables,
    compressor: &mut Compressor,
    dictionary_number: u64,
    body: &'a [u8],
    buffer: &'a mut Vec<u8>,
) -> Result<Keyframe<'a>, StoreError> {
    let load = || dictionary(tables, dictionary_number);
    Ok(match compressor.compress(body, dictionary_number, load)? {
        Some(bytes) => {
            *buffer = bytes;
            Keyframe::Zstd {
                dictionary: dictionary_number,
                bytes: buffer,
            }
        }
        None => Keyframe::Raw(body),
    })
}

/// The body that a compressed keyframe stands for, in place of what `out` held. `false`: the keyframe refers to a base.
pub(crate) fn decompress_into(
    tables: &impl Tables,
    decompressor: &Decompressor,
    keyframe: &Keyframe<'_>,
    len: usize,
    out: &mut Vec<u8>,
) -> Result<Result<bool, &'static str>, StoreError> {
    Ok(match keyframe {
        Keyframe::Raw(bytes) if bytes.len() == len => {
            out.clear();
            out.extend_from_slice(bytes);
            Ok(true)
        }
        Keyframe::Raw(_) => Err("the body has another length"),
        Keyframe::Zstd {
            dictionary: number,
            bytes,
        } => {
            let load = || dictionary(tables, *number);
            let done = decompressor.decompress_into(bytes, len, *number, load, out)?;
            done.map(|()| true)
        }
        Keyframe::Delta { .. } | Keyframe::Base { .. } => Ok(false),
    })
}

/// A base's body.
pub(crate) fn body(
    tables: &impl Tables,
    decompressor: &Decompressor,
    base: u64,
) -> Result<Vec<u8>, StoreError> {
    let row = tables
        .bases()
        .get(base)?
        .ok_or_else(|| damaged(base, "the base is missing, but versions refer to it"))?;
    let (_, len, keyframe) = read(base, row.value())?;
    let mut body = Vec::with_capacity(len);
    match decompress_into(tables, decompressor, &keyframe, len, &mut body)? {
        Ok(true) => Ok(body),
        Ok(false) => Err(damaged(base, "a base refers to another")),
        Err(reason) => Err(damaged(base, reason)),
    }
}

/// The payload of a base's row with its body as it is; `None`: it is so already, or too long.
pub(crate) fn plain(
    dictionaries: &impl ReadableTable<u64, &'static [u8]>,
    decompressor: &Decompressor,
    base: u64,
    row: RowBytes<'_>,
) -> Result<Option<Vec<u8>>, StoreError> {
    let (uses, len, keyframe) = read(base, row)?;
    let Keyframe::Zstd { dictionary, bytes } = keyframe else {
        return Ok(None);
    };
    if len > PACKED_ROW_BYTES_MAX {
        return Ok(None);
    }
    let load = || dictionary_of(dictionaries, dictionary);
    let mut body = Vec::new();
    decompressor
        .decompress_into(bytes, len, dictionary, load, &mut body)?
        .map_err(|reason| damaged(base, reason))?;
    Ok(Some(payload(uses, len, Keyframe::Raw(&body))))
}

/// How many groups refer to a base.
pub(crate) fn uses(base: u64, row: RowBytes<'_>) -> Result<u64, StoreError> {
    Ok(read(base, row)?.0)
}

fn read(base: u64, row: RowBytes<'_>) -> Result<(u64, usize, Keyframe<'_>), StoreError> {
    let mut payload = row.open(TABLE, &base.to_be_bytes())?;
    let mut parts = || {
        let uses = read_varint(&mut payload)?;
        let len = usize::try_from(read_varint(&mut payload)?).ok()?;
        let keyframe = Keyframe::read(payload)?;
        (len <= OBJECT_BYTES_MAX).then_some((uses, len, keyframe))
    };
    parts().ok_or_else(|| damaged(base, "the row is not that of a base"))
}

/// Stores a new base that is used once.
pub(crate) fn insert(
    tables: &mut WriteTables<'_>,
    base: u64,
    len: usize,
    keyframe: Keyframe<'_>,
) -> Result<(), StoreError> {
    tables.bases.insert_payload(base, payload(1, len, keyframe))
}

fn payload(uses: u64, len: usize, keyframe: Keyframe<'_>) -> Vec<u8> {
    let mut payload = Vec::new();
    write_varint(&mut payload, uses);
    write_varint(&mut payload, len as u64);
    payload.extend_from_slice(&keyframe.to_bytes());
    payload
}

/// One more group refers to the base.
pub(crate) fn retain(tables: &mut WriteTables<'_>, base: u64) -> Result<(), StoreError> {
    change_uses(tables, base, |uses| uses.saturating_add(1))
}

/// One group fewer refers to the base; the last one takes it along.
pub(crate) fn release(tables: &mut WriteTables<'_>, base: u64) -> Result<(), StoreError> {
    change_uses(tables, base, |uses| uses.saturating_sub(1))
}

/// Says how many groups refer to a base; none: it is removed.
pub(crate) fn set_uses(
    tables: &mut WriteTables<'_>,
    base: u64,
    uses: u64,
) -> Result<(), StoreError> {
    change_uses(tables, base, |_| uses)
}

fn change_uses(
    tables: &mut WriteTables<'_>,
    base: u64,
    change: impl FnOnce(u64) -> u64,
) -> Result<(), StoreError> {
    let Some(row) = tables.bases.get(base)? else {
        return Err(damaged(
            base,
            "the base is missing, but versions refer to it",
        ));
    };
    let (uses, len, keyframe) = read(base, row.value())?;
    let changed = match change(uses) {
        0 => None,
        uses => Some(payload(uses, len, keyframe)),
    };
    drop(row);
    match changed {
        None => tables.bases.remove(base).map(drop),
        Some(payload) => tables.bases.insert_payload(base, payload),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn a_dictionary_outlives_the_damage_or_loss_of_one_copy() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::create(folder.path().join("trace.redb")).unwrap();
        let damages: [fn(&mut WriteTables<'_>); 4] = [
            |tables| drop(tables.dictionaries.remove(5).unwrap()),
            |tables| drop(tables.dictionaries.remove(5 | SECOND_COPY).unwrap()),
            |tables| drop(tables.dictionaries.insert(5, [1u8].as_slice()).unwrap()),
            |tables| {
                drop(
                    tables
                        .dictionaries
                        .insert(5 | SECOND_COPY, [1u8].as_slice())
                        .unwrap(),
                )
            },
        ];
        for damage in damages {
            let txn = store.begin_write().unwrap();
            let mut tables = WriteTables::open(&txn).unwrap();
            insert_dictionary(&mut tables, 5, b"words").unwrap();
            damage(&mut tables);
            assert_eq!(dictionary(&tables, 5).unwrap(), b"words");
        }
        let txn = store.begin_write().unwrap();
        let mut tables = WriteTables::open(&txn).unwrap();
        insert_dictionary(&mut tables, 5, b"words").unwrap();
        for key in [5, 5 | SECOND_COPY] {
            tables.dictionaries.insert(key, [1u8].as_slice()).unwrap();
        }
        assert!(dictionary(&tables, 5).is_err());
        assert!(dictionary(&tables, 6).is_err());
    }
}
