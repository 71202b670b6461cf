//! Both parts, and the journal before them, as one table.

use std::borrow::{Borrow, Cow};
use std::cmp::Ordering;
use std::ops::{Bound, RangeBounds};

use redb::{AccessGuard, Range, ReadOnlyTable, ReadableTable, ReadableTableMetadata};

use super::key::{FoundKey, KeyBytes, RowKey, bytes_of};
use super::part::{Cursor, Part};
use super::range::RowRange;
use super::{Parts, TOMBSTONE};
use crate::store::codec::RowBytes;
use crate::store::journal::{Change, Growth, Pending, View};
use crate::store::lookup::as_slice;
use crate::store::{StoreError, codec, keys};

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
            None => {
                let packed = self.packed().find(key)?;
                Ok(packed.map(|cursor| cursor.row().1.to_vec()))
            }
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

/// A row.
pub(crate) enum RowValue<'a> {
    /// Its stored bytes.
    Hot(AccessGuard<'a, &'static [u8]>),
    /// A row of a chunk.
    Packed(Cursor),
    /// The payload that the journal has made of it.
    Made(Cow<'a, [u8]>),
}

impl RowValue<'_> {
    /// Its bytes, in a table whose rows are sealed.
    pub(crate) fn value(&self) -> RowBytes<'_> {
        match self {
            Self::Hot(guard) => RowBytes::Sealed(guard.value()),
            Self::Packed(cursor) => RowBytes::Payload(cursor.row().1),
            Self::Made(payload) => RowBytes::Payload(payload),
        }
    }

    /// Its bytes, in any table.
    pub(super) fn bytes(&self, parts: &Parts) -> RowBytes<'_> {
        match self.value() {
            RowBytes::Sealed(bytes) if !parts.sealed => RowBytes::Payload(bytes),
            bytes => bytes,
        }
    }

    /// Its payload.
    pub(super) fn payload(&self, parts: &Parts, key: &[u8]) -> Result<&[u8], StoreError> {
        self.bytes(parts).open(parts.hot, key)
    }

    /// Its bytes as the hot part has them.
    pub(crate) fn stored(&self, parts: &Parts, key: &[u8]) -> Vec<u8> {
        match self {
            Self::Hot(guard) => guard.value().to_vec(),
            Self::Packed(cursor) => sealed(parts, key, cursor.row().1),
            Self::Made(payload) => sealed(parts, key, payload),
        }
    }
}

/// The stored bytes of a payload, as the hot part has them.
pub(super) fn sealed(parts: &Parts, key: &[u8], payload: &[u8]) -> Vec<u8> {
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
        let packed = self.packed();
        let stored = || {
            if let Some(value) = self.hot().get(key)? {
                let removed = value.value() == TOMBSTONE;
                return Ok((!removed).then_some(RowValue::Hot(value)));
            }
            Ok(packed.find(&bytes)?.map(RowValue::Packed))
        };
        match self.view().get(&bytes) {
            None => stored(),
            Some(change) => changed(packed.parts, &bytes, change, stored),
        }
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
            start.as_ref().map(KeyBytes::as_slice),
            end.as_ref().map(KeyBytes::as_slice),
        );
        let packed = self.packed();
        let hot = hot_range(self.hot(), &start, &end)?;
        let first = packed.seek(start.as_ref().map(KeyBytes::as_slice))?;
        Ok(RowRange::new(view, keys, hot, packed, first, end))
    }

    /// Whether there may be a row whose key begins with the table's [`Prefix`](super::Prefix); `false` is certain. For the
    /// writer, who looks for much that is not there.
    fn may_have(&self, prefix: &[u8]) -> Result<bool, StoreError> {
        if self.packed().may_have(prefix)? {
            return Ok(true);
        }
        let (start, end) = keys::prefix_range(prefix);
        let view = self.view();
        if view.last_in(as_slice(&start), as_slice(&end)).is_some() {
            return Ok(true);
        }
        let bounds = |bound: Bound<Vec<u8>>| bound.map(KeyBytes::from_vec);
        let mut hot = hot_range(self.hot(), &bounds(start), &bounds(end))?;
        Ok(hot.next().transpose()?.is_some())
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
                start.as_ref().map(KeyBytes::as_slice),
                end.as_ref().map(KeyBytes::as_slice),
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
            let value = match view.get(edited) {
                None => stored,
                Some(change) => changed(parts, edited, change, || Ok(stored))?,
            };
            if let Some(value) = value {
                return Ok(Some((FoundKey::new(parts, edited.into())?, value)));
            }
            // It has been removed: the one before it.
            end = Bound::Excluded(edited.into());
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

/// A row that the journal says something of; `stored` is what the parts have at its key.
pub(super) fn changed<'a>(
    parts: &Parts,
    key: &[u8],
    change: Change<'a>,
    stored: impl FnOnce() -> Result<Option<RowValue<'a>>, StoreError>,
) -> Result<Option<RowValue<'a>>, StoreError> {
    let payload = match change {
        Change::Removed => return Ok(None),
        Change::Whole(payload) => payload,
        Change::Grown(growth) => {
            let stored = stored()?;
            let stored = match &stored {
                Some(stored) => Some(stored.payload(parts, key)?),
                None => None,
            };
            grown(parts, key, &growth, stored)?.into()
        }
        Change::Misfit => return Err(misfit(parts, key)),
    };
    Ok(Some(RowValue::Made(payload)))
}

/// The last row between two keys, whatever the journal says.
#[allow(clippy::type_complexity, reason = "a key and its row")]
fn last_stored<'a, K: RowKey>(
    table: &'a (impl TwoParts<K> + ?Sized),
    start: &Bound<KeyBytes>,
    end: &Bound<KeyBytes>,
) -> Result<Option<(FoundKey<K>, RowValue<'a>)>, StoreError> {
    let packed = table.packed();
    let mut below = packed.seek_back(end.as_ref().map(KeyBytes::as_slice))?;
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
            let (key, _) = cursor.row();
            let order = above
                .as_ref()
                .map_or(Ordering::Greater, |(hot, _)| key.cmp(hot));
            below = match order {
                // It stands behind the hot row.
                Ordering::Greater => {
                    let key = FoundKey::new(packed.parts, key.into())?;
                    return Ok(Some((key, RowValue::Packed(cursor))));
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
    start: &Bound<KeyBytes>,
    end: &Bound<KeyBytes>,
) -> Result<Range<'a, K, &'static [u8]>, StoreError> {
    Ok(hot.range((key_bound::<K>(start), key_bound::<K>(end)))?)
}

/// A bound of the hot part; the bytes were made from a key.
pub(super) fn key_bound<K: RowKey>(bound: &Bound<KeyBytes>) -> Bound<K::SelfType<'_>> {
    bound.as_ref().map(|bytes| K::of_bytes(bytes))
}
