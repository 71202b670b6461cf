//! Rows that are not packed, in the order of their keys: those of the hot part, and those that the journal says something of.

use std::iter::Peekable;
use std::ops::Bound;

use redb::{AccessGuard, Range, ReadableTable};

use super::TOMBSTONE;
use super::key::{KeyBytes, RowKey, bytes_of};
use super::read::{RowValue, Rows, TwoParts, key_bound};
use super::write::PackedWrite;
use crate::store::StoreError;
use crate::store::journal::{Keys, View};

/// What becomes of rows that the journal has more to say of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edited {
    /// They wait until it has been folded.
    Wait,
    /// They are packed in the form that the journal has given them: afterwards, their stored rows have seen all edits. A fold
    /// before would write each of them to the hot part, from which it would leave at once.
    AsTheyAre,
}

/// A row.
pub(super) struct LooseRow<'a> {
    pub(super) key: KeyBytes,
    /// The hot part has a row, or a tombstone, at its key.
    pub(super) is_hot: bool,
    pub(super) state: Loose<'a>,
}

/// What there is at a row's key.
pub(super) enum Loose<'a> {
    /// The journal has more to say of it.
    Waits,
    /// Nothing; the packed part may have a row that has been removed.
    Gone,
    /// Stored bytes, of which the journal says nothing.
    Stored(AccessGuard<'a, &'static [u8]>),
    /// What the journal has made of it.
    Edited(RowValue<'a>),
}

/// See the module.
pub(super) struct LooseRows<'a, 'txn, K: RowKey> {
    table: &'a PackedWrite<'txn, K>,
    view: View<'a>,
    hot: Peekable<Range<'a, K, &'static [u8]>>,
    edited: Option<Peekable<Keys<'a>>>,
    last: Option<KeyBytes>,
}

impl<'a, 'txn, K: RowKey> LooseRows<'a, 'txn, K> {
    /// The rows of a table behind a key.
    pub(super) fn behind(
        table: &'a PackedWrite<'txn, K>,
        after: &'a Bound<KeyBytes>,
        edited: Edited,
    ) -> Result<Self, StoreError> {
        let view = table.view();
        let hot = table
            .hot
            .range((key_bound::<K>(after), Bound::Unbounded))?
            .peekable();
        let keys = || view.keys(after.as_ref().map(KeyBytes::as_slice), Bound::Unbounded);
        Ok(Self {
            table,
            view,
            hot,
            edited: (edited == Edited::AsTheyAre).then(|| keys().peekable()),
            last: None,
        })
    }

    /// The next row.
    pub(super) fn next(&mut self) -> Result<Option<LooseRow<'a>>, StoreError> {
        let Some(key) = self.peek_key() else {
            // What is wrong with it, or the end.
            return match self.hot.next() {
                Some(Err(error)) => Err(error.into()),
                Some(Ok(_)) | None => Ok(None),
            };
        };
        let is_here = |hot: &redb::Result<(AccessGuard<'_, K>, _), _>| match hot {
            Ok((hot, _)) => bytes_of::<K>(&hot.value()) == key,
            Err(_) => true,
        };
        let stored = self.hot.next_if(is_here).transpose()?;
        if let Some(edited) = &mut self.edited {
            edited.next_if(|edited| *edited == key.as_slice());
        }
        let is_hot = stored.is_some();
        let state = if self.view.contains(&key) {
            if self.edited.is_some() {
                match self.table.get(K::of_bytes(&key))? {
                    Some(row) => Loose::Edited(row),
                    None => Loose::Gone,
                }
            } else {
                Loose::Waits
            }
        } else {
            match stored {
                Some((_, value)) if value.value() != TOMBSTONE => Loose::Stored(value),
                Some(_) | None => Loose::Gone,
            }
        };
        self.last = Some(key.clone());
        Ok(Some(LooseRow { key, is_hot, state }))
    }

    /// The key of the next row; `None`: there is none, or it cannot be read.
    pub(super) fn peek_key(&mut self) -> Option<KeyBytes> {
        let hot = match self.hot.peek() {
            Some(Ok((key, _))) => Some(bytes_of::<K>(&key.value())),
            Some(Err(_)) => return None,
            None => None,
        };
        let edited = self.edited.as_mut().and_then(|keys| keys.peek().copied());
        match (hot, edited) {
            (Some(hot), Some(edited)) if edited < hot.as_slice() => Some(edited.into()),
            (None, Some(edited)) => Some(edited.into()),
            (hot, _) => hot,
        }
    }

    /// The key of the row that was told last; `None`: there are no more behind it.
    pub(super) fn place(&mut self) -> Option<KeyBytes> {
        let is_more = self.hot.peek().is_some()
            || self
                .edited
                .as_mut()
                .is_some_and(|keys| keys.peek().is_some());
        is_more.then(|| self.last.clone()).flatten()
    }
}
