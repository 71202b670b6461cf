//! One transaction, durable when it returns; and what became of one whose storage failed.

use std::time::Instant;

use super::{Committed, Writer};
use crate::ingest::apply::Apply;
use crate::ingest::state::WriterState;
use crate::model::EventKey;
use crate::store::rows::WriterRow;
use crate::store::{Store, StoreError};

/// A transaction that failed: the writer's row before it, and as it would have become.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed {
    before: WriterRow,
    /// `None`: it did not come to a commit.
    after: Option<WriterRow>,
    /// Whether a run was under way before it, and would be after it.
    running: (bool, bool),
}

/// What became of a transaction whose storage failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// It is durable: the failure came after the commit.
    Committed(Committed),
    /// Nothing of it is in the store. The writer stands where it stood before, lists under way included: the same may be
    /// written again.
    RolledBack,
}

impl Writer {
    /// Opens the store again after a failure of its storage, and finds out what became of the transaction that failed.
    /// Without a failure it does nothing.
    ///
    /// # Errors
    /// What the store says: where it is the storage again, this may be tried again.
    pub fn recover(&mut self) -> Result<Recovery, StoreError> {
        let Some(failed) = self.failed else {
            return Ok(Recovery::RolledBack);
        };
        self.store.reopen()?;
        let stored = load(&self.store)?;
        // Every transaction that leaves this row as it was may be applied twice: it adds no change and no number.
        let committed = failed.after == Some(stored.row) && failed.before != stored.row;
        if committed {
            self.state.settle();
        } else if stored.row == failed.before {
            self.state.roll_back(stored);
        } else {
            return Err(StoreError::Refused(format!(
                "{}: the store is neither as it was before the failure nor as it was to become",
                self.path().display()
            )));
        }
        self.failed = None;
        self.store.pins().reached(self.horizon());
        self.running = if committed {
            failed.running.1
        } else {
            failed.running.0
        };
        Ok(if committed {
            Recovery::Committed(self.committed(failed.before))
        } else {
            Recovery::RolledBack
        })
    }

    fn committed(&self, before: WriterRow) -> Committed {
        Committed {
            changes: self.state.row.last_seq - before.last_seq,
            last: EventKey {
                at: self.last_time(),
                seq: self.state.row.last_seq,
            },
        }
    }

    /// Makes free what the last transaction has replaced, which else takes another one: readers might have needed it. There
    /// is room for this on a full volume: redb's own tables, which it writes anew, have just as many pages free from the last time.
    ///
    /// # Errors
    /// What the store says: as for [`Writer::append`].
    pub(in crate::ingest) fn release(&mut self) -> Result<(), StoreError> {
        self.require_sound()?;
        self.failed = Some(Failed {
            before: self.state.row,
            after: None,
            running: (self.running, self.running),
        });
        self.store.begin_write()?.commit()?;
        self.failed = None;
        Ok(())
    }

    /// Memory and file agree.
    fn require_sound(&self) -> Result<(), StoreError> {
        match self.failed {
            None => Ok(()),
            Some(_) => Err(StoreError::Refused(
                "an earlier write failed; open the store again to go on from what is durable"
                    .to_owned(),
            )),
        }
    }

    /// Runs `work` in one durable transaction, after which a run is under way, or is not.
    pub(in crate::ingest) fn transaction<'a>(
        &'a mut self,
        running: bool,
        work: impl FnOnce(&mut Apply<'_, '_>) -> Result<(), StoreError> + 'a,
    ) -> Result<Committed, StoreError> {
        self.require_sound()?;
        let before = self.state.row;
        // Set until the commit has succeeded: any way out of here without one leaves the memory ahead of the file.
        self.failed = Some(Failed {
            before,
            after: None,
            running: (self.running, running),
        });
        let txn = self.store.begin_write()?;
        let journaled = {
            let mut tables = self.store.write_tables(&txn)?;
            let mut apply = Apply {
                tables: &mut tables,
                state: &mut self.state,
            };
            if let Err(error) = work(&mut apply) {
                if error.storage_failure().is_some() {
                    return Err(error);
                }
                drop(tables);
                txn.abort()?;
                self.state = load(&self.store)?;
                self.failed = None;
                self.running = false;
                return Err(error);
            }
            apply.store_watches()?;
            apply.store_writer()?;
            tables.write_journal(self.store.journal())?
        };
        if let Some(failed) = &mut self.failed {
            failed.after = Some(self.state.row);
        }
        let started = Instant::now();
        txn.commit()?;
        self.commit_took = started.elapsed();
        self.store.committed(journaled)?;
        self.failed = None;
        self.running = running;
        self.state.settle();
        Ok(self.committed(before))
    }
}

/// Reads the writer's memory from the store.
pub(super) fn load(store: &Store) -> Result<WriterState, StoreError> {
    WriterState::load(&store.read_tables()?)
}
