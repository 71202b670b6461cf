//! A storage backend that never writes to the file: what redb writes (repairs, while opening a file that was not
//! closed cleanly) stays in memory. This is how a copy, or a file on a read-only volume, is read without changing a
//! byte of it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::{Mutex, PoisonError};

use redb::StorageBackend;

/// Block of the overlay, bytes.
const BLOCK_BYTES: usize = 4096;

/// The file below, and the blocks that were written over it.
#[derive(Debug)]
pub(super) struct Overlay {
    file: File,
    /// Length of the file below: bytes behind it read as zero.
    file_len: u64,
    /// When the file below was changed last, as it was when this began.
    changed: Changed,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    len: u64,
    /// Block number -> its bytes. Bounded by what redb writes to repair a file: allocator state and headers.
    blocks: BTreeMap<u64, Box<[u8]>>,
}

/// The last change of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Changed {
    len: u64,
    at: (i64, i64),
}

impl Changed {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            len: metadata.len(),
            at: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

impl Overlay {
    pub(super) fn new(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let len = metadata.len();
        Ok(Self {
            file,
            file_len: len,
            changed: Changed::of(&metadata),
            state: Mutex::new(State {
                len,
                blocks: BTreeMap::new(),
            }),
        })
    }

    /// Reads from the file below; zeros behind its end.
    fn read_below(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let inside = self.file_len.saturating_sub(offset).min(out.len() as u64) as usize;
        let (below, behind) = out.split_at_mut(inside);
        self.file.read_exact_at(below, offset)?;
        // A recorder that starts on the file knows nothing of this reader: what was checked is no longer there.
        if Changed::of(&self.file.metadata()?) != self.changed {
            return Err(io::Error::other(
                "somebody began to write the file while it was read; open it again",
            ));
        }
        behind.fill(0);
        Ok(())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pieces of [offset, offset + len) by block: (block, offset in the block, offset in the range, length).
fn pieces(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == len {
            return None;
        }
        let at = offset + done as u64;
        let (block, inside) = (at / BLOCK_BYTES as u64, (at % BLOCK_BYTES as u64) as usize);
        let length = (BLOCK_BYTES - inside).min(len - done);
        let piece = (block, inside, done, length);
        done += length;
        Some(piece)
    })
}

fn out_of_range() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "read behind the end of the database",
    )
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        if offset
            .checked_add(out.len() as u64)
            .is_none_or(|end| end > state.len)
        {
            return Err(out_of_range());
        }
        self.read_below(offset, out)?;
        for (block, inside, at, length) in pieces(offset, out.len()) {
            if let Some(bytes) = state.blocks.get(&block) {
                let from = bytes
                    .get(inside..inside + length)
                    .ok_or_else(out_of_range)?;
                out.get_mut(at..at + length)
                    .ok_or_else(out_of_range)?
                    .copy_from_slice(from);
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.state().len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        for (block, inside, at, length) in pieces(offset, data.len()) {
            let bytes = match state.blocks.entry(block) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => {
                    let mut bytes = vec![0; BLOCK_BYTES].into_boxed_slice();
                    self.read_below(block * BLOCK_BYTES as u64, &mut bytes)?;
                    entry.insert(bytes)
                }
            };
            let to = bytes
                .get_mut(inside..inside + length)
                .ok_or_else(out_of_range)?;
            to.copy_from_slice(data.get(at..at + length).ok_or_else(out_of_range)?);
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    #[test]
    fn a_file_that_is_changed_meanwhile_is_not_read_on() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[7; 10_000]).unwrap();
        let overlay = Overlay::new(file.try_clone().unwrap()).unwrap();
        overlay.read(5_000, &mut [0; 10]).unwrap();
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
        file.set_modified(later).unwrap();
        let error = overlay.read(5_000, &mut [0; 10]).unwrap_err();
        assert!(error.to_string().contains("began to write the file"));
    }

    proptest! {
        /// Whatever is written reads back as from a plain file, and the file below keeps its bytes.
        #[test]
        fn reads_like_a_file_and_writes_nothing(
            base in proptest::collection::vec(any::<u8>(), 1..20_000),
            writes in proptest::collection::vec((0usize..24_000, proptest::collection::vec(any::<u8>(), 1..6_000)), 0..12),
        ) {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&base).unwrap();
            let overlay = Overlay::new(file.try_clone().unwrap()).unwrap();
            overlay.set_len(32_000).unwrap();
            let mut model = base.clone();
            model.resize(32_000, 0);
            for (offset, data) in &writes {
                overlay.write(*offset as u64, data).unwrap();
                model[*offset..offset + data.len()].copy_from_slice(data);
            }
            let mut out = vec![1; 32_000];
            overlay.read(0, &mut out).unwrap();
            prop_assert_eq!(&out, &model);
            prop_assert!(overlay.read(31_999, &mut [0; 2]).is_err());
            let mut below = vec![0; base.len()];
            file.read_exact_at(&mut below, 0).unwrap();
            prop_assert_eq!(below, base);
        }
    }
}
