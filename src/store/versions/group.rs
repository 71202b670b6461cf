//! The bytes of a group.
//!
//! Payload: for each version `flags | [microseconds and sequence numbers since the one before] | [kind] | [SimKube's
//! hash (8 bytes, little-endian) | change of the body's length | length of what follows | keyframe or difference]`,
//! numbers as varints. The first version stands at the row's key. A deletion has no body.
//!
//! Behind the last version may stand `4 | hash (16 bytes)`: what counts as a change of it, hashed, where the object's row
//! tells of an earlier version. The next version takes its place.

use super::TABLE;
use crate::limits::OBJECT_BYTES_MAX;
use crate::model::{EventKey, Timestamp};
use crate::store::body::varint::{read_signed, read_varint, write_signed, write_varint};
use crate::store::codec::RowBytes;
use crate::store::rows::{CHANGE_HASH_BYTES, ChangeHash};
use crate::store::{StoreError, codec, keys};

const DELETED: u8 = 1;
/// The kind number differs from the version before.
const KIND: u8 = 2;
/// No version: the hash of the last one follows.
const HASH: u8 = 4;

/// One version of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    /// The change that made it.
    pub event: EventKey,
    /// The object was deleted; else created or changed.
    pub deleted: bool,
    /// Kind number (group, version and kind as they were).
    pub kind: u64,
    /// SimKube's hash of the spec; 0 for a delete.
    pub spec_hash: u64,
    /// Length of the body as MessagePack; 0 for a delete.
    pub body_len: u32,
}

/// The payload of a row, and the key it stands at.
#[derive(Clone, Copy)]
pub(crate) struct Group<'a> {
    pub(crate) object: u64,
    pub(crate) first: EventKey,
    pub(crate) payload: &'a [u8],
}

impl<'a> Group<'a> {
    /// Opens a row.
    pub(crate) fn open(
        key: &keys::HistoryBytes,
        row: impl Into<RowBytes<'a>>,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            object: keys::history_object(key),
            first: keys::history_event(key),
            payload: row.into().open(TABLE, key)?,
        })
    }

    pub(crate) fn damaged(&self, reason: &str) -> StoreError {
        StoreError::Damaged {
            table: TABLE,
            key: codec::hex(&keys::history(self.object, self.first)),
            reason: reason.to_owned(),
        }
    }

    /// The versions, oldest first, each with its keyframe or difference.
    pub(crate) fn entries(&self) -> Entries<'a> {
        self.entries_from(&Place::default())
    }

    /// The versions behind a place in this very group.
    pub(crate) fn entries_from(&self, place: &Place) -> Entries<'a> {
        Entries {
            group: *self,
            rest: self.payload.get(place.at as usize..).unwrap_or_default(),
            before: place.before,
            body_len: place.body_len,
        }
    }

    /// Whether its last version is a deletion.
    pub(crate) fn ends_in_deletion(&self) -> Result<bool, StoreError> {
        let mut deleted = false;
        for entry in self.entries() {
            deleted = entry?.0.deleted;
        }
        Ok(deleted)
    }

    /// The last version before `end`.
    pub(crate) fn last_before(&self, end: EventKey) -> Result<Option<Version>, StoreError> {
        let mut last = None;
        for entry in self.entries() {
            let (version, _) = entry?;
            if version.event >= end {
                break;
            }
            last = Some(version);
        }
        Ok(last)
    }
}

/// Where the reading of a group stands. The default: before its first version.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    /// Bytes of the payload that have been read.
    at: u32,
    /// The last version read.
    pub(crate) before: Option<Version>,
    /// Length of the last body.
    body_len: u32,
}

impl Place {
    /// Bytes of the payload that have been read.
    pub(crate) fn at(&self) -> usize {
        self.at as usize
    }

    /// Length of the last body.
    pub(crate) fn body_len(&self) -> usize {
        self.body_len as usize
    }

    /// The same place where what follows begins at another byte.
    pub(crate) fn moved(&self, at: usize) -> Self {
        Self {
            at: u32::try_from(at).unwrap_or(u32::MAX),
            ..*self
        }
    }
}

/// See [`Group::entries`].
pub(crate) struct Entries<'a> {
    group: Group<'a>,
    rest: &'a [u8],
    before: Option<Version>,
    /// Length of the last body.
    body_len: u32,
}

impl<'a> Entries<'a> {
    /// Where it stands.
    pub(crate) fn place(&self) -> Place {
        let read = self.group.payload.len() - self.rest_len();
        Place {
            // A payload that long is no group: what follows is then read from its end, as nothing.
            at: u32::try_from(read).unwrap_or(u32::MAX),
            before: self.before,
            body_len: self.body_len,
        }
    }

    /// Bytes of the payload not read yet.
    pub(crate) fn rest_len(&self) -> usize {
        self.rest.len()
    }

    /// The hash of the last version, once that has been read.
    pub(crate) fn change_hash(&self) -> Option<ChangeHash> {
        match self.rest.split_first() {
            Some((&HASH, hash)) => hash.try_into().ok(),
            _ => None,
        }
    }

    fn read(&mut self) -> Option<(Version, &'a [u8])> {
        let (flags, rest) = self.rest.split_first()?;
        self.rest = rest;
        let event = match &self.before {
            None => self.group.first,
            Some(before) => {
                let micros = i64::try_from(read_varint(&mut self.rest)?).ok()?;
                let seqs = read_varint(&mut self.rest)?;
                EventKey {
                    at: Timestamp::from_micros(before.event.at.as_micros().checked_add(micros)?),
                    seq: before.event.seq.checked_add(seqs)?,
                }
            }
        };
        let kind = match &self.before {
            Some(before) if flags & KIND == 0 => before.kind,
            _ => read_varint(&mut self.rest)?,
        };
        let deleted = flags & DELETED != 0;
        let mut version = Version {
            event,
            deleted,
            kind,
            spec_hash: 0,
            body_len: 0,
        };
        let mut bytes: &[u8] = &[];
        if !deleted {
            let (hash, rest) = self.rest.split_first_chunk::<8>()?;
            self.rest = rest;
            version.spec_hash = u64::from_le_bytes(*hash);
            let len = i64::from(self.body_len).checked_add(read_signed(&mut self.rest)?)?;
            self.body_len = u32::try_from(len).ok()?;
            if self.body_len as usize > OBJECT_BYTES_MAX {
                return None;
            }
            version.body_len = self.body_len;
            let len = usize::try_from(read_varint(&mut self.rest)?).ok()?;
            (bytes, self.rest) = self.rest.split_at_checked(len)?;
        }
        self.before = Some(version);
        Some((version, bytes))
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<(Version, &'a [u8]), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if is_end(self.rest) {
            return None;
        }
        let read = self.read();
        if read.is_none() {
            self.rest = &[];
        }
        Some(read.ok_or_else(|| self.group.damaged("the group ends inside a version")))
    }
}

/// Whether no version follows in what has not been read of a payload.
pub(crate) fn is_end(rest: &[u8]) -> bool {
    match rest.split_first() {
        None => true,
        Some((flags, hash)) => *flags == HASH && hash.len() == CHANGE_HASH_BYTES,
    }
}

/// Appends the hash of the last version to a group's payload.
pub(crate) fn push_change_hash(payload: &mut Vec<u8>, hash: &ChangeHash) {
    payload.push(HASH);
    payload.extend_from_slice(hash);
}

/// Appends a version to a group's payload. `before`: the group's last version, and the length of its last body.
pub(crate) fn push(
    payload: &mut Vec<u8>,
    before: Option<(&Version, u32)>,
    version: &Version,
    bytes: &[u8],
) {
    let kind_differs = before.is_some_and(|(before, _)| before.kind != version.kind);
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    payload.push(flag(version.deleted, DELETED) | flag(kind_differs, KIND));
    if let Some((before, _)) = before {
        let micros = version
            .event
            .at
            .as_micros()
            .abs_diff(before.event.at.as_micros());
        write_varint(payload, micros);
        write_varint(payload, version.event.seq.saturating_sub(before.event.seq));
    }
    if before.is_none() || kind_differs {
        write_varint(payload, version.kind);
    }
    if !version.deleted {
        payload.extend_from_slice(&version.spec_hash.to_le_bytes());
        let len_before = before.map_or(0, |(_, len)| len);
        write_signed(payload, i64::from(version.body_len) - i64::from(len_before));
        write_varint(payload, bytes.len() as u64);
        payload.extend_from_slice(bytes);
    }
}

/// How a group's first body is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyframe<'a> {
    /// As it is.
    Raw(&'a [u8]),
    /// Compressed with a dictionary; 0: without.
    Zstd { dictionary: u64, bytes: &'a [u8] },
    /// As the difference to a base.
    Delta { base: u64, bytes: &'a [u8] },
    /// It is the base.
    Base { base: u64 },
}

const RAW: u8 = 0;
const ZSTD: u8 = 1;
const DELTA: u8 = 2;
const BASE: u8 = 3;

impl<'a> Keyframe<'a> {
    /// The stored form: `scheme | [dictionary or base] | bytes`.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut out = Vec::new();
        let (scheme, number, bytes): (u8, Option<u64>, &[u8]) = match self {
            Self::Raw(bytes) => (RAW, None, bytes),
            Self::Zstd { dictionary, bytes } => (ZSTD, Some(dictionary), bytes),
            Self::Delta { base, bytes } => (DELTA, Some(base), bytes),
            Self::Base { base } => (BASE, Some(base), &[]),
        };
        out.push(scheme);
        if let Some(number) = number {
            write_varint(&mut out, number);
        }
        out.extend_from_slice(bytes);
        out
    }

    /// Reads the stored form. `None`: no scheme that this release knows.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (scheme, mut bytes) = bytes.split_first()?;
        Some(match *scheme {
            RAW => Self::Raw(bytes),
            ZSTD => Self::Zstd {
                dictionary: read_varint(&mut bytes)?,
                bytes,
            },
            DELTA => Self::Delta {
                base: read_varint(&mut bytes)?,
                bytes,
            },
            BASE => Self::Base {
                base: read_varint(&mut bytes)?,
            },
            _ => return None,
        })
    }

    /// The base it refers to.
    pub(crate) fn base(&self) -> Option<u64> {
        match *self {
            Self::Delta { base, .. } | Self::Base { base } => Some(base),
            Self::Raw(_) | Self::Zstd { .. } => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn version() -> impl Strategy<Value = (i64, u64, Version, Vec<u8>)> {
        let bytes = proptest::collection::vec(any::<u8>(), 0..30);
        (
            0i64..5_000_000,
            1u64..400,
            any::<bool>(),
            0u64..3,
            any::<u64>(),
            0u32..9_000,
            bytes,
        )
            .prop_map(|(dt, dseq, deleted, kind, spec_hash, body_len, bytes)| {
                let event = EventKey {
                    at: Timestamp::from_micros(0),
                    seq: 0,
                };
                let version = if deleted {
                    Version {
                        event,
                        deleted,
                        kind,
                        spec_hash: 0,
                        body_len: 0,
                    }
                } else {
                    Version {
                        event,
                        deleted,
                        kind,
                        spec_hash,
                        body_len,
                    }
                };
                (dt, dseq, version, if deleted { Vec::new() } else { bytes })
            })
    }

    proptest! {
        #[test]
        fn versions_come_back(versions in proptest::collection::vec(version(), 1..30)) {
            let mut event = EventKey { at: Timestamp::from_micros(-5), seq: 1 };
            let (mut payload, mut last, mut len) = (Vec::new(), None::<Version>, 0);
            let mut written = Vec::new();
            for (dt, dseq, mut version, bytes) in versions {
                event = EventKey { at: event.at.plus_micros(dt), seq: event.seq + dseq };
                version.event = event;
                push(&mut payload, last.as_ref().map(|last| (last, len)), &version, &bytes);
                if !version.deleted {
                    len = version.body_len;
                }
                last = Some(version);
                written.push((version, bytes));
            }
            let key = keys::history(9, written.first().unwrap().0.event);
            let row = codec::seal(TABLE, &key, &payload);
            let group = Group::open(&key, row.as_slice()).unwrap();
            prop_assert_eq!(group.object, 9);
            let read: Vec<_> = group.entries().map(|entry| entry.map(|(version, bytes)| (version, bytes.to_vec()))).collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(&read, &written);
            for (version, _) in &written {
                let end = EventKey { at: version.event.at, seq: version.event.seq + 1 };
                prop_assert_eq!(group.last_before(end).unwrap(), Some(*version));
            }
            prop_assert_eq!(group.last_before(group.first).unwrap(), None);
        }

        #[test]
        fn any_bytes_end_in_versions_or_an_error(payload in proptest::collection::vec(any::<u8>(), 0..100)) {
            let group = Group { object: 1, first: EventKey { at: Timestamp::MAX, seq: u64::MAX }, payload: &payload };
            prop_assert!(group.entries().count() <= payload.len());
            let _ = Keyframe::read(&payload);
        }

        #[test]
        fn keyframes_come_back(number in any::<u64>(), bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            for keyframe in [
                Keyframe::Raw(&bytes),
                Keyframe::Zstd { dictionary: number, bytes: &bytes },
                Keyframe::Delta { base: number, bytes: &bytes },
                Keyframe::Base { base: number },
            ] {
                let stored = keyframe.to_bytes();
                prop_assert_eq!(Keyframe::read(&stored), Some(keyframe));
            }
        }
    }
}
