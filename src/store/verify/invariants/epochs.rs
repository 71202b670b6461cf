//! Which epochs must list an object.

use super::Checking;
use crate::model::{EventKey, ObjectKey, Timestamp};
use crate::store::codec::{Row, hex};
use crate::store::lookup::{LAST, Lookup};
use crate::store::rows::{EpochRow, IncarnationRow, identity_kind};
use crate::store::tables::{ReadableTable, Rows, row};
use crate::store::{StoreError, keys};

/// An epoch: what happened in [from, to).
struct Epoch {
    number: u64,
    from: EventKey,
    to: EventKey,
}

/// Those that retention has kept, oldest first. There are few: each spans thousands of objects.
pub(super) struct Epochs(Vec<Epoch>);

impl Checking<'_, '_> {
    pub(super) fn epochs(&mut self) -> Result<Epochs, StoreError> {
        let mut epochs: Vec<Epoch> = Vec::new();
        for entry in self.tables.epochs.iter()? {
            let (number, value) = entry?;
            let read = row::<u64, EpochRow>(number.value(), value.value());
            let Some(epoch) = self.findings.keep(read)? else {
                continue;
            };
            // The row names the last event before the epoch.
            let from = EventKey {
                at: Timestamp::from_micros(epoch.start_us),
                seq: epoch.start_seq.saturating_add(1),
            };
            if let Some(before) = epochs.last_mut() {
                before.to = from;
            }
            epochs.push(Epoch {
                number: number.value(),
                from,
                to: LAST,
            });
        }
        let last = epochs.last().map(|epoch| epoch.number);
        if self.writer.last_object > 0 && last != Some(self.writer.epoch) {
            let name = hex(&self.writer.epoch.to_be_bytes());
            let what = "the current epoch has no row, or others follow it";
            self.findings.add(EpochRow::TABLE, &name, what);
        }
        Ok(Epochs(epochs))
    }

    /// Every epoch in which an object was alive at some time lists it. `first` is its first version.
    pub(super) fn listed(
        &mut self,
        epochs: &Epochs,
        id: u64,
        key: &ObjectKey,
        first: EventKey,
    ) -> Result<(), StoreError> {
        let tables = self.tables;
        let kind = identity_kind(self.snapshot.kinds(), &key.group, &key.kind);
        for epoch in &epochs.0 {
            if first >= epoch.to {
                continue;
            }
            if let Some(kind) = kind {
                let entry = keys::epoch_object(epoch.number, kind, id);
                if tables.alive.get(entry.as_slice())?.is_some() {
                    continue;
                }
            }
            let before = self.findings.keep(tables.version_before(id, epoch.from))?;
            let inside = self
                .findings
                .keep(tables.version_from(id, epoch.from, epoch.to))?;
            let was_alive = before.flatten().is_some_and(|version| !version.deleted)
                || inside.flatten().is_some();
            if was_alive {
                let what = format!(
                    "{key} was alive in epoch {} and is not listed in it",
                    epoch.number
                );
                self.findings
                    .add(IncarnationRow::TABLE, &hex(&id.to_be_bytes()), what);
            }
        }
        Ok(())
    }
}
