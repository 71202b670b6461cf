//! Row bytes: `version (1) | crc32 (4, little-endian) | payload`.
//!
//! The checksum covers the table's name, the key and the payload: a flipped bit, and a row that stands under another
//! key than it was written to, are found on every read (redb verifies no checksums on ordinary reads). It is checked
//! before bincode sees a byte. bincode 2.0.1 is frozen upstream; this module is the only place that knows it.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};

use redb::TableHandle;

use super::StoreError;
use super::packed::TOMBSTONE;
use super::tables::{META, PACKED_TABLES};

/// Version of the row layout.
const ROW_VERSION: u8 = 1;
/// Version and checksum.
pub(super) const SEAL_BYTES: usize = 5;
/// Largest bincode payload, bytes: a limit keeps a damaged length from being believed.
const ROW_BYTES_MAX: usize = 16 << 20;

const CONFIG: Configuration<LittleEndian, Varint, Limit<ROW_BYTES_MAX>> =
    bincode::config::standard().with_limit::<ROW_BYTES_MAX>();

/// A row struct, tied to the table it lives in.
pub(crate) trait Row: bincode::Encode + bincode::Decode<()> {
    /// Name of the table.
    const TABLE: &'static str;
}

fn checksum(table: &str, key: &[u8], payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(table.as_bytes());
    crc.update(&[0]);
    crc.update(key);
    crc.update(payload);
    crc.finalize()
}

/// The bytes to store for `payload` at `key` of `table`.
pub(crate) fn seal(table: &'static str, key: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(SEAL_BYTES + payload.len());
    bytes.push(ROW_VERSION);
    bytes.extend_from_slice(&checksum(table, key, payload).to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A row as it is read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RowBytes<'a> {
    /// Its stored bytes.
    Sealed(&'a [u8]),
    /// Its payload: what it comes from, a chunk or a record of the journal, has been checked as a whole.
    Payload(&'a [u8]),
}

impl<'a> RowBytes<'a> {
    /// Length of its payload, if it is a row.
    pub(crate) fn payload_len(self) -> usize {
        match self {
            Self::Sealed(bytes) => bytes.len().saturating_sub(SEAL_BYTES),
            Self::Payload(payload) => payload.len(),
        }
    }

    /// Its payload.
    ///
    /// # Errors
    /// As [`unseal`].
    pub(crate) fn open(self, table: &'static str, key: &[u8]) -> Result<&'a [u8], StoreError> {
        match self {
            Self::Sealed(bytes) => unseal(table, key, bytes),
            Self::Payload(payload) => Ok(payload),
        }
    }
}

impl<'a> From<&'a [u8]> for RowBytes<'a> {
    fn from(stored: &'a [u8]) -> Self {
        Self::Sealed(stored)
    }
}

/// The payload of stored bytes.
///
/// # Errors
/// [`StoreError::Damaged`] when the bytes are not what [`seal`] made for this table and key.
pub(crate) fn unseal<'a>(
    table: &'static str,
    key: &[u8],
    bytes: &'a [u8],
) -> Result<&'a [u8], StoreError> {
    let damaged = |reason: String| StoreError::Damaged {
        table,
        key: hex(key),
        reason,
    };
    let (seal, payload) = bytes
        .split_at_checked(SEAL_BYTES)
        .ok_or_else(|| damaged(format!("{} bytes are too few for a row", bytes.len())))?;
    let (version, crc) = match *seal {
        [version, a, b, c, d] => (version, u32::from_le_bytes([a, b, c, d])),
        _ => return Err(damaged("no seal".to_owned())),
    };
    if version != ROW_VERSION {
        return Err(damaged(format!(
            "row version {version}, expected {ROW_VERSION}"
        )));
    }
    if crc != checksum(table, key, payload) {
        return Err(damaged("checksum mismatch".to_owned()));
    }
    Ok(payload)
}

/// Checks the bytes of any row: those of the two tables that are lists of keys are empty, a few cells of `meta` are
/// older than seals, tables of two parts have tombstones, all others are sealed.
///
/// # Errors
/// [`StoreError::Damaged`].
pub(crate) fn check(table: &'static str, key: &[u8], bytes: &[u8]) -> Result<(), StoreError> {
    let parts = PACKED_TABLES.iter().find(|parts| parts.hot == table);
    if table == META.name() && super::meta::is_bare(key) || parts.is_some() && bytes == TOMBSTONE {
        return Ok(());
    }
    if parts.is_some_and(|parts| !parts.sealed) {
        return if bytes.is_empty() {
            Ok(())
        } else {
            Err(StoreError::Damaged {
                table,
                key: hex(key),
                reason: format!("{} bytes where there are none", bytes.len()),
            })
        };
    }
    unseal(table, key, bytes).map(drop)
}

/// The bytes to store for a row.
pub(crate) fn encode<R: Row>(key: &[u8], row: &R) -> Result<Vec<u8>, StoreError> {
    Ok(seal(R::TABLE, key, &payload(key, row)?))
}

/// The payload of a row.
pub(crate) fn payload<R: Row>(key: &[u8], row: &R) -> Result<Vec<u8>, StoreError> {
    bincode::encode_to_vec(row, CONFIG).map_err(|error| StoreError::Damaged {
        table: R::TABLE,
        key: hex(key),
        reason: format!("cannot be encoded: {error}"),
    })
}

/// The row in stored bytes.
///
/// # Errors
/// [`StoreError::Damaged`] when the bytes are not what [`encode`] made.
pub(crate) fn decode<'b, R: Row>(
    key: &[u8],
    bytes: impl Into<RowBytes<'b>>,
) -> Result<R, StoreError> {
    let payload = bytes.into().open(R::TABLE, key)?;
    let damaged = |reason: String| StoreError::Damaged {
        table: R::TABLE,
        key: hex(key),
        reason,
    };
    let (row, read) =
        bincode::decode_from_slice::<R, _>(payload, CONFIG).map_err(|e| damaged(e.to_string()))?;
    if read != payload.len() {
        return Err(damaged(format!(
            "{} bytes behind the row",
            payload.len() - read
        )));
    }
    Ok(row)
}

/// How to read a row and write it again: key and stored bytes in, stored bytes out.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) type Recode = fn(&[u8], &[u8]) -> Result<Vec<u8>, StoreError>;

/// Reads a row and writes it again.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn recode<R: Row>(key: &[u8], bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
    encode(key, &decode::<R>(key, bytes)?)
}

/// Bytes in hex, for messages and for UIDs.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or_default();
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 0xf));
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_found() {
        let bytes = seal("t", b"key", b"some payload");
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            *flipped.get_mut(bit / 8).unwrap() ^= 1 << (bit % 8);
            assert!(unseal("t", b"key", &flipped).is_err(), "bit {bit}");
        }
        assert_eq!(unseal("t", b"key", &bytes).unwrap(), b"some payload");
    }

    #[test]
    fn a_row_under_another_key_or_table_is_refused() {
        let bytes = seal("t", b"key", b"payload");
        assert!(unseal("t", b"kez", &bytes).is_err());
        assert!(unseal("u", b"key", &bytes).is_err());
        assert!(unseal("t", b"key", &[]).is_err());
    }
}
