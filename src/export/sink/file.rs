//! A file that appears whole or not at all (X9).

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::new_file::NewFile;
use crate::store::{folder_of, sync_folder_of};

/// An output file under way: a temporary file in the same folder, which takes the wanted name on
/// [`FileSink::commit`] and is removed if that is never called.
pub struct FileSink {
    out: NewFile,
    path: PathBuf,
}

/// An output that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot be written", path.display())]
pub struct SinkError {
    /// The file as named by the caller.
    pub path: PathBuf,
    /// The cause.
    pub source: io::Error,
}

impl FileSink {
    /// Begins a file that will replace whatever has this name.
    ///
    /// # Errors
    /// When the folder does not exist or cannot be written, or the name is that of a folder.
    pub fn create(path: &Path) -> Result<Self, SinkError> {
        let failed = |source| SinkError {
            path: path.to_owned(),
            source,
        };
        if path.is_dir() {
            return Err(failed(io::Error::new(
                io::ErrorKind::IsADirectory,
                "is a folder",
            )));
        }
        let temporary = tempfile::Builder::new()
            .prefix(".sk-tracedb-")
            .tempfile_in(folder_of(path))
            .map_err(failed)?;
        Ok(Self {
            out: NewFile::new(temporary),
            path: path.to_owned(),
        })
    }

    /// Makes the file durable and gives it its name. Returns its length in bytes.
    ///
    /// # Errors
    /// When it cannot be written, synced or renamed; nothing has the wanted name then that had not before.
    pub fn commit(self) -> Result<u64, SinkError> {
        let Self { out, path } = self;
        let failed = |source| SinkError {
            path: path.clone(),
            source,
        };
        let temporary = out.finish().map_err(failed)?;
        temporary.as_file().sync_all().map_err(failed)?;
        let length = temporary.as_file().metadata().map_err(failed)?.len();
        // Temporary files are private; the result gets the permissions that any new file gets.
        set_default_permissions(temporary.as_file()).map_err(failed)?;
        temporary
            .persist(&path)
            .map_err(|error| failed(error.error))?;
        sync_folder_of(&path).map_err(|error| failed(io::Error::other(error)))?;
        Ok(length)
    }
}

/// `rw-r--r--`: what a file gets under the usual umask, which cannot be asked for without changing it.
fn set_default_permissions(file: &std::fs::File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

impl Write for FileSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_on_commit_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        std::fs::write(&path, "old").unwrap();
        let mut sink = FileSink::create(&path).unwrap();
        sink.write_all(b"new").unwrap();
        sink.flush().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(sink.commit().unwrap(), 3);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
    }

    #[test]
    fn an_abandoned_file_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let mut sink = FileSink::create(&folder.path().join("out")).unwrap();
        sink.write_all(b"half").unwrap();
        drop(sink);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_unwritable_place_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        assert!(FileSink::create(&folder.path().join("no/such/folder/out")).is_err());
        assert!(FileSink::create(folder.path()).is_err());
    }
}
