//! Keys of tables of two parts: redb's own type in the hot part, bytes in the packed one, in one order.

use std::marker::PhantomData;

use smallvec::SmallVec;

use super::Parts;
use crate::store::{StoreError, codec};

/// The bytes of a key. Most keys are short: where they are compared in memory, they lie where they are compared.
pub(crate) type KeyBytes = SmallVec<[u8; 24]>;

/// A redb key type that has an ordered form as bytes: the one by which its rows are sealed.
pub(crate) trait RowKey: redb::Key + 'static {
    /// Appends the bytes of a key.
    fn push_bytes(key: &Self::SelfType<'_>, bytes: &mut KeyBytes);

    /// Whether bytes are those of a key.
    fn is_key(bytes: &[u8]) -> bool;

    /// The key that bytes stand for; any key for bytes that are none.
    fn of_bytes(bytes: &[u8]) -> Self::SelfType<'_>;
}

impl RowKey for u64 {
    fn push_bytes(key: &u64, bytes: &mut KeyBytes) {
        bytes.extend_from_slice(&key.to_be_bytes());
    }

    fn is_key(bytes: &[u8]) -> bool {
        bytes.len() == 8
    }

    fn of_bytes(bytes: &[u8]) -> u64 {
        bytes.try_into().map(u64::from_be_bytes).unwrap_or_default()
    }
}

impl RowKey for &'static [u8] {
    fn push_bytes(key: &&[u8], bytes: &mut KeyBytes) {
        bytes.extend_from_slice(key);
    }

    fn is_key(_: &[u8]) -> bool {
        true
    }

    fn of_bytes(bytes: &[u8]) -> &[u8] {
        bytes
    }
}

impl RowKey for &'static [u8; 24] {
    fn push_bytes(key: &&[u8; 24], bytes: &mut KeyBytes) {
        bytes.extend_from_slice(key.as_slice());
    }

    fn is_key(bytes: &[u8]) -> bool {
        bytes.len() == 24
    }

    fn of_bytes(bytes: &[u8]) -> &[u8; 24] {
        bytes.try_into().unwrap_or(&[0; 24])
    }
}

/// The bytes of a key.
pub(super) fn bytes_of<K: RowKey>(key: &K::SelfType<'_>) -> KeyBytes {
    let mut bytes = KeyBytes::new();
    K::push_bytes(key, &mut bytes);
    bytes
}

/// The key of a row that a range has found.
pub(crate) struct FoundKey<K> {
    bytes: KeyBytes,
    _key: PhantomData<fn() -> K>,
}

impl<K: RowKey> FoundKey<K> {
    /// # Errors
    /// [`StoreError::Damaged`] when the bytes are no key of this table.
    pub(super) fn new(parts: &Parts, bytes: KeyBytes) -> Result<Self, StoreError> {
        if K::is_key(&bytes) {
            return Ok(Self {
                bytes,
                _key: PhantomData,
            });
        }
        Err(StoreError::Damaged {
            table: parts.packed,
            key: codec::hex(&bytes),
            reason: "the chunk holds what is no key of its table".to_owned(),
        })
    }

    /// Its bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The key.
    pub(crate) fn value(&self) -> K::SelfType<'_> {
        // That they are a key was checked when it was made.
        K::of_bytes(&self.bytes)
    }
}
