//! What a file is: application, schema version, ids. These cells are frozen for ever and read before anything else.

use std::path::Path;

use redb::ReadableTable;

use super::tables::META;
use super::{StoreError, codec};
use crate::model::RedactionKey;

/// The schema version that this release reads and writes.
pub const SCHEMA_VERSION: u32 = 5;

/// Meta key: what program the file belongs to.
const APPLICATION: &str = "application";
/// Meta value of [`APPLICATION`].
const APPLICATION_ID: &[u8] = b"sk-tracedb";
/// Meta key: schema version, u32 little-endian.
const SCHEMA: &str = "schema_version";
/// Meta key: random id of the store, 16 bytes.
const STORE_ID: &str = "store_id";
/// Meta key: UID of the recorded cluster's kube-system namespace (R16).
const CLUSTER_ID: &str = "cluster_id";
/// Meta key: the key under which Secrets are digested (S8), 32 random bytes, sealed like a row: a flipped bit would make
/// every Secret look changed. Absent until the first run of a release that knows it.
const REDACTION_KEY: &str = "redaction_key";
/// Meta key: [`super::rows::WriterRow`].
pub(crate) const WRITER: &str = "writer";

/// Meta key: the number that the journal's next record has at least, u64 little-endian, sealed.
pub(crate) const JOURNAL_NEXT: &str = "journal_next";

/// Meta key: [`super::rows::BackupRow`].
pub(crate) const BACKUP: &str = "backup";

/// Whether a cell holds its bytes as they are; all others are sealed rows.
pub(super) fn is_bare(key: &[u8]) -> bool {
    [APPLICATION, SCHEMA, STORE_ID, CLUSTER_ID]
        .iter()
        .any(|cell| cell.as_bytes() == key)
}

/// Whether a cell of a broken file goes into the new one: not what says which file, application or schema it is.
pub(super) fn is_kept_by_salvage(key: &[u8]) -> bool {
    let own = [APPLICATION, SCHEMA, super::mark::MARK];
    !own.iter().any(|cell| cell.as_bytes() == key)
}

/// Name of the table, as it goes into checksums.
const META_TABLE: &str = "meta";

type MetaTable<'txn> = redb::Table<'txn, &'static str, &'static [u8]>;

/// Writes the cells of a new file.
pub(super) fn initialize(meta: &mut MetaTable<'_>, store_id: [u8; 16]) -> Result<(), StoreError> {
    meta.insert(APPLICATION, APPLICATION_ID)?;
    meta.insert(SCHEMA, SCHEMA_VERSION.to_le_bytes().as_slice())?;
    meta.insert(STORE_ID, store_id.as_slice())?;
    Ok(())
}

/// Sets the schema version: the last thing a migration does.
pub(crate) fn set_schema(txn: &redb::WriteTransaction, version: u32) -> Result<(), StoreError> {
    txn.open_table(META)?
        .insert(SCHEMA, version.to_le_bytes().as_slice())?;
    Ok(())
}

/// The schema version of a file of ours.
///
/// # Errors
/// [`StoreError::NotAStore`] when the cells are not those of a trace store.
pub(super) fn schema(txn: &redb::ReadTransaction, path: &Path) -> Result<u32, StoreError> {
    let not_ours = |found: &str| StoreError::NotAStore {
        path: path.to_owned(),
        found: found.to_owned(),
    };
    let meta = match txn.open_table(META) {
        Ok(meta) => meta,
        Err(redb::TableError::Storage(error)) => return Err(error.into()),
        Err(_) => return Err(not_ours("a redb database of another program")),
    };
    let application = meta.get(APPLICATION)?;
    if application.as_ref().map(|value| value.value()) != Some(APPLICATION_ID) {
        return Err(not_ours("a redb database of another program"));
    }
    let version = meta.get(SCHEMA)?;
    let version = version
        .as_ref()
        .and_then(|value| value.value().try_into().ok())
        .map(u32::from_le_bytes);
    version.ok_or_else(|| not_ours("a trace store without a schema version"))
}

/// The random id given to the file when it was created.
pub(crate) fn store_id(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<String, StoreError> {
    Ok(meta
        .get(STORE_ID)?
        .map(|value| codec::hex(value.value()))
        .unwrap_or_default())
}

/// The cluster that the record belongs to, where that is known.
pub(crate) fn cluster_id(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<Option<String>, StoreError> {
    Ok(meta
        .get(CLUSTER_ID)?
        .map(|value| String::from_utf8_lossy(value.value()).into_owned()))
}

/// Ties the record to a cluster.
///
/// # Errors
/// [`StoreError::OtherCluster`] when it already belongs to another.
pub(crate) fn claim_cluster(meta: &mut MetaTable<'_>, cluster: &str) -> Result<(), StoreError> {
    match cluster_id(meta)? {
        Some(stored) if stored == cluster => Ok(()),
        Some(stored) => Err(StoreError::OtherCluster {
            stored,
            found: cluster.to_owned(),
        }),
        None => {
            meta.insert(CLUSTER_ID, cluster.as_bytes())?;
            Ok(())
        }
    }
}

/// The key under which this store digests what it must not keep in clear, where there is one yet.
///
/// # Errors
/// [`StoreError::Damaged`] when the cell is not what [`ensure_redaction_key`] wrote.
pub(crate) fn redaction_key(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<Option<RedactionKey>, StoreError> {
    let Some(value) = meta.get(REDACTION_KEY)? else {
        return Ok(None);
    };
    let bytes = codec::unseal(META_TABLE, REDACTION_KEY.as_bytes(), value.value())?;
    let key = bytes.try_into().map_err(|_| StoreError::Damaged {
        table: META_TABLE,
        key: REDACTION_KEY.to_owned(),
        reason: format!("a key of {} bytes", bytes.len()),
    })?;
    Ok(Some(RedactionKey::from_bytes(key)))
}

/// The same, made now if there is none. It may be used once the transaction has been committed: what is digested under a
/// key that is lost compares with nothing.
///
/// # Errors
/// As [`redaction_key`], and [`StoreError::Random`].
pub(crate) fn ensure_redaction_key(meta: &mut MetaTable<'_>) -> Result<RedactionKey, StoreError> {
    if let Some(key) = redaction_key(meta)? {
        return Ok(key);
    }
    let mut key = [0; RedactionKey::BYTES];
    getrandom::fill(&mut key).map_err(|error| StoreError::Random(error.into()))?;
    let sealed = codec::seal(META_TABLE, REDACTION_KEY.as_bytes(), &key);
    meta.insert(REDACTION_KEY, sealed.as_slice())?;
    Ok(RedactionKey::from_bytes(key))
}
