//! A file that appears whole or not at all (X9).

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::new_file::NewFile;
use super::stream::Stream;
use crate::store::{Output, folder_of, refuse_live, sync_folder_of};

/// An output file under way: a temporary file in the same folder, which takes the wanted name on
/// [`FileSink::commit`] and is removed if that is never called. A name that is a symbolic link stands for what it leads to.
///
/// A device, a FIFO or a socket is written through instead: what has gone into it when the work fails is not taken back.
pub struct FileSink {
    out: Out,
    path: PathBuf,
}

enum Out {
    /// The file under way, and what it will be.
    File(Box<NewFile>, PathBuf),
    Stream(Stream),
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
    /// Begins a file that will replace whatever file has this name.
    ///
    /// # Errors
    /// When the folder does not exist or cannot be written, or the name is that of a folder, or of a store that another
    /// process is writing.
    pub fn create(path: &Path) -> Result<Self, SinkError> {
        let failed = |source| SinkError {
            path: path.to_owned(),
            source,
        };
        let out = match Output::find(path).map_err(failed)? {
            Output::Stream(kind) => Out::Stream(Stream::to(path, kind)),
            Output::File(file) => {
                let temporary = tempfile::Builder::new()
                    .prefix(".sk-tracedb-")
                    .tempfile_in(folder_of(&file))
                    .map_err(failed)?;
                Out::File(Box::new(NewFile::new(temporary)), file)
            }
        };
        Ok(Self {
            out,
            path: path.to_owned(),
        })
    }

    /// Whether it is written through to somebody who may be slow to take it.
    pub fn may_wait(&self) -> bool {
        matches!(self.out, Out::Stream(_))
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
        let (out, file) = match out {
            Out::File(out, file) => (out, file),
            Out::Stream(stream) => return stream.finish().map_err(failed),
        };
        let temporary = out.finish().map_err(failed)?;
        temporary.as_file().sync_all().map_err(failed)?;
        let length = temporary.as_file().metadata().map_err(failed)?.len();
        // Temporary files are private; the result gets the permissions that any new file gets.
        set_default_permissions(temporary.as_file()).map_err(failed)?;
        // A recorder may have begun with it meanwhile.
        refuse_live(&file).map_err(failed)?;
        temporary
            .persist(&file)
            .map_err(|error| failed(error.error))?;
        sync_folder_of(&file).map_err(|error| failed(io::Error::other(error)))?;
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
        match &mut self.out {
            Out::File(file, _) => file.write(bytes),
            Out::Stream(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.out {
            Out::File(file, _) => file.flush(),
            Out::Stream(stream) => stream.flush(),
        }
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

    #[test]
    fn a_link_stays_and_what_it_leads_to_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let sub = folder.path().join("sub");
        std::fs::create_dir(&sub).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("sub/file", &link).unwrap();
        for text in ["made", "replaced"] {
            let mut sink = FileSink::create(&link).unwrap();
            sink.write_all(text.as_bytes()).unwrap();
            sink.commit().unwrap();
            assert!(link.is_symlink());
            assert_eq!(std::fs::read_to_string(sub.join("file")).unwrap(), text);
        }
        assert_eq!(std::fs::read_dir(sub).unwrap().count(), 1);
    }

    #[test]
    fn a_recorder_that_begins_with_the_file_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("live.redb");
        let mut sink = FileSink::create(&path).unwrap();
        sink.write_all(b"a trace").unwrap();
        let store = crate::Store::create(&path).unwrap();
        let refused = sink.commit().unwrap_err();
        assert_eq!(refused.source.kind(), io::ErrorKind::ResourceBusy);
        assert!(FileSink::create(&path).is_err());
        store.close().unwrap();
        crate::Store::open(&path).unwrap();
    }
}
