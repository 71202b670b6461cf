//! Which object of a trace a pod's lifecycle belongs to.

use std::collections::HashMap;
use std::sync::Arc;

use super::plan::Plan;
use crate::config::TracerConfig;
use crate::model::{EventKey, Gvk, ObjectKey};
use crate::query::Ownership;
use crate::store::lookup::Lookup;
use crate::store::rows::{OwnerRow, PodRow, UidBytes};
use crate::store::{Snapshot, StoreError};

/// Owners of which it is remembered what lifecycles of their pods belong to, about 100 bytes each, and what they belong to.
const CACHED_OWNERS_MAX: usize = 8_192;

/// An object of the trace that has lifecycles, as the trace names it.
#[derive(Debug)]
pub(super) struct TraceOwner {
    pub(super) gvk: String,
    pub(super) name: String,
}

/// Finds the owners of lifecycles, for one thread.
pub(super) struct PodOwners<'a> {
    snapshot: &'a Snapshot,
    plan: &'a Plan,
    ownership: Ownership<'a>,
    /// By the UID of a pod's only owner: many pods have the same.
    known: HashMap<UidBytes, Option<Arc<TraceOwner>>>,
}

impl<'a> PodOwners<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, plan: &'a Plan) -> Self {
        Self {
            snapshot,
            plan,
            ownership: Ownership::new(snapshot),
            known: HashMap::new(),
        }
    }

    /// Reads what [`Self::of`] needs of these pods, in the order in which it is packed. At most
    /// [`EXPORT_LIFECYCLES_AT_ONCE_MAX`](crate::limits::EXPORT_LIFECYCLES_AT_ONCE_MAX).
    pub(super) fn look_up_ahead<'p>(
        &mut self,
        pods: impl Iterator<Item = &'p PodRow>,
    ) -> Result<(), StoreError> {
        let owners = pods.flat_map(|pod| &pod.owners).map(|owner| &owner.uid);
        let unknown = owners.filter(|uid| !self.known.contains_key(*uid));
        self.ownership.look_up_ahead(unknown)
    }

    /// The object that a pod's lifecycle belongs to: the nearest ancestor that is in the trace and whose kind has
    /// `trackLifecycle`; a bare pod belongs to itself. `None`: the trace does not have the lifecycle.
    pub(super) fn of(&mut self, pod: &PodRow) -> Result<Option<Arc<TraceOwner>>, StoreError> {
        if let Some(given) = &pod.given_owner {
            let gvk = Gvk::new(&*given.group, &*given.version, &*given.kind).to_string();
            let is_in = self.plan.index.contains(&gvk, &given.name)?;
            let name = given.name.clone();
            return Ok(is_in.then(|| Arc::new(TraceOwner { gvk, name })));
        }
        let [only] = pod.owners.as_slice() else {
            return self.among_ancestors(pod);
        };
        if let Some(known) = self.known.get(&only.uid) {
            return Ok(known.clone());
        }
        let found = self.among_ancestors(pod)?;
        if self.known.len() >= CACHED_OWNERS_MAX {
            self.known.clear();
        }
        self.known.insert(only.uid.clone(), found.clone());
        Ok(found)
    }

    fn among_ancestors(&mut self, pod: &PodRow) -> Result<Option<Arc<TraceOwner>>, StoreError> {
        let candidates = if pod.owners.is_empty() {
            let own = self.ownership.facts(&pod.uid)?;
            own.into_iter().collect()
        } else {
            let owners = pod.owners.iter().map(|owner| &owner.uid);
            self.ownership.ancestors(owners)?
        };
        for owner in candidates {
            if !tracks_lifecycles(&self.plan.config, &owner) {
                continue;
            }
            let Some(id) = owner.object else { continue };
            if self.plan.decisions.includes(id)? {
                let key = ObjectKey::new("", "", &*owner.namespace, &*owner.name);
                return Ok(Some(Arc::new(TraceOwner {
                    gvk: self.version_in_trace(id, &owner)?.to_string(),
                    name: key.namespaced_name(),
                })));
            }
        }
        Ok(None)
    }

    /// The kind of an object of the trace, in the version in which the trace has it last: what is known of it as an owner
    /// may be newer.
    fn version_in_trace(&self, id: u64, owner: &OwnerRow) -> Result<Gvk, StoreError> {
        if let Some(only) = self.snapshot.only_number_of(&owner.group, &owner.kind) {
            return self.snapshot.gvk(only);
        }
        let end = EventKey {
            at: self.plan.window.end,
            seq: 0,
        };
        match self.snapshot.tables().version_before(id, end)? {
            Some(version) => self.snapshot.gvk(version.kind),
            None => Ok(owner.gvk()),
        }
    }
}

fn tracks_lifecycles(config: &TracerConfig, owner: &OwnerRow) -> bool {
    config.tracked.iter().any(|(gvk, tracked)| {
        gvk.group == owner.group && gvk.kind == owner.kind && tracked.track_lifecycle
    })
}
