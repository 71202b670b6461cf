//! A place in a group of versions, from which the next version is one difference away.
//!
//! The body at the place is kept where there is room for it. Else it is known as a recipe from its *root*, the body of the
//! group's keyframe or of a base, and of the group is kept what reading on needs: `keyframe | recipe | versions not read yet`.

mod by_body;
mod by_recipe;
mod kept;

use std::collections::HashMap;

use by_body::ByBody;
use by_recipe::ByRecipe;
pub(crate) use kept::KeptVersion;

use super::arena::Piece;
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

    /// Makes the body of the version at which it stands.
    pub(super) fn make(
        &self,
        group: &Group<'_>,
        tables: &impl Tables,
        out: &mut [u8],
        tools: &mut Tools,
    ) -> Result<(), StoreError> {
        if out.len() != tools.recipe.len() {
            return Err(other_length(group));
        }
        let root = match self.root {
            Root::None => &[],
            Root::Own { from, to, len } => {
                let bytes = group.payload.get(from as usize..to as usize);
                let keyframe = bytes
                    .and_then(Keyframe::read)
                    .ok_or_else(|| group.damaged("the keyframe's scheme is unknown"))?;
                let (decompressor, body) = (&tools.decompressor, &mut tools.body);
                base::decompress_into(tables, decompressor, &keyframe, len as usize, body)?
                    .map_err(|reason| group.damaged(reason))?;
                body.as_slice()
            }
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

fn other_length(group: &Group<'_>) -> StoreError {
    group.damaged("a body has another length than its change says")
}

/// A place in a group from which its next versions are read. What is kept of the group lies elsewhere, in one memory for the
/// cursors of many objects.
pub(super) struct Cursor {
    pub(super) object: u64,
    way: Way,
    /// What is kept of the group.
    pub(super) kept: Piece,
    /// Used since the search for a cursor to give up came by.
    pub(super) used: bool,
}

/// How the body at the place is known.
enum Way {
    /// As it is: the next one is made by one difference.
    Body(ByBody),
    /// As pieces of its root, in a fraction of its length: the next one is made of the root, which is read again.
    Recipe(ByRecipe),
}

impl Cursor {
    /// Keeps a standing in a group whose body was made a moment ago; and that body, if it takes no more than so many bytes.
    /// `None`: nothing follows in the group. What is to be kept of the group is in [`Tools::packed`] then.
    pub(super) fn new(
        group: &Group<'_>,
        standing: &Standing,
        body: &[u8],
        room_bytes: usize,
        tools: &mut Tools,
    ) -> Option<Self> {
        if is_end(group.payload.get(standing.place.at()..).unwrap_or_default()) {
            return None;
        }
        let way = if body.len() <= room_bytes {
            Way::Body(ByBody::new(group, &standing.place, body, tools))
        } else {
            Way::Recipe(ByRecipe::new(group, standing, tools))
        };
        Some(Self {
            object: group.object,
            way,
            kept: Piece::default(),
            used: false,
        })
    }

    /// Keeps a standing in a group whose body was not made. What is to be kept of the group is in [`Tools::packed`] then.
    pub(super) fn at(group: &Group<'_>, standing: &Standing, tools: &mut Tools) -> Self {
        Self {
            object: group.object,
            way: Way::Recipe(ByRecipe::new(group, standing, tools)),
            kept: Piece::default(),
            used: false,
        }
    }

    /// Memory of the body that it keeps, bytes.
    pub(super) fn body_bytes(&self) -> usize {
        match &self.way {
            Way::Body(by) => by.body_bytes(),
            Way::Recipe(_) => 0,
        }
    }

    /// Nothing follows in the group, of which this is kept.
    pub(super) fn is_at_end(&self, kept: &[u8]) -> bool {
        let at = match &self.way {
            Way::Body(by) => by.at(),
            Way::Recipe(by) => by.at(),
        };
        is_end(kept.get(at..).unwrap_or_default())
    }

    /// Goes on to a version and makes its body, which is kept if it takes no more than `room_bytes`. Returns how many bytes of
    /// the group are to be kept now: if they are more than `kept`, they are in [`Tools::packed`]. `None`: the version is not
    /// there, or lies behind. After an error, and after `None`, it is of no use any more.
    pub(super) fn read(
        &mut self,
        kept: &mut [u8],
        tables: &impl Tables,
        event: EventKey,
        out: &mut [u8],
        room_bytes: usize,
        tools: &mut Tools,
    ) -> Result<Option<usize>, StoreError> {
        let by = match &mut self.way {
            Way::Body(by) => {
                let read = by.read(self.object, kept, event, out, tools)?;
                return Ok(read.then_some(kept.len()));
            }
            Way::Recipe(by) => by,
        };
        let len = by.read(self.object, kept, tables, event, out, tools)?;
        if out.len() <= room_bytes
            && let Some(payload) = len.and_then(|len| kept.get(..len))
            && !is_end(payload.get(by.at()..).unwrap_or_default())
        {
            self.way = Way::Body(by.with_body(self.object, payload, out, tools));
            let rest = tools.packed.len();
            if let Some(to) = kept.get_mut(..rest) {
                to.copy_from_slice(&tools.packed);
            }
            return Ok(Some(rest));
        }
        Ok(len)
    }
}

/// What all cursors of a thread use, one after the other.
#[derive(Default)]
pub(crate) struct Tools {
    decompressor: Decompressor,
    bases: Bases,
    /// A root's body, or one between two others.
    body: Vec<u8>,
    /// The recipe of the cursor in hand.
    recipe: Recipe,
    spare: Recipe,
    packed_recipe: Vec<u8>,
    packed: Vec<u8>,
}

impl Tools {
    /// What the last cursor that was made, or that became longer, keeps of its group.
    pub(super) fn packed(&self) -> &[u8] {
        &self.packed
    }

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
