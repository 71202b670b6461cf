//! Marking what stays, before anything is swept: owners of what the record from the horizon on has, and all above them.

use std::ops::Bound;

use super::sweep::{Phase, Sweep, uid_of};
use super::{Apply, Remaining};
use crate::limits::RETENTION_STRIDE_ROWS;
use crate::model::Uid;
use crate::store::lookup::Lookup;
use crate::store::rows::{Incarnation, IncarnationRow};
use crate::store::tables::{Rows, row};
use crate::store::{StoreError, keys};

impl Apply<'_, '_> {
    /// Marks an owner and all above it.
    pub(super) fn mark(
        &self,
        pass: &mut Sweep,
        uid: Vec<u8>,
        remaining: &mut Remaining,
    ) -> Result<(), StoreError> {
        let mut next = vec![uid];
        while let Some(uid) = next.pop() {
            if pass.is_marked(&uid)? {
                continue;
            }
            remaining.spend(1);
            let owner = uid_of("uid_to_owner", &uid)?;
            pass.marks.insert(uid, Vec::new())?;
            let above = match self.tables.owner(&owner)? {
                Some(row) => row.owners,
                None => self
                    .tables
                    .pod(&owner)?
                    .map_or(Vec::new(), |(_, row)| row.owners),
            };
            next.extend(above.iter().map(|owner| keys::uid(&Uid::from(&owner.uid))));
        }
        Ok(())
    }

    /// Marks the owners of the pods that stay.
    pub(super) fn mark_pods(
        &mut self,
        pass: &mut Sweep,
        after: Bound<u64>,
        remaining: &mut Remaining,
    ) -> Result<Phase, StoreError> {
        let chunk = self.pods_behind(after)?;
        let mut last = None;
        for (key, pod) in chunk {
            if !self.is_over(pass.horizon, &pod)? {
                for owner in &pod.owners {
                    self.mark(pass, keys::uid(&Uid::from(&owner.uid)), remaining)?;
                }
            }
            last = Some(key);
            if !remaining.spend(1) {
                break;
            }
        }
        Ok(match last {
            Some(last) => Phase::MarkPods(Bound::Excluded(last)),
            None => Phase::MarkObjects(Bound::Unbounded),
        })
    }

    pub(super) fn mark_objects(
        &mut self,
        pass: &mut Sweep,
        after: Bound<u64>,
        remaining: &mut Remaining,
    ) -> Result<Phase, StoreError> {
        let mut last = None;
        let behind = (after, Bound::Unbounded);
        for entry in self
            .tables
            .incarnations
            .range(behind)?
            .take(RETENTION_STRIDE_ROWS)
        {
            let (id, value) = entry?;
            let incarnation = row::<u64, IncarnationRow>(id.value(), value.value())?;
            let Incarnation { uid, .. } = self.tables.incarnation_of(id.value(), incarnation)?;
            self.mark(pass, keys::uid(&uid), remaining)?;
            last = Some(id.value());
            if !remaining.spend(1) {
                break;
            }
        }
        Ok(match last {
            Some(last) => Phase::MarkObjects(Bound::Excluded(last)),
            None => Phase::Pods(Bound::Unbounded),
        })
    }
}
