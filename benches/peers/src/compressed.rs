//! What compressors make of the same bytes.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use anyhow::Result;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::interrupt;
use crate::line::Figures;
use crate::stream::Stream;
use crate::subject::Counter;

/// Level of `gzip -6`.
const GZIP_LEVEL: u32 = 6;
/// How much is compressed before it is asked whether to go on.
const PIECE_BYTES: u64 = 16 << 20;
/// Level of `zstd -3`.
const ZSTD_LEVEL: i32 = 3;

/// Sizes of the trace file of everything, of all bodies as MessagePack in time order, and of both compressed.
pub fn sizes(stream: &Stream, trace: &Path) -> Result<Vec<(&'static str, Figures)>> {
    let bodies = || -> Result<Bodies> { Ok(Bodies::new(stream.batches()?)) };
    let trace = || File::open(trace).map(|file| BufReader::with_capacity(1 << 20, file));
    let sizes = [
        ("messagepack", stream.digest.body_bytes),
        ("messagepack-gzip-6", gzip(bodies()?)?),
        ("messagepack-zstd-3", zstd(bodies()?)?),
        ("trace-file", copy(&mut trace()?, &mut io::sink())?),
        ("trace-file-gzip-6", gzip(trace()?)?),
        ("trace-file-zstd-3", zstd(trace()?)?),
    ];
    Ok(sizes
        .into_iter()
        .map(|(subject, bytes)| {
            let mut figures = Figures::default();
            size(bytes, stream.changes, &mut figures);
            (subject, figures)
        })
        .collect())
}

/// Adds the figures of a size.
pub fn size(bytes: u64, changes: u64, figures: &mut Figures) {
    figures.push("stores-disk", "bytes", "bytes", bytes as f64);
    figures.push(
        "stores-disk",
        "bytes_per_change",
        "bytes",
        bytes as f64 / changes as f64,
    );
}

/// Copies all, if it is not interrupted.
fn copy(input: &mut impl Read, out: &mut impl Write) -> Result<u64> {
    let mut copied = 0;
    loop {
        interrupt::check()?;
        match io::copy(&mut input.take(PIECE_BYTES), out)? {
            0 => return Ok(copied),
            piece => copied += piece,
        }
    }
}

fn gzip(mut input: impl Read) -> Result<u64> {
    let mut out = GzEncoder::new(Counter::default(), Compression::new(GZIP_LEVEL));
    copy(&mut input, &mut out)?;
    Ok(out.finish()?.0)
}

fn zstd(mut input: impl Read) -> Result<u64> {
    let mut out = zstd::Encoder::new(Counter::default(), ZSTD_LEVEL)?;
    copy(&mut input, &mut out)?;
    out.flush()?;
    Ok(out.finish()?.0)
}

/// All bodies, one behind the other.
struct Bodies {
    batches: crate::stream::Batches,
    bytes: Vec<u8>,
    given: usize,
}

impl Bodies {
    fn new(batches: crate::stream::Batches) -> Self {
        Self {
            batches,
            bytes: Vec::new(),
            given: 0,
        }
    }
}

impl Read for Bodies {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.given == self.bytes.len() {
            let Some(batch) = self.batches.next() else {
                return Ok(0);
            };
            self.bytes.clear();
            self.given = 0;
            for change in batch.map_err(io::Error::other)? {
                self.bytes.extend(change.body);
            }
        }
        let left = self.bytes.get(self.given..).unwrap_or_default();
        let given = left.len().min(out.len());
        if let (Some(out), Some(left)) = (out.get_mut(..given), left.get(..given)) {
            out.copy_from_slice(left);
        }
        self.given += given;
        Ok(given)
    }
}
