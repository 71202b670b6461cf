//! Making a new file: under a temporary name, committed, synced, then renamed. Power lost on the way leaves no
//! half-made database under the wanted name.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::StoreError;
use super::tables::WriteTables;
use super::{mark, meta};

/// The folder of a path; `.` for a bare file name.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes an entry of a folder (a new or renamed file) durable.
pub(crate) fn sync_folder_of(path: &Path) -> Result<(), StoreError> {
    let folder = folder_of(path);
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(StoreError::io(folder, "cannot sync the folder"))
}

/// Makes an empty store at `path`, which must not exist.
///
/// # Errors
/// [`StoreError::Exists`], or what the file system says.
pub(super) fn create(path: &Path) -> Result<(), StoreError> {
    let temporary = tempfile::Builder::new()
        .prefix(".sk-tracedb-new-")
        .tempfile_in(folder_of(path))
        .map_err(StoreError::io(path, "cannot create the file"))?;
    let temporary_path: PathBuf = temporary.path().to_owned();
    let database = redb::Builder::new()
        .create(&temporary_path)
        .map_err(|error| StoreError::Database(Box::new(error.into())))?;
    initialize(&database, &temporary_path)?;
    mark::close(database, &temporary_path)?;
    temporary
        .as_file()
        .sync_all()
        .map_err(StoreError::io(path, "cannot sync the file"))?;
    temporary
        .persist_noclobber(path)
        .map_err(|error| match error.error.kind() {
            std::io::ErrorKind::AlreadyExists => StoreError::Exists {
                path: path.to_owned(),
            },
            _ => StoreError::io(path, "cannot create the file")(error.error),
        })?;
    sync_folder_of(path)
}

/// Makes the tables of a new store. `name` is one of the things that its id is made of.
pub(super) fn initialize(database: &redb::Database, name: &Path) -> Result<(), StoreError> {
    let txn = database.begin_write()?;
    {
        let mut tables = WriteTables::open(&txn)?;
        meta::initialize(&mut tables.meta, fresh_id(name))?;
    }
    txn.commit()?;
    Ok(())
}

/// 16 bytes that no other store has: the random temporary name, the time and the process.
fn fresh_id(temporary: &Path) -> [u8; 16] {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let mut hasher = blake3::Hasher::new();
    hasher.update(temporary.as_os_str().as_encoded_bytes());
    hasher.update(&now.as_nanos().to_le_bytes());
    hasher.update(&std::process::id().to_le_bytes());
    let mut id = [0; 16];
    hasher.finalize_xof().fill(&mut id);
    id
}
