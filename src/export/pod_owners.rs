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

/// Which object of the trace a lifecycle belongs to.
#[derive(Clone, Debug)]
pub(super) enum Belongs {
    To(Arc<TraceOwner>),
    /// The trace does not have the lifecycle.
    Nowhere,
}

impl From<Option<TraceOwner>> for Belongs {
    fn from(owner: Option<TraceOwner>) -> Self {
        owner.map_or(Self::Nowhere, |owner| Self::To(Arc::new(owner)))
    }
}

/// Finds the owners of lifecycles, for one thread.
pub(super) struct PodOwners<'a> {
    snapshot: &'a Snapshot,
    plan: &'a Plan,
    ownership: Ownership<'a>,
    /// By the UID of a pod's only owner: many pods have the same.
    known: HashMap<UidBytes, Belongs>,
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

    /// Whose lifecycle it is; `None` where owners have to be looked up for that.
    pub(super) fn at_hand(&mut self, pod: &PodRow) -> Result<Option<Belongs>, StoreError> {
        if let Some(given) = &pod.given_owner {
            let gvk = Gvk::new(&*given.group, &*given.version, &*given.kind).to_string();
            let is_in = self.plan.index.contains(&gvk, &given.name)?;
            let name = given.name.clone();
            return Ok(Some(is_in.then_some(TraceOwner { gvk, name }).into()));
        }
        Ok(match pod.owners.as_slice() {
            [] => Some(self.itself(pod)?.into()),
            [only] => self.known.get(&only.uid).cloned(),
            _ => None,
        })
    }

    /// Reads what [`Self::nearest`] needs of these owners, in the order in which it is packed. At most [`OWNERS_AHEAD_MAX`].
    pub(super) fn look_up_ahead<'o>(
        &mut self,
        owners: impl Iterator<Item = &'o UidBytes>,
    ) -> Result<(), StoreError> {
        self.ownership.look_up_ahead(owners)
    }

    /// The object that the lifecycle of a pod with these owners belongs to: the nearest ancestor that is in the trace and
    /// whose kind has `trackLifecycle`.
    pub(super) fn nearest(&mut self, owners: &[UidBytes]) -> Result<Belongs, StoreError> {
        let only = match owners {
            [only] => Some(only),
            _ => None,
        };
        if let Some(known) = only.and_then(|only| self.known.get(only)) {
            return Ok(known.clone());
        }
        let mut nearest = None;
        for owner in self.ownership.ancestors(owners.iter())? {
            nearest = self.in_trace(&owner)?;
            if nearest.is_some() {
                break;
            }
        }
        let nearest = Belongs::from(nearest);
        if let Some(only) = only {
            if self.known.len() >= CACHED_OWNERS_MAX {
                self.known.clear();
            }
            self.known.insert(only.clone(), nearest.clone());
        }
        Ok(nearest)
    }

    /// A bare pod's lifecycle belongs to the pod itself, of which its row tells as much as an owner's would: unless it has
    /// been saved from a broken file, where the row may not know of the object.
    fn itself(&mut self, pod: &PodRow) -> Result<Option<TraceOwner>, StoreError> {
        let own = OwnerRow::of_pod(pod.clone());
        if own.object.is_some() || !tracks_lifecycles(&self.plan.config, &own) {
            return self.in_trace(&own);
        }
        match self.ownership.facts(&pod.uid)? {
            Some(facts) => self.in_trace(&facts),
            None => Ok(None),
        }
    }

    /// The object as the trace names it, where lifecycles belong to its kind and it is in the trace.
    fn in_trace(&self, owner: &OwnerRow) -> Result<Option<TraceOwner>, StoreError> {
        if !tracks_lifecycles(&self.plan.config, owner) {
            return Ok(None);
        }
        let Some(id) = owner.object else {
            return Ok(None);
        };
        if !self.plan.decisions.includes(id)? {
            return Ok(None);
        }
        let key = ObjectKey::new("", "", &*owner.namespace, &*owner.name);
        Ok(Some(TraceOwner {
            gvk: self.version_in_trace(id, owner)?.to_string(),
            name: key.namespaced_name(),
        }))
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
