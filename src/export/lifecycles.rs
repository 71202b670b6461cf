//! The pod lifecycles of a trace, grouped by owner and pod-spec hash.
//!
//! Whose lifecycle it is follows from stored owner references when it is asked for, so the order in which pods and
//! owners arrived does not matter (R2).

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::error::ExportError;
use super::plan::Plan;
use crate::config::TracerConfig;
use crate::limits::{EXPORT_LIFECYCLES_AT_ONCE_MAX, EXPORT_PODS_AT_ONCE_MAX, READ_THREADS};
use crate::model::{EventKey, Gvk, MICROS_PER_SECOND, Timestamp, Uid};
use crate::query::Ownership;
use crate::query::shares::for_each_share;
use crate::store::lookup::{Lookup, as_slice};
use crate::store::rows::{OwnerRow, PodRow};
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
        let found = Mutex::new(Self::new(scratch_folder));
        // Pods that the kubelet started are listed in every epoch that their run overlaps; each counts once, as keys do.
        let mut numbers: Vec<u64> = Vec::new();
        for epoch in tables.epochs_over(plan.window.start, plan.window.end)? {
            let (from, to) = keys::prefix_range(&epoch.to_be_bytes());
            for entry in tables.alive_pods.range((as_slice(&from), as_slice(&to)))? {
                let entry = entry?.0;
                numbers.push(keys::epoch_pod_of("epoch_and_pod_to_unit", entry.value())?);
                if numbers.len() >= EXPORT_PODS_AT_ONCE_MAX {
                    find_of_pods(snapshot, plan, &mut numbers, &found)?;
                }
            }
        }
        find_of_pods(snapshot, plan, &mut numbers, &found)?;
        let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        found.count()?;
        Ok(found)
    }
}

/// Takes these pods in the order of their numbers: that is how their lifecycles are packed.
fn find_of_pods(
    snapshot: &Snapshot,
    plan: &Plan,
    numbers: &mut Vec<u64>,
    found: &Mutex<Lifecycles>,
) -> Result<(), ExportError> {
    numbers.sort_unstable();
    numbers.dedup();
    let share = numbers.len().div_ceil(READ_THREADS).max(1);
    for_each_share(
        numbers.chunks(share),
        |numbers| -> Result<(), ExportError> {
            let mut ownership = Ownership::new(snapshot);
            for some in numbers.chunks(EXPORT_LIFECYCLES_AT_ONCE_MAX) {
                let mut pods = Vec::new();
                for number in some {
                    if let Some(pod) = snapshot.tables().pod_of(*number)?
                        && let Some(lifecycle) = inside(&pod, plan)
                    {
                        pods.push((pod, lifecycle));
                    }
                }
                ownership.look_up_ahead(pods.iter().flat_map(|(pod, _)| &pod.owners))?;
                for (pod, lifecycle) in pods {
                    let uid = Uid::from(&pod.uid);
                    let owner = owner_of(snapshot, &mut ownership, plan, &uid, &pod)?;
                    if let Some((gvk, name)) = owner {
                        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                        found.insert(&gvk, &name, pod.spec_hash, &lifecycle, &uid.0)?;
                    }
                }
            }
            Ok(())
        },
    )?;
    numbers.clear();
    Ok(())
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

/// The object of the trace that a pod's lifecycle belongs to: the nearest ancestor that is in the trace and whose kind has
/// `trackLifecycle`; a bare pod belongs to itself.
fn owner_of(
    snapshot: &Snapshot,
    ownership: &mut Ownership<'_>,
    plan: &Plan,
    uid: &Uid,
    pod: &PodRow,
) -> Result<Option<(String, String)>, StoreError> {
    if let Some(given) = &pod.given_owner {
        let gvk = Gvk::new(&*given.group, &*given.version, &*given.kind).to_string();
        return Ok(plan
            .index
            .contains(&gvk, &given.name)?
            .then(|| (gvk, given.name.clone())));
    }
    let candidates = if pod.owners.is_empty() {
        ownership.facts(uid)?.into_iter().collect()
    } else {
        ownership.ancestors(&pod.owners)?
    };
    for owner in candidates {
        if !tracks_lifecycles(&plan.config, &owner) {
            continue;
        }
        let Some(id) = owner.object else { continue };
        if plan.decisions.includes(id)? {
            let name = crate::model::ObjectKey::new("", "", &*owner.namespace, &*owner.name)
                .namespaced_name();
            return Ok(Some((
                version_in_trace(snapshot, plan, id, &owner)?.to_string(),
                name,
            )));
        }
    }
    Ok(None)
}

/// The kind of an object of the trace, in the version in which the trace has it last: what is known of it as an owner may
/// be newer.
fn version_in_trace(
    snapshot: &Snapshot,
    plan: &Plan,
    id: u64,
    owner: &OwnerRow,
) -> Result<Gvk, StoreError> {
    if let Some(only) = snapshot.only_number_of(&owner.group, &owner.kind) {
        return snapshot.gvk(only);
    }
    let end = EventKey {
        at: plan.window.end,
        seq: 0,
    };
    match snapshot.tables().version_before(id, end)? {
        Some(version) => snapshot.gvk(version.kind),
        None => Ok(owner.gvk()),
    }
}

fn tracks_lifecycles(config: &TracerConfig, owner: &OwnerRow) -> bool {
    config.tracked.iter().any(|(gvk, tracked)| {
        gvk.group == owner.group && gvk.kind == owner.kind && tracked.track_lifecycle
    })
}
