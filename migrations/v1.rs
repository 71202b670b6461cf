//! Schema version 1, as it was released: its tables and rows, for reading. Nothing here changes any more.
//!
//! Each event had a row for its header and one for its object as plain MessagePack; UIDs were texts.

use bincode::Decode;
use redb::{ReadTransaction, TableDefinition};

use crate::store::{StoreError, unseal};

pub(super) const EVENTS: TableDefinition<'static, &[u8; 16], &[u8]> =
    TableDefinition::new("event_to_header");
pub(super) const BODIES: TableDefinition<'static, &[u8; 16], &[u8]> =
    TableDefinition::new("event_to_body");
pub(super) const OBJECTS: TableDefinition<'static, &[u8], &[u8]> =
    TableDefinition::new("object_to_row");
pub(super) const INCARNATIONS: TableDefinition<'static, u64, &[u8]> =
    TableDefinition::new("id_to_incarnation");
pub(super) const EPOCHS: TableDefinition<'static, u64, &[u8]> =
    TableDefinition::new("epoch_to_row");
pub(super) const ALIVE: TableDefinition<'static, &[u8], &[u8]> =
    TableDefinition::new("epoch_and_object_to_unit");
pub(super) const ALIVE_PODS: TableDefinition<'static, &[u8], &[u8]> =
    TableDefinition::new("epoch_and_pod_to_unit");
pub(super) const OWNERS: TableDefinition<'static, &str, &[u8]> =
    TableDefinition::new("uid_to_owner");
pub(super) const WANTED: TableDefinition<'static, &str, &[u8]> =
    TableDefinition::new("uid_to_wanted_owner");
pub(super) const PODS: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("uid_to_pod");
pub(super) const RUNS: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("run_to_row");
pub(super) const GAPS: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("gap_to_row");
pub(super) const WATCHES: TableDefinition<'static, &str, &[u8]> =
    TableDefinition::new("kind_to_watch");
pub(super) const KINDS: TableDefinition<'static, u64, &[u8]> =
    TableDefinition::new("kind_id_to_kind");
pub(super) const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");

#[derive(Decode)]
pub(super) struct EventRow {
    pub(super) deleted: bool,
    pub(super) object: u64,
    pub(super) kind: u64,
    pub(super) spec_hash: u64,
    pub(super) body_len: u32,
    pub(super) since_us: Option<i64>,
    pub(super) initial: bool,
}

#[derive(Decode)]
pub(super) struct ObjectRow {
    pub(super) uid: String,
    pub(super) live: bool,
    _last_us: i64,
    pub(super) last_seq: u64,
    pub(super) change_hash: [u8; 32],
    pub(super) kind: u64,
}

#[derive(Decode)]
pub(super) struct IncarnationRow {
    pub(super) group: String,
    pub(super) kind: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
}

#[derive(Decode)]
pub(super) struct OwnerRefRow {
    _api_version: String,
    pub(super) kind: String,
    _name: String,
    pub(super) uid: String,
    _controller: bool,
}

#[derive(Decode)]
pub(super) struct OwnerRow {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) kind: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) owners: Vec<OwnerRefRow>,
    pub(super) object: Option<u64>,
}

#[derive(Decode)]
pub(super) struct GivenOwner {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) kind: String,
    pub(super) name: String,
}

#[derive(Decode)]
pub(super) struct PodRow {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) spec_hash: u64,
    pub(super) owners: Vec<OwnerRefRow>,
    pub(super) given_owner: Option<GivenOwner>,
    pub(super) start_us: Option<i64>,
    pub(super) containers_end_us: Option<i64>,
    pub(super) end_us: Option<i64>,
    pub(super) end_since_us: Option<i64>,
    pub(super) gone: bool,
}

#[derive(Decode)]
pub(super) struct KindRow {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) kind: String,
    pub(super) applies: u64,
    pub(super) deletes: u64,
    pub(super) body_bytes: u64,
    pub(super) live: u64,
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
}

/// Checks a row's seal and reads it.
pub(super) fn row<R: Decode<()>>(
    table: &'static str,
    key: &[u8],
    bytes: &[u8],
) -> Result<R, StoreError> {
    let damaged = |reason: String| StoreError::Damaged {
        table,
        key: key.iter().map(|byte| format!("{byte:02x}")).collect(),
        reason,
    };
    let payload = unseal(table, key, bytes)?;
    let config = bincode::config::standard().with_limit::<{ 16 << 20 }>();
    let (row, read) = bincode::decode_from_slice::<R, _>(payload, config)
        .map_err(|error| damaged(error.to_string()))?;
    if read == payload.len() {
        Ok(row)
    } else {
        Err(damaged("bytes behind the row".to_owned()))
    }
}

/// What is known of an object as an owner.
pub(super) fn owner(txn: &ReadTransaction, uid: &str) -> Result<Option<OwnerRow>, StoreError> {
    match txn.open_table(OWNERS)?.get(uid)? {
        Some(value) => row("uid_to_owner", uid.as_bytes(), value.value()).map(Some),
        None => Ok(None),
    }
}
