//! Pod lifecycles: one for each pod (UID), by a number that it is given when it appears (R1, R14).

use super::epochs::Appears;
use super::{Apply, Certainty};
use crate::ingest::list_marks::Listed;
use crate::model::{ObservedPod, Timestamp, Uid};
use crate::store::lookup::{Lookup, as_slice};
use crate::store::rows::{IncarnationRow, OwnerRefRow, PodRow, PodTimes, UidBytes};
use crate::store::tables::{Rows, put};
use crate::store::{StoreError, keys};

impl Apply<'_, '_> {
    /// The pod exists in this version. `object` is its id where it is recorded as an object too: then what is known of it
    /// as an owner, or as something that is owned, is in this row. `listed`: what a list under way says of it.
    pub(super) fn pod_applied(
        &mut self,
        at: Timestamp,
        pod: &ObservedPod,
        object: Option<u64>,
        listed: Listed,
        certainty: Certainty,
    ) -> Result<(), StoreError> {
        let known = if listed.is_new {
            None
        } else {
            self.known_pod(&pod.uid)?
        };
        if known.is_none() && !listed.has_new_name {
            self.end_predecessors(at, pod, certainty)?;
        }
        let mut row = known
            .as_ref()
            .map_or_else(|| new_pod(pod), |(_, row)| row.clone());
        learn(&mut row, pod);
        row.object = object.or(row.object);
        // A pod whose deletion was inferred and that is there after all.
        row.gone = false;
        if pod.times.terminal {
            end(&mut row.times, at, certainty.since_of_presence());
        }
        self.store_pod(at, pod, known.as_ref(), &row, certainty)
    }

    /// The pod was deleted; `pod` is its final version, or its last known one. `known`: what [`Apply::known_pod`] says.
    pub(super) fn pod_deleted(
        &mut self,
        at: Timestamp,
        pod: &ObservedPod,
        known: Option<&(u64, PodRow)>,
        certainty: Certainty,
    ) -> Result<(), StoreError> {
        let mut row = known.map_or_else(|| new_pod(pod), |(_, row)| row.clone());
        learn(&mut row, pod);
        row.gone = true;
        end(&mut row.times, at, certainty.since);
        self.store_pod(at, pod, known, &row, certainty)
    }

    /// A pod's lifecycle, with its number.
    pub(super) fn known_pod(&self, uid: &Uid) -> Result<Option<(u64, PodRow)>, StoreError> {
        match self.state.pods.get(&UidBytes::from(uid)) {
            Some(known) => Ok(Some(known)),
            None => self.tables.pod(uid),
        }
    }

    /// Another pod has taken the name: the deletions of those before were missed (R1, R9).
    fn end_predecessors(
        &mut self,
        at: Timestamp,
        pod: &ObservedPod,
        certainty: Certainty,
    ) -> Result<(), StoreError> {
        let prefix = keys::pod_name_prefix(&pod.namespace, &pod.name);
        if !self.tables.pod_names.may_have(&prefix)? {
            return Ok(());
        }
        let (from, to) = keys::prefix_range(&prefix);
        let mut numbers = Vec::new();
        for entry in self
            .tables
            .pod_names
            .range((as_slice(&from), as_slice(&to)))?
        {
            numbers.push(keys::pod_name_of("name_and_pod_to_unit", entry?.0.value())?);
        }
        for number in numbers {
            if let Some(row) = self.tables.pod_of(number)? {
                self.pod_gone(at, number, row, certainty)?;
            }
        }
        Ok(())
    }

    /// The pod is found to be gone.
    pub(super) fn pod_gone(
        &mut self,
        at: Timestamp,
        number: u64,
        mut row: PodRow,
        certainty: Certainty,
    ) -> Result<(), StoreError> {
        row.gone = true;
        end(&mut row.times, at, certainty.since);
        let name = keys::pod_name(&row.namespace, &row.name, number);
        self.tables.pod_names.remove(name.as_slice())?;
        self.state.pods.forget(&row.uid);
        put(&mut self.tables.pods, number, &row)
    }

    /// `known`: its number and row, where it has one.
    fn store_pod(
        &mut self,
        at: Timestamp,
        pod: &ObservedPod,
        known: Option<&(u64, PodRow)>,
        row: &PodRow,
        certainty: Certainty,
    ) -> Result<(), StoreError> {
        let before = known.map(|(_, row)| row);
        if before == Some(row) {
            return Ok(());
        }
        let number = match known {
            Some((number, _)) => *number,
            None => self.new_pod_number(&pod.uid)?,
        };
        put(&mut self.tables.pods, number, row)?;
        if row.gone || certainty.initial {
            // It does not change soon.
            self.state.pods.forget(&row.uid);
        } else {
            self.state.pods.remember(&row.uid, (number, row.clone()));
        }
        self.note_name(number, before, row)?;
        if let Some(id) = row.object
            && before.and_then(|before| before.object) != Some(id)
            && (&row.namespace, &row.name) == (&pod.namespace, &pod.name)
        {
            put(
                &mut self.tables.incarnations,
                id,
                &IncarnationRow::Pod(number),
            )?;
        }
        self.state.packing.note(1);
        if let Some(sweep) = &mut self.state.sweep {
            // It may be back after it was over.
            pod.owners.iter().for_each(|owner| sweep.touch(&owner.uid));
        }
        if before.is_none() {
            self.state.row.pods += 1;
        }
        // Also one that had ended, perhaps epochs ago, and is told more of now.
        let told_late = before.is_some_and(|before| {
            before.times.end_us.is_some() && before.times.end_us != row.times.end_us
        });
        if before.is_none() || told_late {
            let appears = Appears {
                is_new: before.is_none(),
                is_initial: certainty.initial,
            };
            self.pod_alive(number, row, appears)?;
        }
        // The kubelet may tell of a start that lies in an epoch before the one in which the pod was first seen.
        let started = before.is_none_or(|before| before.times.start_us.is_none());
        if let Some(start) = row.times.start_us.filter(|_| started || told_late) {
            self.pod_alive_from(Timestamp::from_micros(start), number)?;
        }
        if before.is_none_or(|before| before.owners != row.owners) {
            self.owners_wanted(at, &pod.namespace, &pod.owners)?;
        }
        Ok(())
    }

    /// The number of a new pod.
    pub(super) fn new_pod_number(&mut self, uid: &Uid) -> Result<u64, StoreError> {
        self.state.row.last_pod += 1;
        let number = self.state.row.last_pod;
        let key = keys::pod_uid(uid, number);
        self.tables.pod_uids.insert(key.as_slice(), &[])?;
        Ok(number)
    }

    /// Lists the pod by its name as long as it is not gone.
    fn note_name(
        &mut self,
        number: u64,
        before: Option<&PodRow>,
        row: &PodRow,
    ) -> Result<(), StoreError> {
        let was_listed = before.is_some_and(|before| !before.gone);
        if was_listed != row.gone {
            return Ok(());
        }
        let name = keys::pod_name(&row.namespace, &row.name, number);
        if row.gone {
            self.tables.pod_names.remove(name.as_slice())?;
            return Ok(());
        }
        self.tables.pod_names.insert(name.as_slice(), &[])
    }
}

fn new_pod(pod: &ObservedPod) -> PodRow {
    PodRow {
        uid: (&pod.uid).into(),
        namespace: pod.namespace.clone(),
        name: pod.name.clone(),
        spec_hash: pod.spec_hash,
        owners: Vec::new(),
        given_owner: None,
        object: None,
        times: PodTimes::default(),
        gone: false,
    }
}

/// Takes over what a version of the pod tells. A start, once known, stays: a restarted container must not move it.
fn learn(row: &mut PodRow, pod: &ObservedPod) {
    row.owners = pod.owners.iter().map(OwnerRefRow::from).collect();
    let times = &mut row.times;
    let containers_end_us = pod.times.containers_end.map(Timestamp::as_micros);
    if times.end_us.is_none() {
        times.start_us = times.start_us.or(pod.times.start.map(Timestamp::as_micros));
        times.containers_end_us = containers_end_us;
    } else if let (None, Some(end_us)) = (times.containers_end_us, containers_end_us) {
        // It was seen to have ended before its containers told when (an evicted pod): now they do.
        times.start_us = times.start_us.or(pod.times.start.map(Timestamp::as_micros));
        times.containers_end_us = Some(end_us);
        times.end_us = Some(times.start_us.map_or(end_us, |start| end_us.max(start)));
        times.end_since_us = None;
    }
}

/// The pod has ended: at the `finishedAt` of its last containers where that is known, else now.
pub(super) fn end(times: &mut PodTimes, at: Timestamp, since: Option<Timestamp>) {
    if times.end_us.is_some() {
        return;
    }
    let end_us = times.containers_end_us.unwrap_or(at.as_micros());
    times.end_us = Some(times.start_us.map_or(end_us, |start| end_us.max(start)));
    if times.containers_end_us.is_none() {
        times.end_since_us = since.map(Timestamp::as_micros);
    }
}
