//! Facts that come from a trace file instead of a watch (S9): they have no UIDs, and lifecycles name their owners.

use super::epochs::Appears;
use super::{Apply, Certainty};
use crate::model::{Gvk, ObjectKey, ObservedObject, Timestamp, Uid};
use crate::store::lookup::Lookup;
use crate::store::rows::{GivenOwner, PodRow, PodTimes};
use crate::store::tables::put;
use crate::store::{StoreError, keys};

/// One fact of a trace file.
#[derive(Clone, Debug)]
pub enum Imported {
    /// An object was created or changed. Its UID is ignored: the live object of that name is changed, or a new one made.
    Applied {
        /// The object.
        object: Box<ObservedObject>,
        /// It stood in the trace's first event: it existed before.
        initial: bool,
    },
    /// The object of this name was deleted.
    Deleted {
        /// Its name.
        key: ObjectKey,
    },
    /// A pod ran.
    Lifecycle {
        /// Kind of the owner.
        gvk: Gvk,
        /// `namespace/name` of the owner, or its bare name.
        name: String,
        /// SimKube's pod-spec hash.
        pod_spec_hash: u64,
        /// When it started.
        start: Timestamp,
        /// When it ended; `None`: it was still running.
        end: Option<Timestamp>,
    },
}

impl Apply<'_, '_> {
    /// Records a fact of a trace file. Everything is recorded, also what does not differ from what was there: the file
    /// says that it was a change.
    pub(in super::super) fn imported(
        &mut self,
        at: Timestamp,
        fact: &Imported,
    ) -> Result<(), StoreError> {
        match fact {
            Imported::Applied { object, initial } => {
                let at = self.state.advance(at);
                let certainty = Certainty {
                    since: None,
                    initial: *initial,
                };
                match self.newest_incarnation(&object.key)? {
                    Some((id, row)) if row.live => {
                        let object = ObservedObject {
                            uid: row.uid.as_ref().map(Uid::from).unwrap_or_default(),
                            ..(**object).clone()
                        };
                        self.record_apply(at, id, &object, Some(&row), certainty)?;
                        self.object_as_owner(&object, id)
                    }
                    _ => {
                        let object = ObservedObject {
                            uid: self.invented_uid(),
                            ..(**object).clone()
                        };
                        let id = self.object_applied(at, &object, certainty)?;
                        self.object_as_owner(&object, id)
                    }
                }
            }
            Imported::Deleted { key } => {
                let at = self.state.advance(at);
                match self.newest_incarnation(key)? {
                    Some((id, row)) if row.live => {
                        self.record_delete(at, key, id, row, None, Certainty::default())
                    }
                    _ => Ok(()),
                }
            }
            Imported::Lifecycle {
                gvk,
                name,
                pod_spec_hash,
                start,
                end,
            } => self.imported_lifecycle(gvk, name, *pod_spec_hash, *start, *end),
        }
    }

    /// A UID for an object that has none: unique in this store, and no UID that an API server gives.
    fn invented_uid(&self) -> Uid {
        Uid(format!("imported-{}", self.state.row.last_object + 1))
    }

    fn imported_lifecycle(
        &mut self,
        gvk: &Gvk,
        name: &str,
        pod_spec_hash: u64,
        start: Timestamp,
        end: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        self.state.row.pods += 1;
        let uid = Uid(format!("imported-pod-{}", self.state.row.last_pod + 1));
        let number = self.new_pod_number(&uid)?;
        let (namespace, owner_name) = name.split_once('/').unwrap_or(("", name));
        let row = PodRow {
            uid: (&uid).into(),
            namespace: namespace.to_owned(),
            name: owner_name.to_owned(),
            spec_hash: pod_spec_hash,
            owners: Vec::new(),
            given_owner: Some(GivenOwner {
                group: gvk.group.clone(),
                version: gvk.version.clone(),
                kind: gvk.kind.clone(),
                name: name.to_owned(),
            }),
            object: None,
            times: PodTimes {
                start_us: Some(start.as_micros()),
                containers_end_us: end.map(Timestamp::as_micros),
                end_us: end.map(Timestamp::as_micros),
                end_since_us: None,
            },
            gone: end.is_some(),
        };
        put(&mut self.tables.pods, number, &row)?;
        let last = end.unwrap_or(Timestamp::MAX);
        for epoch in self.tables.epochs_over(start, last)? {
            let entry = keys::epoch_pod(epoch, number);
            self.tables
                .alive_pods
                .insert(entry.as_slice(), [].as_slice())?;
            if epoch == self.state.row.epoch {
                self.state.row.epoch_rows += 1;
            }
        }
        let appears = Appears {
            is_new: true,
            is_initial: false,
        };
        self.list_pod_ahead(number, &row, appears)
    }
}
