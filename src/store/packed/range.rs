//! Rows in the order of their keys: what the journal says, the hot part and the packed part, merged.

use std::cmp::Ordering;
use std::iter::Peekable;
use std::ops::Bound;

use redb::{AccessGuard, Range, ReadableTable};

use super::TOMBSTONE;
use super::key::{FoundKey, KeyBytes, RowKey, bytes_of};
use super::part::{Cursor, Part};
use super::read::{RowValue, changed};
use crate::store::StoreError;
use crate::store::journal::{Keys, View};

/// See [`Rows::range`](super::Rows::range).
pub(crate) struct RowRange<'a, K: RowKey, T: ReadableTable<&'static [u8], &'static [u8]>> {
    view: View<'a>,
    /// Keys of which the journal says something.
    keys: Peekable<Keys<'a>>,
    /// The next row of the parts, where it has been read.
    stored_next: Option<Entry<'a, K>>,
    hot: Range<'a, K, &'static [u8]>,
    /// The next row of the hot part, where it has been read.
    hot_next: Option<(KeyBytes, AccessGuard<'a, &'static [u8]>)>,
    packed: &'a Part<T>,
    packed_next: Option<Cursor>,
    end: Bound<KeyBytes>,
}

/// Key and row.
type Entry<'a, K> = (FoundKey<K>, RowValue<'a>);

impl<'a, K: RowKey, T: ReadableTable<&'static [u8], &'static [u8]>> RowRange<'a, K, T> {
    /// `hot` and `keys` are those between the bounds, `packed_next` is the first packed row behind the start.
    pub(super) fn new(
        view: View<'a>,
        keys: Keys<'a>,
        hot: Range<'a, K, &'static [u8]>,
        packed: &'a Part<T>,
        packed_next: Option<Cursor>,
        end: Bound<KeyBytes>,
    ) -> Self {
        Self {
            view,
            keys: keys.peekable(),
            stored_next: None,
            hot,
            hot_next: None,
            packed,
            packed_next,
            end,
        }
    }

    fn read(&mut self) -> Result<Option<Entry<'a, K>>, StoreError> {
        let parts = self.packed.parts;
        loop {
            if self.stored_next.is_none() {
                self.stored_next = self.read_stored()?;
            }
            let Some(edited) = self.keys.peek().copied() else {
                return Ok(self.stored_next.take());
            };
            let order = self
                .stored_next
                .as_ref()
                .map_or(Ordering::Greater, |(stored, _)| stored.bytes().cmp(edited));
            if order.is_lt() {
                return Ok(self.stored_next.take());
            }
            self.keys.next();
            let stored = self.stored_next.take_if(|_| order.is_eq());
            let stored = stored.map(|(_, value)| value);
            let value = match self.view.get(edited) {
                None => stored,
                Some(change) => changed(parts, edited, change, || Ok(stored))?,
            };
            if let Some(value) = value {
                return Ok(Some((FoundKey::new(parts, edited.into())?, value)));
            }
        }
    }

    /// The next row of the parts, whatever the journal says.
    fn read_stored(&mut self) -> Result<Option<Entry<'a, K>>, StoreError> {
        let parts = self.packed.parts;
        loop {
            if self.hot_next.is_none() {
                let next = self.hot.next().transpose()?;
                self.hot_next = next.map(|(key, value)| (bytes_of::<K>(&key.value()), value));
            }
            let Some(cursor) = self.packed_next.take() else {
                match self.hot_next.take() {
                    None => return Ok(None),
                    Some((_, value)) if value.value() == TOMBSTONE => continue,
                    Some((key, value)) => {
                        let key = FoundKey::new(parts, key)?;
                        return Ok(Some((key, RowValue::Hot(value))));
                    }
                }
            };
            let (key, _) = cursor.row();
            let beyond = match &self.end {
                Bound::Included(end) => key > end.as_slice(),
                Bound::Excluded(end) => key >= end.as_slice(),
                Bound::Unbounded => false,
            };
            if beyond {
                continue;
            }
            let order = self
                .hot_next
                .as_ref()
                .map_or(Ordering::Greater, |(hot, _)| hot.as_slice().cmp(key));
            if order.is_gt() {
                let key = FoundKey::new(parts, key.into())?;
                self.packed_next = self.packed.advance(cursor.clone())?;
                return Ok(Some((key, RowValue::Packed(cursor))));
            }
            self.packed_next = if order.is_eq() {
                self.packed.advance(cursor)?
            } else {
                Some(cursor)
            };
            if let Some((key, value)) = self.hot_next.take()
                && value.value() != TOMBSTONE
            {
                let key = FoundKey::new(parts, key)?;
                return Ok(Some((key, RowValue::Hot(value))));
            }
        }
    }
}

impl<'a, K: RowKey, T: ReadableTable<&'static [u8], &'static [u8]>> Iterator
    for RowRange<'a, K, T>
{
    type Item = Result<Entry<'a, K>, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}
