//! The redb file: tables, rows, keys, opening, reading and writing.
//!
//! Only this room and `migrations/` know redb. `tables` lists every table; `keys` and `rows` say what their bytes
//! mean, `headers` and `versions` what the packed ones mean; `codec` seals and opens row bytes. [`Store`] is one process's handle on a file it may write;
//! [`Reader`] reads a file, its own or another process's, through consistent [`Snapshot`]s. What a write transaction
//! means is decided in [`crate::ingest`]; a row is durable when its transaction has been committed (fsynced).
//! docs/format.md writes the format down.

mod backup;
mod backup_row;
#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod body;
#[cfg(not(feature = "bench"))]
pub(crate) mod body;
mod check;
pub(crate) mod codec;
mod copy_grace;
mod create;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
pub(crate) mod headers;
pub(crate) mod journal;
pub(crate) mod keys;
pub(crate) mod lookup;
mod mark;
mod meta;
mod open;
mod output;
mod overlay;
pub(crate) mod packed;
mod pins;
mod place;
pub(crate) mod pod_index;
mod pod_times;
mod progress;
mod read_handle;
mod reader;
mod recognize;
mod reserve;
pub(crate) mod rows;
mod salvage;
mod schema;
pub(crate) mod scratch;
mod sealed_rows;
mod size;
mod snapshot;
pub(crate) mod tables;
mod temporary;
mod verify;
pub(crate) mod versions;
mod volume;
mod writer_row;

pub use backup::{Backup, BackupSummary, Provenance};
pub use check::{guarded_run, hush_guarded_panics};
pub use copy_grace::{CopyGrace, CopyGraceOptions, CopyGraceStats};
pub use error::{StorageFailure, StoreError};
pub use meta::SCHEMA_VERSION;
pub use open::{OpenOptions, Store};
pub use progress::Progress;
pub use reader::Reader;
pub use salvage::{Lost, Salvage, salvage};
pub use schema::schema_version;
pub use size::{SizeOnDisk, TableSize};
pub use snapshot::Snapshot;
pub use verify::{Finding, Verification, verify};
pub use volume::{Room, allocated_bytes};

#[cfg(test)]
pub(crate) use codec::seal;
pub(crate) use codec::{RowBytes, unseal};
pub(crate) use create::{folder_of, sync_folder_of};
pub(crate) use meta::{
    WRITER, claim_cluster, cluster_id, ensure_redaction_key, redaction_key, set_schema, store_id,
};
pub(crate) use output::{Output, refuse_itself, refuse_live};
pub(crate) use pins::{Pin, Pins};
pub(crate) use reserve::Reserve;
pub(crate) use snapshot::{read_kinds, read_watches};
pub(crate) use tables::{ReadTables, Tables, WriteTables};
