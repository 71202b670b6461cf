//! Saving what is readable of a broken file into a new one.
//!
//! Every row is sealed with the name of its table and its key, so a row proves by itself where it belongs. `collect`
//! takes rows from wherever they can be had: from the tables, as far as redb finds them, and from every leaf page in the
//! file (`pages`), whether or not anything refers to it any more; then what the journal says of rows is done to them
//! (`replay`). `rebuild` makes a store of them: versions of objects are
//! what counts, and headers, objects, kinds and epochs are made anew from them. What dangles is dropped. Sequence
//! numbers that are missing afterwards are exactly the changes that were lost.

mod collect;
mod names;
mod pages;
mod rebuild;
mod replay;

use std::path::{Path, PathBuf};

use redb::Database;

use super::progress::{Counter, Progress};
use super::{StoreError, create, folder_of, mark, open, sync_folder_of};
use crate::model::Timestamp;

/// A stretch of the record that could not be saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Lost {
    /// The first sequence number that is missing.
    pub first_seq: u64,
    /// The last one.
    pub last_seq: u64,
    /// Time of the last change before it that was saved.
    pub after: Option<Timestamp>,
    /// Time of the first change after it that was saved.
    pub before: Option<Timestamp>,
}

/// What was saved, and what was not.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Salvage {
    /// The new store.
    pub path: PathBuf,
    /// Changes saved.
    pub changes: u64,
    /// Objects (incarnations) saved.
    pub objects: u64,
    /// Pod lifecycles saved.
    pub pods: u64,
    /// Changes that are missing.
    pub changes_lost: u64,
    /// Where they are missing, oldest first.
    pub lost: Vec<Lost>,
    /// Stretches that are not listed.
    pub lost_left_out: u64,
    /// What is known to be missing besides, a line each.
    pub notes: Vec<String>,
}

/// Saves what is readable of the file at `broken` into a new store at `rescued`. The broken file is only read.
///
/// # Errors
/// [`StoreError::Exists`] when there is a file at `rescued`, [`StoreError::Stopped`] when `go_on` says so,
/// [`StoreError::Refused`] when nothing could be saved, or what the file system says. No new store is left then.
pub fn salvage(
    broken: &Path,
    rescued: &Path,
    go_on: &mut dyn FnMut(Progress) -> bool,
) -> Result<Salvage, StoreError> {
    if !broken
        .try_exists()
        .map_err(StoreError::io(broken, "cannot look for the file"))?
    {
        return Err(StoreError::Missing {
            path: broken.to_owned(),
        });
    }
    if rescued.exists() {
        return Err(StoreError::Exists {
            path: rescued.to_owned(),
        });
    }
    let mut counter = Counter::new(go_on);
    let folder = tempfile::Builder::new()
        .prefix(".sk-tracedb-salvage-")
        .tempdir_in(folder_of(rescued))
        .map_err(StoreError::io(rescued, "cannot be written"))?;
    let temporary = folder.path().join("store");
    create::create(&temporary)?;
    let database: Database = redb::Builder::new()
        .set_cache_size(crate::limits::BACKUP_CACHE_BYTES)
        .open(&temporary)
        .map_err(open::open_error(&temporary))?;
    let mut salvage = Salvage {
        path: rescued.to_owned(),
        ..Salvage::default()
    };
    collect::collect(broken, &database, &mut counter, &mut salvage)?;
    rebuild::rebuild(&database, &mut counter, &mut salvage)?;
    if salvage.changes == 0 && salvage.pods == 0 {
        return Err(StoreError::Refused(format!(
            "{}: nothing in it could be saved",
            broken.display()
        )));
    }
    mark::close(database, &temporary)?;
    std::fs::hard_link(&temporary, rescued).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => StoreError::Exists {
            path: rescued.to_owned(),
        },
        _ => StoreError::io(rescued, "cannot be written")(error),
    })?;
    sync_folder_of(rescued)?;
    Ok(salvage)
}
