//! Reading many bodies, of each object one version after the other, as an export does.
//!
//! A *cursor* stands at one version of an object: the group it read, how far, and the body there as a recipe. The next
//! version is then one difference away, without a look into the store. Cursors are kept as long as their memory allows,
//! those used last before others; whatever is read without one costs one look-up and the differences up to it.

use std::collections::HashMap;

use super::base;
use super::group::{Group, Keyframe, Place};
use super::read::group_before;
use crate::limits::CURSOR_BASES_BYTES_MAX;
use crate::model::EventKey;
use crate::store::body::compress::Decompressor;
use crate::store::body::recipe::Recipe;
use crate::store::tables::Tables;
use crate::store::{StoreError, codec, keys};

/// What a cursor costs besides its heap, bytes: itself, its place in the index, and what allocations round up.
const CURSOR_OVERHEAD_BYTES: usize = size_of::<Cursor>() + 64;
/// What a base costs besides its bytes.
const BASE_OVERHEAD_BYTES: usize = 64;

/// The cursors of one thread.
pub(crate) struct Cursors {
    cursors: Vec<Cursor>,
    /// Object id -> its cursor's position.
    index: HashMap<u64, usize>,
    /// Where the search for a cursor to give up goes on.
    hand: usize,
    bytes: usize,
    limit_bytes: usize,
    tools: Tools,
}

/// What is used again and again, and its content in between.
struct Tools {
    decompressor: Decompressor,
    bases: Bases,
    root: Vec<u8>,
    recipe: Recipe,
    spare: Recipe,
}

impl Cursors {
    /// No cursors yet, and at most so many bytes of them. The memory of one object more, of a few bodies and of the bases
    /// ([`CURSOR_BASES_BYTES_MAX`]) comes on top.
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self {
            cursors: Vec::new(),
            index: HashMap::new(),
            hand: 0,
            bytes: 0,
            limit_bytes,
            tools: Tools {
                decompressor: Decompressor::default(),
                bases: Bases::default(),
                root: Vec::new(),
                recipe: Recipe::default(),
                spare: Recipe::default(),
            },
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
    ) -> Result<(), StoreError> {
        if let Some(slot) = self.index.get(&object).copied()
            && let Some(cursor) = self.cursors.get_mut(slot)
        {
            cursor.used = true;
            match cursor.advance(tables, event, &mut self.tools) {
                Ok(true) => {
                    let bytes = cursor.bytes();
                    self.bytes = (self.bytes + bytes).saturating_sub(cursor.counted_bytes);
                    cursor.counted_bytes = bytes;
                    cursor.make(tables, out, &mut self.tools)?;
                    if cursor.is_at_end() {
                        self.remove(slot);
                    }
                    // Its recipe may have become longer.
                    self.make_room(0);
                    return Ok(());
                }
                Ok(false) => self.remove(slot),
                Err(error) => {
                    // It stands nowhere now.
                    self.remove(slot);
                    return Err(error);
                }
            }
        }
        let mut cursor = Cursor::open(tables, object, event)?;
        if !cursor.advance(tables, event, &mut self.tools)? {
            return Err(missing(object, event));
        }
        cursor.make(tables, out, &mut self.tools)?;
        if !cursor.is_at_end() {
            self.keep(cursor);
        }
        Ok(())
    }

    fn keep(&mut self, mut cursor: Cursor) {
        let bytes = cursor.bytes();
        // One large object must not push out all others.
        if bytes > self.limit_bytes / 16 {
            return;
        }
        self.make_room(bytes);
        self.bytes += bytes;
        cursor.counted_bytes = bytes;
        self.index.insert(cursor.object, self.cursors.len());
        self.cursors.push(cursor);
    }

    /// Gives up cursors until there is room for so many bytes.
    fn make_room(&mut self, bytes: usize) {
        while self.bytes + bytes > self.limit_bytes {
            if self.hand >= self.cursors.len() {
                self.hand = 0;
            }
            match self.cursors.get_mut(self.hand) {
                Some(cursor) if cursor.used => {
                    cursor.used = false;
                    self.hand += 1;
                }
                Some(_) => self.remove(self.hand),
                None => break,
            }
        }
    }

    fn remove(&mut self, slot: usize) {
        let cursor = self.cursors.swap_remove(slot);
        self.bytes = self.bytes.saturating_sub(cursor.counted_bytes);
        self.index.remove(&cursor.object);
        if let Some(moved) = self.cursors.get(slot) {
            self.index.insert(moved.object, slot);
        }
    }
}

fn missing(object: u64, event: EventKey) -> StoreError {
    StoreError::Damaged {
        table: super::TABLE,
        key: codec::hex(&keys::history(object, event)),
        reason: "the version is missing, but others refer to it".to_owned(),
    }
}

/// See the [module](self).
struct Cursor {
    object: u64,
    /// Key of the group.
    first: EventKey,
    payload: Box<[u8]>,
    place: Place,
    root: Root,
    recipe: Recipe,
    /// Used since the search for a cursor to give up came by.
    used: bool,
    counted_bytes: usize,
}

/// What the bodies of a group are pieces of.
#[derive(Clone, Copy)]
enum Root {
    /// Nothing: no version with a body has been read yet.
    None,
    /// The group's own keyframe, which lies in the payload from here to there, and the length of its body.
    Own { from: usize, to: usize, len: usize },
    /// A base.
    Base(u64),
}

impl Cursor {
    /// The group in which a version lies, before its first version.
    fn open(tables: &impl Tables, object: u64, event: EventKey) -> Result<Self, StoreError> {
        let end = EventKey {
            at: event.at,
            seq: event.seq.saturating_add(1),
        };
        let found = group_before(tables, object, end, |group| {
            Ok(Self {
                object,
                first: group.first,
                payload: group.payload.into(),
                place: Place::default(),
                root: Root::None,
                recipe: Recipe::default(),
                used: false,
                counted_bytes: 0,
            })
        })?;
        found.ok_or_else(|| missing(object, event))
    }

    fn bytes(&self) -> usize {
        CURSOR_OVERHEAD_BYTES + self.payload.len() + self.recipe.heap_bytes()
    }

    fn group(&self) -> Group<'_> {
        Group {
            object: self.object,
            first: self.first,
            payload: &self.payload,
        }
    }

    fn is_at_end(&self) -> bool {
        self.group().entries_from(&self.place).next().is_none()
    }

    /// Goes on to a version. `false`: it is not there, or lies behind.
    fn advance(
        &mut self,
        tables: &impl Tables,
        event: EventKey,
        tools: &mut Tools,
    ) -> Result<bool, StoreError> {
        if let Some(last) = self.place.before
            && last.event >= event
        {
            return Ok(last.event == event && !last.deleted);
        }
        let group = Group {
            object: self.object,
            first: self.first,
            payload: &self.payload,
        };
        let mut entries = group.entries_from(&self.place);
        let mut found = false;
        let mut stepped = false;
        while let Some(entry) = entries.next() {
            let (version, bytes) = entry?;
            if version.event > event {
                break;
            }
            if !version.deleted {
                let len = version.body_len as usize;
                let end = group.payload.len() - entries.rest_len();
                let difference = match self.root {
                    Root::None => {
                        let (root, root_len, difference) =
                            tools.open_root(tables, &group, bytes, end, len)?;
                        self.root = root;
                        tools.recipe.whole(root_len);
                        stepped = true;
                        difference
                    }
                    Root::Own { .. } | Root::Base(_) => Some(bytes),
                };
                if let Some(difference) = difference {
                    let from = if stepped { &tools.recipe } else { &self.recipe };
                    from.then(difference, len, &mut tools.spare)
                        .ok_or_else(|| {
                            group.damaged("a difference does not fit the version before")
                        })?;
                    std::mem::swap(&mut tools.recipe, &mut tools.spare);
                    stepped = true;
                }
            }
            self.place = entries.place();
            if version.event == event {
                found = !version.deleted;
                break;
            }
        }
        if stepped {
            self.recipe.set(&tools.recipe);
        }
        Ok(found)
    }

    /// Makes the body of the version at which it stands.
    fn make(
        &self,
        tables: &impl Tables,
        out: &mut [u8],
        tools: &mut Tools,
    ) -> Result<(), StoreError> {
        let group = self.group();
        if out.len() != self.recipe.len() {
            return Err(group.damaged("a body has another length than its change says"));
        }
        let root = match self.root {
            Root::None => &[],
            Root::Own { from, to, len } => {
                let bytes = self.payload.get(from..to);
                let keyframe = bytes
                    .and_then(Keyframe::read)
                    .ok_or_else(|| group.damaged("the keyframe's scheme is unknown"))?;
                let Tools {
                    decompressor, root, ..
                } = tools;
                base::decompress_into(tables, decompressor, &keyframe, len, root)?
                    .map_err(|reason| group.damaged(reason))?;
                root.as_slice()
            }
            Root::Base(base) => tools.bases.get(tables, &tools.decompressor, base)?,
        };
        self.recipe
            .make(root, out)
            .ok_or_else(|| group.damaged("a difference does not fit its keyframe"))
    }
}

impl Tools {
    /// The root of a group whose keyframe is `bytes` and ends at `end` of the payload, the root's length, and the difference
    /// of the first body, of `len` bytes, to it.
    fn open_root<'a>(
        &mut self,
        tables: &impl Tables,
        group: &Group<'_>,
        bytes: &'a [u8],
        end: usize,
        len: usize,
    ) -> Result<(Root, usize, Option<&'a [u8]>), StoreError> {
        let keyframe = Keyframe::read(bytes)
            .ok_or_else(|| group.damaged("the keyframe's scheme is unknown"))?;
        Ok(match keyframe {
            Keyframe::Raw(_) | Keyframe::Zstd { .. } => {
                let root = Root::Own {
                    from: end - bytes.len(),
                    to: end,
                    len,
                };
                (root, len, None)
            }
            Keyframe::Base { base } => {
                if self.bases.get(tables, &self.decompressor, base)?.len() != len {
                    return Err(group.damaged("the base has another length"));
                }
                (Root::Base(base), len, None)
            }
            Keyframe::Delta { base, bytes } => {
                let base_len = self.bases.get(tables, &self.decompressor, base)?.len();
                (Root::Base(base), base_len, Some(bytes))
            }
        })
    }
}

/// Bodies of bases, as many as fit.
#[derive(Default)]
struct Bases {
    bodies: HashMap<u64, Box<[u8]>>,
    bytes: usize,
}

impl Bases {
    fn get(
        &mut self,
        tables: &impl Tables,
        decompressor: &Decompressor,
        base: u64,
    ) -> Result<&[u8], StoreError> {
        if !self.bodies.contains_key(&base) {
            let body = base::body(tables, decompressor, base)?.into_boxed_slice();
            let bytes = body.len() + BASE_OVERHEAD_BYTES;
            if self.bytes + bytes > CURSOR_BASES_BYTES_MAX {
                self.bodies.clear();
                self.bytes = 0;
            }
            self.bytes += bytes;
            self.bodies.insert(base, body);
        }
        Ok(self.bodies.get(&base).map_or(&[], |body| body))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;
