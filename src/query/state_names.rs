//! The names of what the state at a time may have, kind by kind.
//!
//! The objects of a kind that an epoch lists are named first, and put in order, dead or alive: that takes no look at their
//! versions, which are far more bytes. What was dead at that time is left out when it is read.

use super::named::{Merged, NamedSet};
use super::shares::{for_each_run, for_each_share};
use crate::limits::{READ_THREADS, STATE_NAMES_AT_ONCE_MAX};
use crate::model::{EventKey, ObjectKey};
use crate::store::lookup::{Lookup, as_slice};
use crate::store::rows::identity_kind;
use crate::store::tables::Rows;
use crate::store::{Snapshot, StoreError, codec, keys};

const ALIVE_TABLE: &str = "epoch_and_object_to_unit";

/// A kind whatever its version, as epochs list it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ListedKind {
    group: String,
    kind: String,
    number: u32,
}

impl Snapshot {
    /// The kinds that there ever were, in the order of their groups and names.
    pub(super) fn listed_kinds(&self) -> Vec<ListedKind> {
        let mut kinds: Vec<_> = self
            .kinds()
            .values()
            .filter_map(|row| {
                Some(ListedKind {
                    group: row.group.clone(),
                    kind: row.kind.clone(),
                    number: identity_kind(self.kinds(), &row.group, &row.kind)?,
                })
            })
            .collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    /// The epoch that lists what was alive before `end`.
    pub(super) fn epoch_before(&self, end: EventKey) -> Result<u64, StoreError> {
        Ok(*self.tables().epochs_over(end.at, end.at)?.start())
    }

    /// The wanted objects of a kind that an epoch lists, in the order of their names, incarnations of one name in that of
    /// their ids.
    pub(super) fn names(
        &self,
        epoch: u64,
        kind: &ListedKind,
        is_wanted: &(impl Fn(&ObjectKey) -> bool + Sync),
    ) -> Result<Merged, StoreError> {
        let mut sets: Vec<_> = (0..READ_THREADS).map(|_| NamedSet::new()).collect();
        let (from, to) = keys::prefix_range(&keys::epoch_kind_prefix(epoch, kind.number));
        let listed = self
            .tables()
            .alive
            .range((as_slice(&from), as_slice(&to)))?;
        let mut ids = listed.map(|entry| keys::epoch_object_of(ALIVE_TABLE, entry?.0.value()));
        loop {
            let some = ids.by_ref().take(STATE_NAMES_AT_ONCE_MAX);
            let mut some = some.collect::<Result<Vec<u64>, StoreError>>()?;
            if some.is_empty() {
                break;
            }
            for_each_run(&mut sets, &mut some, |set, ids| {
                ids.iter()
                    .try_for_each(|id| self.name(kind, *id, is_wanted, set))
            })?;
        }
        let ordered = for_each_share(sets, NamedSet::into_ordered)?;
        Merged::new(ordered)
    }

    /// Puts the name of an object among the others.
    fn name(
        &self,
        kind: &ListedKind,
        id: u64,
        is_wanted: &impl Fn(&ObjectKey) -> bool,
        names: &mut NamedSet,
    ) -> Result<(), StoreError> {
        let Some((key, uid)) = self.tables().name_of(id)? else {
            return Ok(());
        };
        if key.group != kind.group || key.kind != kind.kind {
            return Err(StoreError::Damaged {
                table: ALIVE_TABLE,
                key: codec::hex(&id.to_be_bytes()),
                reason: format!("{key} is listed as another kind"),
            });
        }
        if is_wanted(&key) {
            names.insert(&key, id, &uid)?;
        }
        Ok(())
    }
}
