//! What the file system says of the volume that a store is on.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{StoreError, folder_of};

/// Bytes of one block as `stat` counts them, whatever the file system's own are.
const STAT_BLOCK_BYTES: u64 = 512;

/// The room that a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes that the file system has allocated for the file; 0 while there is none.
    pub allocated_bytes: u64,
    /// Bytes that this user may still write to the volume.
    pub available_bytes: u64,
}

impl Room {
    /// Measures the volume of a file, which need not exist yet.
    ///
    /// # Errors
    /// What the file system says.
    pub fn of(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let folder = folder_of(path);
        let volume = rustix::fs::statvfs(folder).map_err(|error| {
            StoreError::io(folder, "the volume cannot be measured")(error.into())
        })?;
        let allocated_bytes = match allocated_bytes(path) {
            Err(StoreError::Missing { .. }) => 0,
            measured => measured?,
        };
        Ok(Self {
            allocated_bytes,
            available_bytes: volume.f_bavail.saturating_mul(volume.f_frsize),
        })
    }
}

/// Bytes that the file system has allocated for a file: what it takes from the volume. Its length is more, as it is
/// sparse.
///
/// # Errors
/// [`StoreError::Missing`], or what the file system says.
pub fn allocated_bytes(path: &Path) -> Result<u64, StoreError> {
    match std::fs::metadata(path) {
        Ok(file) => Ok(file.blocks().saturating_mul(STAT_BLOCK_BYTES)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(StoreError::Missing {
            path: path.to_owned(),
        }),
        Err(error) => Err(StoreError::io(path, "cannot be measured")(error)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_takes_from_its_volume_what_was_written_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let before = Room::of(&path).unwrap();
        assert_eq!(before.allocated_bytes, 0);
        assert!(before.available_bytes > 0);
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(1 << 30).unwrap();
        assert!(allocated_bytes(&path).unwrap() < 1 << 20, "sparse");
        std::fs::write(&path, vec![1; 1 << 20]).unwrap();
        let measured = Room::of(&path).unwrap().allocated_bytes;
        assert!((1 << 20..2 << 20).contains(&measured), "{measured}");
        assert!(Room::of(folder.path().join("no/such/file")).is_err());
    }
}
