//! Headers, and the versions that they tell of.

use super::Checking;
use crate::store::codec::hex;
use crate::store::lookup::{LAST, Lookup};
use crate::store::tables::Rows;
use crate::store::{StoreError, headers, keys};

impl Checking<'_, '_> {
    /// Every header has its object and its version. Returns how many there are; `None` where not all could be read.
    pub(super) fn events(&mut self) -> Result<Option<u64>, StoreError> {
        let tables = self.tables;
        let (mut events, mut last_seq) = (0, 0);
        // What lies before the horizon shares a chunk with what does not, and is not part of the record.
        let first = self.snapshot.horizon().event();
        for entry in headers::range(tables, first, LAST)? {
            let Some((event, header)) = self.findings.keep(entry)? else {
                // A chunk that cannot be read hides what it holds.
                return Ok(None);
            };
            events += 1;
            self.counter.row()?;
            let name = hex(&keys::event(event));
            if event.seq <= last_seq {
                let what = format!("sequence number {} after {last_seq}", event.seq);
                self.findings.add(headers::TABLE, &name, what);
            }
            last_seq = event.seq;
            if tables.incarnations.get(header.object)?.is_none() {
                let what = format!("there is no object {}", header.object);
                self.findings.add(headers::TABLE, &name, what);
            }
            let version = self.findings.keep(tables.version(header.object, event))?;
            if version.is_some_and(|version| {
                (version.deleted, version.body_len) != (header.deleted, header.body_len)
            }) {
                let what = format!("the version of object {} says otherwise", header.object);
                self.findings.add(headers::TABLE, &name, what);
            }
        }
        if events != self.writer.changes {
            let what = format!(
                "there are {events} changes, {} are counted",
                self.writer.changes
            );
            self.findings.add("meta", &hex(b"writer"), what);
        }
        if last_seq > self.writer.last_seq {
            let what = format!(
                "there is change {last_seq}, but the last one given is {}",
                self.writer.last_seq
            );
            self.findings.add("meta", &hex(b"writer"), what);
        }
        Ok(Some(events))
    }
}
