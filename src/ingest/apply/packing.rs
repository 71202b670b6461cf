//! What will not change any more moves to the packed parts of its tables, a bounded piece at a time: versions that a later
//! group follows, or that end in a deletion; bodies that older versions refer to; objects that are gone; lifecycles that are
//! over; the lists of closed epochs. Before a store is closed everything moves.
//!
//! Should something of it change all the same (a pod comes back with a restored etcd), its row is written to the hot part
//! again and moves once more later.

use std::ops::Bound;

use super::retention::Remaining;
use super::{Apply, Effort};
use crate::limits::{
    PACK_CHANGES_LISTING, PACK_CHANGES_MIN, PACK_DROPPED_MIN, PACK_DROPPED_PARTS,
    PACK_REWRITTEN_BYTES_PER_CHANGE, PACKING_STRIDE_ROWS,
};
use crate::store::RowBytes;
use crate::store::StoreError;
use crate::store::body::compress::Decompressor;
use crate::store::packed::{Edited, KeyBytes, Moved, Packer, Settled};
use crate::store::rows::{ObjectRow, PodRow, SiblingRow};
use crate::store::tables::row;
use crate::store::versions::{Group, base};

/// When to pack, and how far the pass under way has come.
#[derive(Debug)]
pub(in super::super) struct Packing {
    /// Changes since the last pass began.
    changes: u64,
    /// Of those, changes and rows that were dropped.
    dropped: u64,
    /// Rows that the last pass looked at: a pass must not cost more than what it follows.
    looked_at: u64,
    /// Bytes of packed rows that the last pass wrote anew.
    rewritten_bytes: u64,
    pass: Option<Pass>,
    /// Passes that came to their end.
    passes: u64,
    packer: Packer,
    decompressor: Decompressor,
}

#[derive(Debug)]
struct Pass {
    which: Which,
    table: Table,
    after: Bound<KeyBytes>,
    looked_at: u64,
    rewritten_bytes: u64,
}

/// Bases behind which new objects seldom refer to one: as many as there are rollouts under way, and more.
const BASES_IN_USE: u64 = 1_024;

/// What is to be packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Which {
    /// What is not expected to change any more.
    Settled,
    /// Everything, in the form that the journal has given it: nothing will change for a while, because the store is about to
    /// be closed. When a pass of this is complete, every row has seen all edits that were in the journal when it began.
    All {
        /// The number of the journal's next record. A pass that began at another one has gone by rows that have been edited
        /// since.
        journal: u64,
    },
}

/// The tables of two parts, all of them.
#[derive(Clone, Copy, Debug)]
enum Table {
    Versions,
    Bases,
    Siblings,
    Objects,
    Incarnations,
    Alive,
    AlivePods,
    Pods,
    PodUids,
    PodNames,
    Owners,
}

impl Table {
    fn next(self) -> Option<Self> {
        Some(match self {
            Self::Versions => Self::Bases,
            Self::Bases => Self::Siblings,
            Self::Siblings => Self::Objects,
            Self::Objects => Self::Incarnations,
            Self::Incarnations => Self::Alive,
            Self::Alive => Self::AlivePods,
            Self::AlivePods => Self::Pods,
            Self::Pods => Self::PodUids,
            Self::PodUids => Self::PodNames,
            Self::PodNames => Self::Owners,
            Self::Owners => return None,
        })
    }
}

impl Default for Packing {
    /// A pass is due: what an earlier run left is not known.
    fn default() -> Self {
        Self {
            changes: PACK_CHANGES_MIN,
            dropped: 0,
            looked_at: 0,
            rewritten_bytes: 0,
            pass: None,
            passes: 0,
            packer: Packer::default(),
            decompressor: Decompressor::default(),
        }
    }
}

impl Packing {
    /// Passes that came to their end.
    pub(in super::super) fn passes(&self) -> u64 {
        self.passes
    }

    /// Something was recorded.
    pub(in super::super) fn note(&mut self, changes: u64) {
        self.changes = self.changes.saturating_add(changes);
    }

    /// Something was dropped: it gives its room back when its chunks are made anew.
    pub(in super::super) fn note_dropped(&mut self, rows: u64) {
        self.note(rows);
        self.dropped = self.dropped.saturating_add(rows);
    }

    /// Whether there is a pass to begin or to go on with. `kept`: changes in the store. `is_listing`: a list is under way.
    /// What it brings lies all over the tables, so a pass begins when it is over, and not several before; unless it is very
    /// much.
    pub(in super::super) fn is_due(&self, kept: u64, is_listing: bool) -> bool {
        // Versions of many objects lie all over the packed part: so a pass over a large store waits for more of them.
        let rewritten = self.rewritten_bytes / PACK_REWRITTEN_BYTES_PER_CHANGE;
        let least = if is_listing {
            PACK_CHANGES_LISTING
        } else {
            PACK_CHANGES_MIN
        };
        let changes = least.max(self.looked_at / 2).max(rewritten);
        let dropped = PACK_DROPPED_MIN.max(kept / PACK_DROPPED_PARTS);
        self.pass.is_some() || self.changes >= changes || self.dropped > dropped
    }
}

/// What one piece of packing did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    /// Rows that moved.
    pub rows: u64,
    /// The pass over all tables is complete.
    pub done: bool,
}

impl Apply<'_, '_> {
    /// Goes on with the pass under way, or begins one.
    pub(in super::super) fn pack(
        &mut self,
        effort: Effort,
        which: Which,
    ) -> Result<Packed, StoreError> {
        let mut remaining = Remaining::new(effort);
        let mut packed = Packed::default();
        let packing = &mut self.state.packing;
        let under_way = packing.pass.take().filter(|pass| pass.which == which);
        let mut pass = under_way.unwrap_or_else(|| {
            packing.changes = 0;
            packing.dropped = 0;
            Pass {
                which,
                table: Table::Versions,
                after: Bound::Unbounded,
                looked_at: 0,
                rewritten_bytes: 0,
            }
        });
        loop {
            let moved = self.pack_some(&pass, which)?;
            packed.rows += moved.rows;
            pass.looked_at += moved.looked_at as u64;
            pass.rewritten_bytes += moved.rewritten_bytes as u64;
            match moved.last {
                Some(last) => pass.after = Bound::Excluded(last),
                None => {
                    let Some(next) = pass.table.next() else {
                        self.state.packing.looked_at = pass.looked_at;
                        self.state.packing.rewritten_bytes = pass.rewritten_bytes;
                        self.state.packing.passes += 1;
                        packed.done = true;
                        return Ok(packed);
                    };
                    (pass.table, pass.after) = (next, Bound::Unbounded);
                }
            }
            if !remaining.spend(moved.looked_at) {
                self.state.packing.pass = Some(pass);
                return Ok(packed);
            }
        }
    }

    fn pack_some(&mut self, pass: &Pass, which: Which) -> Result<Moved, StoreError> {
        let last_seq = self.state.row.last_seq;
        let last_base = self.state.row.last_base;
        let (tables, packer) = (&mut *self.tables, &mut self.state.packing.packer);
        let decompressor = &self.state.packing.decompressor;
        let all = matches!(which, Which::All { .. });
        let edited = if all { Edited::AsTheyAre } else { Edited::Wait };
        let (after, rows) = (&pass.after, PACKING_STRIDE_ROWS);
        let epoch = self.state.row.epoch.to_be_bytes();
        let of_closed_epoch = |key: &[u8], _: RowBytes<'_>, _: Option<&[u8]>| {
            Ok((all || key.first_chunk::<8>().is_some_and(|of| *of < epoch)).into())
        };
        let at_the_end = |_: &[u8], _: RowBytes<'_>, _: Option<&[u8]>| Ok(all.into());
        match pass.table {
            Table::Versions => {
                let settled = |key: &[u8], value: RowBytes<'_>, next: Option<&[u8]>| {
                    let object = key.first_chunk::<8>();
                    let followed = next.and_then(<[u8]>::first_chunk::<8>) == object;
                    if all || object.is_some() && followed {
                        return Ok(Settled::AsItIs);
                    }
                    match <&[u8; 24]>::try_from(key) {
                        Ok(key) => Ok(Group::open(key, value)?.ends_in_deletion()?.into()),
                        Err(_) => Ok(Settled::Not),
                    }
                };
                tables.versions.pack(packer, after, rows, edited, settled)
            }
            Table::Bases => {
                let dictionaries = &tables.dictionaries;
                let settled = |key: &[u8], value: RowBytes<'_>, _: Option<&[u8]>| {
                    let number = key.try_into().map(u64::from_be_bytes).unwrap_or(u64::MAX);
                    if !all && number.saturating_add(BASES_IN_USE) >= last_base {
                        return Ok(Settled::Not);
                    }
                    // Bodies of a kind are alike: together they are smaller than each by itself.
                    Ok(
                        match base::plain(dictionaries, decompressor, number, value)? {
                            Some(payload) => Settled::As(payload),
                            None => Settled::AsItIs,
                        },
                    )
                };
                tables.bases.pack(packer, after, rows, edited, settled)
            }
            Table::Siblings => {
                tables
                    .siblings
                    .pack(packer, after, rows, edited, |key, value, _| {
                        let sibling: SiblingRow = row::<&[u8], _>(key, value)?;
                        Ok(
                            (all || sibling.last_seq.saturating_add(PACK_CHANGES_MIN) < last_seq)
                                .into(),
                        )
                    })
            }
            Table::Objects => tables
                .objects
                .pack(packer, after, rows, edited, |key, value, _| {
                    Ok((all || !row::<&[u8], ObjectRow>(key, value)?.live).into())
                }),
            // What an id stands for never changes.
            Table::Incarnations => {
                tables
                    .incarnations
                    .pack(packer, after, rows, edited, |_, _, _| Ok(Settled::AsItIs))
            }
            Table::Alive => tables
                .alive
                .pack(packer, after, rows, edited, of_closed_epoch),
            Table::AlivePods => {
                tables
                    .alive_pods
                    .pack(packer, after, rows, edited, of_closed_epoch)
            }
            Table::Pods => tables
                .pods
                .pack(packer, after, rows, edited, |key, value, _| {
                    let pod: PodRow = row::<&[u8], _>(key, value)?;
                    Ok((all || pod.gone && pod.times.end_us.is_some()).into())
                }),
            Table::PodUids => tables
                .pod_uids
                .pack(packer, after, rows, edited, |_, _, _| Ok(Settled::AsItIs)),
            // They leave the list again, or change with a version of the object.
            Table::PodNames => tables
                .pod_names
                .pack(packer, after, rows, edited, at_the_end),
            Table::Owners => tables.owners.pack(packer, after, rows, edited, at_the_end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Table;
    use crate::store::tables::PACKED_TABLES_COUNT;

    /// When a pass over everything is complete, the journal is dropped.
    #[test]
    fn a_pass_goes_over_every_table_of_two_parts() {
        let tables = std::iter::successors(Some(Table::Versions), |table| table.next());
        assert_eq!(tables.count(), PACKED_TABLES_COUNT);
    }
}
