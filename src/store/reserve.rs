//! A few megabytes beside the database that are given up when the disk is full: committing needs room even to delete
//! (pages are copied before they change), so without them a full disk could not be got out of from within.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::limits::RESERVE_RETRY_SECONDS;

/// The file `<database>.reserve`. It stays where it is from one run to the next.
#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
    bytes: u64,
    held: bool,
    /// When it was last tried to make it.
    tried: Instant,
}

impl Reserve {
    /// Takes over the reserve of a database, or makes it where there is room. `None` for a reserve of no bytes.
    pub(crate) fn beside(database: &Path, bytes: u64) -> Option<Self> {
        if bytes == 0 {
            return None;
        }
        let mut path = database.as_os_str().to_owned();
        path.push(".reserve");
        let mut reserve = Self {
            path: path.into(),
            bytes,
            held: false,
            tried: Instant::now(),
        };
        reserve.held = fs::metadata(&reserve.path).is_ok_and(|file| file.len() == bytes);
        if !reserve.held {
            reserve.make();
        }
        Some(reserve)
    }

    /// Bytes held.
    pub(crate) fn held_bytes(&self) -> u64 {
        if self.held { self.bytes } else { 0 }
    }

    /// Gives the room back to the disk. False: there was none to give.
    pub(crate) fn give_up(&mut self) -> bool {
        if !std::mem::take(&mut self.held) {
            return false;
        }
        // The next try to make it shall not take the room at once.
        self.tried = Instant::now();
        match fs::remove_file(&self.path) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "the reserve cannot be removed");
                false
            }
        }
    }

    /// Makes the reserve again, if it was given up and there is room; tried once in a while. True: it was made.
    pub(crate) fn restore(&mut self) -> bool {
        if self.held || self.tried.elapsed() < Duration::from_secs(RESERVE_RETRY_SECONDS) {
            return false;
        }
        self.make();
        self.held
    }

    fn make(&mut self) {
        self.tried = Instant::now();
        match fill(&self.path, self.bytes) {
            Ok(()) => self.held = true,
            Err(error) => {
                tracing::debug!(path = %self.path.display(), %error, "no room for the reserve");
                // What was written of it is room, too.
                let _ = fs::remove_file(&self.path);
            }
        }
    }
}

/// Makes a file that has its room for sure: of bytes that no file system compresses. There has to be room for it twice,
/// or the database would be left with none.
fn fill(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    let mut noise = blake3::Hasher::new().finalize_xof();
    io::copy(&mut Read::take(&mut noise, 2 * bytes), &mut file)?;
    file.flush()?;
    file.sync_all()?;
    file.set_len(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_reserve_has_its_room_until_it_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("trace.redb");
        let path = folder.path().join("trace.redb.reserve");
        let mut reserve = Reserve::beside(&database, 1 << 20).unwrap();
        let file = fs::metadata(&path).unwrap();
        assert_eq!((file.len(), reserve.held_bytes()), (1 << 20, 1 << 20));
        assert!(file.blocks() * 512 >= 1 << 20, "{} blocks", file.blocks());
        // The next run takes it over.
        let mut next = Reserve::beside(&database, 1 << 20).unwrap();
        assert!(next.give_up());
        assert!(!path.exists());
        assert!(!next.give_up());
        assert_eq!(next.held_bytes(), 0);
        // Not at once: the room was wanted for something else.
        assert!(!next.restore());
        // Somebody else has removed it: nothing was gained.
        assert!(!reserve.give_up());
    }

    #[test]
    fn no_room_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let reserve = Reserve::beside(&folder.path().join("no/such/folder"), 1 << 20).unwrap();
        assert_eq!(reserve.held_bytes(), 0);
        assert!(Reserve::beside(&folder.path().join("trace.redb"), 0).is_none());
    }
}
