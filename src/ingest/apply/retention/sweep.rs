//! What others may refer to: lifecycles of pods, what is known of owners, owners still wanted, gaps.
//!
//! A pass goes over the tables once, in pieces, while recording goes on between them. It drops lifecycles that ended
//! before the horizon and marks what is needed of the owners: by the pods that stay, by every recorded object, and by
//! those owners in turn. What is not marked then goes. Ingest tells of everything that it refers to meanwhile
//! ([`Sweep::touch`]), so nothing is dropped that a new pod needs. A pass that is broken off has done no harm: the next
//! one begins anew.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::{Apply, Remaining};
use crate::ingest::state::uid_mark;
use crate::limits::SWEEP_TOUCHED_MAX;
use crate::model::{Horizon, Uid};
use crate::store::StoreError;
use crate::store::lookup::Lookup;
use crate::store::rows::{GapRow, IncarnationRow, OwnerRefRow, PodRow};
use crate::store::scratch::Scratch;
use crate::store::tables::{ReadableTable, row};

/// Rows read before some of them are dropped: a table cannot be read and written at once.
const CHUNK_ROWS: usize = 256;

/// A pass under way.
pub(in crate::ingest) struct Sweep {
    /// The horizon that the pass is for.
    horizon: Horizon,
    phase: Phase,
    /// UIDs of the owners that stay, hashed.
    marks: Scratch,
    /// UIDs that were referred to since the pass began, and are to be marked.
    touched: BTreeSet<String>,
    /// More was touched than is remembered: the pass proves nothing.
    broken: bool,
}

/// Where a pass is; each phase goes on behind the key that it read last.
enum Phase {
    Pods(Bound<String>),
    Objects(Bound<u64>),
    Owners(Bound<String>),
    Wanted(Bound<String>),
    Gaps(Bound<u64>),
    Done,
}

impl std::fmt::Debug for Sweep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let touched = self.touched.len();
        write!(
            f,
            "Sweep {{ horizon: {}, touched: {touched} }}",
            self.horizon
        )
    }
}

impl Sweep {
    /// A pass that drops what nothing from `horizon` on needs.
    pub(in crate::ingest) fn new(horizon: Horizon) -> Self {
        Self {
            horizon,
            phase: Phase::Pods(Bound::Unbounded),
            marks: Scratch::new(&std::env::temp_dir()),
            touched: BTreeSet::new(),
            broken: false,
        }
    }

    /// Something refers to this owner, or it has become known.
    pub(in crate::ingest) fn touch(&mut self, uid: &str) {
        if self.touched.len() >= SWEEP_TOUCHED_MAX {
            self.broken = true;
            self.touched.clear();
        }
        if !self.broken {
            self.touched.insert(uid.to_owned());
        }
    }

    fn is_marked(&self, uid: &str) -> Result<bool, StoreError> {
        Ok(self.marks.get(&mark_of(uid))?.is_some())
    }
}

fn mark_of(uid: &str) -> [u8; 16] {
    uid_mark(&Uid(uid.to_owned())).to_be_bytes()
}

/// What one piece of a pass did.
pub(super) struct Swept {
    pub(super) rows: u64,
    pub(super) done: bool,
}

impl Apply<'_, '_> {
    /// Goes on with the pass under way, if there is one.
    pub(super) fn sweep(&mut self, remaining: &mut Remaining) -> Result<Swept, StoreError> {
        let Some(mut pass) = self.state.sweep.take() else {
            return Ok(Swept {
                rows: 0,
                done: true,
            });
        };
        let mut rows = 0;
        while !remaining.is_spent() {
            if pass.broken {
                tracing::warn!("too much changed while unused owners were looked for; later again");
                return Ok(Swept { rows, done: true });
            }
            for uid in std::mem::take(&mut pass.touched) {
                self.mark(&mut pass, &uid, remaining)?;
            }
            let phase = std::mem::replace(&mut pass.phase, Phase::Done);
            (pass.phase, rows) = match phase {
                Phase::Pods(after) => self.sweep_ended_pods(&mut pass, after, remaining, rows)?,
                Phase::Objects(after) => (self.mark_objects(&mut pass, after, remaining)?, rows),
                Phase::Owners(after) => self.sweep_owners(&pass, after, remaining, rows)?,
                Phase::Wanted(after) => self.sweep_wanted(&pass, after, remaining, rows)?,
                Phase::Gaps(after) => self.sweep_gaps(&pass, after, remaining, rows)?,
                Phase::Done => return Ok(Swept { rows, done: true }),
            };
        }
        self.state.sweep = Some(pass);
        Ok(Swept { rows, done: false })
    }

    /// Marks an owner and all above it.
    fn mark(
        &self,
        pass: &mut Sweep,
        uid: &str,
        remaining: &mut Remaining,
    ) -> Result<(), StoreError> {
        let mut next = vec![uid.to_owned()];
        while let Some(uid) = next.pop() {
            if pass.is_marked(&uid)? {
                continue;
            }
            pass.marks.insert(mark_of(&uid).to_vec(), Vec::new())?;
            remaining.spend(1);
            if let Some(owner) = self.tables.owner(&Uid(uid))? {
                next.extend(owner.owners.into_iter().map(|owner| owner.uid));
            }
        }
        Ok(())
    }

    fn mark_all(
        &self,
        pass: &mut Sweep,
        owners: &[OwnerRefRow],
        remaining: &mut Remaining,
    ) -> Result<(), StoreError> {
        owners
            .iter()
            .try_for_each(|owner| self.mark(pass, &owner.uid, remaining))
    }

    fn sweep_ended_pods(
        &mut self,
        pass: &mut Sweep,
        after: Bound<String>,
        remaining: &mut Remaining,
        mut rows: u64,
    ) -> Result<(Phase, u64), StoreError> {
        let mut chunk: Vec<(String, PodRow)> = Vec::new();
        let behind = (after.as_ref().map(String::as_str), Bound::Unbounded);
        for entry in self.tables.pods.range::<&str>(behind)?.take(CHUNK_ROWS) {
            let (uid, value) = entry?;
            let pod = row::<&str, _>(uid.value(), value.value())?;
            chunk.push((uid.value().to_owned(), pod));
        }
        remaining.spend(chunk.len());
        let Some((last, _)) = chunk.last() else {
            return Ok((Phase::Objects(Bound::Unbounded), rows));
        };
        let next = Phase::Pods(Bound::Excluded(last.clone()));
        for (uid, pod) in chunk {
            if self.is_over(pass.horizon, &uid, &pod)? {
                self.tables.pods.remove(uid.as_str())?;
                rows += 1;
            } else {
                self.mark(pass, &uid, remaining)?;
                self.mark_all(pass, &pod.owners, remaining)?;
            }
        }
        Ok((next, rows))
    }

    /// Whether no window from the horizon on, and no watch, has anything to ask of a pod any more. One that has ended and
    /// still exists is listed again; one whose object is in the record decides on whether that is part of a trace.
    fn is_over(&self, horizon: Horizon, uid: &str, pod: &PodRow) -> Result<bool, StoreError> {
        let horizon_us = horizon.event().at.as_micros();
        if !pod.gone || pod.end_us.is_none_or(|end_us| end_us >= horizon_us) {
            return Ok(false);
        }
        let known = self.tables.owner(&Uid(uid.to_owned()))?;
        Ok(match known.and_then(|known| known.object) {
            Some(object) => self.tables.incarnation(object)?.is_none(),
            None => true,
        })
    }

    fn mark_objects(
        &mut self,
        pass: &mut Sweep,
        after: Bound<u64>,
        remaining: &mut Remaining,
    ) -> Result<Phase, StoreError> {
        let mut last = None;
        let range = self
            .tables
            .incarnations
            .range::<u64>((after, Bound::Unbounded))?;
        for entry in range.take(CHUNK_ROWS) {
            let (id, value) = entry?;
            let incarnation: IncarnationRow = row::<u64, _>(id.value(), value.value())?;
            self.mark(pass, &incarnation.uid, remaining)?;
            remaining.spend(1);
            last = Some(id.value());
        }
        Ok(match last {
            Some(last) => Phase::Objects(Bound::Excluded(last)),
            None => Phase::Owners(Bound::Unbounded),
        })
    }

    fn sweep_owners(
        &mut self,
        pass: &Sweep,
        after: Bound<String>,
        remaining: &mut Remaining,
        mut rows: u64,
    ) -> Result<(Phase, u64), StoreError> {
        let uids = uids_behind(&self.tables.owners, &after)?;
        remaining.spend(uids.len());
        let Some(last) = uids.last() else {
            return Ok((Phase::Wanted(Bound::Unbounded), rows));
        };
        let next = Phase::Owners(Bound::Excluded(last.clone()));
        for uid in uids {
            if !pass.is_marked(&uid)? {
                self.tables.owners.remove(uid.as_str())?;
                rows += 1;
            }
        }
        Ok((next, rows))
    }

    fn sweep_wanted(
        &mut self,
        pass: &Sweep,
        after: Bound<String>,
        remaining: &mut Remaining,
        mut rows: u64,
    ) -> Result<(Phase, u64), StoreError> {
        let uids = uids_behind(&self.tables.wanted, &after)?;
        remaining.spend(uids.len());
        let Some(last) = uids.last() else {
            return Ok((Phase::Gaps(Bound::Unbounded), rows));
        };
        let next = Phase::Wanted(Bound::Excluded(last.clone()));
        for uid in uids {
            if !pass.is_marked(&uid)? {
                self.tables.wanted.remove(uid.as_str())?;
                rows += 1;
            }
        }
        Ok((next, rows))
    }

    /// Drops the gaps that ended before the horizon.
    fn sweep_gaps(
        &mut self,
        pass: &Sweep,
        after: Bound<u64>,
        remaining: &mut Remaining,
        mut rows: u64,
    ) -> Result<(Phase, u64), StoreError> {
        let horizon_us = pass.horizon.event().at.as_micros();
        let mut chunk = Vec::new();
        let range = self.tables.gaps.range::<u64>((after, Bound::Unbounded))?;
        for entry in range.take(CHUNK_ROWS) {
            let (number, value) = entry?;
            let gap: GapRow = row::<u64, _>(number.value(), value.value())?;
            let over = gap.end_us.is_some_and(|end_us| end_us < horizon_us);
            chunk.push((number.value(), over));
        }
        remaining.spend(chunk.len());
        let Some((last, _)) = chunk.last() else {
            return Ok((Phase::Done, rows));
        };
        let next = Phase::Gaps(Bound::Excluded(*last));
        for (number, over) in chunk {
            if over {
                self.tables.gaps.remove(number)?;
                rows += 1;
            }
        }
        Ok((next, rows))
    }
}

fn uids_behind(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    after: &Bound<String>,
) -> Result<Vec<String>, StoreError> {
    let behind = (after.as_ref().map(String::as_str), Bound::Unbounded);
    table
        .range::<&str>(behind)?
        .take(CHUNK_ROWS)
        .map(|entry| Ok(entry?.0.value().to_owned()))
        .collect()
}
