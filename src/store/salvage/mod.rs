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
mod newer;
mod pages;
mod rebuild;
mod replay;

use std::path::{Path, PathBuf};

use redb::Database;

use super::check::{self, Found};
use super::progress::{Counter, Progress};
use super::{SCHEMA_VERSION, StoreError, create, folder_of, mark, open, recognize, sync_folder_of};
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
    /// Pod lifecycles that are missing. Where retention had dropped something, those that it had yet to drop count, too.
    pub pods_lost: u64,
    /// Owners that pods and objects refer to and of which nothing was found: lost, or never known.
    pub owners_lost: u64,
    /// Runs of a recorder that are missing.
    pub runs_lost: u64,
    /// Gaps that are missing, at most.
    pub gaps_lost_max: u64,
    /// The file was whole: every page and every row of it.
    pub is_intact: bool,
    /// What is known to be missing besides, a line each.
    pub notes: Vec<String>,
}

/// The oldest schema version whose rows are those of this release.
const OLDEST_SCHEMA: u32 = 4;

/// Whether every page of a file is what was written. Refuses what another way leads on from.
fn is_whole(broken: &Path) -> Result<bool, StoreError> {
    let length = std::fs::metadata(broken)
        .map_err(StoreError::io(broken, "cannot be read"))?
        .len();
    if length == 0 {
        return Err(StoreError::NotAStore {
            path: broken.to_owned(),
            found: "an empty file".to_owned(),
        });
    }
    if let Ok(Found::BeingWritten(_)) = check::guarded(broken, || check::open_read_only(broken)) {
        return Err(StoreError::Busy {
            path: broken.to_owned(),
        });
    }
    let checked = check::open_checked(broken);
    let is_whole = checked.is_ok();
    drop(checked);
    let schema = check::guarded(broken, || {
        open::schema_of(&check::open_unchecked(broken)?, broken)
    });
    match schema {
        Ok(found) if found > SCHEMA_VERSION => Err(StoreError::NewerSchema {
            path: broken.to_owned(),
            found,
            supported: SCHEMA_VERSION,
        }),
        Ok(found) if found < OLDEST_SCHEMA => Err(other_schema(
            broken,
            &format!("schema version {found} is older than {SCHEMA_VERSION}"),
        )),
        Err(error @ StoreError::NotAStore { .. }) if is_whole => Err(error),
        _ => Ok(is_whole),
    }
}

/// Rows that this release does not read.
fn other_schema(broken: &Path, reason: &str) -> StoreError {
    StoreError::Refused(format!(
        "{}: its rows are not those of this release: {reason}\nhint: migrate it first (`sk-tracedb migrate --db FILE`); if \
         that fails, too, use `salvage` of the release that wrote it, and migrate what it saves",
        broken.display()
    ))
}

/// Saves what is readable of the file at `broken` into a new store at `rescued`. The broken file is only read.
///
/// # Errors
/// [`StoreError::Exists`] when there is a file at `rescued`, [`StoreError::Busy`] when another process writes the broken
/// one, [`StoreError::NotAStore`] for a whole file of something else, [`StoreError::NewerSchema`],
/// [`StoreError::Stopped`] when `go_on` says so, [`StoreError::Refused`] when nothing could be saved or the schema is an
/// older one, or what the file system says. No new store is left then.
pub fn salvage(
    broken: &Path,
    rescued: &Path,
    go_on: &mut dyn FnMut(Progress) -> bool,
) -> Result<Salvage, StoreError> {
    recognize::check_regular(broken)?;
    if rescued.exists() {
        return Err(StoreError::Exists {
            path: rescued.to_owned(),
        });
    }
    let mut counter = Counter::new(go_on);
    counter.begin("checking pages", 0)?;
    let is_whole = is_whole(broken)?;
    let folder = tempfile::Builder::new()
        .prefix(".sk-tracedb-salvage-")
        .tempdir_in(folder_of(rescued))
        .map_err(StoreError::io(rescued, "cannot be written"))?;
    let temporary = folder.path().join("store");
    let full = |error: StoreError| error.while_writing(rescued);
    create::create(&temporary).map_err(full)?;
    let database: Database = redb::Builder::new()
        .set_cache_size(crate::limits::BACKUP_CACHE_BYTES)
        .open(&temporary)
        .map_err(open::open_error(&temporary))?;
    let mut salvage = Salvage {
        path: rescued.to_owned(),
        is_intact: is_whole,
        ..Salvage::default()
    };
    let told = |error: StoreError| match error {
        // Its seal is right, so it is what was written: by a release that wrote other rows.
        error @ StoreError::Damaged { .. } => other_schema(broken, &error.to_string()),
        error => full(error),
    };
    collect::collect(broken, &database, &mut counter, &mut salvage).map_err(told)?;
    rebuild::rebuild(&database, &mut counter, &mut salvage).map_err(told)?;
    if salvage.changes == 0 && salvage.pods == 0 {
        return Err(StoreError::Refused(format!(
            "{}: nothing in it could be saved\nhint: perhaps it never was a trace store; go on with a backup, or another \
             copy of the file",
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
