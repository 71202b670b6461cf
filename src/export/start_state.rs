//! The objects that the window begins with.

use std::path::Path;

use super::error::ExportError;
use super::sheet::Wanted;
use crate::model::ObjectKey;
use crate::store::scratch::Scratch;
use crate::store::{StoreError, keys};

/// The objects of the start state in its order.
pub(super) struct StartState(Scratch);

impl StartState {
    pub(super) fn new(folder: &Path) -> Self {
        Self(Scratch::new(folder))
    }

    /// Adds an object; whether it has owners decides its place.
    pub(super) fn insert(
        &mut self,
        key: &ObjectKey,
        owned: bool,
        wanted: Wanted,
    ) -> Result<(), StoreError> {
        let sort_key = sort_key(key, owned, wanted.object);
        let mut value = keys::history(wanted.object, wanted.event).to_vec();
        value.extend_from_slice(&wanted.body_len.to_be_bytes());
        self.0.insert(sort_key, value)
    }

    /// See [`Scratch::rest`].
    pub(super) fn rest(&mut self) -> Result<(), StoreError> {
        self.0.rest()
    }

    /// Calls `each` with every object in its order.
    pub(super) fn for_each(
        &mut self,
        mut each: impl FnMut(Wanted) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        self.0.for_each(|_, value| {
            let (key, body_len) = value.split_first_chunk().unwrap_or((&[0; 24], &[]));
            each(Wanted {
                object: keys::history_object(key),
                event: keys::history_event(key),
                body_len: body_len.try_into().map(u32::from_be_bytes).unwrap_or(0),
            })
        })
    }
}

/// The order of the start state (X4): namespaces first, then what has no owners, then the rest; each by group, kind,
/// namespace, name.
fn sort_key(key: &ObjectKey, owned: bool, id: u64) -> Vec<u8> {
    let rank = match (key.group.is_empty() && key.kind == "Namespace", owned) {
        (true, _) => 0,
        (false, false) => 1,
        (false, true) => 2,
    };
    let mut bytes = vec![rank];
    bytes.extend_from_slice(&keys::object(key, id));
    bytes
}
