//! The pod lifecycles of a trace, grouped by owner and pod-spec hash.
//!
//! Whose lifecycle it is follows from stored owner references when it is asked for, so the order in which pods and
//! owners arrived does not matter (R2).

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::error::ExportError;
use super::plan::Plan;
use super::pod_owners::PodOwners;
use crate::limits::{EXPORT_LIFECYCLES_AT_ONCE_MAX, EXPORT_PODS_AT_ONCE_MAX, READ_THREADS};
use crate::model::{MICROS_PER_SECOND, Timestamp, Uid};
use crate::query::shares::for_each_run;
use crate::store::lookup::{Lookup, as_slice};
use crate::store::rows::PodRow;
use crate::store::scratch::Scratch;
use crate::store::tables::Rows;
use crate::store::{Snapshot, StoreError, keys};

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
        pod: &str,
    ) -> Result<(), StoreError> {
        let mut key = keys::text(gvk);
        key.extend_from_slice(&keys::text(name));
        key.extend_from_slice(&hash.to_be_bytes());
        key.extend_from_slice(&keys::event(crate::model::EventKey {
            at: Timestamp::from_seconds(lifecycle.start_s),
            seq: 0,
        }));
        key.extend_from_slice(&keys::text(pod));
        let mut value = lifecycle.start_s.to_be_bytes().to_vec();
        if let Some(end_s) = lifecycle.end_s {
            value.extend_from_slice(&end_s.to_be_bytes());
        }
        self.entries.insert(key, value)
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
            let (start, end) = value.split_at_checked(8).unwrap_or((&[], &[]));
            let seconds = |bytes: &[u8]| bytes.try_into().ok().map(i64::from_be_bytes);
            each(
                new_owner,
                new_hash,
                Lifecycle {
                    start_s: seconds(start).unwrap_or_default(),
                    end_s: seconds(end),
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

impl Lifecycles {
    /// The lifecycles that overlap the window and belong to objects of the trace. Of the plan, all else is known.
    pub(super) fn find(
        snapshot: &Snapshot,
        plan: &Plan,
        scratch_folder: &Path,
    ) -> Result<Self, ExportError> {
        let tables = snapshot.tables();
        let finding = Finding {
            snapshot,
            plan,
            found: Mutex::new(Self::new(scratch_folder)),
        };
        let mut workers = [(); READ_THREADS].map(|()| PodOwners::new(snapshot, plan));
        // Pods that the kubelet started are listed in every epoch that their run overlaps; each counts once, as keys do.
        let mut numbers: Vec<u64> = Vec::new();
        for epoch in tables.epochs_over(plan.window.start, plan.window.end)? {
            let (from, to) = keys::prefix_range(&epoch.to_be_bytes());
            for entry in tables.alive_pods.range((as_slice(&from), as_slice(&to)))? {
                let entry = entry?.0;
                numbers.push(keys::epoch_pod_of("epoch_and_pod_to_unit", entry.value())?);
                if numbers.len() >= EXPORT_PODS_AT_ONCE_MAX {
                    finding.of_pods(&mut workers, &mut numbers)?;
                }
            }
        }
        finding.of_pods(&mut workers, &mut numbers)?;
        let mut found = finding
            .found
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        found.count()?;
        Ok(found)
    }
}

/// What the threads that look for lifecycles read, and what they fill.
struct Finding<'a> {
    snapshot: &'a Snapshot,
    plan: &'a Plan,
    found: Mutex<Lifecycles>,
}

impl Finding<'_> {
    /// Takes these pods in the order of their numbers: that is how their lifecycles are packed.
    fn of_pods(
        &self,
        workers: &mut [PodOwners<'_>],
        numbers: &mut Vec<u64>,
    ) -> Result<(), ExportError> {
        numbers.sort_unstable();
        numbers.dedup();
        for_each_run(workers, numbers, |owners, numbers| {
            numbers
                .chunks(EXPORT_LIFECYCLES_AT_ONCE_MAX)
                .try_for_each(|some| self.of_some(owners, some))
        })?;
        numbers.clear();
        Ok(())
    }

    fn of_some(&self, owners: &mut PodOwners<'_>, numbers: &[u64]) -> Result<(), ExportError> {
        let mut pods = Vec::new();
        for number in numbers {
            if let Some(pod) = self.snapshot.tables().pod_of(*number)?
                && let Some(lifecycle) = inside(&pod, self.plan)
            {
                pods.push((pod, lifecycle));
            }
        }
        owners.look_up_ahead(pods.iter().map(|(pod, _)| pod))?;
        for (pod, lifecycle) in pods {
            let Some(owner) = owners.of(&pod)? else {
                continue;
            };
            let uid = Uid::from(&pod.uid);
            let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            found.insert(&owner.gvk, &owner.name, pod.spec_hash, &lifecycle, &uid.0)?;
        }
        Ok(())
    }
}

/// The pod's lifecycle as the window shows it; `None` where it does not overlap.
fn inside(pod: &PodRow, plan: &Plan) -> Option<Lifecycle> {
    let start = Timestamp::from_micros(pod.times.start_us?);
    let end = pod.times.end_us.map(Timestamp::from_micros);
    if start >= plan.window.end || end.is_some_and(|end| end < plan.window.start) {
        return None;
    }
    let window_start_s = plan.window.start.as_micros().div_euclid(MICROS_PER_SECOND);
    let start_s = start.as_seconds().max(window_start_s);
    Some(Lifecycle {
        start_s,
        end_s: end.map(|end| end.as_seconds().max(start_s)),
    })
}
