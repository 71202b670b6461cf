//! What the tables promise each other (docs/format.md), by what it is about. A row that cannot be decoded is a finding of its own.

mod alive;
mod counters;
mod epochs;
mod events;
mod objects;
mod pods;
mod versions;

use super::findings::Findings;
use crate::store::codec::{Row, RowBytes};
use crate::store::progress::Counter;
use crate::store::rows::WriterRow;
use crate::store::tables::{ReadTables, Rows, SealedKey, row};
use crate::store::{Snapshot, StoreError};

pub(super) fn check(
    snapshot: &Snapshot,
    counter: &mut Counter<'_>,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let tables = snapshot.tables();
    let total = snapshot.writer().changes
        + tables.versions.about()?
        + tables.bases.about()?
        + tables.siblings.about()?
        + tables.objects.about()?
        + tables.incarnations.about()?
        + tables.alive.about()?
        + tables.alive_pods.about()?
        + tables.pods.about()?
        + tables.pod_uids.about()?
        + tables.pod_names.about()?;
    counter.begin("checking what tables promise each other", total)?;
    let mut checking = Checking {
        tables,
        writer: *snapshot.writer(),
        snapshot,
        counter,
        findings,
    };
    let events = checking.events()?;
    checking.versions(events)?;
    checking.objects()?;
    checking.incarnations()?;
    checking.alive()?;
    checking.pods()
}

struct Checking<'a, 'b> {
    tables: &'a ReadTables,
    writer: WriterRow,
    snapshot: &'a Snapshot,
    counter: &'a mut Counter<'b>,
    findings: &'a mut Findings,
}

impl Checking<'_, '_> {
    /// The row of an entry, if it can be read.
    fn row<'k, K, R: Row>(
        &mut self,
        key: K::SelfType<'k>,
        value: RowBytes<'_>,
    ) -> Result<Option<R>, StoreError>
    where
        K: redb::Key + 'static,
        K::SelfType<'k>: SealedKey,
    {
        self.counter.row()?;
        self.findings.keep(row::<K, R>(key, value))
    }

    /// Whether all that an epoch lists must exist: retention drops objects before the epochs that list them.
    fn lists_exist(&self) -> bool {
        self.writer.horizon_seq == 0
    }
}

#[cfg(test)]
mod tests;
