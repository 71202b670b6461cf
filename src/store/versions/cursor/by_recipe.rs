//! A place whose body is known as pieces of its root.

use super::{ByBody, Standing, Tools};
use crate::model::EventKey;
use crate::store::StoreError;
use crate::store::tables::Tables;
use crate::store::versions::Group;

/// See the [module](self).
pub(super) struct ByRecipe {
    /// Key of the group.
    first: EventKey,
    recipe_at: u32,
    recipe_len: u32,
    standing: Standing,
}

impl ByRecipe {
    /// Keeps a standing, whose recipe is in the tools. What is to be kept of the group is in `tools.packed` then.
    pub(super) fn new(group: &Group<'_>, standing: &Standing, tools: &mut Tools) -> Self {
        let mut kept = Self {
            first: group.first,
            recipe_at: 0,
            recipe_len: 0,
            standing: *standing,
        };
        tools.write_recipe();
        kept.pack(group, standing, tools);
        kept
    }

    /// Where in what is kept of the group lies what has not been read yet.
    pub(super) fn at(&self) -> usize {
        self.standing.place.at()
    }

    /// See [`super::Cursor::read`].
    pub(super) fn read(
        &mut self,
        object: u64,
        kept: &mut [u8],
        tables: &impl Tables,
        event: EventKey,
        out: &mut [u8],
        tools: &mut Tools,
    ) -> Result<Option<usize>, StoreError> {
        let group = Group {
            object,
            first: self.first,
            payload: kept,
        };
        let mut standing = self.standing;
        let (from, len) = (self.recipe_at as usize, self.recipe_len as usize);
        group
            .payload
            .get(from..from + len)
            .and_then(|recipe| {
                let body_len = standing.place.body_len();
                tools.recipe.read(standing.root.len(), recipe, body_len)
            })
            .ok_or_else(|| group.damaged("what was read of the group has been lost"))?;
        if !standing.advance(&group, event, tools)? {
            return Ok(None);
        }
        standing.make(&group, tables, out, tools)?;
        tools.write_recipe();
        let room = standing.place.at() - from;
        let unused = room.checked_sub(tools.packed_recipe.len());
        if unused.is_none_or(|unused| unused > kept.len() / UNUSED_PARTS) {
            self.pack(&group, &standing, tools);
            let len = tools.packed.len();
            if let Some(to) = kept.get_mut(..len) {
                to.copy_from_slice(&tools.packed);
            }
            return Ok(Some(len));
        }
        self.standing = standing;
        self.recipe_len = tools.packed_recipe.len() as u32;
        if let Some(to) = kept.get_mut(from..from + tools.packed_recipe.len()) {
            to.copy_from_slice(&tools.packed_recipe);
        }
        Ok(Some(kept.len()))
    }

    /// The same place with its body, which was made a moment ago of what is kept. What is to be kept now is in `tools.packed`
    /// then, and is less.
    pub(super) fn with_body(
        &self,
        object: u64,
        kept: &[u8],
        body: &[u8],
        tools: &mut Tools,
    ) -> ByBody {
        let group = Group {
            object,
            first: self.first,
            payload: kept,
        };
        ByBody::new(&group, &self.standing.place, body, tools)
    }

    fn pack(&mut self, group: &Group<'_>, standing: &Standing, tools: &mut Tools) {
        let recipe = tools.packed_recipe.as_slice();
        self.standing = standing.pack(group, recipe, &mut tools.packed);
        self.recipe_at = (self.standing.place.at() - recipe.len()) as u32;
        self.recipe_len = recipe.len() as u32;
    }
}

/// Of what is kept, one part of so many may be unused before it is packed anew.
const UNUSED_PARTS: usize = 4;
