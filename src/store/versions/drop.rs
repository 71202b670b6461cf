//! Dropping versions that lie before the horizon of retention.

use super::base;
use super::group::{Group, Keyframe, Version};
use crate::model::EventKey;
use crate::store::lookup::FIRST;
use crate::store::tables::{Rows, WriteTables};
use crate::store::{StoreError, keys};

/// What [`drop_superseded`] left of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remains {
    /// At least the version in force at the horizon.
    Alive,
    /// Nothing: it was deleted at or before the horizon. Its other rows can go too.
    Gone,
}

/// Drops the versions of an object that no instant after the horizon shows. A group goes as a whole, when the next one
/// begins at or before the horizon; so a few more versions may stay than are needed. Every version that lies at or before
/// the horizon is shown to `see`, those of the group that was in force at an earlier horizon again.
pub(crate) fn drop_superseded(
    tables: &mut WriteTables<'_>,
    object: u64,
    horizon: EventKey,
    mut see: impl FnMut(&Version),
) -> Result<Remains, StoreError> {
    let after = EventKey {
        at: horizon.at,
        seq: horizon.seq.saturating_add(1),
    };
    let (from, to) = (keys::history(object, FIRST), keys::history(object, after));
    let mut superseded: Vec<(keys::HistoryBytes, Option<u64>)> = Vec::new();
    let mut deleted = false;
    for entry in tables.versions.range(&from..&to)? {
        let (key, row) = entry?;
        let group = Group::open(key.value(), row.value())?;
        let mut base = None;
        for entry in group.entries() {
            let (version, bytes) = entry?;
            if !version.deleted && base.is_none() {
                base = Some(
                    Keyframe::read(bytes)
                        .ok_or_else(|| group.damaged("the keyframe's scheme is unknown"))?
                        .base(),
                );
            }
            let is_before = version.event < after;
            deleted = version.deleted && is_before;
            if is_before {
                see(&version);
            }
        }
        superseded.push((*key.value(), base.flatten()));
    }
    // The last of them is in force, unless it ends in a deletion and nothing follows.
    let follows = !deleted
        || tables
            .versions
            .range(&to..&keys::history(object.saturating_add(1), FIRST))?
            .next()
            .transpose()?
            .is_some();
    let gone = deleted && !follows;
    if !gone {
        superseded.pop();
    }
    for (key, base) in superseded {
        tables.versions.remove(&key)?;
        if let Some(base) = base {
            base::release(tables, base)?;
        }
    }
    Ok(if gone { Remains::Gone } else { Remains::Alive })
}
