//! What a file must be before redb opens it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::StoreError;

/// How redb files begin.
const REDB_MAGIC: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";

/// Refuses what is no file before it is opened: opening a FIFO waits for somebody to write into it.
pub(super) fn check_regular(path: &Path) -> Result<(), StoreError> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(()),
        Ok(_) => Err(StoreError::NotAStore {
            path: path.to_owned(),
            found: "not a regular file".to_owned(),
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(StoreError::Missing {
            path: path.to_owned(),
        }),
        Err(error) => Err(StoreError::io(path, "cannot be read")(error)),
    }
}

/// Refuses what redb would not even call a database of its own, before redb opens it.
pub(super) fn check_magic(path: &Path) -> Result<(), StoreError> {
    check_regular(path)?;
    let mut file = File::open(path).map_err(StoreError::io(path, "cannot be opened"))?;
    let not_ours = |found: &str| StoreError::NotAStore {
        path: path.to_owned(),
        found: found.to_owned(),
    };
    let mut magic = Vec::with_capacity(REDB_MAGIC.len());
    file.by_ref()
        .take(REDB_MAGIC.len() as u64)
        .read_to_end(&mut magic)
        .map_err(StoreError::io(path, "cannot be read"))?;
    match magic.as_slice() {
        [] => Err(not_ours("an empty file")),
        REDB_MAGIC => Ok(()),
        _ => Err(not_ours("a file that is no redb database")),
    }
}
