//! The row that says where a backup comes from.
//!
//! Rows of earlier releases end before [`BackupKept`]; they are read as they are.

use bincode::de::{Decode, Decoder};
use bincode::enc::{Encode, Encoder};
use bincode::error::{DecodeError, EncodeError};

/// Where a backup comes from. It stays when the backup is recorded further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BackupRow {
    /// Id of the store that was copied, as hex.
    pub store_id: String,
    /// When the copy was made.
    pub at_us: i64,
    /// Where the record in it begins and ends. Earlier releases: where it began before retention dropped anything.
    pub first_us: i64,
    pub last_us: i64,
    /// The last change in it.
    pub last_seq: u64,
    /// Release of the program that made it.
    pub program: String,
    /// `None` in rows of earlier releases.
    pub kept: Option<BackupKept>,
}

/// What retention had left of the record when it was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub(crate) struct BackupKept {
    /// From where on it was complete; `None`: nothing had been dropped.
    pub horizon_us: Option<i64>,
    /// Changes in it.
    pub changes: u64,
}

impl Encode for BackupRow {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.store_id.encode(encoder)?;
        self.at_us.encode(encoder)?;
        self.first_us.encode(encoder)?;
        self.last_us.encode(encoder)?;
        self.last_seq.encode(encoder)?;
        self.program.encode(encoder)?;
        match &self.kept {
            Some(kept) => kept.encode(encoder),
            None => Ok(()),
        }
    }
}

impl<C> Decode<C> for BackupRow {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self {
            store_id: String::decode(decoder)?,
            at_us: i64::decode(decoder)?,
            first_us: i64::decode(decoder)?,
            last_us: i64::decode(decoder)?,
            last_seq: u64::decode(decoder)?,
            program: String::decode(decoder)?,
            kept: match BackupKept::decode(decoder) {
                Ok(kept) => Some(kept),
                Err(DecodeError::UnexpectedEnd { .. }) => None,
                Err(error) => return Err(error),
            },
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::store::codec::{decode, encode, seal};

    #[test]
    fn a_row_of_an_earlier_release_is_read_as_it_is() {
        let config = bincode::config::standard();
        let parts = ("0011", 4i64, 1i64, 3i64, 2u64, "0.1.0");
        let old = bincode::encode_to_vec(parts, config).unwrap();
        let old = seal("meta", b"backup", &old);
        let row: BackupRow = decode(b"backup", old.as_slice()).unwrap();
        assert_eq!((row.at_us, row.kept), (4, None));
        assert_eq!(
            (row.store_id.as_str(), row.program.as_str()),
            ("0011", "0.1.0")
        );
        assert_eq!(encode(b"backup", &row).unwrap(), old);
        for horizon_us in [None, Some(7)] {
            let kept = Some(BackupKept {
                horizon_us,
                changes: 9,
            });
            let new = BackupRow {
                kept,
                ..row.clone()
            };
            let bytes = encode(b"backup", &new).unwrap();
            assert_eq!(
                decode::<BackupRow>(b"backup", bytes.as_slice()).unwrap(),
                new
            );
        }
    }
}
