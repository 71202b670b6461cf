//! Versions with their bodies, and what these are made of.

use std::collections::BTreeMap;

use super::Checking;
use super::counters::Counted;
use crate::store::body::compress::Decompressor;
use crate::store::codec::{Row, hex};
use crate::store::lookup::Lookup;
use crate::store::rows::SiblingRow;
use crate::store::tables::Rows;
use crate::store::versions::group::{Group, Keyframe};
use crate::store::versions::{self, base};
use crate::store::{StoreError, keys};

impl Checking<'_, '_> {
    /// Every body can be made from its keyframe, bases and kinds are counted, and no version is without a header: there are
    /// as many as headers, and each of those has its own.
    pub(super) fn versions(&mut self, events: Option<u64>) -> Result<(), StoreError> {
        let tables = self.tables;
        let decompressor = Decompressor::default();
        let mut counted = Counted::default();
        // Bounded by the number of bases, which are few: one for each owner of pods, and for each large object.
        let mut uses = BTreeMap::<u64, u64>::new();
        for entry in tables.versions.iter()? {
            let (key, value) = entry?;
            self.counter.row()?;
            let name = hex(key.value());
            let Some(group) = self
                .findings
                .keep(Group::open(key.value(), value.value()))?
            else {
                continue;
            };
            let mut base = None;
            for entry in group.entries() {
                let Some((version, bytes)) = self.findings.keep(entry)? else {
                    break;
                };
                // Before the horizon: what groups hold besides what was in force there.
                if version.event >= self.snapshot.horizon().event() {
                    counted.add(&version);
                }
                if !self.snapshot.kinds().contains_key(&version.kind) {
                    let what = format!("there is no kind {}", version.kind);
                    self.findings.add(versions::TABLE, &name, what);
                }
                if base.is_none() && !version.deleted {
                    base = Some(match Keyframe::read(bytes) {
                        Some(Keyframe::Delta { base, .. } | Keyframe::Base { base }) => base,
                        _ => 0,
                    });
                }
            }
            let bodies = versions::bodies(tables, &decompressor, &group, |version, body| {
                Ok(body.len() == version.body_len as usize)
            });
            self.findings.keep(bodies)?;
            if let Some(base) = base.filter(|base| *base != 0) {
                *uses.entry(base).or_default() += 1;
            }
        }
        self.counters(&counted);
        if events.is_some_and(|events| events < counted.versions) {
            self.without_events()?;
        }
        for entry in tables.bases.iter()? {
            let (number, value) = entry?;
            self.counter.row()?;
            let name = hex(&number.value().to_be_bytes());
            let counted = self
                .findings
                .keep(base::uses(number.value(), value.value()))?;
            let found = uses.get(&number.value()).copied().unwrap_or_default();
            if counted.is_some_and(|counted| counted != found) {
                let what = format!(
                    "{found} groups refer to it, {} are counted",
                    counted.unwrap_or_default()
                );
                self.findings.add(base::TABLE, &name, what);
            }
        }
        // Retention drops bases without asking who would be compared with them.
        let nothing_dropped = self.snapshot.horizon().is_none();
        for entry in tables.siblings.iter()? {
            let (key, value) = entry?;
            let sibling = self.row::<&[u8], SiblingRow>(key.value(), value.value())?;
            if let Some(SiblingRow { base, .. }) = sibling
                && base != 0
                && nothing_dropped
                && tables.bases.get(base)?.is_none()
            {
                let what = format!("there is no base {base}");
                self.findings
                    .add(SiblingRow::TABLE, &hex(key.value()), what);
            }
        }
        for kind in self.snapshot.kinds().values() {
            if kind.dictionary != 0 {
                self.findings
                    .keep(base::dictionary(tables, kind.dictionary))?;
            }
        }
        Ok(())
    }

    /// Names the versions that no header tells of.
    fn without_events(&mut self) -> Result<(), StoreError> {
        let tables = self.tables;
        for entry in tables.versions.iter()? {
            let (key, value) = entry?;
            let object = keys::history_object(key.value());
            let Some(group) = self
                .findings
                .keep(Group::open(key.value(), value.value()))?
            else {
                continue;
            };
            for entry in group.entries() {
                let Some((version, _)) = self.findings.keep(entry)? else {
                    break;
                };
                if version.event < self.snapshot.horizon().event() {
                    continue;
                }
                let header = self.findings.keep(tables.header(version.event))?;
                if header.is_none_or(|header| header.object != object) {
                    let name = hex(&keys::history(object, version.event));
                    self.findings
                        .add(versions::TABLE, &name, "no header tells of this version");
                }
            }
        }
        Ok(())
    }
}
