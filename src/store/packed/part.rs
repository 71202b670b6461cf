//! The packed part of a table: which chunk a key is in, and rows in their order.

use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

use redb::ReadableTable;
use zstd_safe::DCtx;

use super::cache::{Cache, Found};
use super::chunk::{self, Chunk, PackedRow};
use super::{Parts, Prefix, Prefixes};
use crate::store::{StoreError, keys};

/// The packed part, in a transaction of either kind.
pub(crate) struct Part<T> {
    pub(super) table: T,
    pub(super) parts: &'static Parts,
    cache: Mutex<Cache>,
    /// Of the writer's.
    prefixes: Option<Arc<Prefixes>>,
}

impl<T: ReadableTable<&'static [u8], &'static [u8]>> Part<T> {
    pub(super) fn new(table: T, parts: &'static Parts) -> Self {
        Self {
            table,
            parts,
            cache: Mutex::default(),
            prefixes: None,
        }
    }

    /// From here on, what is known of names in chunks is used, and added to.
    pub(super) fn remember(&mut self, prefixes: &Arc<Prefixes>) {
        let is_looked_for = !matches!(self.parts.prefix, Prefix::None);
        self.prefixes = is_looked_for.then(|| Arc::clone(prefixes));
    }

    /// The chunk at this key is written, with these rows, or removed, with none.
    pub(super) fn changes(&self, chunk: &[u8], rows: &[PackedRow]) {
        if let Some(prefixes) = &self.prefixes {
            let Parts { number, prefix, .. } = *self.parts;
            prefixes.changes(number, chunk);
            if !rows.is_empty() {
                let keys = rows.iter().map(|row| row.key.as_slice());
                prefixes.learn(number, chunk, prefix, keys);
            }
        }
    }

    /// Whether a row may have a key that begins with the table's [`Prefix`]; `false` is certain.
    pub(super) fn may_have(&self, prefix: &[u8]) -> Result<bool, StoreError> {
        let Some(prefixes) = &self.prefixes else {
            return Ok(true);
        };
        let end = keys::after_prefix(prefix);
        let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let Some(entry) = self
            .table
            .range::<&[u8]>((Bound::Unbounded, end))?
            .next_back()
        else {
            return Ok(false);
        };
        let (first, stored) = entry?;
        let first = first.value();
        // A chunk that stands before them all is the only one that may have some.
        if first >= prefix {
            return Ok(true);
        }
        let Parts {
            number,
            prefix: looked_for,
            ..
        } = *self.parts;
        if let Some(known) = prefixes.may_have(number, first, prefix) {
            return Ok(known);
        }
        if chunk::last_key(self.parts, first, stored.value())? < prefix {
            return Ok(false);
        }
        let (_, chunk) = self.load(first, stored.value())?;
        let keys = (0..chunk.len()).filter_map(|at| Some(chunk.row(at)?.0));
        prefixes.learn(number, first, looked_for, keys);
        Ok(prefixes.may_have(number, first, prefix).unwrap_or(true))
    }

    /// Forgets what was read: chunks are about to change.
    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Cache> {
        // What a panic left is a cache all the same.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The chunk that is stored at a key. While it is decompressed, other threads may read what they know, and decompress.
    fn load(&self, key: &[u8], stored: &[u8]) -> Result<Found, StoreError> {
        let mut cache = self.lock();
        if let Some(found) = cache.get(key) {
            return Ok(found);
        }
        let context = cache.contexts.pop();
        drop(cache);
        let mut context = context.unwrap_or_else(DCtx::create);
        let chunk = chunk::read(self.parts, key, stored, &mut context)?;
        let mut cache = self.lock();
        cache.contexts.push(context);
        // Another thread may have been here.
        if let Some(found) = cache.get(key) {
            return Ok(found);
        }
        let found = (Arc::from(key), Arc::new(chunk));
        cache.insert(Found::clone(&found));
        Ok(found)
    }

    /// The chunk that has this key, if any has; it may have other keys only.
    fn around(&self, key: &[u8]) -> Result<Option<Found>, StoreError> {
        if let Some(found) = self.lock().newest_around(key) {
            return Ok(Some(found));
        }
        let Some(entry) = self.table.range::<&[u8]>(..=key)?.next_back() else {
            return Ok(None);
        };
        let (first, stored) = entry?;
        let (first, stored) = (first.value(), stored.value());
        if chunk::last_key(self.parts, first, stored)? < key {
            return Ok(None);
        }
        self.load(first, stored).map(Some)
    }

    /// The row at a key.
    pub(super) fn find(&self, key: &[u8]) -> Result<Option<Cursor>, StoreError> {
        let around = self.around(key)?.map(|(first, chunk)| Cursor {
            at: chunk.rank(key),
            key: first,
            chunk,
        });
        Ok(around.filter(|cursor| cursor.row().0 == key))
    }

    pub(super) fn contains(&self, key: &[u8]) -> Result<bool, StoreError> {
        Ok(self.find(key)?.is_some())
    }

    fn next_chunk(&self, after: Bound<&[u8]>) -> Result<Option<Found>, StoreError> {
        match self
            .table
            .range::<&[u8]>((after, Bound::Unbounded))?
            .next()
            .transpose()?
        {
            Some((key, stored)) => self.load(key.value(), stored.value()).map(Some),
            None => Ok(None),
        }
    }

    fn chunk_before(&self, end: Bound<&[u8]>) -> Result<Option<Found>, StoreError> {
        if let Bound::Included(key) | Bound::Excluded(key) = end
            && let Some(found) = self.lock().newest_around(key)
            // It has to have a key before the bound.
            && (matches!(end, Bound::Included(_)) || *found.0 < *key)
        {
            return Ok(Some(found));
        }
        match self
            .table
            .range::<&[u8]>((Bound::Unbounded, end))?
            .next_back()
            .transpose()?
        {
            Some((key, stored)) => self.load(key.value(), stored.value()).map(Some),
            None => Ok(None),
        }
    }

    /// The first row at or behind a bound.
    pub(super) fn seek(&self, from: Bound<&[u8]>) -> Result<Option<Cursor>, StoreError> {
        let start = match from {
            Bound::Unbounded => None,
            Bound::Included(key) | Bound::Excluded(key) => self.around(key)?.map(|found| {
                let at = found.1.rank(key);
                let skip = matches!(from, Bound::Excluded(_)) && found.1.get(key).is_some();
                (found, at + usize::from(skip))
            }),
        };
        match start {
            Some(((key, chunk), at)) if at < chunk.len() => Ok(Some(Cursor { key, chunk, at })),
            Some(((key, _), _)) => Ok(self
                .next_chunk(Bound::Excluded(&key))?
                .map(Cursor::at_first)),
            // Included or excluded, no chunk that begins before it reaches it.
            None => Ok(self.next_chunk(from)?.map(Cursor::at_first)),
        }
    }

    /// The row behind the cursor's.
    pub(super) fn advance(&self, mut cursor: Cursor) -> Result<Option<Cursor>, StoreError> {
        cursor.at += 1;
        if cursor.at < cursor.chunk.len() {
            return Ok(Some(cursor));
        }
        Ok(self
            .next_chunk(Bound::Excluded(&cursor.key))?
            .map(Cursor::at_first))
    }

    /// The last row before a bound.
    pub(super) fn seek_back(&self, to: Bound<&[u8]>) -> Result<Option<Cursor>, StoreError> {
        let Some((key, chunk)) = self.chunk_before(to)? else {
            return Ok(None);
        };
        let count = match to {
            Bound::Unbounded => chunk.len(),
            Bound::Excluded(end) => chunk.rank(end),
            Bound::Included(end) => chunk.rank(end) + usize::from(chunk.get(end).is_some()),
        };
        // The chunk's first key lies before the bound, so there is one.
        Ok(count.checked_sub(1).map(|at| Cursor { key, chunk, at }))
    }

    /// The row before the cursor's.
    pub(super) fn retreat(&self, mut cursor: Cursor) -> Result<Option<Cursor>, StoreError> {
        if let Some(at) = cursor.at.checked_sub(1) {
            cursor.at = at;
            return Ok(Some(cursor));
        }
        let before = self.chunk_before(Bound::Excluded(&cursor.key))?;
        Ok(before.and_then(|(key, chunk)| {
            let at = chunk.len().checked_sub(1)?;
            Some(Cursor { key, chunk, at })
        }))
    }
}

/// A row of the packed part.
#[derive(Clone)]
pub(crate) struct Cursor {
    /// Key of the chunk.
    key: Arc<[u8]>,
    chunk: Arc<Chunk>,
    at: usize,
}

impl Cursor {
    fn at_first((key, chunk): Found) -> Self {
        Self { key, chunk, at: 0 }
    }

    pub(super) fn row(&self) -> (&[u8], &[u8]) {
        self.chunk.row(self.at).unwrap_or_default()
    }
}
