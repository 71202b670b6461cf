//! What the watches of a synthetic cluster see: its lists and steps as observations, made as those of a real cluster are
//! (normalization, owner look-ups).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::config::{TracerConfig, TrackedKind};
use crate::model::{Gvk, Item, Observation, OwnerRef};
use crate::normalize::{NormalizeError, Redaction, normalize};
use crate::workload::{Step, Verb, Workload};

/// The watches on a workload: the tracked kinds, and pods.
pub(crate) struct SimulatedWatches {
    redaction: Redaction,
    watches: BTreeMap<Gvk, Option<TrackedKind>>,
}

impl SimulatedWatches {
    /// The watches that a config asks for.
    pub(crate) fn new(config: TracerConfig, redaction: Redaction) -> Self {
        let mut watches: BTreeMap<_, _> = config
            .tracked
            .into_iter()
            .map(|(gvk, tracked)| (gvk, Some(tracked)))
            .collect();
        if !watches.keys().any(Gvk::is_pod) {
            watches.insert(Gvk::pod(), None);
        }
        Self { redaction, watches }
    }

    /// What is watched, in the order in which it is listed.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = &Gvk> {
        self.watches.keys()
    }

    /// Adds what a list tells of one object to `seen`.
    ///
    /// # Errors
    /// An object that is none: a bug of the workload.
    pub(crate) fn listed(
        &self,
        watch: &Gvk,
        object: Value,
        workload: &Workload,
        seen: &mut Vec<Observation>,
    ) -> Result<(), NormalizeError> {
        let tracked = self.watches.get(watch).and_then(Option::as_ref);
        let item = normalize(watch, tracked, &self.redaction, object)?;
        self.answer_owners(&item, workload, seen);
        seen.push(Observation::Applied {
            watch: watch.clone(),
            item,
            resource_version: None,
        });
        Ok(())
    }

    /// Adds what a watch tells of one step to `seen`; nothing where its kind is not watched.
    ///
    /// # Errors
    /// As [`SimulatedWatches::listed`].
    pub(crate) fn step(
        &self,
        step: Step,
        workload: &Workload,
        seen: &mut Vec<Observation>,
    ) -> Result<(), NormalizeError> {
        let Some(tracked) = self.watches.get(&step.kind) else {
            return Ok(());
        };
        let item = normalize(&step.kind, tracked.as_ref(), &self.redaction, step.object)?;
        let resource_version = Some(workload.resource_version().to_string());
        let watch = step.kind;
        if step.verb == Verb::Add {
            self.answer_owners(&item, workload, seen);
        }
        seen.push(match step.verb {
            Verb::Add | Verb::Modify => Observation::Applied {
                watch,
                item,
                resource_version,
            },
            Verb::Delete => Observation::Deleted {
                watch,
                item,
                resource_version,
            },
        });
        Ok(())
    }

    /// What an owner look-up would find: owners of kinds that are not watched.
    fn answer_owners(&self, item: &Item, workload: &Workload, seen: &mut Vec<Observation>) {
        let owners: &[OwnerRef] = match (&item.pod, &item.object, &item.skipped) {
            (Some(pod), _, _) => &pod.owners,
            (None, Some(object), _) => &object.owners,
            (None, None, Some((_, facts))) => &facts.owners,
            (None, None, None) => &[],
        };
        let unwatched = owners
            .iter()
            .filter(|owner| !self.watches.contains_key(&owner.gvk()));
        seen.extend(unwatched.map(|owner| Observation::Owner {
            uid: owner.uid.clone(),
            facts: workload.owner_facts(&owner.uid),
        }));
    }
}
