//! Steps from one schema version to the next, one file each (see README.md beside this file).

use redb::Database;

use crate::store::StoreError;

/// One step: rewrites a store of schema version `from` as version `from + 1`, inside one write transaction.
///
/// A step carries its own copy of the row types it reads, so that later changes of the live types cannot change it.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    /// Schema version that the step starts from.
    pub(crate) from: u32,
    /// Does the work. The version cell is written by the caller, in the same transaction.
    pub(crate) run: fn(&redb::WriteTransaction) -> Result<(), StoreError>,
}

/// Every step there is, oldest first. Version 1 is the first, so there is none yet.
pub(crate) const STEPS: &[Step] = &[];

/// Brings a store from schema version `found` to `wanted`, step by step; each step and the version cell that says so
/// are one transaction, so the file is old or new whatever happens.
///
/// # Errors
/// What a step says; [`StoreError::Refused`] when no step leads on from the file's version.
pub(crate) fn migrate(
    database: &Database,
    found: u32,
    wanted: u32,
    steps: &[Step],
) -> Result<(), StoreError> {
    let mut version = found;
    while version < wanted {
        let step = steps
            .iter()
            .find(|step| step.from == version)
            .ok_or_else(|| {
                StoreError::Refused(format!(
                    "schema version {version} is older than any that this release can migrate"
                ))
            })?;
        let mut txn = database.begin_write()?;
        txn.set_quick_repair(true);
        (step.run)(&txn)?;
        version += 1;
        crate::store::set_schema(&txn, version)?;
        txn.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
