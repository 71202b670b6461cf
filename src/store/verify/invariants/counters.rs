//! What is counted of each kind. Retention takes what it drops out of the counters, so they are those of the record from its
//! horizon on.

use std::collections::BTreeMap;

use super::Checking;
use crate::store::codec::{Row, hex};
use crate::store::rows::KindRow;
use crate::store::versions::Version;

/// Versions of one kind.
#[derive(Clone, Copy, Debug, Default)]
struct OfKind {
    applies: u64,
    deletes: u64,
    body_bytes: u64,
}

/// Versions of all kinds. Bounded by the kinds that were ever recorded.
#[derive(Debug, Default)]
pub(super) struct Counted {
    kinds: BTreeMap<u64, OfKind>,
    pub(super) versions: u64,
}

impl Counted {
    pub(super) fn add(&mut self, version: &Version) {
        self.versions += 1;
        let kind = self.kinds.entry(version.kind).or_default();
        if version.deleted {
            kind.deletes += 1;
        } else {
            kind.applies += 1;
            kind.body_bytes += u64::from(version.body_len);
        }
    }
}

impl Checking<'_, '_> {
    /// Compares with what the rows of kinds say.
    pub(super) fn counters(&mut self, found: &Counted) {
        for (number, row) in self.snapshot.kinds() {
            let found = found.kinds.get(number).copied().unwrap_or_default();
            for (what, found, counted) in [
                ("creations and changes", found.applies, row.applies),
                ("deletions", found.deletes, row.deletes),
                ("bytes", found.body_bytes, row.body_bytes),
            ] {
                if found != counted {
                    let what = format!(
                        "there are {found} {what} of {}, {counted} are counted",
                        row.gvk()
                    );
                    let name = hex(&number.to_be_bytes());
                    self.findings.add(KindRow::TABLE, &name, what);
                }
            }
        }
    }
}
