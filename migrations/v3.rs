//! Schema version 3, as it was released: its tables and rows, for reading. Nothing here changes any more.
//!
//! Lifecycles stood at UIDs, and every list repeated names and UIDs. Version 2 had the same rows, and no packed parts.

use bincode::Decode;
use redb::{ReadOnlyTable, ReadTransaction, TableDefinition, TableError};
use zstd_safe::DCtx;

pub(super) use super::v1::GivenOwner;
use crate::store::tables::SealedKey;
use crate::store::{StoreError, unseal};

pub(super) const EVENTS: TableDefinition<'static, &[u8; 16], &[u8]> =
    TableDefinition::new("event_to_headers");
pub(super) const DICTIONARIES: TableDefinition<'static, u64, &[u8]> =
    TableDefinition::new("dictionary_to_bytes");
pub(super) const EPOCHS: TableDefinition<'static, u64, &[u8]> =
    TableDefinition::new("epoch_to_row");
pub(super) const OWNERS: TableDefinition<'static, &[u8], &[u8]> =
    TableDefinition::new("uid_to_owner");
pub(super) const WANTED: TableDefinition<'static, &str, &[u8]> =
    TableDefinition::new("uid_to_wanted_owner");
pub(super) const RUNS: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("run_to_row");
pub(super) const GAPS: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("gap_to_row");
pub(super) const WATCHES: TableDefinition<'static, &str, &[u8]> =
    TableDefinition::new("kind_to_watch");
pub(super) const KINDS: TableDefinition<'static, u64, &[u8]> =
    TableDefinition::new("kind_id_to_kind");
pub(super) const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");

/// A table of two parts.
pub(super) struct TwoParts<K: redb::Key + 'static> {
    hot: &'static str,
    packed: &'static str,
    /// Its rows are sealed; else they are lists of keys.
    sealed: bool,
    _key: std::marker::PhantomData<fn() -> K>,
}

const fn parts<K: redb::Key>(hot: &'static str, packed: &'static str, sealed: bool) -> TwoParts<K> {
    TwoParts {
        hot,
        packed,
        sealed,
        _key: std::marker::PhantomData,
    }
}

pub(super) const VERSIONS: TwoParts<&[u8; 24]> = parts(
    "object_and_event_to_versions",
    "object_and_event_to_versions_packed",
    true,
);
pub(super) const BASES: TwoParts<u64> = parts("base_to_body", "base_to_body_packed", true);
pub(super) const SIBLINGS: TwoParts<&[u8]> = parts(
    "owner_and_kind_to_sibling",
    "owner_and_kind_to_sibling_packed",
    true,
);
pub(super) const OBJECTS: TwoParts<&[u8]> = parts("object_to_row", "object_to_row_packed", true);
pub(super) const INCARNATIONS: TwoParts<u64> =
    parts("id_to_incarnation", "id_to_incarnation_packed", true);
pub(super) const ALIVE: TwoParts<&[u8]> = parts(
    "epoch_and_object_to_unit",
    "epoch_and_object_to_unit_packed",
    false,
);
pub(super) const ALIVE_PODS: TwoParts<&[u8]> = parts(
    "epoch_and_pod_to_unit",
    "epoch_and_pod_to_unit_packed",
    false,
);
pub(super) const PODS: TwoParts<&[u8]> = parts("uid_to_pod", "uid_to_pod_packed", true);

#[derive(Decode)]
pub(super) struct ObjectRow {
    pub(super) uid: Vec<u8>,
    pub(super) live: bool,
    _last_us: i64,
    pub(super) last_seq: u64,
    pub(super) change_hash: Option<[u8; 16]>,
    pub(super) kind: u64,
}

#[derive(Decode)]
pub(super) struct IncarnationRow {
    pub(super) group: String,
    pub(super) kind: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: Vec<u8>,
}

#[derive(Decode)]
pub(super) struct OwnerRefRow {
    pub(super) kind: String,
    pub(super) uid: Vec<u8>,
}

#[derive(Decode)]
pub(super) struct PodRow {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) spec_hash: u64,
    pub(super) owners: Vec<OwnerRefRow>,
    pub(super) given_owner: Option<GivenOwner>,
    pub(super) object: Option<u64>,
    pub(super) start_us: Option<i64>,
    pub(super) containers_end_us: Option<i64>,
    pub(super) end_us: Option<i64>,
    pub(super) end_since_us: Option<i64>,
    pub(super) gone: bool,
}

#[derive(Decode)]
pub(super) struct WriterRow {
    pub(super) last_us: i64,
    pub(super) last_seq: u64,
    pub(super) last_object: u64,
    pub(super) epoch: u64,
    pub(super) epoch_rows: u64,
    pub(super) epoch_carried: u64,
    pub(super) pods: u64,
    pub(super) run: u64,
    pub(super) last_gap: u64,
    pub(super) first_us: i64,
    pub(super) changes: u64,
    pub(super) horizon_us: i64,
    pub(super) horizon_seq: u64,
    pub(super) last_base: u64,
    pub(super) last_dictionary: u64,
}

/// The bytes of a dictionary, from either copy: the second one stands at its number with the highest bit set.
pub(super) fn dictionary(
    table: &ReadOnlyTable<u64, &'static [u8]>,
    number: u64,
) -> Result<Vec<u8>, StoreError> {
    const TABLE: &str = "dictionary_to_bytes";
    let at = |key: u64| match table.get(key)? {
        Some(row) => Ok(unseal(TABLE, &key.to_be_bytes(), row.value())?.to_vec()),
        None => Err(StoreError::Damaged {
            table: TABLE,
            key: format!("{key:016x}"),
            reason: "the dictionary is missing".to_owned(),
        }),
    };
    at(number).or_else(|error| at(number | 1 << 63).map_err(|_| error))
}

/// In the hot part: there is no row, whatever the packed part has.
const TOMBSTONE: &[u8] = &[0];
/// Longest rows of one chunk, bytes.
const CHUNK_ROWS_BYTES_MAX: usize = 96 << 10;

/// Key and payload.
type Entry = (Vec<u8>, Vec<u8>);

/// All rows of a table of two parts, in the order of their keys.
pub(super) struct Rows<K: redb::Key + 'static> {
    parts: &'static TwoParts<K>,
    hot: std::iter::Peekable<redb::Range<'static, K, &'static [u8]>>,
    packed: Option<redb::Range<'static, &'static [u8], &'static [u8]>>,
    /// Rows of the chunk under way.
    chunk: std::iter::Peekable<std::vec::IntoIter<Entry>>,
    context: DCtx<'static>,
}

impl<K: redb::Key + 'static> TwoParts<K>
where
    for<'k> K::SelfType<'k>: SealedKey,
{
    /// Its rows.
    pub(super) fn rows(&'static self, txn: &ReadTransaction) -> Result<Rows<K>, StoreError> {
        let hot: ReadOnlyTable<K, &'static [u8]> =
            txn.open_table(TableDefinition::new(self.hot))?;
        let packed = match txn.open_table(TableDefinition::new(self.packed)) {
            Ok(table) => Some(table.range::<&[u8]>(..)?),
            // Version 2.
            Err(TableError::TableDoesNotExist(_)) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Rows {
            parts: self,
            hot: hot.range::<K::SelfType<'static>>(..)?.peekable(),
            packed,
            chunk: Vec::new().into_iter().peekable(),
            context: DCtx::create(),
        })
    }
}

impl<K: redb::Key + 'static> Rows<K>
where
    for<'k> K::SelfType<'k>: SealedKey,
{
    fn read(&mut self) -> Result<Option<Entry>, StoreError> {
        loop {
            while self.chunk.peek().is_none()
                && let Some(entry) = self.packed.as_mut().and_then(Iterator::next)
            {
                let (key, stored) = entry?;
                let rows = self.unpack(key.value(), stored.value())?;
                self.chunk = rows.into_iter().peekable();
            }
            let hot = match self.hot.peek() {
                Some(Ok((key, _))) => Some(key.value().seal_bytes().into_owned()),
                // It is told below.
                Some(Err(_)) | None => None,
            };
            let packed = self.chunk.peek().map(|(key, _)| key);
            if self.hot.peek().is_none_or(Result::is_ok)
                && packed.is_some_and(|packed| hot.as_ref().is_none_or(|hot| packed < hot))
            {
                return Ok(self.chunk.next());
            }
            // The row of the hot part stands for the packed one.
            self.chunk.next_if(|(key, _)| Some(key) == hot.as_ref());
            let Some(entry) = self.hot.next() else {
                return Ok(None);
            };
            let (_, value) = entry?;
            let (key, value) = (hot.unwrap_or_default(), value.value());
            if value == TOMBSTONE {
                continue;
            }
            let payload = if self.parts.sealed {
                unseal(self.parts.hot, &key, value)?.to_vec()
            } else {
                Vec::new()
            };
            return Ok(Some((key, payload)));
        }
    }

    /// The rows of a chunk: `length of the last key | last key | length of the rows | zstd frame`, in it for each row `bytes
    /// shared with the key before | length of the rest | the rest | length of the value | value`.
    fn unpack(&mut self, key: &[u8], stored: &[u8]) -> Result<Vec<Entry>, StoreError> {
        let mut payload = unseal(self.parts.packed, key, stored)?;
        let mut read = || {
            let last = number(&mut payload)?;
            (_, payload) = payload.split_at_checked(last)?;
            let len = number(&mut payload)?;
            if len > CHUNK_ROWS_BYTES_MAX {
                return None;
            }
            let mut bytes = Vec::with_capacity(len);
            self.context.decompress(&mut bytes, payload).ok()?;
            let mut rest = bytes.as_slice();
            let mut rows: Vec<Entry> = Vec::new();
            while !rest.is_empty() {
                let shared = number(&mut rest)?;
                let mut key = match rows.last() {
                    Some((before, _)) => before.get(..shared)?.to_vec(),
                    None => Vec::new(),
                };
                let more = number(&mut rest)?;
                let (suffix, behind) = rest.split_at_checked(more)?;
                key.extend_from_slice(suffix);
                rest = behind;
                let len = number(&mut rest)?;
                let (value, behind) = rest.split_at_checked(len)?;
                rest = behind;
                rows.push((key, value.to_vec()));
            }
            Some(rows)
        };
        read().ok_or_else(|| StoreError::Damaged {
            table: self.parts.packed,
            key: key.iter().map(|byte| format!("{byte:02x}")).collect(),
            reason: "the rows of the chunk cannot be read".to_owned(),
        })
    }
}

impl<K: redb::Key + 'static> Iterator for Rows<K>
where
    for<'k> K::SelfType<'k>: SealedKey,
{
    type Item = Result<Entry, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// A varint: seven bits a byte, least significant first.
fn number(bytes: &mut &[u8]) -> Option<usize> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return usize::try_from(number).ok();
        }
    }
    None
}

/// Reads the payload of a row.
pub(super) fn row<R: Decode<()>>(
    table: &'static str,
    key: &[u8],
    payload: &[u8],
) -> Result<R, StoreError> {
    let damaged = |reason: String| StoreError::Damaged {
        table,
        key: key.iter().map(|byte| format!("{byte:02x}")).collect(),
        reason,
    };
    let config = bincode::config::standard().with_limit::<{ 16 << 20 }>();
    let (row, read) = bincode::decode_from_slice::<R, _>(payload, config)
        .map_err(|error| damaged(error.to_string()))?;
    if read == payload.len() {
        Ok(row)
    } else {
        Err(damaged("bytes behind the row".to_owned()))
    }
}

impl PodRow {
    /// Reads the payload of a lifecycle.
    pub(super) fn read(key: &[u8], payload: &[u8]) -> Result<Self, StoreError> {
        row(PODS.hot, key, payload)
    }
}

impl IncarnationRow {
    /// Reads the payload of an incarnation.
    pub(super) fn read(key: &[u8], payload: &[u8]) -> Result<Self, StoreError> {
        row(INCARNATIONS.hot, key, payload)
    }
}

impl ObjectRow {
    /// Reads the payload of an object.
    pub(super) fn read(key: &[u8], payload: &[u8]) -> Result<Self, StoreError> {
        row(OBJECTS.hot, key, payload)
    }
}
