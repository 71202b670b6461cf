//! An ordered map with bounded memory, for the work of one export: in memory while it is small, in a temporary redb
//! file once it is not. The temporary file has no name and is gone with the process.

mod runs;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use self::runs::{Merged, Runs};
use super::StoreError;
use crate::limits::{SCRATCH_BYTES_MAX, SCRATCH_RUNS_MAX};

/// What an entry in memory costs besides its bytes.
const ENTRY_OVERHEAD_BYTES: usize = 96;

/// The map. The newest value of a key counts.
pub(crate) struct Scratch {
    recent: BTreeMap<Vec<u8>, Vec<u8>>,
    recent_bytes: usize,
    limit_bytes: usize,
    runs_max: usize,
    spilled: Option<Runs>,
    folder: PathBuf,
}

impl Scratch {
    /// An empty map whose temporary file, if it needs one, is made in `folder`.
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            runs_max: SCRATCH_RUNS_MAX,
            ..Self::with_limit(folder, SCRATCH_BYTES_MAX)
        }
    }

    /// An empty map for who cannot wait long: moving so much to its file takes time, all at once, and the file is one tree,
    /// in which nothing has to be merged.
    pub(crate) fn with_limit(folder: &Path, limit_bytes: usize) -> Self {
        Self {
            recent: BTreeMap::new(),
            recent_bytes: 0,
            limit_bytes,
            runs_max: 1,
            spilled: None,
            folder: folder.to_owned(),
        }
    }

    pub(crate) fn insert(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<(), StoreError> {
        let (key_len, value_len) = (key.len(), value.len());
        self.recent_bytes += value_len;
        match self.recent.insert(key, value) {
            Some(replaced) => self.recent_bytes -= replaced.len(),
            None => self.recent_bytes += key_len + ENTRY_OVERHEAD_BYTES,
        }
        if self.recent_bytes > self.limit_bytes {
            self.spill()
        } else {
            Ok(())
        }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(value) = self.recent.get(key) {
            return Ok(Some(value.clone()));
        }
        match &self.spilled {
            Some(runs) => runs.get(key),
            None => Ok(None),
        }
    }

    /// Whether there is a key that begins so.
    pub(crate) fn has_prefix(&self, prefix: &[u8]) -> Result<bool, StoreError> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let recent = self.recent.range::<[u8], _>(from).next();
        if recent.is_some_and(|(key, _)| key.starts_with(prefix)) {
            return Ok(true);
        }
        match &self.spilled {
            Some(runs) => runs.has_prefix(prefix),
            None => Ok(false),
        }
    }

    /// Nothing more is inserted for a while: a map that has a file needs no memory for entries meanwhile, and is read quicker
    /// when it is one run.
    pub(crate) fn rest(&mut self) -> Result<(), StoreError> {
        self.spill_rest()?;
        match &mut self.spilled {
            Some(runs) => runs.merge(),
            None => Ok(()),
        }
    }

    /// A map that has a file, and is read in order, has everything there.
    fn spill_rest(&mut self) -> Result<(), StoreError> {
        match self.spilled {
            Some(_) if !self.recent.is_empty() => self.spill(),
            _ => Ok(()),
        }
    }

    /// Every entry, in the order of the keys.
    pub(crate) fn into_entries(mut self) -> Result<Entries, StoreError> {
        self.spill_rest()?;
        Ok(match self.spilled {
            None => Entries::Memory(self.recent.into_iter()),
            Some(runs) => Entries::File {
                rows: runs.entries()?,
                _runs: runs,
            },
        })
    }

    /// Calls `each` with every entry, in the order of the keys.
    pub(crate) fn for_each<E: From<StoreError>>(
        &mut self,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.spill_rest()?;
        let Some(runs) = &self.spilled else {
            return self
                .recent
                .iter()
                .try_for_each(|(key, value)| each(key, value));
        };
        for entry in runs.entries()? {
            let (key, value) = entry?;
            each(key.value(), value.value())?;
        }
        Ok(())
    }

    fn spill(&mut self) -> Result<(), StoreError> {
        let runs = match &mut self.spilled {
            Some(runs) => runs,
            None => self.spilled.insert(Runs::new(&self.folder, self.runs_max)?),
        };
        runs.push(std::mem::take(&mut self.recent))?;
        self.recent_bytes = 0;
        Ok(())
    }
}

/// See [`Scratch::into_entries`].
#[allow(
    clippy::large_enum_variant,
    reason = "there is one for each pass over a map"
)]
pub(crate) enum Entries {
    /// Nothing was spilled.
    Memory(std::collections::btree_map::IntoIter<Vec<u8>, Vec<u8>>),
    /// The temporary file, open as long as it is read.
    File { rows: Merged, _runs: Runs },
}

impl Iterator for Entries {
    type Item = Result<(Vec<u8>, Vec<u8>), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Memory(entries) => entries.next().map(Ok),
            Self::File { rows, .. } => rows.next().map(|entry| {
                let (key, value) = entry?;
                Ok((key.value().to_vec(), value.value().to_vec()))
            }),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_key_that_is_set_again_and_again_counts_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut scratch = Scratch::with_limit(folder.path(), 1_000);
        for n in 0u64..1_000 {
            scratch
                .insert(b"key".to_vec(), n.to_be_bytes().to_vec())
                .unwrap();
        }
        assert!(scratch.spilled.is_none());
        assert_eq!(scratch.recent_bytes, 3 + 8 + ENTRY_OVERHEAD_BYTES);
    }

    #[test]
    fn a_map_that_rests_keeps_its_entries_in_its_file_if_it_has_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut scratch = Scratch::with_limit(folder.path(), 1_000);
        scratch.insert(b"first".to_vec(), b"1".to_vec()).unwrap();
        scratch.rest().unwrap();
        assert!(scratch.spilled.is_none() && scratch.recent.len() == 1);
        for n in 0u64..15 {
            scratch
                .insert(n.to_be_bytes().to_vec(), b"2".to_vec())
                .unwrap();
        }
        assert!(scratch.spilled.is_some() && !scratch.recent.is_empty());
        scratch.rest().unwrap();
        assert!(scratch.recent.is_empty() && scratch.recent_bytes == 0);
        let first = scratch.get(b"first").unwrap();
        assert_eq!(first.as_deref(), Some(&b"1"[..]));
        // What comes later counts all the same.
        scratch.insert(b"first".to_vec(), b"3".to_vec()).unwrap();
        let entries: Vec<_> = scratch
            .into_entries()
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(entries.len(), 16);
        assert_eq!(entries.last(), Some(&(b"first".to_vec(), b"3".to_vec())));
    }

    proptest! {
        /// In memory and spilled it answers as a BTreeMap does.
        #[test]
        fn answers_as_a_map_does(
            inserts in proptest::collection::vec((any::<u8>(), any::<u16>()), 1..60),
            limit in prop_oneof![Just(0usize), Just(1_000), Just(1_000_000)],
            runs_max in prop_oneof![Just(1usize), Just(2), Just(SCRATCH_RUNS_MAX)],
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut scratch = Scratch { runs_max, ..Scratch::with_limit(folder.path(), limit) };
            let mut model = BTreeMap::new();
            for (key, value) in inserts {
                scratch.insert(vec![key], value.to_be_bytes().to_vec()).unwrap();
                model.insert(vec![key], value.to_be_bytes().to_vec());
                prop_assert_eq!(scratch.get(&[key]).unwrap(), model.get(&vec![key]).cloned());
            }
            prop_assert_eq!(scratch.spilled.is_some(), limit == 0 || (limit == 1_000 && scratch.spilled.is_some()));
            prop_assert_eq!(scratch.get(b"absent").unwrap(), None);
            for prefix in 0..=u8::MAX {
                prop_assert_eq!(scratch.has_prefix(&[prefix]).unwrap(), model.contains_key(&vec![prefix]));
                prop_assert!(!scratch.has_prefix(&[prefix, 0]).unwrap());
            }
            prop_assert!(scratch.has_prefix(&[]).unwrap());
            let mut seen = Vec::new();
            scratch.for_each::<StoreError>(|key, value| {
                seen.push((key.to_vec(), value.to_vec()));
                Ok(())
            }).unwrap();
            let model: Vec<_> = model.into_iter().collect();
            prop_assert_eq!(&seen, &model);
            let entries: Vec<_> = scratch.into_entries().unwrap().collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(&entries, &model);
        }
    }
}
