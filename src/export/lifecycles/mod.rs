//! The pod lifecycles of a trace, grouped by owner and pod-spec hash.
//!
//! Whose lifecycle it is follows from stored owner references when it is asked for, so the order in which pods and
//! owners arrived does not matter (R2).

mod find;

use std::path::Path;

use super::error::ExportError;
use crate::model::Timestamp;
use crate::store::rows::UidBytes;
use crate::store::scratch::Scratch;
use crate::store::{StoreError, keys};

/// The lifecycles, in the order in which they are written: owner kind, owner name, pod-spec hash, start, pod.
pub(super) struct Lifecycles {
    entries: Scratch,
    /// Owner -> its hashes; owner and hash -> their lifecycles.
    counts: Scratch,
    pub(super) owners: u32,
    pub(super) total: u64,
}

/// One lifecycle, in the seconds of a trace.
pub(super) struct Lifecycle {
    pub(super) start_s: i64,
    pub(super) end_s: Option<i64>,
}

impl Lifecycles {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            entries: Scratch::new(folder),
            counts: Scratch::new(folder),
            owners: 0,
            total: 0,
        }
    }

    /// See [`Scratch::rest`].
    pub(super) fn rest(&mut self) -> Result<(), StoreError> {
        self.entries.rest()?;
        self.counts.rest()
    }

    fn insert(
        &mut self,
        gvk: &str,
        name: &str,
        hash: u64,
        lifecycle: &Lifecycle,
        pod: &UidBytes,
    ) -> Result<(), StoreError> {
        let (gvk, name) = (keys::text(gvk), keys::text(name));
        let start = keys::time(Timestamp::from_seconds(lifecycle.start_s));
        let key = [&*gvk, &name, &hash.to_be_bytes(), &start, pod.as_bytes()].concat();
        let end = lifecycle.end_s.map(i64::to_be_bytes);
        self.entries
            .insert(key, end.map_or_else(Vec::new, Vec::from))
    }

    /// Counts what the format wants in front of each list. Call when everything is in.
    fn count(&mut self) -> Result<(), ExportError> {
        let (mut owner, mut hash): (Vec<u8>, Vec<u8>) = (Vec::new(), Vec::new());
        let (mut hashes, mut lifecycles) = (0u32, 0u32);
        let too_large = || ExportError::TooLarge {
            what: "pod lifecycles",
        };
        let Self {
            entries,
            counts,
            owners,
            total,
        } = self;
        let store = |key: &[u8], count: u32, counts: &mut Scratch| -> Result<(), StoreError> {
            if count == 0 {
                Ok(())
            } else {
                counts.insert(key.to_vec(), count.to_be_bytes().to_vec())
            }
        };
        entries.for_each::<ExportError>(|key, _| {
            let (owner_now, hash_now) = owner_and_hash(key)?;
            if hash_now != hash {
                store(&hash, lifecycles, counts)?;
                lifecycles = 0;
                if owner_now != owner {
                    store(&owner, hashes, counts)?;
                    hashes = 0;
                    *owners = owners.checked_add(1).ok_or_else(too_large)?;
                    owner = owner_now.to_vec();
                }
                hashes = hashes.checked_add(1).ok_or_else(too_large)?;
                hash = hash_now.to_vec();
            }
            lifecycles = lifecycles.checked_add(1).ok_or_else(too_large)?;
            *total += 1;
            Ok(())
        })?;
        store(&hash, lifecycles, counts)?;
        store(&owner, hashes, counts)?;
        Ok(())
    }

    /// Calls `each` with every lifecycle in its order, and with what begins in front of it.
    pub(super) fn for_each(
        &mut self,
        mut each: impl FnMut(
            Option<NewOwner<'_>>,
            Option<NewHash>,
            Lifecycle,
        ) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        let (mut owner, mut hash): (Vec<u8>, Vec<u8>) = (Vec::new(), Vec::new());
        let Self {
            entries, counts, ..
        } = self;
        let count = |key: &[u8]| -> Result<u32, StoreError> {
            let count = counts.get(key)?;
            Ok(count
                .and_then(|bytes| bytes.try_into().ok())
                .map_or(0, u32::from_be_bytes))
        };
        entries.for_each::<ExportError>(|key, value| {
            let (owner_now, hash_now) = owner_and_hash(key)?;
            let mut reader = keys::KeyReader::new("lifecycles", key);
            let (gvk, name, hash_number) = (reader.text()?, reader.text()?, reader.number()?);
            let start = reader.time()?;
            let mut new_owner = None;
            let mut new_hash = None;
            if hash_now != hash {
                new_hash = Some(NewHash {
                    hash: hash_number,
                    lifecycles: count(hash_now)?,
                });
                hash = hash_now.to_vec();
            }
            if owner_now != owner {
                new_owner = Some(NewOwner {
                    gvk: &gvk,
                    name: &name,
                    hashes: count(owner_now)?,
                });
                owner = owner_now.to_vec();
            }
            each(
                new_owner,
                new_hash,
                Lifecycle {
                    start_s: start.as_seconds(),
                    end_s: value.try_into().ok().map(i64::from_be_bytes),
                },
            )
        })
    }
}

/// An owner begins.
pub(super) struct NewOwner<'a> {
    pub(super) gvk: &'a str,
    pub(super) name: &'a str,
    pub(super) hashes: u32,
}

/// A pod-spec hash begins.
pub(super) struct NewHash {
    pub(super) hash: u64,
    pub(super) lifecycles: u32,
}

/// The parts of a key up to the owner, and up to the hash.
fn owner_and_hash(key: &[u8]) -> Result<(&[u8], &[u8]), StoreError> {
    let mut reader = keys::KeyReader::new("lifecycles", key);
    reader.text()?;
    reader.text()?;
    let owner_len = key.len() - reader.rest_len();
    let owner = key.get(..owner_len).unwrap_or(key);
    let hash = key.get(..owner_len + 8).unwrap_or(key);
    Ok((owner, hash))
}
