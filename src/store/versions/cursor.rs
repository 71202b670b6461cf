//! A place in a group of versions, from which the next version is one difference away.
//!
//! The body at the place is known as a recipe from its *root*, the body of the group's keyframe or of a base. What is kept
//! of a group is what reading on needs: `keyframe | recipe | versions not read yet`.

mod kept;

use std::collections::HashMap;

pub(crate) use kept::KeptVersion;

use super::base;
use super::group::{Group, Keyframe, Place, is_end};
use crate::limits::{CURSOR_BASES_BYTES_MAX, OBJECT_BYTES_MAX};
use crate::model::EventKey;
use crate::store::StoreError;
use crate::store::body::compress::Decompressor;
use crate::store::body::recipe::Recipe;
use crate::store::tables::Tables;

/// What bodies are pieces of.
#[derive(Clone, Copy)]
enum Root {
    /// Nothing: no version with a body has been read yet.
    None,
    /// The group's own keyframe, which lies from here to there, and the length of its body.
    Own { from: u32, to: u32, len: u32 },
    /// A base, which is read only when a body is made, and the length that its body has: exactly, or at least.
    Base { base: u64, len: u32, exact: bool },
}

impl Root {
    fn len(&self) -> usize {
        match *self {
            Self::None => 0,
            Self::Own { len, .. } | Self::Base { len, .. } => len as usize,
        }
    }
}

/// How far a group has been read. The recipe of the body there is in the tools.
#[derive(Clone, Copy)]
pub(super) struct Standing {
    place: Place,
    root: Root,
}

impl Standing {
    /// Before the first version.
    pub(super) fn first(tools: &mut Tools) -> Self {
        tools.recipe.whole(0);
        Self {
            place: Place::default(),
            root: Root::None,
        }
    }

    /// Goes on to a version. `false`: it is not there, or lies behind. After an error it stands nowhere.
    pub(super) fn advance(
        &mut self,
        group: &Group<'_>,
        event: EventKey,
        tools: &mut Tools,
    ) -> Result<bool, StoreError> {
        if let Some(last) = self.place.before
            && last.event >= event
        {
            return Ok(last.event == event && !last.deleted);
        }
        let mut entries = group.entries_from(&self.place);
        while let Some(entry) = entries.next() {
            let (version, bytes) = entry?;
            if version.event > event {
                break;
            }
            if !version.deleted {
                let len = version.body_len as usize;
                let is_first = matches!(self.root, Root::None);
                let difference = match self.root {
                    Root::None => {
                        let end = group.payload.len() - entries.rest_len();
                        let (root, difference) = root(group, bytes, end, len)?;
                        self.root = root;
                        tools.recipe.whole(root.len());
                        difference
                    }
                    Root::Own { .. } | Root::Base { .. } => Some(bytes),
                };
                if let Some(difference) = difference {
                    tools
                        .recipe
                        .then(difference, len, &mut tools.spare)
                        .ok_or_else(|| {
                            group.damaged("a difference does not fit the version before")
                        })?;
                    std::mem::swap(&mut tools.recipe, &mut tools.spare);
                }
                if is_first
                    && let Root::Base { len, exact, .. } = &mut self.root
                    && !*exact
                {
                    *len = tools.recipe.root_needed();
                }
            }
            self.place = entries.place();
            if version.event == event {
                return Ok(!version.deleted);
            }
        }
        Ok(false)
    }

    /// Makes the body of the version at which it stands. `own_root`: the body of the group's keyframe, where it is known; else
    /// it is in the tools afterwards.
    pub(super) fn make(
        &self,
        group: &Group<'_>,
        tables: &impl Tables,
        out: &mut [u8],
        tools: &mut Tools,
        own_root: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        if out.len() != tools.recipe.len() {
            return Err(group.damaged("a body has another length than its change says"));
        }
        let root = match self.root {
            Root::None => &[],
            Root::Own { from, to, len } => match own_root {
                Some(body) => body,
                None => {
                    let bytes = group.payload.get(from as usize..to as usize);
                    let keyframe = bytes
                        .and_then(Keyframe::read)
                        .ok_or_else(|| group.damaged("the keyframe's scheme is unknown"))?;
                    let (decompressor, body) = (&tools.decompressor, &mut tools.body);
                    base::decompress_into(tables, decompressor, &keyframe, len as usize, body)?
                        .map_err(|reason| group.damaged(reason))?;
                    body.as_slice()
                }
            },
            Root::Base { base, len, exact } => {
                let body = tools.bases.get(tables, &tools.decompressor, base)?;
                let len = len as usize;
                if body.len() < len || exact && body.len() > len {
                    return Err(group.damaged("the base has another length"));
                }
                body
            }
        };
        tools
            .recipe
            .make(root, out)
            .ok_or_else(|| group.damaged("a difference does not fit its keyframe"))
    }

    /// What is kept of the group, in `out`; and the same standing in what is kept.
    fn pack(&self, group: &Group<'_>, recipe: &[u8], out: &mut Vec<u8>) -> Self {
        let mut packed = *self;
        out.clear();
        if let Root::Own { from, to, len } = self.root {
            let keyframe = group.payload.get(from as usize..to as usize);
            out.extend_from_slice(keyframe.unwrap_or_default());
            let to = to - from;
            packed.root = Root::Own { from: 0, to, len };
        }
        out.extend_from_slice(recipe);
        packed.place = self.place.moved(out.len());
        out.extend_from_slice(group.payload.get(self.place.at()..).unwrap_or_default());
        packed
    }
}

/// A standing with what it needs to go on.
pub(super) struct Cursor {
    pub(super) object: u64,
    /// Key of the group.
    first: EventKey,
    bytes: Box<[u8]>,
    recipe_at: u32,
    recipe_len: u32,
    standing: Standing,
    /// The body of the group's keyframe, where it is kept.
    own_root: Option<Box<[u8]>>,
    /// Used since the search for a cursor to give up came by.
    pub(super) used: bool,
}

impl Cursor {
    /// Keeps a standing in a group. `None`: nothing follows in the group.
    pub(super) fn new(group: &Group<'_>, standing: &Standing, tools: &mut Tools) -> Option<Self> {
        if is_end(group.payload.get(standing.place.at()..).unwrap_or_default()) {
            return None;
        }
        let mut cursor = Self {
            object: group.object,
            first: group.first,
            bytes: Box::default(),
            recipe_at: 0,
            recipe_len: 0,
            standing: *standing,
            own_root: None,
            used: false,
        };
        tools.write_recipe();
        cursor.pack(group, standing, tools);
        Some(cursor)
    }

    /// Keeps the body of the group's keyframe, which was made last with these tools, if it has one of its own and there is room
    /// for so many bytes. Returns how many it takes more than before.
    pub(super) fn keep_root(&mut self, tools: &Tools, room_bytes: usize) -> usize {
        let is_own = matches!(self.standing.root, Root::Own { .. });
        if !is_own || self.own_root.is_some() || tools.body.len() > room_bytes {
            return 0;
        }
        self.own_root = Some(tools.body.as_slice().into());
        tools.body.len()
    }

    /// Memory of that body, bytes.
    pub(super) fn root_bytes(&self) -> usize {
        self.own_root.as_ref().map_or(0, |body| body.len())
    }

    /// Memory of what is kept besides, bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Nothing follows in the group, as far as that is known.
    pub(super) fn is_at_end(&self) -> bool {
        is_end(
            self.bytes
                .get(self.standing.place.at()..)
                .unwrap_or_default(),
        )
    }

    /// Goes on to a version and makes its body. `false`: it is not there, or lies behind. After an error, and after `false`,
    /// it is of no use any more.
    pub(super) fn read(
        &mut self,
        tables: &impl Tables,
        event: EventKey,
        out: &mut [u8],
        tools: &mut Tools,
    ) -> Result<bool, StoreError> {
        let bytes = std::mem::take(&mut self.bytes);
        let group = Group {
            object: self.object,
            first: self.first,
            payload: &bytes,
        };
        let mut standing = self.standing;
        let (from, len) = (self.recipe_at as usize, self.recipe_len as usize);
        bytes
            .get(from..from + len)
            .and_then(|recipe| {
                let body_len = standing.place.body_len();
                tools.recipe.read(standing.root.len(), recipe, body_len)
            })
            .ok_or_else(|| group.damaged("what was read of the group has been lost"))?;
        if !standing.advance(&group, event, tools)? {
            return Ok(false);
        }
        standing.make(&group, tables, out, tools, self.own_root.as_deref())?;
        tools.write_recipe();
        let room = standing.place.at() - from;
        let unused = room.checked_sub(tools.packed_recipe.len());
        if unused.is_none_or(|unused| unused > bytes.len() / UNUSED_PARTS) {
            self.pack(&group, &standing, tools);
            return Ok(true);
        }
        self.bytes = bytes;
        self.standing = standing;
        self.recipe_len = tools.packed_recipe.len() as u32;
        if let Some(to) = self.bytes.get_mut(from..from + tools.packed_recipe.len()) {
            to.copy_from_slice(&tools.packed_recipe);
        }
        Ok(true)
    }

    fn pack(&mut self, group: &Group<'_>, standing: &Standing, tools: &mut Tools) {
        let recipe = tools.packed_recipe.as_slice();
        self.standing = standing.pack(group, recipe, &mut tools.packed);
        self.recipe_at = (self.standing.place.at() - recipe.len()) as u32;
        self.recipe_len = recipe.len() as u32;
        self.bytes = tools.packed.as_slice().into();
    }
}

/// Of what a cursor keeps, one part of so many may be unused before it is packed anew.
const UNUSED_PARTS: usize = 4;

/// What all cursors of a thread use, one after the other.
#[derive(Default)]
pub(crate) struct Tools {
    decompressor: Decompressor,
    bases: Bases,
    /// A root's body.
    body: Vec<u8>,
    /// The recipe of the cursor in hand.
    recipe: Recipe,
    spare: Recipe,
    packed_recipe: Vec<u8>,
    packed: Vec<u8>,
}

impl Tools {
    fn write_recipe(&mut self) {
        self.packed_recipe.clear();
        self.recipe.write(&mut self.packed_recipe);
    }
}

/// The root of a group whose keyframe is `bytes` and ends at `end` of the payload, and the difference of the first body, of
/// `len` bytes, to it.
fn root<'a>(
    group: &Group<'_>,
    bytes: &'a [u8],
    end: usize,
    len: usize,
) -> Result<(Root, Option<&'a [u8]>), StoreError> {
    let keyframe =
        Keyframe::read(bytes).ok_or_else(|| group.damaged("the keyframe's scheme is unknown"))?;
    let len = len as u32;
    Ok(match keyframe {
        Keyframe::Raw(_) | Keyframe::Zstd { .. } => {
            let root = Root::Own {
                from: (end - bytes.len()) as u32,
                to: end as u32,
                len,
            };
            (root, None)
        }
        Keyframe::Base { base } => {
            let exact = true;
            (Root::Base { base, len, exact }, None)
        }
        Keyframe::Delta { base, bytes } => {
            // As long as it may be, until it is seen what is needed of it.
            let (len, exact) = (OBJECT_BYTES_MAX as u32, false);
            (Root::Base { base, len, exact }, Some(bytes))
        }
    })
}

/// What a base costs besides its bytes.
const BASE_OVERHEAD_BYTES: usize = 64;

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
