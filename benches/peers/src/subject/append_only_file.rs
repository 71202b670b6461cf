//! The floor: a file to which records are appended, with no index. `fdatasync` after every batch.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Write};
use std::path::Path;

use anyhow::{Result, ensure};

use super::Subject;
use crate::change::{Change, Row};
use crate::stream::Stream;

/// A record before its body: lengths of identity and body, time, number, object, hashes, flag.
const HEADER_BYTES: usize = 4 + 4 + 8 + 8 + 8 + 32 + 8 + 1;
/// Largest part of a record, bytes.
const PART_BYTES_MAX: usize = 64 << 20;

/// See the module.
pub struct AppendOnlyFile {
    file: File,
    buffer: Vec<u8>,
}

fn name(folder: &Path) -> std::path::PathBuf {
    folder.join("changes")
}

impl Subject for AppendOnlyFile {
    type Batch = Vec<Change>;

    fn create(folder: &Path, _stream: &Stream) -> Result<Self> {
        Ok(Self {
            file: File::create(name(folder))?,
            buffer: Vec::new(),
        })
    }

    fn prepare(changes: Vec<Change>) -> Vec<Change> {
        changes
    }

    fn append(&mut self, batch: &Vec<Change>) -> Result<()> {
        self.buffer.clear();
        for change in batch {
            push(&mut self.buffer, change)?;
        }
        self.file.write_all(&self.buffer)?;
        Ok(self.file.sync_data()?)
    }

    fn close(self) -> Result<()> {
        Ok(self.file.sync_all()?)
    }

    fn visit(
        folder: &Path,
        _stream: &Stream,
        each: &mut dyn FnMut(Row<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut file = BufReader::with_capacity(1 << 20, File::open(name(folder))?);
        let mut header = [0; HEADER_BYTES];
        let mut rest = Vec::new();
        loop {
            match file.read_exact(&mut header) {
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
                other => other?,
            }
            let field = |from: usize| {
                let bytes: [u8; 8] = header[from..from + 8].try_into().unwrap_or_default();
                u64::from_be_bytes(bytes)
            };
            let lengths = field(0);
            let identity = usize::try_from(lengths >> 32)?;
            let body = usize::try_from(lengths & u64::from(u32::MAX))?;
            ensure!(
                identity.max(body) <= PART_BYTES_MAX,
                "the file of changes is damaged"
            );
            rest.resize(identity + body, 0);
            file.read_exact(&mut rest)?;
            each(Row {
                at_us: field(8).cast_signed(),
                seq: field(16),
                deleted: header[HEADER_BYTES - 1] == 1,
                body: &rest[identity..],
            })?;
        }
    }

    fn names(_folder: &Path, _stream: &Stream) -> Result<Option<u64>> {
        Ok(None)
    }
}

fn push(out: &mut Vec<u8>, change: &Change) -> Result<()> {
    let identity = [
        &change.group,
        &change.version,
        &change.kind,
        &change.namespace,
        &change.name,
        &change.uid,
    ];
    let identity_bytes: usize = identity.iter().map(|part| part.len() + 1).sum();
    out.extend(u32::try_from(identity_bytes)?.to_be_bytes());
    out.extend(u32::try_from(change.body.len())?.to_be_bytes());
    out.extend(change.at_us.to_be_bytes());
    out.extend(change.seq.to_be_bytes());
    out.extend(change.object.to_be_bytes());
    out.extend(change.hash);
    out.extend(change.spec_hash.to_be_bytes());
    out.push(u8::from(change.deleted));
    for part in identity {
        out.extend(part.as_bytes());
        out.push(0);
    }
    out.extend(&change.body);
    Ok(())
}
