//! The bytes of a record: what one transaction did.
//!
//! A record takes one row or several, numbered one after the other, so that none is larger than a page: where a volume is
//! full, single pages are what there is. A row is sealed; its payload: `rows of the record before it | rows behind it | some
//! bytes of the record`. The record: `length of what follows, unpacked | zstd frame`; in the frame, for each table with edits:
//! `length of its name | name | number of edits`, and the edits ([`EditRef::write`]). Numbers are varints.

use zstd_safe::{CCtx, DCtx};

use super::edit::{EditRef, Edits, read_bytes, write_bytes};
use crate::limits::{JOURNAL_RECORD_BYTES_MAX, JOURNAL_ROW_BYTES_MAX, OBJECT_BYTES_MAX};
use crate::store::body::varint::{read_varint, write_varint};
use crate::store::tables::{PACKED_TABLES, packed_table};
use crate::store::{StoreError, codec};

/// Name of the table, for seals and messages.
pub(crate) const TABLE: &str = "journal";

/// The most that one edit can have, bytes: an object that cannot be compressed, and its key.
const EDIT_BYTES_MAX: usize = 2 * OBJECT_BYTES_MAX;

/// How hard zstd tries: edits have to be quick to write, and are stored for a short while.
const LEVEL: i32 = 1;

/// Makes records.
pub(crate) struct RecordWriter {
    context: Option<CCtx<'static>>,
    plain: Vec<u8>,
}

impl Default for RecordWriter {
    fn default() -> Self {
        Self {
            context: CCtx::try_create(),
            plain: Vec::new(),
        }
    }
}

impl std::fmt::Debug for RecordWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordWriter").finish_non_exhaustive()
    }
}

impl RecordWriter {
    /// Hands out the stored bytes of the records of a transaction, which are numbered from `first` on: its edits by the
    /// number of the table. Returns the number behind the last.
    pub(super) fn write<'a>(
        &mut self,
        first: u64,
        tables: impl Iterator<Item = (usize, &'a Edits)>,
        mut put: impl FnMut(u64, &[u8]) -> Result<(), StoreError>,
    ) -> Result<u64, StoreError> {
        let mut number = first;
        self.plain.clear();
        for (table, edits) in tables {
            let Some(parts) = PACKED_TABLES.get(table) else {
                continue;
            };
            let mut edits = edits.iter().peekable();
            while edits.peek().is_some() {
                // How many edits fit is known when they are written: counted apart, behind the name.
                let (mut section, mut count) = (Vec::new(), 0);
                while self.plain.len() + section.len() < JOURNAL_RECORD_BYTES_MAX
                    && let Some((key, edit)) = edits.next()
                {
                    edit.as_ref().write(&mut section, key);
                    count += 1;
                }
                write_bytes(&mut self.plain, parts.hot.as_bytes());
                write_varint(&mut self.plain, count);
                self.plain.extend_from_slice(&section);
                if self.plain.len() >= JOURNAL_RECORD_BYTES_MAX {
                    number = self.finish(number, &mut put)?;
                }
            }
        }
        if !self.plain.is_empty() {
            number = self.finish(number, &mut put)?;
        }
        Ok(number)
    }

    /// Returns the number of the next record.
    fn finish(
        &mut self,
        number: u64,
        put: &mut impl FnMut(u64, &[u8]) -> Result<(), StoreError>,
    ) -> Result<u64, StoreError> {
        let mut payload = Vec::new();
        write_varint(&mut payload, self.plain.len() as u64);
        let mut frame = Vec::with_capacity(zstd_safe::compress_bound(self.plain.len()));
        self.context
            .as_mut()
            .and_then(|context| context.compress(&mut frame, &self.plain, LEVEL).ok())
            .ok_or_else(|| {
                StoreError::Refused("there is no memory to compress a transaction".to_owned())
            })?;
        payload.extend_from_slice(&frame);
        self.plain.clear();
        // What one large transaction needed is not kept for all others.
        self.plain.shrink_to(PLAIN_KEPT_BYTES_MAX);
        let mut next = number;
        let rows = payload.len().div_ceil(JOURNAL_ROW_BYTES_MAX) as u64;
        for bytes in payload.chunks(JOURNAL_ROW_BYTES_MAX) {
            let before = next - number;
            let mut row = Vec::with_capacity(bytes.len() + 20);
            write_varint(&mut row, before);
            write_varint(&mut row, rows - before - 1);
            row.extend_from_slice(bytes);
            put(next, &codec::seal(TABLE, &next.to_be_bytes(), &row))?;
            next += 1;
        }
        Ok(next)
    }
}

/// Buffer that is kept from one record to the next, bytes.
const PLAIN_KEPT_BYTES_MAX: usize = 1 << 20;

/// Puts the rows of records together, as they come, in the order of their numbers.
#[derive(Default)]
pub(crate) struct RecordReader {
    /// One for all records: it takes as long to make as a small record to decompress.
    context: Option<DCtx<'static>>,
    record: Vec<u8>,
    plain: Vec<u8>,
    /// The number that the next row of the record has, how many of its rows were before that, and how many follow from it on.
    next: Option<(u64, u64, u64)>,
}

impl std::fmt::Debug for RecordReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordReader").finish_non_exhaustive()
    }
}

/// How many rows of its record come before a row. `None`: it cannot be read.
pub(super) fn rows_before(number: u64, stored: &[u8]) -> Option<u64> {
    let mut payload = codec::unseal(TABLE, &number.to_be_bytes(), stored).ok()?;
    read_varint(&mut payload)
}

/// How many rows of its record follow a row. `None`: it cannot be read.
pub(super) fn rows_behind(number: u64, stored: &[u8]) -> Option<u64> {
    let mut payload = codec::unseal(TABLE, &number.to_be_bytes(), stored).ok()?;
    read_varint(&mut payload)?;
    read_varint(&mut payload)
}

/// An edit: the number of the table, the key, and what is done to the row.
pub(crate) type TableEdit<'a> = (usize, &'a [u8], EditRef<'a>);

impl RecordReader {
    /// Takes a row. Returns the edits of the record that it completes, in their order.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where the bytes are not those of a row, or not of the one that was expected. The next row of
    /// a record of its own can be taken all the same.
    pub(crate) fn take(
        &mut self,
        number: u64,
        stored: &[u8],
    ) -> Result<Option<Vec<TableEdit<'_>>>, StoreError> {
        // What one large record needed is not kept for all others.
        self.plain.clear();
        self.plain.shrink_to(PLAIN_KEPT_BYTES_MAX);
        let mut payload = codec::unseal(TABLE, &number.to_be_bytes(), stored)?;
        let (Some(before), Some(behind)) = (read_varint(&mut payload), read_varint(&mut payload))
        else {
            return Err(damaged(number, "it is too short"));
        };
        let expected = self.next.take();
        if before == 0 {
            self.record.clear();
        } else if expected != Some((number, before, behind)) {
            return Err(damaged(number, "the row before it is missing"));
        }
        if before == 0 && expected.is_some() {
            return Err(damaged(number, "the record before it is not complete"));
        }
        self.record.extend_from_slice(payload);
        if let Some(behind) = behind.checked_sub(1) {
            let next = number.checked_add(1).zip(before.checked_add(1));
            self.next = next.map(|(number, before)| (number, before, behind));
            return Ok(None);
        }
        self.unpack(number)?;
        self.record.clear();
        self.record.shrink_to(PLAIN_KEPT_BYTES_MAX);
        edits(number, &self.plain).map(Some)
    }

    fn unpack(&mut self, number: u64) -> Result<(), StoreError> {
        let mut payload = self.record.as_slice();
        let len = read_varint(&mut payload)
            .and_then(|len| usize::try_from(len).ok())
            .filter(|len| *len <= JOURNAL_RECORD_BYTES_MAX + EDIT_BYTES_MAX)
            .ok_or_else(|| damaged(number, "no length"))?;
        if self.context.is_none() {
            self.context = DCtx::try_create();
        }
        self.plain.clear();
        self.plain.reserve(len);
        let read = self
            .context
            .as_mut()
            .and_then(|context| context.decompress(&mut self.plain, payload).ok())
            .ok_or_else(|| damaged(number, "it cannot be decompressed"))?;
        if read != len {
            return Err(damaged(number, "it has another length"));
        }
        Ok(())
    }

    /// No row follows.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where one is missing.
    pub(crate) fn finish(self) -> Result<(), StoreError> {
        match self.next {
            None => Ok(()),
            Some((number, ..)) => Err(damaged(number, "it is missing")),
        }
    }
}

fn edits(number: u64, plain: &[u8]) -> Result<Vec<TableEdit<'_>>, StoreError> {
    let mut all = Vec::new();
    let mut rest = plain;
    let cut_off = || damaged(number, "it ends inside a change");
    while !rest.is_empty() {
        let name = read_bytes(&mut rest).ok_or_else(cut_off)?;
        let table = packed_table(name).ok_or_else(|| damaged(number, "of an unknown table"))?;
        let count = read_varint(&mut rest).ok_or_else(cut_off)?;
        // What is said may not be true.
        let expected = usize::try_from(count).unwrap_or(usize::MAX);
        all.reserve(expected.min(EDITS_EXPECTED_MAX));
        for _ in 0..count {
            let (key, edit) = EditRef::read(&mut rest).ok_or_else(cut_off)?;
            all.push((table, key, edit));
        }
    }
    Ok(all)
}

/// Edits for which room is made before they are read.
const EDITS_EXPECTED_MAX: usize = 4_096;

fn damaged(number: u64, reason: &str) -> StoreError {
    StoreError::Damaged {
        table: TABLE,
        key: codec::hex(&number.to_be_bytes()),
        reason: reason.to_owned(),
    }
}
