//! Reading versions: of one object, by event.

use super::base;
use super::group::{Group, Keyframe, Version};
use super::heads::Head;
use crate::model::EventKey;
use crate::store::body::compress::Decompressor;
use crate::store::body::delta;
use crate::store::lookup::{FIRST, LAST};
use crate::store::rows::ChangeHash;
use crate::store::tables::{Rows, Tables};
use crate::store::{StoreError, codec, keys};

/// Calls `read` with the last group of an object that begins before `end`.
pub(super) fn group_before<T: Tables, R>(
    tables: &T,
    object: u64,
    end: EventKey,
    read: impl FnOnce(&Group<'_>) -> Result<R, StoreError>,
) -> Result<Option<R>, StoreError> {
    let (from, to) = (keys::history(object, FIRST), keys::history(object, end));
    match tables.versions().last_in(&from..&to)? {
        None => Ok(None),
        Some((key, row)) => read(&Group::open(key.value(), row.value())?).map(Some),
    }
}

/// The last version of an object whose event lies before `end` (exclusive).
pub(crate) fn version_before(
    tables: &impl Tables,
    object: u64,
    end: EventKey,
) -> Result<Option<Version>, StoreError> {
    let version = group_before(tables, object, end, |group| group.last_before(end))?;
    Ok(version.flatten())
}

/// The same for two events, of which the first is not the later one: where they are close together, one group has both versions.
pub(crate) fn versions_before(
    tables: &impl Tables,
    object: u64,
    [earlier, later]: [EventKey; 2],
) -> Result<[Option<Version>; 2], StoreError> {
    let found = group_before(tables, object, later, |group| {
        let last = group.last_before(later)?;
        let is_of_both = group.first < earlier;
        Ok((is_of_both, group.last_before(earlier)?, last))
    })?;
    Ok(match found {
        None => [None, None],
        Some((true, first, last)) => [first, last],
        Some((false, _, last)) => [version_before(tables, object, earlier)?, last],
    })
}

/// The last version of an object, and its change hash where that is told behind it.
pub(crate) fn last(
    tables: &impl Tables,
    object: u64,
) -> Result<Option<(Version, Option<ChangeHash>)>, StoreError> {
    let head = Head::before(tables, object, LAST)?;
    Ok(head.map(|head| (head.last, head.change_hash)))
}

/// The first version of an object whose event lies in [start, end).
pub(crate) fn version_from(
    tables: &impl Tables,
    object: u64,
    start: EventKey,
    end: EventKey,
) -> Result<Option<Version>, StoreError> {
    range(tables, object, start, end)?.next().transpose()
}

/// The versions of an object whose events lie in [from, to), oldest first.
pub(crate) fn range<T: Tables>(
    tables: &T,
    object: u64,
    from: EventKey,
    to: EventKey,
) -> Result<impl Iterator<Item = Result<Version, StoreError>> + '_, StoreError> {
    // The group that begins before `from` may reach beyond it.
    let first = group_before(tables, object, from, |group| Ok(group.first))?.unwrap_or(from);
    let (start, end) = (
        keys::history(object, first),
        keys::history(object, to.max(first)),
    );
    let mut groups = tables.versions().range(&start..&end)?;
    let mut versions: std::vec::IntoIter<Version> = Vec::new().into_iter();
    let mut next = move || -> Result<Option<Version>, StoreError> {
        loop {
            for version in versions.by_ref() {
                if version.event >= to {
                    return Ok(None);
                }
                if version.event >= from {
                    return Ok(Some(version));
                }
            }
            let Some(entry) = groups.next() else {
                return Ok(None);
            };
            let (key, row) = entry?;
            let group = Group::open(key.value(), row.value())?;
            versions = group
                .entries()
                .map(|entry| entry.map(|(version, _)| version))
                .collect::<Result<Vec<_>, _>>()?
                .into_iter();
        }
    };
    Ok(std::iter::from_fn(move || next().transpose()))
}

/// The object after a change, as MessagePack.
///
/// # Errors
/// [`StoreError::Damaged`] when there is no such version, it has no body, or the bytes are not what was written.
pub(crate) fn body(
    tables: &impl Tables,
    decompressor: &Decompressor,
    object: u64,
    event: EventKey,
) -> Result<Vec<u8>, StoreError> {
    let end = EventKey {
        at: event.at,
        seq: event.seq.saturating_add(1),
    };
    let body = group_before(tables, object, end, |group| {
        let mut found = None;
        bodies(tables, decompressor, group, |version, body| {
            if version.event == event {
                found = Some(body.to_vec());
            }
            Ok(version.event < event)
        })?;
        Ok(found)
    })?;
    body.flatten().ok_or_else(|| StoreError::Damaged {
        table: super::TABLE,
        key: codec::hex(&keys::history(object, event)),
        reason: "the version is missing, but others refer to it".to_owned(),
    })
}

/// Calls `each` with the versions of a group that have bodies, oldest first, until it says no.
pub(crate) fn bodies(
    tables: &impl Tables,
    decompressor: &Decompressor,
    group: &Group<'_>,
    mut each: impl FnMut(&Version, &[u8]) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    let mut before: Option<Vec<u8>> = None;
    let mut spare = Vec::new();
    for entry in group.entries() {
        let (version, bytes) = entry?;
        if version.deleted {
            continue;
        }
        let len = version.body_len as usize;
        let body = match before.take() {
            None => keyframe(tables, decompressor, group, bytes, len)?,
            Some(before) => {
                let mut body = std::mem::take(&mut spare);
                body.clear();
                body.reserve(len);
                delta::decode(&before, bytes, len, &mut body)
                    .ok_or_else(|| group.damaged("a difference does not fit the version before"))?;
                spare = before;
                body
            }
        };
        if !each(&version, &body)? {
            return Ok(());
        }
        before = Some(body);
    }
    Ok(())
}

fn keyframe(
    tables: &impl Tables,
    decompressor: &Decompressor,
    group: &Group<'_>,
    bytes: &[u8],
    len: usize,
) -> Result<Vec<u8>, StoreError> {
    let keyframe =
        Keyframe::read(bytes).ok_or_else(|| group.damaged("the keyframe's scheme is unknown"))?;
    let mut body = Vec::with_capacity(len);
    if base::decompress_into(tables, decompressor, &keyframe, len, &mut body)?
        .map_err(|reason| group.damaged(reason))?
    {
        return Ok(body);
    }
    match keyframe {
        Keyframe::Base { base: number } => {
            let body = base::body(tables, decompressor, number)?;
            if body.len() == len {
                Ok(body)
            } else {
                Err(group.damaged("the base has another length"))
            }
        }
        Keyframe::Delta {
            base: number,
            bytes,
        } => {
            let base = base::body(tables, decompressor, number)?;
            delta::decode(&base, bytes, len, &mut body)
                .ok_or_else(|| group.damaged("the keyframe's difference does not fit its base"))?;
            Ok(body)
        }
        Keyframe::Raw(_) | Keyframe::Zstd { .. } => Err(group.damaged("no keyframe")),
    }
}
