//! What clients have asked for so far.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::content::Content;

/// What was asked of one kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct KindSeen {
    /// Lists begun: first pages of whole objects.
    pub lists: u64,
    pub pages: u64,
    /// When the last page of a list was asked for.
    pub listed: Option<Instant>,
    /// Watches opened, and when the first one was: what was listed has been read then.
    pub watches: u64,
    pub watched: Option<Instant>,
    /// Single objects asked for, by path or by field selector.
    pub lookups: u64,
    /// Bytes of lists handed to the connection.
    pub list_bytes: u64,
    /// Events handed to connections.
    pub delivered: u64,
}

#[derive(Debug)]
struct Book {
    kinds: Vec<KindSeen>,
    requests: u64,
}

/// Keeps book.
#[derive(Debug)]
pub struct Seen(Mutex<Book>);

impl Seen {
    pub(super) fn new(content: &Content) -> Self {
        Self(Mutex::new(Book {
            kinds: vec![KindSeen::default(); content.collections.len()],
            requests: 0,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn kind(&self, collection: usize) -> KindSeen {
        self.lock().kinds[collection]
    }

    /// All kinds together.
    pub fn lookups(&self) -> u64 {
        self.lock().kinds.iter().map(|kind| kind.lookups).sum()
    }

    /// Bytes of lists, of all kinds.
    pub fn list_bytes(&self) -> u64 {
        self.lock().kinds.iter().map(|kind| kind.list_bytes).sum()
    }

    /// Requests of every sort.
    pub fn requests(&self) -> u64 {
        self.lock().requests
    }

    /// When the last of these kinds was first watched; `None` while there is one that is not.
    pub fn watched(&self, kinds: impl IntoIterator<Item = usize>) -> Option<Instant> {
        let book = self.lock();
        let mut latest = None;
        for kind in kinds {
            latest = latest.max(Some(book.kinds[kind].watched?));
        }
        latest
    }

    pub(super) fn asked(&self) {
        self.lock().requests += 1;
    }

    pub(super) fn page(&self, collection: usize, first: bool, last: bool) {
        let kind = &mut self.lock().kinds[collection];
        kind.lists += u64::from(first);
        kind.pages += 1;
        if last {
            kind.listed = Some(Instant::now());
        }
    }

    pub(super) fn sent(&self, collection: usize, bytes: usize) {
        self.lock().kinds[collection].list_bytes += bytes as u64;
    }

    pub(super) fn looked_up(&self, collection: usize) {
        self.lock().kinds[collection].lookups += 1;
    }

    pub(super) fn watching(&self, collection: usize) {
        let kind = &mut self.lock().kinds[collection];
        kind.watches += 1;
        kind.watched.get_or_insert_with(Instant::now);
    }

    pub(super) fn delivered(&self, collection: usize) {
        self.lock().kinds[collection].delivered += 1;
    }
}
