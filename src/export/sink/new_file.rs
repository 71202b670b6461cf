//! A new file, written around the page cache where the file system lets it.
//!
//! An export is written once, and synced before anybody reads it. Through the page cache each byte is copied into pages
//! that are then waited for, and that push out what others read. Direct writes want blocks: aligned, and of whole pages.
//! The last part of a file goes the usual way, and so does everything where a file system refuses direct writes.

use std::fs::File;
use std::io::{self, Write};

use tempfile::NamedTempFile;

use crate::limits::FILE_SINK_BLOCK_BYTES;

/// What addresses, offsets and lengths of direct writes are multiples of: no disk has larger blocks.
const ALIGNMENT: usize = 4_096;

/// A temporary file under way.
pub(super) struct NewFile {
    file: NamedTempFile,
    /// The block lies in it from `start` on.
    buffer: Vec<u8>,
    start: usize,
    used: usize,
    direct: bool,
}

impl NewFile {
    pub(super) fn new(file: NamedTempFile) -> Self {
        let buffer = vec![0; FILE_SINK_BLOCK_BYTES + ALIGNMENT];
        let start = buffer.as_ptr().align_offset(ALIGNMENT);
        Self::at(file, buffer, start)
    }

    fn at(file: NamedTempFile, buffer: Vec<u8>, start: usize) -> Self {
        let direct = set_direct(file.as_file(), true).is_ok();
        Self {
            file,
            buffer,
            start,
            used: 0,
            direct,
        }
    }

    /// Writes what is left, and hands the file over. It has not been synced.
    pub(super) fn finish(mut self) -> io::Result<NamedTempFile> {
        self.leave_direct()?;
        self.write_block()?;
        Ok(self.file)
    }

    fn leave_direct(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.direct) {
            set_direct(self.file.as_file(), false)?;
        }
        Ok(())
    }

    fn write_block(&mut self) -> io::Result<()> {
        let (mut at, end) = (self.start, self.start + self.used);
        while at < end {
            let bytes = self.buffer.get(at..end).unwrap_or_default();
            match self.file.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => at += written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The file system wants other blocks, or went on in the middle of one.
                Err(error) if self.direct && error.kind() == io::ErrorKind::InvalidInput => {
                    self.leave_direct()?;
                }
                Err(error) => return Err(error),
            }
        }
        self.used = 0;
        Ok(())
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.used >= FILE_SINK_BLOCK_BYTES {
            self.write_block()?;
        }
        let from = self.start + self.used;
        let taken = bytes.len().min(FILE_SINK_BLOCK_BYTES - self.used);
        if let (Some(to), Some(bytes)) =
            (self.buffer.get_mut(from..from + taken), bytes.get(..taken))
        {
            to.copy_from_slice(bytes);
        }
        self.used += taken;
        Ok(taken)
    }

    /// Does nothing: nobody sees the file before it is finished, and blocks are written whole.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(target_os = "linux")]
fn set_direct(file: &File, direct: bool) -> io::Result<()> {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    let mut flags = fcntl_getfl(file)?;
    flags.set(OFlags::DIRECT, direct);
    Ok(fcntl_setfl(file, flags)?)
}

#[cfg(not(target_os = "linux"))]
fn set_direct(_: &File, direct: bool) -> io::Result<()> {
    if direct {
        return Err(io::ErrorKind::Unsupported.into());
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn noise(len: usize) -> Vec<u8> {
        let mut noise = vec![0; len];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        noise
    }

    fn written(mut file: NewFile, bytes: &[u8], piece: usize) -> Vec<u8> {
        for piece in bytes.chunks(piece) {
            file.write_all(piece).unwrap();
        }
        let file = file.finish().unwrap();
        std::fs::read(file.path()).unwrap()
    }

    #[test]
    fn what_is_written_in_pieces_is_in_the_file() {
        let block = FILE_SINK_BLOCK_BYTES;
        for (len, piece) in [
            (0, 1),
            (100, 7),
            (block - 1, 1_000),
            (block, block),
            (block + 1, 100_003),
            (3 * block + 5, 2 * block + 4_095),
            (2 * block, 4_096),
        ] {
            let bytes = noise(len);
            let file = NewFile::new(NamedTempFile::new().unwrap());
            assert!(written(file, &bytes, piece) == bytes, "{len} by {piece}");
        }
    }

    #[test]
    fn a_refused_block_is_written_the_usual_way() {
        let bytes = noise(2 * FILE_SINK_BLOCK_BYTES + 77);
        // No address that a disk can write from.
        let buffer = vec![0; FILE_SINK_BLOCK_BYTES + 2 * ALIGNMENT];
        let start = buffer.as_ptr().align_offset(ALIGNMENT) + 1;
        let file = NewFile::at(NamedTempFile::new().unwrap(), buffer, start);
        assert!(written(file, &bytes, 1_000_000) == bytes);
    }
}
