//! What the path of an output names: a file that may be made or replaced, or something that is written through.
//!
//! Outputs appear under their name by a rename, which would put a plain file in the place of a device, a FIFO, a socket
//! or a link, and would take a store away from the recorder that is writing it without either of them noticing.

use std::fs::{self, FileType};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::check::{self, Found};
use super::{StoreError, folder_of};
use crate::limits::LINKS_FOLLOWED_MAX;

/// What an output's path names.
#[derive(Debug)]
pub(crate) enum Output {
    /// A plain file, there or not: what all links lead to. It may be replaced.
    File(PathBuf),
    /// A device, a FIFO or a socket: it takes bytes in their order, and stays what it is.
    Stream(FileType),
}

/// Why a path is no output.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error("it is a folder")]
    Folder,
    #[error(
        "it is a store that another process is writing\nhint: give the output another name, or stop that recorder"
    )]
    BeingWritten,
    #[error("its symbolic links go round in a circle")]
    Links,
}

impl From<Unfit> for io::Error {
    fn from(unfit: Unfit) -> Self {
        let kind = match unfit {
            Unfit::Folder => io::ErrorKind::IsADirectory,
            Unfit::BeingWritten => io::ErrorKind::ResourceBusy,
            Unfit::Links => io::ErrorKind::InvalidInput,
        };
        Self::new(kind, unfit)
    }
}

impl Output {
    /// Looks at what is there, and follows links.
    ///
    /// # Errors
    /// A folder, a store that is being written, or what the file system says.
    pub(crate) fn find(path: &Path) -> io::Result<Self> {
        match fs::metadata(path) {
            Ok(there) if there.is_dir() => Err(Unfit::Folder.into()),
            Ok(there) if there.is_file() => {
                let file = if path.is_symlink() {
                    fs::canonicalize(path)?
                } else {
                    path.to_owned()
                };
                refuse_live(&file)?;
                Ok(Self::File(file))
            }
            Ok(there) => Ok(Self::Stream(there.file_type())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Self::File(followed(path)?))
            }
            Err(error) => Err(error),
        }
    }
}

/// Where a path leads, the last part of which may be a link to something that does not exist yet.
fn followed(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS_FOLLOWED_MAX {
        if !path.is_symlink() {
            return Ok(path);
        }
        path = folder_of(&path).join(fs::read_link(&path)?);
    }
    Err(Unfit::Links.into())
}

/// Refuses a store that some process has open for writing: what it records from now on would go to a file without a name.
///
/// # Errors
/// Says so.
pub(crate) fn refuse_live(path: &Path) -> io::Result<()> {
    // What is no store, cannot be read, or is damaged, is nobody's live record.
    let found = super::recognize::check_magic(path)
        .and_then(|()| check::guarded(path, || check::open_read_only(path)));
    match found {
        Ok(Found::BeingWritten(_)) | Err(StoreError::Busy { .. }) => {
            Err(Unfit::BeingWritten.into())
        }
        _ => Ok(()),
    }
}

/// Whether two paths name the same file, through whatever links and spellings; or would, where there is none yet.
fn is_same_file(a: &Path, b: &Path) -> bool {
    match (fs::metadata(a), fs::metadata(b)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        (Err(_), Err(_)) => match (place_of(a), place_of(b)) {
            (Ok(a), Ok(b)) => a == b,
            _ => false,
        },
        _ => false,
    }
}

/// The one spelling of a path to something that does not exist, in a folder that does.
fn place_of(path: &Path) -> io::Result<PathBuf> {
    let path = followed(path)?;
    let folder = fs::canonicalize(folder_of(&path))?;
    Ok(folder.join(path.file_name().unwrap_or_default()))
}

/// Refuses to write an output over the store that it is made from.
///
/// # Errors
/// [`StoreError::Refused`].
pub(crate) fn refuse_itself(store: &Path, output: &Path) -> Result<(), StoreError> {
    if is_same_file(store, output) {
        return Err(StoreError::Refused(format!(
            "{}: is the store itself\nhint: give the output another name",
            output.display()
        )));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::store::Store;

    fn file(path: &Path) -> PathBuf {
        match Output::find(path).unwrap() {
            Output::File(file) => file,
            Output::Stream(kind) => panic!("{kind:?}"),
        }
    }

    #[test]
    fn links_are_followed_to_what_is_there_and_to_what_is_not_yet() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        fs::create_dir(root.join("sub")).unwrap();
        fs::write(root.join("sub/there"), "x").unwrap();
        symlink("sub/there", root.join("one")).unwrap();
        symlink("one", root.join("two")).unwrap();
        assert_eq!(file(&root.join("two")), root.join("sub/there"));
        symlink("sub/new", root.join("three")).unwrap();
        assert_eq!(file(&root.join("three")), root.join("sub/new"));
        assert_eq!(file(&root.join("plain")), root.join("plain"));
        symlink("b", root.join("a")).unwrap();
        symlink("a", root.join("b")).unwrap();
        assert!(Output::find(&root.join("a")).is_err());
        symlink("sub", root.join("folder")).unwrap();
        let refused = Output::find(&root.join("folder")).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::IsADirectory);
    }

    #[test]
    fn a_socket_is_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let _listener = UnixListener::bind(&path).unwrap();
        assert!(matches!(Output::find(&path).unwrap(), Output::Stream(_)));
    }

    #[test]
    fn a_store_is_no_output_while_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("live.redb");
        let store = Store::create(&path).unwrap();
        let refused = Output::find(&path).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ResourceBusy);
        store.close().unwrap();
        assert_eq!(file(&path), path);
    }

    #[test]
    fn a_file_is_the_same_through_links_and_other_spellings() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir(root.join("sub")).unwrap();
        let store = root.join("store");
        symlink("store", root.join("link")).unwrap();
        let same = [
            store.clone(),
            root.join("./store"),
            root.join("sub/../store"),
            root.join("link"),
        ];
        // Before there is such a file, and when there is.
        for _ in 0..2 {
            for other in &same {
                assert!(is_same_file(&store, other), "{}", other.display());
            }
            assert!(!is_same_file(&store, &root.join("sub/store")));
            fs::write(&store, "x").unwrap();
        }
        fs::hard_link(&store, root.join("hard")).unwrap();
        assert!(is_same_file(&store, &root.join("hard")));
    }
}
