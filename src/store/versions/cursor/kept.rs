//! A version taken out of its group: as few bytes as its body can be made of, `keyframe | recipe`.

use super::{Root, Standing, Tools};
use crate::store::StoreError;
use crate::store::tables::Tables;
use crate::store::versions::{Group, Version};

/// A version of an object, a tenth of its body's length most often.
pub(crate) struct KeptVersion {
    pub(crate) version: Version,
    object: u64,
    standing: Standing,
    bytes: Box<[u8]>,
    recipe_at: u32,
}

impl KeptVersion {
    /// The version at which it stands. The group is that of the standing.
    pub(in crate::store::versions) fn new(
        group: &Group<'_>,
        version: &Version,
        standing: &Standing,
        tools: &mut Tools,
    ) -> Self {
        let read = group.payload.get(..standing.place.at());
        let group = Group {
            payload: read.unwrap_or(group.payload),
            ..*group
        };
        tools.write_recipe();
        let recipe = tools.packed_recipe.as_slice();
        let standing = standing.pack(&group, recipe, &mut tools.packed);
        Self {
            version: *version,
            object: group.object,
            standing,
            recipe_at: (standing.place.at() - recipe.len()) as u32,
            bytes: tools.packed.as_slice().into(),
        }
    }

    /// Memory that it takes, bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.bytes.len()
    }

    /// The base that its body is made of, if it is one.
    pub(crate) fn base(&self) -> Option<u64> {
        match self.standing.root {
            Root::Base { base, .. } => Some(base),
            Root::None | Root::Own { .. } => None,
        }
    }

    /// Makes the body.
    pub(in crate::store::versions) fn make(
        &self,
        tables: &impl Tables,
        out: &mut [u8],
        tools: &mut Tools,
    ) -> Result<(), StoreError> {
        let group = Group {
            object: self.object,
            first: self.version.event,
            payload: &self.bytes,
        };
        let Standing { root, place } = &self.standing;
        self.bytes
            .get(self.recipe_at as usize..)
            .and_then(|recipe| tools.recipe.read(root.len(), recipe, place.body_len()))
            .ok_or_else(|| group.damaged("what was read of the group has been lost"))?;
        self.standing.make(&group, tables, out, tools)
    }
}
