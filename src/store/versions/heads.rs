//! Where the last versions of objects stand that changed lately, so that the next version of each can be added without a
//! look at the tables.
//!
//! A head may be forgotten at any time. What is known is true of the store, or of the transaction under way: only
//! [`super::BodyWriter`] adds to groups, and what is done to them otherwise (packing, retention) leaves an object's last
//! group as it is, or ends the object.

use quick_cache::Weighter;
use quick_cache::unsync::Cache;

use super::group::{Group, Version};
use crate::limits::{HEAD_BODIES_BYTES_MAX, HEADS_MAX};
use crate::model::EventKey;
use crate::store::keys::HistoryBytes;
use crate::store::lookup::FIRST;
use crate::store::rows::ChangeHash;
use crate::store::tables::{Rows, Tables};
use crate::store::{StoreError, keys};

/// A body that is kept is about this long, bytes: for the size of an index.
const BODY_BYTES_EXPECTED: usize = 2_048;

/// The end of an object's last group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    /// The group's key.
    pub(super) key: HistoryBytes,
    /// Length of its versions.
    pub(super) payload_len: usize,
    /// How many versions it has.
    pub(super) versions: usize,
    /// The last of them.
    pub(super) last: Version,
    /// Length of the last body.
    pub(super) body_len: u32,
    /// The hash of its last version, where it is told behind it.
    pub(super) change_hash: Option<ChangeHash>,
}

impl Head {
    /// The end of the last group of an object that begins before `end`.
    ///
    /// # Errors
    /// What the store says.
    pub(super) fn before(
        tables: &impl Tables,
        object: u64,
        end: EventKey,
    ) -> Result<Option<Self>, StoreError> {
        let (from, to) = (keys::history(object, FIRST), keys::history(object, end));
        let Some((key, row)) = tables.versions().last_in(&from..&to)? else {
            return Ok(None);
        };
        let group = Group::open(key.value(), row.value())?;
        let (mut last, mut versions) = (None, 0);
        let mut entries = group.entries();
        for entry in entries.by_ref() {
            last = Some(entry?.0);
            versions += 1;
        }
        Ok(last.map(|last| Self {
            key: *key.value(),
            payload_len: entries.place().at(),
            versions,
            last,
            body_len: u32::try_from(entries.place().body_len()).unwrap_or(u32::MAX),
            change_hash: entries.change_hash(),
        }))
    }
}

/// Heads, by object, and some of the bodies that they end in.
pub(super) struct Heads {
    heads: Cache<u64, Head>,
    bodies: Cache<u64, Box<[u8]>, Length>,
}

#[derive(Clone)]
struct Length;

impl Weighter<u64, Box<[u8]>> for Length {
    fn weight(&self, _: &u64, body: &Box<[u8]>) -> u64 {
        body.len().max(1) as u64
    }
}

impl Default for Heads {
    fn default() -> Self {
        let bodies_max = HEAD_BODIES_BYTES_MAX;
        Self {
            heads: Cache::new(HEADS_MAX),
            bodies: Cache::with_weighter(
                bodies_max / BODY_BYTES_EXPECTED,
                bodies_max as u64,
                Length,
            ),
        }
    }
}

impl std::fmt::Debug for Heads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Heads").finish_non_exhaustive()
    }
}

impl Heads {
    /// The head of an object.
    pub(super) fn get(&self, object: u64) -> Option<Head> {
        self.heads.get(&object).copied()
    }

    /// The body that it ends in.
    pub(super) fn body(&self, object: u64) -> Option<&[u8]> {
        self.bodies.get(&object).map(|body| &**body)
    }

    /// A version was added to an object.
    pub(super) fn remember(&mut self, object: u64, head: Head, body: &[u8]) {
        self.found(object, head);
        self.bodies.insert(object, body.into());
    }

    /// The head was found in the tables.
    pub(super) fn found(&mut self, object: u64, head: Head) {
        self.heads.insert(object, head);
    }

    /// The object's last group has become another one, or the object has ended.
    pub(super) fn forget(&mut self, object: u64) {
        self.heads.remove(&object);
        self.bodies.remove(&object);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(seq: u64) -> Head {
        let event = EventKey {
            at: crate::model::Timestamp::from_micros(0),
            seq,
        };
        Head {
            key: keys::history(1, event),
            payload_len: 0,
            versions: 1,
            last: Version {
                event,
                deleted: false,
                kind: 1,
                spec_hash: 0,
                body_len: 0,
            },
            body_len: 0,
            change_hash: None,
        }
    }

    #[test]
    fn they_are_bounded() {
        let mut heads = Heads::default();
        let body = vec![0; HEAD_BODIES_BYTES_MAX / 64];
        for object in 0..2 * HEADS_MAX as u64 {
            heads.remember(object, head(object), &body);
        }
        assert!(heads.heads.len() <= HEADS_MAX);
        assert!(heads.bodies.weight() <= HEAD_BODIES_BYTES_MAX as u64);
        assert!(heads.bodies.len() > 32);
    }

    #[test]
    fn what_is_forgotten_is_not_known() {
        let mut heads = Heads::default();
        heads.remember(7, head(1), b"one");
        heads.remember(7, head(2), b"two");
        assert_eq!(heads.get(7).map(|head| head.last.event.seq), Some(2));
        assert_eq!(heads.body(7), Some(&b"two"[..]));
        heads.forget(7);
        assert!(heads.get(7).is_none() && heads.body(7).is_none());
    }
}
