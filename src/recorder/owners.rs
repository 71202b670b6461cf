//! The store's list of unknown owners, as the watches ask for it.

use std::sync::{Mutex, PoisonError};

use crate::store::{Reader, StoreError};
use crate::watch::{WantedOwner, WantedOwners};

/// Goes round the list, so that owners which nobody can find do not keep the others waiting.
pub(super) struct StoredWants {
    reader: Reader,
    /// UID up to which the last call went.
    position: Mutex<String>,
}

impl StoredWants {
    pub(super) fn new(reader: Reader) -> Self {
        Self {
            reader,
            position: Mutex::default(),
        }
    }

    fn next(&self, limit: usize) -> Result<Vec<WantedOwner>, StoreError> {
        let mut position = self.position.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = self.reader.snapshot()?;
        let mut owners = snapshot.unknown_owners(&position, limit)?;
        let rest = limit - owners.len().min(limit);
        if rest > 0 && !position.is_empty() {
            // The end of the list: go on from its beginning, up to where this call began.
            let wrapped = snapshot.unknown_owners("", rest)?;
            owners.extend(
                wrapped
                    .into_iter()
                    .take_while(|owner| owner.uid.0 <= *position),
            );
        }
        *position = owners
            .last()
            .map(|owner| owner.uid.0.clone())
            .unwrap_or_default();
        Ok(owners
            .into_iter()
            .map(|owner| WantedOwner {
                uid: owner.uid,
                gvk: owner.gvk,
                namespace: owner.namespace,
                name: owner.name,
            })
            .collect())
    }
}

impl WantedOwners for StoredWants {
    fn wanted(&self, limit: usize) -> Vec<WantedOwner> {
        self.next(limit).unwrap_or_else(|error| {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "cannot read the list of unknown owners"
            );
            Vec::new()
        })
    }
}
