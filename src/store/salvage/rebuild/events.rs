//! Headers: made anew from the versions that were kept, in the order of events.

use redb::{ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};

use super::Rebuild;
use crate::limits::SALVAGE_LOST_MAX;
use crate::model::EventKey;
use crate::store::headers::{Header, HeaderLog};
use crate::store::lookup::Lookup;
use crate::store::salvage::Lost;
use crate::store::tables::{ReadTables, WriteTables};
use crate::store::versions::group::Version;
use crate::store::{StoreError, keys};

/// The headers under way, in the order of events: event -> object, deleted, body length. Removed in the end.
const STAGED: TableDefinition<'static, &'static [u8; 16], (u64, bool, u32)> =
    TableDefinition::new("salvage_event_to_header");

impl Rebuild<'_, '_> {
    /// Puts headers under way.
    pub(super) fn stage(&self, staged: &mut Vec<(u64, Version)>) -> Result<(), StoreError> {
        let txn = self.database.begin_write()?;
        {
            let mut table = txn.open_table(STAGED)?;
            for (object, version) in staged.drain(..) {
                table.insert(
                    &keys::event(version.event),
                    (object, version.deleted, version.body_len),
                )?;
            }
        }
        Ok(txn.commit()?)
    }

    /// Writes all headers anew, in their order, with what is left of the old ones, and finds what is missing.
    pub(super) fn events(&mut self) -> Result<(), StoreError> {
        let staged = self.database.begin_read()?.open_table(STAGED)?;
        self.counter.begin("ordering changes", staged.len()?)?;
        let old = self.read()?;
        let txn = self.database.begin_write()?;
        {
            let mut tables = WriteTables::open(&txn)?;
            tables.events.retain(|_, _| false)?;
            let mut log = HeaderLog::default();
            let horizon = self.writer.horizon();
            let (mut before, mut changes): (Option<EventKey>, u64) = (None, 0);
            for entry in staged.iter()? {
                let (key, value) = entry?;
                self.counter.row()?;
                let event = keys::event_of(key.value());
                let (object, deleted, body_len) = value.value();
                // Versions that stay before the horizon of retention have no headers.
                if event < horizon.event() {
                    continue;
                }
                let known = old_header(&old, event, object)?;
                let header = Header {
                    deleted,
                    object,
                    body_len,
                    since_us: known.and_then(|header| header.since_us),
                    initial: known.is_some_and(|header| header.initial),
                };
                log.append(&mut tables, event, &header)?;
                // What retention dropped is not lost; how many changes that were, nothing tells.
                if before.is_some() || horizon.is_none() {
                    self.missing(before, Some(event));
                }
                changes += 1;
                before = Some(event);
            }
            log.flush(&mut tables)?;
            let end = before.map_or(0, |before| before.seq);
            if self.writer.last_seq > end && (before.is_some() || horizon.is_none()) {
                self.missing(before, None);
            }
            self.writer.last_seq = self.writer.last_seq.max(end);
            self.writer.changes = changes;
            self.salvage.changes = changes;
            if let Some(before) = before {
                self.writer.last_us = self.writer.last_us.max(before.at.as_micros());
            }
        }
        txn.delete_table(STAGED)?;
        Ok(txn.commit()?)
    }

    /// Reports the sequence numbers between two changes that follow each other in the new store.
    fn missing(&mut self, before: Option<EventKey>, next: Option<EventKey>) {
        let first_seq = before.map_or(1, |before| before.seq + 1);
        let last_seq = next.map_or(self.writer.last_seq, |next| next.seq.saturating_sub(1));
        if first_seq > last_seq {
            return;
        }
        self.salvage.changes_lost += last_seq - first_seq + 1;
        if self.salvage.lost.len() < SALVAGE_LOST_MAX {
            self.salvage.lost.push(Lost {
                first_seq,
                last_seq,
                after: before.map(|before| before.at),
                before: next.map(|next| next.at),
            });
        } else {
            self.salvage.lost_left_out += 1;
        }
    }
}

/// The header of a change, where it was saved.
fn old_header(
    tables: &ReadTables,
    event: EventKey,
    object: u64,
) -> Result<Option<Header>, StoreError> {
    match tables.header(event) {
        Ok(header) => Ok((header.object == object).then_some(header)),
        Err(StoreError::Damaged { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
