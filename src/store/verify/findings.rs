//! What is wrong, in bounded number.

use std::collections::HashSet;

use crate::limits::VERIFY_FINDINGS_MAX;
use crate::store::StoreError;

/// Something that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize)]
pub struct Finding {
    /// The table; empty where it is the file.
    pub table: String,
    /// The key, in hex; empty where it is the whole table.
    pub key: String,
    /// What is wrong.
    pub what: String,
}

#[derive(Default)]
pub(super) struct Findings {
    listed: Vec<Finding>,
    /// Those: a row that is read for several reasons is wrong once.
    known: HashSet<Finding>,
    left_out: u64,
}

impl Findings {
    pub(super) fn add(&mut self, table: &str, key: &str, what: impl Into<String>) {
        let finding = Finding {
            table: table.to_owned(),
            key: key.to_owned(),
            what: what.into(),
        };
        if self.known.contains(&finding) {
            return;
        }
        if self.listed.len() < VERIFY_FINDINGS_MAX {
            self.known.insert(finding.clone());
            self.listed.push(finding);
        } else {
            self.left_out += 1;
        }
    }

    /// An error that says that something is damaged.
    pub(super) fn error(&mut self, error: &StoreError) {
        match error {
            StoreError::Damaged { table, key, reason } => self.add(table, key, reason.clone()),
            StoreError::DamagedFile { reason, .. } => self.add("", "", reason.clone()),
            other => self.add("", "", other.with_causes()),
        }
    }

    /// Keeps damage as a finding and passes on what it says otherwise; other errors go up.
    pub(super) fn keep<T>(
        &mut self,
        result: Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error @ StoreError::Damaged { .. }) => {
                self.error(&error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    pub(super) fn into_parts(self) -> (Vec<Finding>, u64) {
        (self.listed, self.left_out)
    }
}
