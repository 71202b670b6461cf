//! Which lifecycles a trace has, and whose they are.
//!
//! Owners lie at random UIDs, so lifecycles wait until those of thousands of them are looked up at once, in the order in
//! which they are packed.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::{Lifecycle, Lifecycles};
use crate::export::error::ExportError;
use crate::export::plan::Plan;
use crate::export::pod_owners::{Belongs, PodOwners};
use crate::limits::{
    ANCESTORS_MAX, EXPORT_LIFECYCLES_WAITING_MAX, EXPORT_PODS_AT_ONCE_MAX, READ_THREADS,
};
use crate::model::{MICROS_PER_SECOND, Timestamp};
use crate::query::OWNERS_AHEAD_MAX;
use crate::query::shares::for_each_run;
use crate::store::lookup::{Lookup, as_slice};
use crate::store::rows::{PodRow, UidBytes};
use crate::store::tables::Rows;
use crate::store::{Snapshot, keys};

impl Lifecycles {
    /// The lifecycles that overlap the window and belong to objects of the trace. Of the plan, all else is known.
    pub(in crate::export) fn find(
        snapshot: &Snapshot,
        plan: &Plan,
        scratch_folder: &Path,
    ) -> Result<Self, ExportError> {
        Self::find_some_at_once(
            snapshot,
            plan,
            scratch_folder,
            EXPORT_LIFECYCLES_WAITING_MAX,
        )
    }

    fn find_some_at_once(
        snapshot: &Snapshot,
        plan: &Plan,
        scratch_folder: &Path,
        waiting_max: usize,
    ) -> Result<Self, ExportError> {
        let tables = snapshot.tables();
        let finding = Finding {
            snapshot,
            plan,
            found: Mutex::new(Self::new(scratch_folder)),
        };
        let mut workers = [(); READ_THREADS].map(|()| Worker::new(snapshot, plan, waiting_max));
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
        workers: &mut [Worker<'_>],
        numbers: &mut Vec<u64>,
    ) -> Result<(), ExportError> {
        numbers.sort_unstable();
        numbers.dedup();
        for_each_run(workers, numbers, |worker, numbers| {
            numbers
                .iter()
                .try_for_each(|number| self.of_pod(worker, *number))?;
            self.settle(worker)
        })?;
        numbers.clear();
        Ok(())
    }

    fn of_pod(&self, worker: &mut Worker<'_>, number: u64) -> Result<(), ExportError> {
        let Some(pod) = self.snapshot.tables().pod_of(number)? else {
            return Ok(());
        };
        let Some(lifecycle) = inside(&pod, self.plan) else {
            return Ok(());
        };
        let at_hand = worker.owners.at_hand(&pod)?;
        let found = Found {
            pod: pod.uid,
            spec_hash: pod.spec_hash,
            lifecycle,
        };
        if let Some(belongs) = at_hand {
            return self.insert(belongs, &found);
        }
        let owners = pod.owners.into_iter().take(ANCESTORS_MAX);
        let owners: Vec<_> = owners.map(|owner| owner.uid).collect();
        worker.owners_waited_for += owners.len();
        worker.unknown.extend(owners.iter().cloned());
        worker.waiting.push((owners, found));
        if worker.is_full() {
            self.settle(worker)?;
        }
        Ok(())
    }

    /// Looks up the owners that lifecycles wait for, all at once.
    fn settle(&self, worker: &mut Worker<'_>) -> Result<(), ExportError> {
        worker.owners_waited_for = 0;
        let unknown = std::mem::take(&mut worker.unknown);
        worker.owners.look_up_ahead(unknown.iter())?;
        for (owners, found) in worker.waiting.drain(..) {
            let belongs = worker.owners.nearest(&owners)?;
            self.insert(belongs, &found)?;
        }
        Ok(())
    }

    fn insert(&self, belongs: Belongs, found: &Found) -> Result<(), ExportError> {
        let Belongs::To(owner) = belongs else {
            return Ok(());
        };
        let mut all = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let (hash, lifecycle) = (found.spec_hash, &found.lifecycle);
        Ok(all.insert(&owner.gvk, &owner.name, hash, lifecycle, &found.pod)?)
    }
}

/// One thread, and the lifecycles whose owners it has still to look up.
struct Worker<'a> {
    owners: PodOwners<'a>,
    /// With the UIDs of the pod's owners.
    waiting: Vec<(Vec<UidBytes>, Found)>,
    /// Owners of all that wait. Each has one at least.
    owners_waited_for: usize,
    /// How many that may be before they are looked up.
    waiting_max: usize,
    /// The owners, each once.
    unknown: HashSet<UidBytes>,
}

impl<'a> Worker<'a> {
    fn new(snapshot: &'a Snapshot, plan: &'a Plan, waiting_max: usize) -> Self {
        Self {
            owners: PodOwners::new(snapshot, plan),
            waiting: Vec::new(),
            owners_waited_for: 0,
            waiting_max,
            unknown: HashSet::new(),
        }
    }

    /// Whether another one might be too many for a look-up, or for the memory.
    fn is_full(&self) -> bool {
        self.owners_waited_for >= self.waiting_max
            || self.unknown.len() + ANCESTORS_MAX > OWNERS_AHEAD_MAX
    }
}

/// The lifecycle of a pod that the window shows.
struct Found {
    pod: UidBytes,
    spec_hash: u64,
    lifecycle: Lifecycle,
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::export::{ExportFilters, ExportRequest};
    use crate::model::TimeRange;
    use crate::query::recorded::recorded;

    #[tokio::test]
    async fn how_many_wait_for_their_owners_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let reader = recorded(folder.path(), 1_000, 3_000).await;
        let snapshot = reader.snapshot().unwrap();
        let request = ExportRequest {
            window: TimeRange::new(Timestamp::from_seconds(0), Timestamp::MAX).unwrap(),
            filters: ExportFilters::default(),
        };
        let plan = Plan::make(&snapshot, &request, folder.path()).unwrap();
        let found = |waiting_max| {
            let mut found =
                Lifecycles::find_some_at_once(&snapshot, &plan, folder.path(), waiting_max)
                    .unwrap();
            let (mut all, mut owners) = (Vec::new(), BTreeSet::new());
            let each = found.for_each(|owner, hash, lifecycle| {
                let owner = owner.map(|owner| (owner.gvk.to_owned(), owner.name.to_owned()));
                owners.extend(owner.clone().map(|(gvk, _)| gvk));
                let hash = hash.map(|hash| (hash.hash, hash.lifecycles));
                all.push((owner, hash, lifecycle.start_s, lifecycle.end_s));
                Ok(())
            });
            each.unwrap();
            assert_eq!(found.total, all.len() as u64);
            (all, owners)
        };
        let (one_by_one, owners) = found(1);
        // Of bare pods, and of pods whose owners have owners.
        assert!(one_by_one.len() > 300 && owners.len() >= 3, "{owners:?}");
        assert!(owners.contains("v1.Pod"), "{owners:?}");
        for waiting_max in [7, 100, EXPORT_LIFECYCLES_WAITING_MAX] {
            assert_eq!(found(waiting_max).0, one_by_one, "{waiting_max}");
        }
    }
}
