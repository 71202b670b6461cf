//! A volume without room for what a command does to a store on it.

use std::path::Path;

use crate::model::ByteSize;
use crate::store::{Room, StorageFailure, StoreError};

/// Says how much room is enough where a command failed for want of it: the pages of a store that are rewritten are
/// free only when the new ones are written, and few of the rows that one change touches stand together.
pub(super) fn told(error: StoreError, db: &Path) -> anyhow::Error {
    let full = error.storage_failure() == Some(StorageFailure::NoSpace);
    match Room::of(db) {
        Ok(room) if full => anyhow::Error::new(error).context(format!(
            "hint: nothing that is kept was harmed; make room on its volume, {} is enough ({} are free), and try again",
            ByteSize(room.allocated_bytes),
            ByteSize(room.available_bytes)
        )),
        _ => error.into(),
    }
}
