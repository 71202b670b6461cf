//! An output that is no file: a device, a FIFO, a socket. Bytes go through as they come.

use std::fs::FileType;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

use crate::limits::{EXPORT_CHUNK_BYTES, FIFO_POLL_MS};

/// Such an output under way. It is opened by its first write.
pub(super) struct Stream {
    path: PathBuf,
    kind: FileType,
    out: Option<BufWriter<Box<dyn Write + Send>>>,
    written_bytes: u64,
}

impl Stream {
    pub(super) fn to(path: &Path, kind: FileType) -> Self {
        Self {
            path: path.to_owned(),
            kind,
            out: None,
            written_bytes: 0,
        }
    }

    /// Writes what is left. Returns how many bytes there were.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        // Without a byte, too: who reads a FIFO waits for its end.
        loop {
            match self.open().and_then(Write::flush) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done.map(|()| self.written_bytes),
            }
        }
    }

    /// A FIFO that nobody reads yet is [`io::ErrorKind::Interrupted`] after a while: those who write try again, and can
    /// look in between whether they have been told to stop.
    fn open(&mut self) -> io::Result<&mut BufWriter<Box<dyn Write + Send>>> {
        let out: Box<dyn Write + Send> = match self.out.take() {
            Some(out) => return Ok(self.out.insert(out)),
            None if self.kind.is_socket() => Box::new(UnixStream::connect(&self.path)?),
            None => {
                let flags = OFlags::NONBLOCK.bits().cast_signed();
                let opened = std::fs::OpenOptions::new()
                    .write(true)
                    .custom_flags(flags)
                    .open(&self.path);
                match opened {
                    Ok(file) => {
                        let flags = fcntl_getfl(&file)?;
                        fcntl_setfl(&file, flags - OFlags::NONBLOCK)?;
                        Box::new(file)
                    }
                    Err(error)
                        if self.kind.is_fifo()
                            && Errno::from_io_error(&error) == Some(Errno::NXIO) =>
                    {
                        std::thread::sleep(Duration::from_millis(FIFO_POLL_MS));
                        return Err(io::ErrorKind::Interrupted.into());
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        Ok(self
            .out
            .insert(BufWriter::with_capacity(EXPORT_CHUNK_BYTES, out)))
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.open()?.write(bytes)?;
        self.written_bytes = self.written_bytes.saturating_add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.out {
            Some(out) => out.flush(),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    //! Guards against a device or a FIFO that is a plain file afterwards. Never tried on those of the machine.

    use std::io::Read;
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::export::sink::FileSink;

    fn make_fifo(path: &Path) {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    }

    #[test]
    fn a_fifo_gets_the_bytes_and_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        make_fifo(&path);
        for text in ["", "some bytes"] {
            let to = path.clone();
            let writing = std::thread::spawn(move || {
                let mut sink = FileSink::create(&to).unwrap();
                assert!(sink.may_wait());
                sink.write_all(text.as_bytes()).unwrap();
                sink.commit().unwrap()
            });
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
            assert_eq!(writing.join().unwrap(), text.len() as u64);
            let kind = std::fs::symlink_metadata(&path).unwrap().file_type();
            assert!(kind.is_fifo());
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn who_writes_to_a_fifo_that_nobody_reads_is_asked_again_and_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        make_fifo(&path);
        let mut sink = FileSink::create(&path).unwrap();
        for _ in 0..3 {
            let error = sink.write(b"x").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::Interrupted);
        }
    }

    #[test]
    fn a_socket_gets_the_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let mut sink = FileSink::create(&path).unwrap();
        sink.write_all(b"some bytes").unwrap();
        sink.commit().unwrap();
        let mut text = String::new();
        listener
            .accept()
            .unwrap()
            .0
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "some bytes");
    }
}
