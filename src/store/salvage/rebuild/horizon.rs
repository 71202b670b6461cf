//! What retention had dropped: pages of earlier commits hold it still, and it is not part of the record any more.

use redb::ReadableTable;

use super::Rebuild;
use crate::limits::{SALVAGE_ROWS_PER_COMMIT, SWEEP_MARKS_BYTES_MAX};
use crate::model::{EventKey, Uid};
use crate::store::lookup::Lookup;
use crate::store::rows::{GapRow, IncarnationRow, PodRow, RunRow};
use crate::store::scratch::Scratch;
use crate::store::tables::{ReadTables, Rows, row};
use crate::store::versions;
use crate::store::{StoreError, keys, pod_index};

impl Rebuild<'_, '_> {
    /// Drops the versions that no instant from the horizon on shows. Objects of which nothing is left go with the others
    /// that have no versions.
    pub(super) fn supersede(&mut self) -> Result<(), StoreError> {
        let horizon = self.writer.horizon();
        if horizon.is_none() {
            return Ok(());
        }
        let EventKey { at, seq } = horizon.event();
        let last = match seq.checked_sub(1) {
            Some(seq) => EventKey { at, seq },
            None => EventKey {
                at: at.plus_micros(-1),
                seq: u64::MAX,
            },
        };
        let tables = self.read()?;
        self.counter.begin(
            "dropping what lies before the horizon",
            tables.incarnations.about()?,
        )?;
        let mut objects = Vec::new();
        let drop_all = |objects: &mut Vec<u64>| {
            self.write(|tables| {
                for object in objects.drain(..) {
                    versions::drop_superseded(tables, object, last, |_| {})?;
                }
                Ok(())
            })
        };
        for entry in tables.incarnations.iter()? {
            objects.push(entry?.0.value());
            if objects.len() >= SALVAGE_ROWS_PER_COMMIT {
                drop_all(&mut objects)?;
            }
        }
        drop_all(&mut objects)
    }

    /// Drops the lifecycles that were over, the owners and the wanted ones that nothing refers to, and gaps and runs of
    /// which no window from the horizon on asks: as retention does.
    pub(super) fn sweep(&mut self) -> Result<(), StoreError> {
        if self.writer.horizon().is_none() {
            return Ok(());
        }
        self.index_pods()?;
        let tables = self.read()?;
        let mut marks = Scratch::with_limit(&std::env::temp_dir(), SWEEP_MARKS_BYTES_MAX);
        for entry in tables.pods.iter()? {
            let (number, value) = entry?;
            self.counter.row()?;
            let pod: PodRow = row::<u64, _>(number.value(), value.value())?;
            if !self.is_over(&tables, &pod)? {
                for owner in &pod.owners {
                    mark(&tables, &mut marks, &Uid::from(&owner.uid))?;
                }
            }
        }
        for entry in tables.incarnations.iter()? {
            let (id, value) = entry?;
            self.counter.row()?;
            let incarnation = row::<u64, IncarnationRow>(id.value(), value.value())?;
            let uid = tables.incarnation_of(id.value(), incarnation)?.uid;
            mark(&tables, &mut marks, &uid)?;
        }
        self.drop_pods(&tables, &marks)?;
        self.drop_owners(&tables, &marks)?;
        self.drop_gaps_and_runs(&tables)
    }

    /// Lists the pods where they are looked for by UID.
    fn index_pods(&mut self) -> Result<(), StoreError> {
        let tables = self.read()?;
        let mut found: Vec<(u64, PodRow)> = Vec::new();
        let list = |found: &mut Vec<(u64, PodRow)>| {
            self.write(|tables| {
                found
                    .drain(..)
                    .try_for_each(|(number, pod)| pod_index::list(tables, number, &pod))
            })
        };
        for entry in tables.pods.iter()? {
            let (number, value) = entry?;
            let pod = row::<u64, _>(number.value(), value.value())?;
            found.push((number.value(), pod));
            if found.len() >= SALVAGE_ROWS_PER_COMMIT {
                list(&mut found)?;
            }
        }
        list(&mut found)
    }

    /// Whether nothing from the horizon on asks for a lifecycle.
    fn is_over(&self, tables: &ReadTables, pod: &PodRow) -> Result<bool, StoreError> {
        let horizon_us = self.writer.horizon().event().at.as_micros();
        if !pod.gone || pod.times.end_us.is_none_or(|end_us| end_us >= horizon_us) {
            return Ok(false);
        }
        Ok(match pod.object {
            Some(object) => tables.incarnations.get(object)?.is_none(),
            None => true,
        })
    }

    fn drop_pods(&mut self, tables: &ReadTables, marks: &Scratch) -> Result<(), StoreError> {
        let mut over: Vec<(u64, Uid)> = Vec::new();
        for entry in tables.pods.iter()? {
            let (number, value) = entry?;
            let pod: PodRow = row::<u64, _>(number.value(), value.value())?;
            let uid = Uid::from(&pod.uid);
            if self.is_over(tables, &pod)? && marks.get(&keys::uid(&uid))?.is_none() {
                over.push((number.value(), uid));
            }
        }
        for some in over.chunks(SALVAGE_ROWS_PER_COMMIT) {
            self.write(|tables| {
                for (number, uid) in some {
                    tables.pods.remove(*number)?;
                    tables
                        .pod_uids
                        .remove(keys::pod_uid(uid, *number).as_slice())?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn drop_owners(&mut self, tables: &ReadTables, marks: &Scratch) -> Result<(), StoreError> {
        let mut owners = Vec::new();
        for entry in tables.owners.iter()? {
            let uid = entry?.0.value().to_vec();
            if marks.get(&uid)?.is_none() {
                owners.push(uid);
            }
        }
        let mut wanted = Vec::new();
        for entry in tables.wanted.iter()? {
            let uid = entry?.0.value().to_owned();
            if marks.get(&keys::uid(&Uid(uid.clone())))?.is_none() {
                wanted.push(uid);
            }
        }
        self.write(|tables| {
            for uid in &owners {
                tables.owners.remove(uid.as_slice())?;
            }
            for uid in &wanted {
                tables.wanted.remove(uid.as_str())?;
            }
            Ok(())
        })
    }

    fn drop_gaps_and_runs(&mut self, tables: &ReadTables) -> Result<(), StoreError> {
        let horizon_us = self.writer.horizon().event().at.as_micros();
        let mut gaps = Vec::new();
        for entry in tables.gaps.iter()? {
            let (number, value) = entry?;
            let gap: GapRow = row::<u64, _>(number.value(), value.value())?;
            if gap.end_us.is_some_and(|end_us| end_us < horizon_us) {
                gaps.push(number.value());
            }
        }
        // The last run that began before the horizon stays: its config is in force there.
        let (mut runs, mut before) = (Vec::new(), None);
        for entry in tables.runs.iter()? {
            let (number, value) = entry?;
            let run: RunRow = row::<u64, _>(number.value(), value.value())?;
            if run.start_us < horizon_us {
                runs.extend(before.replace(number.value()));
            }
        }
        self.write(|tables| {
            for number in &gaps {
                tables.gaps.remove(*number)?;
            }
            for number in &runs {
                tables.runs.remove(*number)?;
            }
            Ok(())
        })
    }
}

/// Marks an owner and all above it.
fn mark(tables: &ReadTables, marks: &mut Scratch, uid: &Uid) -> Result<(), StoreError> {
    let mut next = vec![uid.clone()];
    while let Some(uid) = next.pop() {
        let key = keys::uid(&uid);
        if marks.get(&key)?.is_some() {
            continue;
        }
        marks.insert(key, Vec::new())?;
        let above = match tables.owner(&uid)? {
            Some(row) => row.owners,
            None => tables.pod(&uid)?.map_or(Vec::new(), |(_, row)| row.owners),
        };
        next.extend(above.iter().map(|owner| Uid::from(&owner.uid)));
    }
    Ok(())
}
