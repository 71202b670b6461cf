//! Owners that others refer to and that are not known yet (R12).

use crate::model::{Gvk, Uid};
use crate::store::rows::WantedRow;
use crate::store::tables::row;
use crate::store::{Snapshot, StoreError};

/// An owner that has to be looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownOwner {
    /// Its UID.
    pub uid: Uid,
    /// Its kind.
    pub gvk: Gvk,
    /// Namespace of what it owns: its own, unless its kind is cluster-scoped.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Snapshot {
    /// At most `limit` unknown owners with UIDs behind `after`, in the order of the UIDs.
    ///
    /// # Errors
    /// What the file system says; [`StoreError::Damaged`] for a damaged row.
    pub fn unknown_owners(
        &self,
        after: &str,
        limit: usize,
    ) -> Result<Vec<UnknownOwner>, StoreError> {
        use std::ops::Bound;
        let behind = (Bound::Excluded(after), Bound::Unbounded);
        let mut owners = Vec::new();
        for entry in self.tables().wanted.range::<&str>(behind)?.take(limit) {
            let (uid, value) = entry?;
            let row: WantedRow = row::<&str, _>(uid.value(), value.value())?;
            owners.push(UnknownOwner {
                uid: Uid(uid.value().to_owned()),
                gvk: Gvk::from_api_version(&row.api_version, &row.kind),
                namespace: row.namespace,
                name: row.name,
            });
        }
        Ok(owners)
    }
}
