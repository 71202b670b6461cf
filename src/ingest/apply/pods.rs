//! Pod lifecycles: one for each pod, by UID (R1, R14).

use super::{Apply, Certainty};
use crate::model::{ObservedPod, Timestamp};
use crate::store::lookup::{Lookup, as_slice};
use crate::store::rows::{OwnerRefRow, PodRow};
use crate::store::tables::{Rows, put};
use crate::store::{StoreError, keys};

impl Apply<'_, '_> {
    /// The pod exists in this version. `object` is its id where it is recorded as an object too: then what is known of it
    /// as an owner, or as something that is owned, is in this row.
    pub(super) fn pod_applied(
        &mut self,
        at: Timestamp,
        pod: &ObservedPod,
        object: Option<u64>,
        certainty: Certainty,
    ) -> Result<(), StoreError> {
        let before = self.tables.pod(&pod.uid)?;
        if before.is_none() {
            self.end_predecessors(at, pod, certainty)?;
        }
        let mut row = before.clone().unwrap_or_else(|| new_pod(pod));
        learn(&mut row, pod);
        row.object = object.or(row.object);
        // A pod whose deletion was inferred and that is there after all.
        row.gone = false;
        if pod.times.terminal {
            end(&mut row, at, certainty.since_of_presence());
        }
        self.store_pod(at, pod, before.as_ref(), &row)
    }

    /// The pod was deleted; `pod` is its final version, or its last known one.
    pub(super) fn pod_deleted(
        &mut self,
        at: Timestamp,
        pod: &ObservedPod,
        certainty: Certainty,
    ) -> Result<(), StoreError> {
        let before = self.tables.pod(&pod.uid)?;
        let mut row = before.clone().unwrap_or_else(|| new_pod(pod));
        learn(&mut row, pod);
        row.gone = true;
        end(&mut row, at, certainty.since);
        self.store_pod(at, pod, before.as_ref(), &row)
    }

    /// Another pod has taken the name: the deletions of those before were missed (R1, R9).
    fn end_predecessors(
        &mut self,
        at: Timestamp,
        pod: &ObservedPod,
        certainty: Certainty,
    ) -> Result<(), StoreError> {
        let name = keys::epoch_pod_prefix(self.state.row.epoch, &pod.namespace, &pod.name);
        let (from, to) = keys::prefix_range(&name);
        for entry in self
            .tables
            .alive_pods
            .range((as_slice(&from), as_slice(&to)))?
        {
            let uid = keys::epoch_pod_of("epoch_and_pod_to_unit", entry?.0.value())?;
            let Some(mut row) = self.tables.pod(&uid)? else {
                continue;
            };
            // An imported pod bears its owner's name.
            if row.gone || row.given_owner.is_some() {
                continue;
            }
            row.gone = true;
            end(&mut row, at, certainty.since);
            put(&mut self.tables.pods, keys::uid(&uid).as_slice(), &row)?;
        }
        Ok(())
    }

    fn store_pod(
        &mut self,
        at: Timestamp,
        pod: &ObservedPod,
        before: Option<&PodRow>,
        row: &PodRow,
    ) -> Result<(), StoreError> {
        if before == Some(row) {
            return Ok(());
        }
        put(&mut self.tables.pods, keys::uid(&pod.uid).as_slice(), row)?;
        self.state.packing.note(1);
        if let Some(sweep) = &mut self.state.sweep {
            // It may be back after it was over.
            pod.owners.iter().for_each(|owner| sweep.touch(&owner.uid));
        }
        if before.is_none() {
            self.state.row.pods += 1;
        }
        // Also one that had ended, perhaps epochs ago, and is told more of now.
        let told_late =
            before.is_some_and(|before| before.end_us.is_some() && before.end_us != row.end_us);
        if before.is_none() || told_late {
            self.pod_alive(&row.namespace, &row.name, &pod.uid)?;
        }
        // The kubelet may tell of a start that lies in an epoch before the one in which the pod was first seen.
        let started = before.is_none_or(|before| before.start_us.is_none());
        if let Some(start) = row.start_us.filter(|_| started || told_late) {
            self.pod_alive_from(
                Timestamp::from_micros(start),
                &row.namespace,
                &row.name,
                &pod.uid,
            )?;
        }
        if before.is_none_or(|before| before.owners != row.owners) {
            self.owners_wanted(at, &pod.namespace, &pod.owners)?;
        }
        Ok(())
    }
}

fn new_pod(pod: &ObservedPod) -> PodRow {
    PodRow {
        namespace: pod.namespace.clone(),
        name: pod.name.clone(),
        spec_hash: pod.spec_hash,
        owners: Vec::new(),
        given_owner: None,
        object: None,
        start_us: None,
        containers_end_us: None,
        end_us: None,
        end_since_us: None,
        gone: false,
    }
}

/// Takes over what a version of the pod tells. A start, once known, stays: a restarted container must not move it.
fn learn(row: &mut PodRow, pod: &ObservedPod) {
    row.owners = pod.owners.iter().map(OwnerRefRow::from).collect();
    let containers_end_us = pod.times.containers_end.map(Timestamp::as_micros);
    if row.end_us.is_none() {
        row.start_us = row.start_us.or(pod.times.start.map(Timestamp::as_micros));
        row.containers_end_us = containers_end_us;
    } else if let (None, Some(end_us)) = (row.containers_end_us, containers_end_us) {
        // It was seen to have ended before its containers told when (an evicted pod): now they do.
        row.start_us = row.start_us.or(pod.times.start.map(Timestamp::as_micros));
        row.containers_end_us = Some(end_us);
        row.end_us = Some(row.start_us.map_or(end_us, |start| end_us.max(start)));
        row.end_since_us = None;
    }
}

/// The pod has ended: at the `finishedAt` of its last containers where that is known, else now.
pub(super) fn end(row: &mut PodRow, at: Timestamp, since: Option<Timestamp>) {
    if row.end_us.is_some() {
        return;
    }
    let end_us = row.containers_end_us.unwrap_or(at.as_micros());
    row.end_us = Some(row.start_us.map_or(end_us, |start| end_us.max(start)));
    if row.containers_end_us.is_none() {
        row.end_since_us = since.map(Timestamp::as_micros);
    }
}
