//! The versions of objects, with their bodies.
//!
//! Versions of one object that follow each other share a row, a *group*: a keyframe and, for each version after it, the
//! difference to the version before. A version is read with one row, and with one more where the keyframe refers to
//! a *base*: a body that pods of one owner start from, or a keyframe too large to be written again whenever the group
//! grows. Bases refer to nothing.
//!
//! [`group`] has the bytes, [`read`] what readers ask, [`cursors`] reads many bodies, with a [`cursor`] in each object's group, [`write`] is how the writer adds a
//! version, [`heads`] what it knows of those that it added, [`drop`] how retention removes them, [`base`] has bases and siblings.

mod arena;
#[allow(dead_code, reason = "tests and statistics ask for the uses of a base")]
pub(crate) mod base;
mod cursor;
mod cursors;
mod drop;
pub(crate) mod group;
mod heads;
mod read;
mod siblings;
mod write;

pub(crate) use cursor::{KeptVersion, Tools};
pub(crate) use cursors::{Cursors, Places};
pub(crate) use drop::{Remains, drop_superseded};
pub(crate) use group::{Group, Version};
pub(crate) use read::{bodies, body, last, range, version_before, version_from, versions_before};
#[cfg(feature = "bench")]
pub(crate) use write::short_difference;
pub(crate) use write::{BodyWriter, NewVersion};

/// Name of the table of groups, for seals and messages.
pub(crate) const TABLE: &str = "object_and_event_to_versions";
