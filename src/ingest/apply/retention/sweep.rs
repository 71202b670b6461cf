//! What others may refer to: lifecycles of pods, what is known of owners, owners still wanted; and gaps.
//!
//! A pass goes over the tables in pieces, while recording goes on between them. It marks the owners that are needed: by
//! pods whose lifecycles are not over at the horizon, by every recorded object, and by those owners in turn. What is
//! over, or not marked, then goes. Ingest tells of everything that it refers to meanwhile
//! ([`Sweep::touch`]), so nothing is dropped that a new pod needs. A pass that is broken off has done no harm: the next
//! one begins anew.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::{Apply, Remaining};
use crate::limits::{RETENTION_STRIDE_ROWS, SWEEP_MARKS_BYTES_MAX, SWEEP_TOUCHED_MAX};
use crate::model::{EventKey, Horizon, Timestamp, Uid};
use crate::store::lookup::as_slice;
use crate::store::rows::{GapRow, PodRow, SiblingRow};
use crate::store::scratch::Scratch;
use crate::store::tables::{ReadableTable, Rows, row};
use crate::store::{StoreError, headers, keys};

/// A pass under way.
pub(in crate::ingest) struct Sweep {
    /// The horizon that the pass is for.
    pub(super) horizon: Horizon,
    phase: Phase,
    /// UIDs of the owners that stay, as in their keys.
    pub(super) marks: Scratch,
    /// UIDs that were referred to since the pass began, and are to be marked.
    touched: BTreeSet<Vec<u8>>,
    /// More was touched than is remembered: the pass proves nothing.
    broken: bool,
}

/// Where a pass is; each phase goes on behind the key that it read last.
pub(super) enum Phase {
    MarkPods(Bound<u64>),
    MarkObjects(Bound<u64>),
    Pods(Bound<u64>),
    Owners(Bound<Vec<u8>>),
    Wanted(Bound<String>),
    Siblings(Bound<Vec<u8>>),
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
            phase: Phase::MarkPods(Bound::Unbounded),
            marks: Scratch::with_limit(&std::env::temp_dir(), SWEEP_MARKS_BYTES_MAX),
            touched: BTreeSet::new(),
            broken: false,
        }
    }

    /// Something refers to this owner, or it has become known.
    pub(in crate::ingest) fn touch(&mut self, uid: &Uid) {
        if self.touched.len() >= SWEEP_TOUCHED_MAX {
            self.broken = true;
            self.touched.clear();
        }
        if !self.broken {
            self.touched.insert(keys::uid(uid));
        }
    }

    pub(super) fn is_marked(&self, uid: &[u8]) -> Result<bool, StoreError> {
        Ok(self.marks.get(uid)?.is_some())
    }
}

/// The UID of a key that is one.
pub(super) fn uid_of(table: &'static str, key: &[u8]) -> Result<Uid, StoreError> {
    keys::uid_of(key).ok_or_else(|| StoreError::Damaged {
        table,
        key: format!("{key:?}"),
        reason: "the key is no UID".to_owned(),
    })
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
            // All of them before anything is dropped: a piece that has no time left goes on with them in the next one.
            while let Some(uid) = pass.touched.pop_first() {
                self.mark(&mut pass, uid, remaining)?;
                if remaining.is_spent() {
                    break;
                }
            }
            if !pass.touched.is_empty() {
                break;
            }
            let phase = std::mem::replace(&mut pass.phase, Phase::Done);
            let (next, dropped) = match phase {
                Phase::MarkPods(after) => (self.mark_pods(&mut pass, after, remaining)?, 0),
                Phase::MarkObjects(after) => (self.mark_objects(&mut pass, after, remaining)?, 0),
                Phase::Pods(after) => self.sweep_pods_over(&pass, after, remaining)?,
                Phase::Owners(after) => self.sweep_owners(&pass, after, remaining)?,
                Phase::Wanted(after) => self.sweep_wanted(&pass, after, remaining)?,
                Phase::Siblings(after) => self.sweep_siblings(&pass, after, remaining)?,
                Phase::Gaps(after) => self.sweep_gaps(&pass, after, remaining)?,
                Phase::Done => return Ok(Swept { rows, done: true }),
            };
            pass.phase = next;
            rows += dropped;
        }
        self.state.sweep = Some(pass);
        Ok(Swept { rows, done: false })
    }

    pub(super) fn pods_behind(&self, after: Bound<u64>) -> Result<Vec<(u64, PodRow)>, StoreError> {
        let mut chunk = Vec::new();
        let behind = (after, Bound::Unbounded);
        for entry in self.tables.pods.range(behind)?.take(RETENTION_STRIDE_ROWS) {
            let (number, value) = entry?;
            let pod = row::<u64, _>(number.value(), value.value())?;
            chunk.push((number.value(), pod));
        }
        Ok(chunk)
    }

    /// Whether no window from the horizon on, and no watch, has anything to ask of a pod's lifecycle any more. A pod that
    /// has ended and still exists is listed again; of one whose object is in the record, the row tells who owns it, and
    /// whether it is part of a trace.
    pub(super) fn is_over(&self, horizon: Horizon, pod: &PodRow) -> Result<bool, StoreError> {
        let horizon_us = horizon.event().at.as_micros();
        if !pod.gone || pod.times.end_us.is_none_or(|end_us| end_us >= horizon_us) {
            return Ok(false);
        }
        Ok(match pod.object {
            Some(object) => self.tables.incarnations.get(object)?.is_none(),
            None => true,
        })
    }

    /// Drops lifecycles that are over, unless the pod owns something.
    fn sweep_pods_over(
        &mut self,
        pass: &Sweep,
        after: Bound<u64>,
        remaining: &mut Remaining,
    ) -> Result<(Phase, u64), StoreError> {
        let chunk = self.pods_behind(after)?;
        remaining.spend(chunk.len());
        let Some((last, _)) = chunk.last() else {
            return Ok((Phase::Owners(Bound::Unbounded), 0));
        };
        let next = Phase::Pods(Bound::Excluded(*last));
        let mut rows = 0;
        for (number, pod) in chunk {
            let uid = Uid::from(&pod.uid);
            if self.is_over(pass.horizon, &pod)? && !pass.is_marked(&keys::uid(&uid))? {
                self.tables.pods.remove(number)?;
                let index = keys::pod_uid(&uid, number);
                self.tables.pod_uids.remove(index.as_slice())?;
                self.state.row.pods = self.state.row.pods.saturating_sub(1);
                rows += 1;
            }
        }
        Ok((next, rows))
    }

    fn sweep_owners(
        &mut self,
        pass: &Sweep,
        after: Bound<Vec<u8>>,
        remaining: &mut Remaining,
    ) -> Result<(Phase, u64), StoreError> {
        let uids = keys_behind(&self.tables.owners, &after)?;
        remaining.spend(uids.len());
        let Some(last) = uids.last() else {
            return Ok((Phase::Wanted(Bound::Unbounded), 0));
        };
        let next = Phase::Owners(Bound::Excluded(last.clone()));
        let mut rows = 0;
        for uid in uids {
            if !pass.is_marked(&uid)? {
                self.state.owners.forget();
                self.tables.owners.remove(uid.as_slice())?;
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
    ) -> Result<(Phase, u64), StoreError> {
        let mut uids: Vec<String> = Vec::new();
        let behind = (after.as_ref().map(String::as_str), Bound::Unbounded);
        for entry in self
            .tables
            .wanted
            .range::<&str>(behind)?
            .take(RETENTION_STRIDE_ROWS)
        {
            uids.push(entry?.0.value().to_owned());
        }
        remaining.spend(uids.len());
        let Some(last) = uids.last() else {
            return Ok((Phase::Siblings(Bound::Unbounded), 0));
        };
        let next = Phase::Wanted(Bound::Excluded(last.clone()));
        let mut rows = 0;
        for uid in uids {
            if !pass.is_marked(&keys::uid(&Uid(uid.clone())))? {
                self.state.owners.forget();
                self.tables.wanted.remove(uid.as_str())?;
                rows += 1;
            }
        }
        Ok((next, rows))
    }

    /// Drops what new objects of an owner would be compared with, where there have been none since the horizon. Losing it
    /// costs room, nothing else.
    fn sweep_siblings(
        &mut self,
        pass: &Sweep,
        after: Bound<Vec<u8>>,
        remaining: &mut Remaining,
    ) -> Result<(Phase, u64), StoreError> {
        let first_seq = self.first_seq_from(pass.horizon)?;
        let mut chunk = Vec::new();
        let behind = (as_slice(&after), Bound::Unbounded);
        for entry in self
            .tables
            .siblings
            .range(behind)?
            .take(RETENTION_STRIDE_ROWS)
        {
            let (key, value) = entry?;
            let sibling: SiblingRow = row::<&[u8], _>(key.value(), value.value())?;
            chunk.push((key.value().to_vec(), sibling.last_seq < first_seq));
        }
        remaining.spend(chunk.len());
        let Some((last, _)) = chunk.last() else {
            return Ok((Phase::Gaps(Bound::Unbounded), 0));
        };
        let next = Phase::Siblings(Bound::Excluded(last.clone()));
        let mut rows = 0;
        for (key, unused) in chunk {
            if unused {
                self.tables.siblings.remove(key.as_slice())?;
                rows += 1;
            }
        }
        Ok((next, rows))
    }

    /// Sequence number of the first change that has not been dropped.
    fn first_seq_from(&self, horizon: Horizon) -> Result<u64, StoreError> {
        let end = EventKey {
            at: Timestamp::MAX,
            seq: 0,
        };
        let first = headers::range(self.tables, horizon.event(), end)?
            .next()
            .transpose()?;
        Ok(first.map_or(u64::MAX, |(event, _)| event.seq))
    }

    /// Drops the gaps that ended before the horizon.
    fn sweep_gaps(
        &mut self,
        pass: &Sweep,
        after: Bound<u64>,
        remaining: &mut Remaining,
    ) -> Result<(Phase, u64), StoreError> {
        let horizon_us = pass.horizon.event().at.as_micros();
        let mut chunk = Vec::new();
        let behind = (after, Bound::Unbounded);
        for entry in self
            .tables
            .gaps
            .range::<u64>(behind)?
            .take(RETENTION_STRIDE_ROWS)
        {
            let (number, value) = entry?;
            let gap: GapRow = row::<u64, _>(number.value(), value.value())?;
            let over = gap.end_us.is_some_and(|end_us| end_us < horizon_us);
            chunk.push((number.value(), over));
        }
        remaining.spend(chunk.len());
        let Some((last, _)) = chunk.last() else {
            return Ok((Phase::Done, 0));
        };
        let next = Phase::Gaps(Bound::Excluded(*last));
        let mut rows = 0;
        for (number, over) in chunk {
            if over {
                self.tables.gaps.remove(number)?;
                rows += 1;
            }
        }
        Ok((next, rows))
    }
}

fn keys_behind(
    table: &impl Rows<&'static [u8]>,
    after: &Bound<Vec<u8>>,
) -> Result<Vec<Vec<u8>>, StoreError> {
    table
        .range((as_slice(after), Bound::Unbounded))?
        .take(RETENTION_STRIDE_ROWS)
        .map(|entry| Ok(entry?.0.value().to_vec()))
        .collect()
}
