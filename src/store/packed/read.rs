//! Both parts as one table.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::ops::{Bound, RangeBounds};

use redb::{AccessGuard, Range, ReadOnlyTable, ReadableTable, ReadableTableMetadata};

use super::key::{FoundKey, RowKey, bytes_of};
use super::part::{Cursor, Part};
use super::{Parts, TOMBSTONE};
use crate::store::{StoreError, codec};

/// A table of two parts in a read transaction.
pub(crate) struct PackedRead<K: RowKey> {
    hot: ReadOnlyTable<K, &'static [u8]>,
    packed: Part<ReadOnlyTable<&'static [u8], &'static [u8]>>,
}

impl<K: RowKey> PackedRead<K> {
    pub(crate) fn new(
        hot: ReadOnlyTable<K, &'static [u8]>,
        packed: ReadOnlyTable<&'static [u8], &'static [u8]>,
        parts: &'static Parts,
    ) -> Self {
        Self {
            hot,
            packed: Part::new(packed, parts),
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
}

/// What reading needs of a table of two parts.
pub(crate) trait TwoParts<K: RowKey> {
    /// redb's table of the packed part.
    type Packed: ReadableTable<&'static [u8], &'static [u8]>;

    fn hot(&self) -> &impl ReadableTable<K, &'static [u8]>;
    fn packed(&self) -> &Part<Self::Packed>;
}

/// A row's stored bytes.
pub(crate) enum RowValue<'a> {
    Hot(AccessGuard<'a, &'static [u8]>),
    Packed(Vec<u8>),
}

impl RowValue<'_> {
    pub(crate) fn value(&self) -> &[u8] {
        match self {
            Self::Hot(guard) => guard.value(),
            Self::Packed(bytes) => bytes,
        }
    }
}

/// The stored bytes of a packed row, as the hot part would have them.
fn unpacked(parts: &Parts, key: &[u8], payload: &[u8]) -> Vec<u8> {
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
        if let Some(value) = self.hot().get(key)? {
            let removed = value.value() == TOMBSTONE;
            return Ok((!removed).then_some(RowValue::Hot(value)));
        }
        let bytes = bytes_of::<K>(key);
        let payload = self.packed().get(&bytes)?;
        Ok(
            payload
                .map(|payload| RowValue::Packed(unpacked(self.packed().parts, &bytes, &payload))),
        )
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
        let packed = self.packed();
        Ok(RowRange {
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
        let packed = self.packed();
        let start = range.start_bound().map(bytes_of::<K>);
        let end = range.end_bound().map(bytes_of::<K>);
        let mut below = packed.seek_back(end.as_ref().map(Vec::as_slice))?;
        let mut hot = hot_range(self.hot(), &start, &end)?;
        loop {
            let above = hot.next_back().transpose()?;
            let above = above.map(|(key, value)| (bytes_of::<K>(&key.value()), value));
            let inside = |key: &[u8]| match &start {
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
                        let value = RowValue::Packed(unpacked(packed.parts, key, payload));
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

    /// About how many rows there are, for progress bars.
    fn about(&self) -> Result<u64, StoreError>
    where
        Self::Packed: ReadableTableMetadata,
    {
        /// What a chunk holds, about.
        const CHUNK_ROWS: u64 = 200;
        let chunks = self.packed().table.len()?;
        Ok(self.hot().len()? + chunks * CHUNK_ROWS)
    }
}

impl<K: RowKey, T: TwoParts<K>> Rows<K> for T {}

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
                let value = RowValue::Packed(unpacked(parts, key, payload));
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
