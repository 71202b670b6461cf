//! What must come out, counted beside the store from what went in.

use std::collections::HashMap;

use crate::model::{Item, Observation};

/// Counts, from observations of a workload, the changes that a recorder has to record and those that a trace of the whole record has to
/// hold. It knows the rules of recording, and shares no code with the store.
///
/// It holds for workloads in which every object that has owners has an ancestor that is tracked, as in
/// [`Workload::config`](crate::workload::Workload::config): a trace leaves out all of them.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Objects that are alive, by the hash of their UID: the beginning of their change hash.
    live: HashMap<[u8; 16], [u8; 16]>,
    /// Changes to be recorded.
    pub changes: u64,
    /// Of them, objects to be applied in a trace of everything, cluster-scoped objects included.
    pub trace_applied: u64,
    /// Of them, objects to be deleted in such a trace.
    pub trace_deleted: u64,
    /// Bytes of the recorded objects as MessagePack.
    pub raw_bytes: u64,
}

impl Tally {
    /// How many objects are alive now.
    pub fn live(&self) -> usize {
        self.live.len()
    }

    /// Counts one observation.
    pub fn count(&mut self, observation: &Observation) {
        let (item, applied) = match observation {
            Observation::Applied { item, .. } => (item, true),
            Observation::Deleted { item, .. } => (item, false),
            _ => return,
        };
        let Item {
            object: Some(object),
            ..
        } = item
        else {
            return;
        };
        let uid = first_half(blake3::hash(object.uid.0.as_bytes()).as_bytes());
        let changed = if applied {
            let version = first_half(&object.change_hash);
            self.live.insert(uid, version) != Some(version)
        } else {
            self.live.remove(&uid).is_some()
        };
        if !changed {
            return;
        }
        self.changes += 1;
        let in_trace = u64::from(object.owners.is_empty());
        if applied {
            self.trace_applied += in_trace;
            self.raw_bytes += object.body.len() as u64;
        } else {
            self.trace_deleted += in_trace;
        }
    }
}

fn first_half(hash: &[u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.iter_mut()
        .zip(hash)
        .for_each(|(half, byte)| *half = *byte);
    half
}
