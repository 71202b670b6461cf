//! Both parts, and the journal before them, as one table.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::iter::Peekable;
use std::ops::{Bound, RangeBounds};

use redb::{AccessGuard, Range, ReadOnlyTable, ReadableTable, ReadableTableMetadata};

use super::key::{FoundKey, RowKey, bytes_of};
use super::part::{Cursor, Part};
use super::{Parts, TOMBSTONE};
use crate::store::journal::{Change, Growth, Keys, Pending, View};
use crate::store::{StoreError, codec};

/// A table of two parts in a read transaction.
pub(crate) struct PackedRead<K: RowKey> {
    hot: ReadOnlyTable<K, &'static [u8]>,
    packed: Part<ReadOnlyTable<&'static [u8], &'static [u8]>>,
    pending: Pending,
}

impl<K: RowKey> PackedRead<K> {
    pub(crate) fn new(
        hot: ReadOnlyTable<K, &'static [u8]>,
        packed: ReadOnlyTable<&'static [u8], &'static [u8]>,
        parts: &'static Parts,
        pending: Pending,
    ) -> Self {
        Self {
            hot,
            packed: Part::new(packed, parts),
            pending,
        }
    }
}

impl<K: RowKey> TwoParts<K> for PackedRead<K> {
    type Packed = ReadOnlyTable<&'static [u8], &'static [u8]>;

    fn hot(&self) -> &impl ReadableTable<K, &'static [u8]> {
        &self.hot
    }

    fn packed(&self) -> &Part<Self::Packed> {
        &self.packed
    }

    fn view(&self) -> View<'_> {
        View::new(self.packed.parts.number, self.pending.layers(), None)
    }
}

/// What reading needs of a table of two parts.
pub(crate) trait TwoParts<K: RowKey> {
    /// redb's table of the packed part.
    type Packed: ReadableTable<&'static [u8], &'static [u8]>;

    fn hot(&self) -> &impl ReadableTable<K, &'static [u8]>;
    fn packed(&self) -> &Part<Self::Packed>;

    /// What the journal says.
    fn view(&self) -> View<'_>;

    /// The stored payload of a row, whatever the journal says.
    fn stored_payload(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let parts = self.packed().parts;
        match self.hot().get(K::of_bytes(key))? {
            Some(value) if value.value() == TOMBSTONE => Ok(None),
            Some(value) => Ok(Some(payload_of(parts, key, value.value())?.to_vec())),
            None => self.packed().get(key),
        }
    }
}

/// The payload in a row's stored bytes.
pub(super) fn payload_of<'a>(
    parts: &Parts,
    key: &[u8],
    stored: &'a [u8],
) -> Result<&'a [u8], StoreError> {
    if parts.sealed {
        codec::unseal(parts.hot, key, stored)
    } else {
        Ok(stored)
    }
}

/// The payload that a stored row has grown to.
pub(super) fn grown(
    parts: &Parts,
    key: &[u8],
    growth: &Growth<'_>,
    stored: Option<&[u8]>,
) -> Result<Vec<u8>, StoreError> {
    stored
        .and_then(|stored| growth.of(stored))
        .ok_or_else(|| misfit(parts, key))
}

pub(super) fn misfit(parts: &Parts, key: &[u8]) -> StoreError {
    StoreError::Damaged {
        table: parts.hot,
        key: codec::hex(key),
        reason: "what the journal says does not fit the row".to_owned(),
    }
}

/// A row's stored bytes.
pub(crate) enum RowValue<'a> {
    Hot(AccessGuard<'a, &'static [u8]>),
    /// Made of what is packed, or of what the journal says.
    Made(Vec<u8>),
}

impl RowValue<'_> {
    pub(crate) fn value(&self) -> &[u8] {
        match self {
            Self::Hot(guard) => guard.value(),
            Self::Made(bytes) => bytes,
        }
    }
}

/// The stored bytes of a payload, as the hot part would have them.
pub(super) fn unpacked(parts: &Parts, key: &[u8], payload: &[u8]) -> Vec<u8> {
    if parts.sealed {
        codec::seal(parts.hot, key, payload)
    } else {
        payload.to_vec()
    }
}

/// Reading a table of two parts, in a transaction of either kind.
#[allow(
    private_bounds,
    reason = "implemented for the two kinds of tables only"
)]
pub(crate) trait Rows<K: RowKey>: TwoParts<K> {
    /// The row at a key.
    fn get<'k>(
        &self,
        key: impl Borrow<K::SelfType<'k>>,
    ) -> Result<Option<RowValue<'_>>, StoreError> {
        let key = key.borrow();
        let bytes = bytes_of::<K>(key);
        let parts = self.packed().parts;
        match self.view().get(&bytes) {
            None => {}
            Some(Change::Removed) => return Ok(None),
            Some(Change::Whole(payload)) => {
                return Ok(Some(RowValue::Made(unpacked(parts, &bytes, &payload))));
            }
            Some(Change::Grown(growth)) => {
                let stored = self.stored_payload(&bytes)?;
                let payload = grown(parts, &bytes, &growth, stored.as_deref())?;
                return Ok(Some(RowValue::Made(unpacked(parts, &bytes, &payload))));
            }
            Some(Change::Misfit) => return Err(misfit(parts, &bytes)),
        }
        if let Some(value) = self.hot().get(key)? {
            let removed = value.value() == TOMBSTONE;
            return Ok((!removed).then_some(RowValue::Hot(value)));
        }
        let payload = self.packed().get(&bytes)?;
        Ok(payload.map(|payload| RowValue::Made(unpacked(self.packed().parts, &bytes, &payload))))
    }

    /// The rows between two keys, in their order.
    fn range<'k>(
        &self,
        range: impl RangeBounds<K::SelfType<'k>>,
    ) -> Result<RowRange<'_, K, Self::Packed>, StoreError>
    where
        K::SelfType<'k>: 'k,
    {
        let start = range.start_bound().map(bytes_of::<K>);
        let end = range.end_bound().map(bytes_of::<K>);
        let view = self.view();
        let keys = view.keys(
            start.as_ref().map(Vec::as_slice),
            end.as_ref().map(Vec::as_slice),
        );
        let packed = self.packed();
        Ok(RowRange {
            view,
            keys: keys.peekable(),
            stored_next: None,
            hot_next: None,
            hot: hot_range(self.hot(), &start, &end)?,
            packed_next: packed.seek(start.as_ref().map(Vec::as_slice))?,
            packed,
            end,
        })
    }

    /// All rows.
    fn iter(&self) -> Result<RowRange<'_, K, Self::Packed>, StoreError> {
        self.range(..)
    }

    /// The last row between two keys.
    #[allow(clippy::type_complexity, reason = "a key and its row")]
    fn last_in<'k>(
        &self,
        range: impl RangeBounds<K::SelfType<'k>>,
    ) -> Result<Option<(FoundKey<K>, RowValue<'_>)>, StoreError>
    where
        K::SelfType<'k>: 'k,
    {
        let start = range.start_bound().map(bytes_of::<K>);
        let mut end = range.end_bound().map(bytes_of::<K>);
        let (parts, view) = (self.packed().parts, self.view());
        loop {
            let edited = view.last_in(
                start.as_ref().map(Vec::as_slice),
                end.as_ref().map(Vec::as_slice),
            );
            let stored = last_stored(self, &start, &end)?;
            let Some(edited) = edited else {
                return Ok(stored);
            };
            let order = stored
                .as_ref()
                .map_or(Ordering::Less, |(stored, _)| stored.bytes().cmp(edited));
            if order.is_gt() {
                return Ok(stored);
            }
            let stored = stored.filter(|_| order.is_eq()).map(|(_, value)| value);
            if let Some(value) = edited_row(parts, view, edited, stored)? {
                return Ok(Some((FoundKey::new(parts, edited.to_vec())?, value)));
            }
            // It has been removed: the one before it.
            end = Bound::Excluded(edited.to_vec());
        }
    }

    /// About how many rows there are, for progress bars.
    fn about(&self) -> Result<u64, StoreError>
    where
        Self::Packed: ReadableTableMetadata,
    {
        /// What a chunk holds, about.
        const CHUNK_ROWS: u64 = 200;
        let chunks = self.packed().table.len()?;
        Ok(self.hot().len()? + chunks * CHUNK_ROWS + self.view().about())
    }
}

impl<K: RowKey, T: TwoParts<K>> Rows<K> for T {}

/// The row at a key of which the journal says something; `stored` is what the parts have there.
fn edited_row<'a>(
    parts: &Parts,
    view: View<'_>,
    key: &[u8],
    stored: Option<RowValue<'a>>,
) -> Result<Option<RowValue<'a>>, StoreError> {
    let payload = match view.get(key) {
        None => return Ok(stored),
        Some(Change::Removed) => return Ok(None),
        Some(Change::Whole(payload)) => payload,
        Some(Change::Grown(growth)) => {
            let stored = match &stored {
                Some(stored) => Some(payload_of(parts, key, stored.value())?),
                None => None,
            };
            grown(parts, key, &growth, stored)?.into()
        }
        Some(Change::Misfit) => return Err(misfit(parts, key)),
    };
    Ok(Some(RowValue::Made(unpacked(parts, key, &payload))))
}

/// The last row between two keys, whatever the journal says.
#[allow(clippy::type_complexity, reason = "a key and its row")]
fn last_stored<'a, K: RowKey>(
    table: &'a (impl TwoParts<K> + ?Sized),
    start: &Bound<Vec<u8>>,
    end: &Bound<Vec<u8>>,
) -> Result<Option<(FoundKey<K>, RowValue<'a>)>, StoreError> {
    let packed = table.packed();
    let mut below = packed.seek_back(end.as_ref().map(Vec::as_slice))?;
    let mut hot = hot_range(table.hot(), start, end)?;
    loop {
        let above = hot.next_back().transpose()?;
        let above = above.map(|(key, value)| (bytes_of::<K>(&key.value()), value));
        let inside = |key: &[u8]| match start {
            Bound::Included(start) => key >= start.as_slice(),
            Bound::Excluded(start) => key > start.as_slice(),
            Bound::Unbounded => true,
        };
        if let Some(cursor) = below.take_if(|cursor| inside(cursor.row().0)) {
            let (key, payload) = cursor.row();
            let order = above
                .as_ref()
                .map_or(Ordering::Greater, |(hot, _)| key.cmp(hot));
            below = match order {
                // It stands behind the hot row.
                Ordering::Greater => {
                    let value = RowValue::Made(unpacked(packed.parts, key, payload));
                    let key = FoundKey::new(packed.parts, key.to_vec())?;
                    return Ok(Some((key, value)));
                }
                // The hot row stands for it.
                Ordering::Equal => packed.retreat(cursor)?,
                Ordering::Less => Some(cursor),
            };
        }
        match above {
            None => return Ok(None),
            Some((_, value)) if value.value() == TOMBSTONE => {}
            Some((key, value)) => {
                let key = FoundKey::new(packed.parts, key)?;
                return Ok(Some((key, RowValue::Hot(value))));
            }
        }
    }
}

fn hot_range<'a, K: RowKey>(
    hot: &'a impl ReadableTable<K, &'static [u8]>,
    start: &Bound<Vec<u8>>,
    end: &Bound<Vec<u8>>,
) -> Result<Range<'a, K, &'static [u8]>, StoreError> {
    Ok(hot.range((key_bound::<K>(start), key_bound::<K>(end)))?)
}

/// A bound of the hot part; the bytes were made from a key.
pub(super) fn key_bound<K: RowKey>(bound: &Bound<Vec<u8>>) -> Bound<K::SelfType<'_>> {
    bound.as_ref().map(|bytes| K::of_bytes(bytes))
}

/// See [`Rows::range`].
pub(crate) struct RowRange<'a, K: RowKey, T: ReadableTable<&'static [u8], &'static [u8]>> {
    view: View<'a>,
    /// Keys of which the journal says something.
    keys: Peekable<Keys<'a>>,
    /// The next row of the parts, where it has been read.
    stored_next: Option<Entry<'a, K>>,
    hot: Range<'a, K, &'static [u8]>,
    /// The next row of the hot part, where it has been read.
    hot_next: Option<(Vec<u8>, AccessGuard<'a, &'static [u8]>)>,
    packed: &'a Part<T>,
    packed_next: Option<Cursor>,
    end: Bound<Vec<u8>>,
}

/// Key and row.
type Entry<'a, K> = (FoundKey<K>, RowValue<'a>);

impl<'a, K: RowKey, T: ReadableTable<&'static [u8], &'static [u8]>> RowRange<'a, K, T> {
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
            if let Some(value) = edited_row(parts, self.view, edited, stored)? {
                return Ok(Some((FoundKey::new(parts, edited.to_vec())?, value)));
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
            let (key, payload) = cursor.row();
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
                let value = RowValue::Made(unpacked(parts, key, payload));
                let key = FoundKey::new(parts, key.to_vec())?;
                self.packed_next = self.packed.advance(cursor)?;
                return Ok(Some((key, value)));
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
