//! The index of a trace.

use std::collections::BTreeMap;
use std::path::Path;

use super::error::ExportError;
use crate::model::{Gvk, ObjectKey};
use crate::store::scratch::Scratch;
use crate::store::{StoreError, keys};

/// Kind and name -> hash of the last spec. Of the incarnations of a name, each has an entry, and the one with the greatest
/// id is the last.
pub(super) struct Index {
    entries: Scratch,
}

impl Index {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            entries: Scratch::new(folder),
        }
    }

    fn key(gvk: &str, name: &str) -> Vec<u8> {
        let mut bytes = keys::text(gvk);
        bytes.extend_from_slice(&keys::text(name));
        bytes
    }

    /// Sets the hash of an incarnation.
    pub(super) fn set(
        &mut self,
        gvk: &Gvk,
        key: &ObjectKey,
        id: u64,
        hash: u64,
    ) -> Result<(), StoreError> {
        let mut key = Self::key(&gvk.to_string(), &key.namespaced_name());
        key.extend_from_slice(&id.to_be_bytes());
        self.entries.insert(key, hash.to_be_bytes().to_vec())
    }

    /// See [`Scratch::rest`].
    pub(super) fn rest(&mut self) -> Result<(), StoreError> {
        self.entries.rest()
    }

    /// Whether the trace contains an object of this kind and name.
    pub(super) fn contains(&self, gvk: &str, name: &str) -> Result<bool, StoreError> {
        self.entries.has_prefix(&Self::key(gvk, name))
    }

    /// Calls `each` with kind, name and hash, ordered by kind and name.
    pub(super) fn for_each<E: From<StoreError>>(
        &mut self,
        mut each: impl FnMut(&str, &str, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut last: Option<(String, String, u64)> = None;
        self.entries.for_each::<E>(|key, value| {
            let mut reader = keys::KeyReader::new("index", key);
            let (gvk, name) = (reader.text()?, reader.text()?);
            let hash = value.try_into().map(u64::from_be_bytes).unwrap_or_default();
            if let Some((last_gvk, last_name, last_hash)) = last.replace((gvk, name, hash))
                && let Some((gvk, name, _)) = &last
                && (*gvk != last_gvk || *name != last_name)
            {
                each(&last_gvk, &last_name, last_hash)?;
            }
            Ok(())
        })?;
        match last {
            Some((gvk, name, hash)) => each(&gvk, &name, hash),
            None => Ok(()),
        }
    }

    /// How many objects of each kind there are. As many entries as there are kinds.
    pub(super) fn counts(&mut self) -> Result<BTreeMap<String, u32>, ExportError> {
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        self.for_each::<ExportError>(|gvk, _, _| {
            if !counts.contains_key(gvk) {
                counts.insert(gvk.to_owned(), 0);
            }
            if let Some(count) = counts.get_mut(gvk) {
                *count = count
                    .checked_add(1)
                    .ok_or(ExportError::TooLarge { what: "objects" })?;
            }
            Ok(())
        })?;
        Ok(counts)
    }
}
