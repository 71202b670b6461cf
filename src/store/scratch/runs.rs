//! The file of a scratch map: sorted runs, each written from its first key to its last. Put into one tree, every run would
//! have most pages of the tree written anew. Merging all of them takes its time, all at once; who cannot wait for that has
//! one run, a tree to which others are added.

use std::collections::BTreeMap;
use std::path::Path;

use redb::{
    AccessGuard, Database, Durability, Range, ReadOnlyTable, ReadableDatabase, TableDefinition,
    TableHandle, WriteTransaction,
};

use crate::limits::SCRATCH_CACHE_BYTES;
use crate::store::StoreError;
use crate::store::temporary::Temporary;

/// Keys and values.
type Bytes = &'static [u8];
type Rows = Range<'static, Bytes, Bytes>;
type Entry = (AccessGuard<'static, Bytes>, AccessGuard<'static, Bytes>);

/// See the [module](self). Of equal keys, that of the newest run counts.
pub(crate) struct Runs {
    /// Oldest first. Dropped before the database.
    runs: Vec<ReadOnlyTable<Bytes, Bytes>>,
    runs_max: usize,
    /// How many tables have been made.
    made: u64,
    database: Database,
}

impl Runs {
    /// No runs, and at most so many, in a file without a name in `folder`.
    pub(super) fn new(folder: &Path, runs_max: usize) -> Result<Self, StoreError> {
        let file = tempfile::tempfile_in(folder)
            .map_err(StoreError::io(folder, "cannot make a temporary file"))?;
        let failed = |error: redb::DatabaseError| StoreError::Database(Box::new(error.into()));
        let backend = Temporary::new(file).map_err(failed)?;
        let database = redb::Builder::new()
            .set_cache_size(SCRATCH_CACHE_BYTES)
            .create_with_backend(backend)
            .map_err(failed)?;
        Ok(Self {
            runs: Vec::new(),
            runs_max,
            made: 0,
            database,
        })
    }

    /// Adds a run, the newest one.
    pub(super) fn push(&mut self, entries: BTreeMap<Vec<u8>, Vec<u8>>) -> Result<(), StoreError> {
        if self.runs.len() >= self.runs_max.max(2) {
            self.merge()?;
        }
        let tree = match self.runs.as_slice() {
            [only] if self.runs_max <= 1 => Some(only.name().to_owned()),
            _ => None,
        };
        let name = tree.clone().unwrap_or_else(|| self.next_name());
        let txn = self.begin_write()?;
        {
            let mut table = txn.open_table(definition(&name))?;
            // What is in a page is no longer held besides.
            for (key, value) in entries {
                table.insert(key.as_slice(), value.as_slice())?;
            }
        }
        txn.commit()?;
        let run = self.open(&name)?;
        if tree.is_some() {
            self.runs.clear();
        }
        self.runs.push(run);
        Ok(())
    }

    /// Makes one run of all.
    pub(super) fn merge(&mut self) -> Result<(), StoreError> {
        if self.runs.len() <= 1 {
            return Ok(());
        }
        let name = self.next_name();
        let txn = self.begin_write()?;
        {
            let mut table = txn.open_table(definition(&name))?;
            for entry in Merged::of(&self.runs)? {
                let (key, value) = entry?;
                table.insert(key.value(), value.value())?;
            }
        }
        // In the same transaction: no table that is read then keeps their pages.
        for run in &self.runs {
            txn.delete_table(definition(run.name()))?;
        }
        txn.commit()?;
        self.runs = vec![self.open(&name)?];
        Ok(())
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        for run in self.runs.iter().rev() {
            if let Some(value) = run.get(key)? {
                return Ok(Some(value.value().to_vec()));
            }
        }
        Ok(None)
    }

    /// Whether there is a key that begins so.
    pub(super) fn has_prefix(&self, prefix: &[u8]) -> Result<bool, StoreError> {
        for run in &self.runs {
            if let Some(entry) = run.range::<&[u8]>(prefix..)?.next()
                && entry?.0.value().starts_with(prefix)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// All entries, in the order of their keys.
    pub(super) fn entries(&self) -> Result<Merged, StoreError> {
        Merged::of(&self.runs)
    }

    fn begin_write(&self) -> Result<WriteTransaction, StoreError> {
        let mut txn = self.database.begin_write()?;
        // Nothing of it has to survive the process.
        txn.set_durability(Durability::None)?;
        Ok(txn)
    }

    fn next_name(&mut self) -> String {
        self.made += 1;
        self.made.to_string()
    }

    fn open(&self, name: &str) -> Result<ReadOnlyTable<Bytes, Bytes>, StoreError> {
        Ok(self.database.begin_read()?.open_table(definition(name))?)
    }
}

fn definition(name: &str) -> TableDefinition<'_, Bytes, Bytes> {
    TableDefinition::new(name)
}

/// The entries of several runs in the order of their keys, each key once.
pub(crate) struct Merged {
    /// Newest first, each with its next entry.
    runs: Vec<(Rows, Option<Entry>)>,
}

impl Merged {
    /// Of runs, oldest first.
    fn of(runs: &[ReadOnlyTable<Bytes, Bytes>]) -> Result<Self, StoreError> {
        let rows = runs.iter().rev().map(|run| {
            let mut rows = run.range::<&[u8]>(..)?;
            let next = rows.next().transpose()?;
            Ok((rows, next))
        });
        Ok(Self {
            runs: rows.collect::<Result<_, StoreError>>()?,
        })
    }

    fn next_entry(&mut self) -> Result<Option<Entry>, StoreError> {
        // Of equal keys `min_by` takes the first one: that of the newest run. There are a few runs.
        let waiting = self.runs.iter().enumerate();
        let waiting = waiting.filter_map(|(at, (_, next))| Some((at, next.as_ref()?.0.value())));
        let Some((least, _)) = waiting.min_by(|(_, one), (_, other)| one.cmp(other)) else {
            return Ok(None);
        };
        let Some(entry) = self.take(least)? else {
            return Ok(None);
        };
        for older in least + 1..self.runs.len() {
            if self.key(older) == Some(entry.0.value()) {
                self.take(older)?;
            }
        }
        Ok(Some(entry))
    }

    fn key(&self, run: usize) -> Option<&[u8]> {
        let (_, next) = self.runs.get(run)?;
        next.as_ref().map(|(key, _)| key.value())
    }

    /// The next entry of a run, which goes on.
    fn take(&mut self, run: usize) -> Result<Option<Entry>, StoreError> {
        let Some((rows, next)) = self.runs.get_mut(run) else {
            return Ok(None);
        };
        let after = rows.next().transpose()?;
        Ok(std::mem::replace(next, after))
    }
}

impl Iterator for Merged {
    type Item = Result<Entry, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_entry().transpose()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::limits::SCRATCH_RUNS_MAX;

    /// Pages that the file uses after each of so many runs, of which `entry` tells the entries.
    fn pages(
        runs: &mut Runs,
        count: usize,
        entry: impl Fn(usize, usize) -> (Vec<u8>, Vec<u8>),
    ) -> Vec<u64> {
        let mut pages = Vec::new();
        for run in 0..count {
            runs.push((0..100).map(|n| entry(run, n)).collect())
                .unwrap();
            assert!(runs.runs.len() <= runs.runs_max.max(1));
            let txn = runs.begin_write().unwrap();
            pages.push(txn.stats().unwrap().allocated_pages());
            txn.abort().unwrap();
        }
        pages
    }

    /// A tenth of a thousand keys in each run, the same ones all the time.
    fn again(run: usize, n: usize) -> (Vec<u8>, Vec<u8>) {
        let key = (n * 10 + run % 10).to_be_bytes().to_vec();
        (key, run.to_string().repeat(50).into_bytes())
    }

    #[test]
    fn runs_are_few_and_the_newest_counts() {
        let folder = tempfile::tempdir().unwrap();
        for runs_max in [1, SCRATCH_RUNS_MAX] {
            let mut runs = Runs::new(folder.path(), runs_max).unwrap();
            let pages = pages(&mut runs, 80, again);
            runs.merge().unwrap();
            assert_eq!(runs.runs.len(), 1);
            let entries: Vec<_> = runs.entries().unwrap().map(Result::unwrap).collect();
            assert_eq!(entries.len(), 1_000);
            // Those of the last ten runs.
            let newest = |value: &[u8]| value.starts_with(b"7");
            assert!(entries.iter().all(|(_, value)| newest(value.value())));
            let most = |pages: &[u64]| *pages.iter().max().unwrap();
            let (first, last) = pages.split_at(40);
            assert!(most(last) <= most(first) * 5 / 4, "{pages:?}");
        }
    }

    /// What was merged is not kept until the next time: it and what it became are all that there is at once.
    #[test]
    fn the_room_of_merged_runs_is_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut runs = Runs::new(folder.path(), 4).unwrap();
        let pages = pages(&mut runs, 61, |run, n| {
            let key = (n * 1_000 + run).to_be_bytes().to_vec();
            (key, vec![b'v'; 100])
        });
        runs.merge().unwrap();
        let mut other = Runs::new(folder.path(), 4).unwrap();
        let entries = runs.entries().unwrap().map(|entry| {
            let (key, value) = entry.unwrap();
            (key.value().to_vec(), value.value().to_vec())
        });
        other.push(entries.collect()).unwrap();
        let txn = other.begin_write().unwrap();
        let live = txn.stats().unwrap().allocated_pages();
        let most = *pages.iter().max().unwrap();
        assert!(most <= live * 5 / 4, "{most} pages for {live}");
    }
}
