//! Reading many bodies, of each object one version after the other, as an export does.
//!
//! Of every object, the place of the last version read is kept as a [`Cursor`], so that the next one is a difference away,
//! without a look into the store. There are as many as their memory allows, those used last before others; whatever is read
//! without one costs one look-up and the differences up to it. Some, as many as their own memory allows, keep the body itself.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::arena::Arena;
use super::cursor::{Cursor, KeptVersion, Standing, Tools};
use super::read::group_before;
use crate::model::EventKey;
use crate::store::tables::Tables;
use crate::store::{StoreError, codec, keys};

/// What a cursor costs besides what it keeps of its group, bytes: itself, and its place in the index.
const CURSOR_OVERHEAD_BYTES: usize = size_of::<Cursor>() + 40;
/// One part of the memory for bodies is left for their growth.
const GROWTH_PARTS: usize = 16;
/// One object may take this part of the memory: a large one must not push out all others.
const CURSOR_PARTS: usize = 16;
/// When the memory is full, this part of it is made free at once: what remains is moved together.
const FREED_PARTS: usize = 8;
/// What is unused between what is kept may be so much, and one part of all in so many: else it is moved together.
const UNUSED_BYTES: usize = 16 << 10;
const UNUSED_PARTS: usize = 4;
/// Room for cursors is made for so many more at once, at least.
const CURSORS_MORE_MIN: usize = 64;

/// The cursors of some objects. Whichever thread reads of them brings its [`Tools`].
pub(crate) struct Places {
    cursors: Vec<Cursor>,
    /// What they keep of their groups.
    arena: Arena,
    /// Object id -> its cursor's position.
    index: HashMap<u64, usize, BuildHasherDefault<IdHasher>>,
    /// Where the search for a cursor to give up goes on.
    hand: usize,
    /// Of the cursors and of what they keep, without what has become free between it.
    bytes: usize,
    limit_bytes: usize,
    /// Of the bodies that are kept.
    body_bytes: usize,
    bodies_limit_bytes: usize,
}

impl Places {
    /// No cursors yet, and at most so many bytes of them, and of the bodies that are kept decompressed for them.
    pub(crate) fn new(limit_bytes: usize, bodies_limit_bytes: usize) -> Self {
        Self {
            cursors: Vec::new(),
            arena: Arena::new(limit_bytes),
            index: HashMap::default(),
            hand: 0,
            bytes: 0,
            limit_bytes,
            body_bytes: 0,
            bodies_limit_bytes,
        }
    }

    /// Writes the object after a change, as MessagePack. `out` is as long as the change's header says.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when there is no such version, it has no body or one of another length, or the bytes are
    /// not what was written.
    pub(crate) fn body(
        &mut self,
        tables: &impl Tables,
        object: u64,
        event: EventKey,
        out: &mut [u8],
        tools: &mut Tools,
    ) -> Result<(), StoreError> {
        if let Some(slot) = self.index.get(&object).copied()
            && self.read_on(slot, tables, event, out, tools)?
        {
            return Ok(());
        }
        let keeps = self.limit_bytes > 0;
        let room = self.body_room();
        let cursor = group_before(tables, object, behind(event), |group| {
            let mut standing = Standing::first(tools);
            if !standing.advance(group, event, tools)? {
                return Err(missing(object, event));
            }
            standing.make(group, tables, out, tools)?;
            Ok(keeps.then(|| Cursor::new(group, &standing, out, room, tools)))
        })?;
        let cursor = cursor.ok_or_else(|| missing(object, event))?;
        if let Some(cursor) = cursor.flatten() {
            self.keep(cursor, tools.packed());
        }
        Ok(())
    }

    /// Goes to a version whose body will be wanted soon, in the order in which versions are packed: bodies are made in another.
    /// Should the memory be too little, it is found anew.
    ///
    /// # Errors
    /// As [`Places::body`].
    pub(crate) fn stand(
        &mut self,
        tables: &impl Tables,
        object: u64,
        event: EventKey,
        tools: &mut Tools,
    ) -> Result<(), StoreError> {
        if self.limit_bytes == 0 || self.index.contains_key(&object) {
            return Ok(());
        }
        let cursor = group_before(tables, object, behind(event), |group| {
            let mut standing = Standing::first(tools);
            if !standing.advance(group, event, tools)? {
                return Err(missing(object, event));
            }
            Ok(Cursor::at(group, &standing, tools))
        })?;
        let mut cursor = cursor.ok_or_else(|| missing(object, event))?;
        // Others go first.
        cursor.used = true;
        self.keep(cursor, tools.packed());
        Ok(())
    }

    /// Bytes of another body that may be kept.
    fn body_room(&self) -> usize {
        let limit = self.bodies_limit_bytes - self.bodies_limit_bytes / GROWTH_PARTS;
        limit.saturating_sub(self.body_bytes)
    }

    /// Makes a body with the cursor in a slot, and gives the cursor up if it is of no more use. `false`: it has not got there.
    fn read_on(
        &mut self,
        slot: usize,
        tables: &impl Tables,
        event: EventKey,
        out: &mut [u8],
        tools: &mut Tools,
    ) -> Result<bool, StoreError> {
        let room = self.body_room();
        let Some(cursor) = self.cursors.get_mut(slot) else {
            return Ok(false);
        };
        cursor.used = true;
        let body_bytes = cursor.body_bytes();
        let kept = self.arena.get_mut(cursor.kept);
        let read = cursor.read(kept, tables, event, out, room, tools);
        self.body_bytes = (self.body_bytes + cursor.body_bytes()).saturating_sub(body_bytes);
        let Ok(Some(len)) = read else {
            self.remove(slot);
            return read.map(|_| false);
        };
        let is_longer = len > cursor.kept.len();
        if !is_longer {
            let freed = cursor.kept.shorten(len);
            self.bytes = self.bytes.saturating_sub(freed);
        }
        let kept = if is_longer {
            tools.packed()
        } else {
            self.arena.get(cursor.kept)
        };
        let is_done = cursor.is_at_end(kept) || self.body_bytes > self.bodies_limit_bytes;
        if is_done || is_longer {
            let cursor = self.remove(slot);
            if !is_done {
                self.keep(cursor, tools.packed());
            }
        }
        Ok(true)
    }

    /// Keeps a cursor, and so many bytes of its group for it.
    fn keep(&mut self, mut cursor: Cursor, bytes: &[u8]) {
        let needed = CURSOR_OVERHEAD_BYTES + bytes.len();
        if needed > self.limit_bytes / CURSOR_PARTS {
            return;
        }
        self.make_room(needed);
        let Some(kept) = self.arena.push(bytes) else {
            return;
        };
        cursor.kept = kept;
        self.bytes += needed;
        self.body_bytes += cursor.body_bytes();
        self.index.insert(cursor.object, self.cursors.len());
        if self.cursors.len() == self.cursors.capacity() {
            let more = (self.cursors.len() / FREED_PARTS).max(CURSORS_MORE_MIN);
            self.cursors.reserve_exact(more);
        }
        self.cursors.push(cursor);
    }

    /// Makes room for so many bytes, if need be by giving up cursors.
    fn make_room(&mut self, bytes: usize) {
        let taken = self.arena.used() + self.cursors.len() * CURSOR_OVERHEAD_BYTES;
        let unused = taken.saturating_sub(self.bytes);
        if taken + bytes <= self.limit_bytes && unused <= UNUSED_BYTES + taken / UNUSED_PARTS {
            return;
        }
        let most = self.limit_bytes - self.limit_bytes / FREED_PARTS;
        while self.bytes + bytes > most {
            if self.hand >= self.cursors.len() {
                self.hand = 0;
            }
            match self.cursors.get_mut(self.hand) {
                Some(cursor) if cursor.used => {
                    cursor.used = false;
                    self.hand += 1;
                }
                Some(_) => {
                    self.remove(self.hand);
                    // The newest one has come to this place.
                    self.hand += 1;
                }
                None => break,
            }
        }
        let kept = self.cursors.iter_mut().map(|cursor| &mut cursor.kept);
        self.arena.move_together(kept.collect());
    }

    fn remove(&mut self, slot: usize) -> Cursor {
        let cursor = self.cursors.swap_remove(slot);
        let bytes = CURSOR_OVERHEAD_BYTES + cursor.kept.len();
        self.bytes = self.bytes.saturating_sub(bytes);
        self.body_bytes = self.body_bytes.saturating_sub(cursor.body_bytes());
        self.index.remove(&cursor.object);
        if let Some(moved) = self.cursors.get(slot) {
            self.index.insert(moved.object, slot);
        }
        cursor
    }
}

/// Cursors with the tools of the one thread that reads with them.
pub(crate) struct Cursors {
    places: Places,
    tools: Tools,
}

impl Cursors {
    /// No cursors yet, and at most so many bytes of them, and of the bodies that are kept for them. The memory of
    /// a few bodies and of the bases ([`crate::limits::CURSOR_BASES_BYTES_MAX`]) comes on top.
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self {
            places: Places::new(limit_bytes, limit_bytes),
            tools: Tools::default(),
        }
    }

    /// See [`Places::body`].
    ///
    /// # Errors
    /// As there.
    pub(crate) fn body(
        &mut self,
        tables: &impl Tables,
        object: u64,
        event: EventKey,
        out: &mut [u8],
    ) -> Result<(), StoreError> {
        self.places
            .body(tables, object, event, out, &mut self.tools)
    }

    /// The last version of an object before `end`, taken out of its group. `None`: there is none, or it is a deletion.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the bytes are not what was written.
    pub(crate) fn last_before(
        &mut self,
        tables: &impl Tables,
        object: u64,
        end: EventKey,
    ) -> Result<Option<KeptVersion>, StoreError> {
        let tools = &mut self.tools;
        let read = group_before(tables, object, end, |group| {
            let last = group.last_before(end)?;
            let Some(version) = last.filter(|version| !version.deleted) else {
                return Ok(None);
            };
            let mut standing = Standing::first(tools);
            if !standing.advance(group, version.event, tools)? {
                return Err(missing(object, version.event));
            }
            Ok(Some(KeptVersion::new(group, &version, &standing, tools)))
        })?;
        Ok(read.flatten())
    }

    /// The body of such a version.
    ///
    /// # Errors
    /// As [`Cursors::body`].
    pub(crate) fn body_of(
        &mut self,
        tables: &impl Tables,
        kept: &KeptVersion,
    ) -> Result<Vec<u8>, StoreError> {
        let mut body = vec![0; kept.version.body_len as usize];
        kept.make(tables, &mut body, &mut self.tools)?;
        Ok(body)
    }
}

/// The first event that is later.
fn behind(event: EventKey) -> EventKey {
    EventKey {
        at: event.at,
        seq: event.seq.saturating_add(1),
    }
}

fn missing(object: u64, event: EventKey) -> StoreError {
    StoreError::Damaged {
        table: super::TABLE,
        key: codec::hex(&keys::history(object, event)),
        reason: "the version is missing, but others refer to it".to_owned(),
    }
}

/// Spreads object ids, which are given one after the other and by nobody from outside.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = (self.0.rotate_left(5) ^ id).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;
