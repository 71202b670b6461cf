//! The changes of a run in a file, batch by batch, so that every subject reads the same without making them again.

use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::change::Change;
use crate::digest::Digest;

/// Largest batch that is read back, bytes: far beyond what any batch of this workload has.
const BATCH_BYTES_MAX: usize = 1 << 30;

/// What a stream of changes is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stream {
    /// The file of batches.
    pub path: PathBuf,
    /// Name of the workload's mix.
    pub workload: String,
    /// Objects that exist at a time, about.
    pub objects: u64,
    /// Changes in it.
    pub changes: u64,
    /// Changes in a batch; the last one may have fewer.
    pub batch: usize,
    /// Names that ever existed: rows of an index by name.
    pub names: u64,
    /// Time of the first change, microseconds since the Unix epoch.
    pub first_us: i64,
    /// Time of the last change, microseconds since the Unix epoch.
    pub last_us: i64,
    /// What a subject must hold afterwards.
    pub digest: Digest,
}

impl Stream {
    /// Reads the batches, in their order.
    pub fn batches(&self) -> Result<Batches> {
        let file = File::open(&self.path).with_context(|| self.path.display().to_string())?;
        Ok(Batches(BufReader::with_capacity(1 << 20, file)))
    }
}

/// Writes batches to a file.
pub struct StreamWriter(BufWriter<File>);

impl StreamWriter {
    /// Begins a file.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| path.display().to_string())?;
        Ok(Self(BufWriter::with_capacity(1 << 20, file)))
    }

    /// Appends a batch.
    pub fn write(&mut self, batch: &[Change]) -> Result<()> {
        let bytes = bincode::encode_to_vec(batch, bincode::config::standard())?;
        ensure!(bytes.len() <= BATCH_BYTES_MAX, "a batch is too large");
        self.0.write_all(&(bytes.len() as u64).to_be_bytes())?;
        Ok(self.0.write_all(&bytes)?)
    }

    /// Ends the file.
    pub fn finish(mut self) -> Result<()> {
        Ok(self.0.flush()?)
    }
}

/// The batches of a file.
pub struct Batches(BufReader<File>);

impl Batches {
    fn read(&mut self) -> Result<Option<Vec<Change>>> {
        let mut len = [0; 8];
        match self.0.read_exact(&mut len) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        }
        let len = usize::try_from(u64::from_be_bytes(len))?;
        ensure!(len <= BATCH_BYTES_MAX, "the file of changes is damaged");
        let mut bytes = vec![0; len];
        self.0.read_exact(&mut bytes)?;
        let (batch, _) = bincode::decode_from_slice(&bytes, bincode::config::standard())?;
        Ok(Some(batch))
    }
}

impl Iterator for Batches {
    type Item = Result<Vec<Change>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}
