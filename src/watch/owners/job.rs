//! The look-ups of one kind: a list where many are wanted, then one by one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;

use super::WantedOwner;
use super::metadata::{Metadata, look_up};
use crate::ingest::QueueClosed;
use crate::limits::{
    DISCOVERY_AGE_SECONDS_MAX, LIST_PAGE_BYTES_MAX, LIST_PAGE_ITEMS, LIST_PAGE_SECONDS_MAX,
    OWNER_FRUITFUL_LISTS_SECONDS_MIN, OWNER_LISTS_SECONDS_MIN, OWNER_LOOKUPS_BEFORE_LIST,
    OWNER_LOOKUPS_PER_KIND_MAX,
};
use crate::model::{Gvk, Observation, OwnerFacts, Uid};
use crate::watch::discover::Resource;
use crate::watch::list::{Page, page_path};
use crate::watch::server::{METADATA_LIST, RequestError};
use crate::watch::shared::Shared;

/// What came of the look-ups of one kind.
pub(super) struct Outcome {
    pub(super) gvk: Gvk,
    pub(super) answers: Vec<(Uid, Answer)>,
    /// For how long the kind is not listed again; `None`: it was not listed.
    pub(super) list_wait: Option<Duration>,
    /// Whether the kind as a whole is in trouble.
    pub(super) failed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Found,
    Gone,
    Failed,
}

/// The look-ups of one kind.
pub(super) struct Job {
    pub(super) shared: Arc<Shared>,
    pub(super) lookups: Arc<Semaphore>,
    pub(super) gvk: Gvk,
    pub(super) list: bool,
    /// Whether more owners may be wanted than were asked for at once.
    pub(super) more: bool,
    pub(super) answers: Vec<(Uid, Answer)>,
}

/// A failure that concerns the whole kind, already logged.
struct KindFailed;

impl Job {
    pub(super) async fn run(mut self, owners: Vec<WantedOwner>) -> Result<Outcome, QueueClosed> {
        let shared = Arc::clone(&self.shared);
        let _member = shared.rest.join();
        let mut list_wait = self
            .list
            .then_some(Duration::from_secs(OWNER_LISTS_SECONDS_MIN));
        let failed = match self.resource().await {
            Err(error) => {
                self.log(&error);
                true
            }
            Ok(None) => {
                // No version of the kind's group is served: there can be no such object.
                for owner in owners.iter().take(OWNER_LOOKUPS_BEFORE_LIST) {
                    self.answer(owner, None).await?;
                }
                false
            }
            Ok(Some(resource)) => {
                let owners = if self.list {
                    let looked_for = owners.len();
                    let missing = self.list(&resource, owners).await?;
                    // Where most are found, as while a large cluster's pods are listed for the first time, so will those
                    // be that are still to come; and far quicker than one by one.
                    if missing.len() < looked_for / 2 {
                        let seconds = if self.more {
                            0
                        } else {
                            OWNER_FRUITFUL_LISTS_SECONDS_MIN
                        };
                        list_wait = Some(Duration::from_secs(seconds));
                    }
                    missing
                } else {
                    owners
                };
                self.look_up(&resource, owners).await?.is_err()
            }
        };
        Ok(Outcome {
            gvk: self.gvk,
            answers: self.answers,
            list_wait,
            failed,
        })
    }

    /// Where the kind is kept. An owner reference may name a version that is no longer served.
    async fn resource(&self) -> Result<Option<Resource>, Arc<RequestError>> {
        let age_max = Duration::from_secs(DISCOVERY_AGE_SECONDS_MAX);
        let discovery = &self.shared.discovery;
        if let Some(resource) = discovery.lookup(&self.gvk, age_max).await? {
            return Ok(Some(resource));
        }
        // It may have been added since.
        if let Some(resource) = discovery.lookup(&self.gvk, Duration::ZERO).await? {
            return Ok(Some(resource));
        }
        for version in discovery.other_versions(&self.gvk).await? {
            if let Some(resource) = discovery.lookup(&version, age_max).await? {
                return Ok(Some(resource));
            }
        }
        Ok(None)
    }

    /// Lists the kind's metadata, page by page, until all are found; those that were not are returned. It only saves
    /// requests: where it fails, single look-ups decide.
    async fn list(
        &mut self,
        resource: &Resource,
        owners: Vec<WantedOwner>,
    ) -> Result<Vec<WantedOwner>, QueueClosed> {
        self.shared.status.count_owners(|owners| owners.lists += 1);
        let mut missing: BTreeMap<Uid, WantedOwner> = owners
            .into_iter()
            .map(|owner| (owner.uid.clone(), owner))
            .collect();
        let mut token: Option<String> = None;
        while !missing.is_empty() {
            let path = page_path(&resource.collection(), LIST_PAGE_ITEMS, token.as_deref());
            let fetched = {
                let _permit = self.lookups.acquire().await;
                self.shared
                    .server
                    .fetch(
                        &path,
                        METADATA_LIST,
                        LIST_PAGE_BYTES_MAX,
                        LIST_PAGE_SECONDS_MAX,
                    )
                    .await
            };
            let bytes = match fetched {
                Ok(bytes) => bytes,
                Err(error) => {
                    self.log(&error);
                    break;
                }
            };
            let page = match Page::<&RawValue>::read(&bytes) {
                Ok(page) => page,
                Err(error) => {
                    self.log(&error);
                    break;
                }
            };
            for json in &page.items {
                // What cannot be read here is found, or not, by its own look-up.
                let Ok(object) = Metadata::read(json.get().as_bytes()) else {
                    continue;
                };
                if let Some(owner) = missing.remove(&object.uid) {
                    self.answer(&owner, Some(object)).await?;
                }
            }
            if page.token.is_none() || page.token == token {
                break;
            }
            token = page.token;
        }
        Ok(missing.into_values().collect())
    }

    /// Looks up the first of the owners one by one, a few at a time. The rest is for the next second.
    async fn look_up(
        &mut self,
        resource: &Resource,
        owners: Vec<WantedOwner>,
    ) -> Result<Result<(), KindFailed>, QueueClosed> {
        let shared = Arc::clone(&self.shared);
        let permits = Arc::clone(&self.lookups);
        let batch = owners.into_iter().take(OWNER_LOOKUPS_BEFORE_LIST);
        let mut lookups = futures::stream::iter(batch)
            .map(|owner| {
                let (shared, permits) = (&shared, &permits);
                async move {
                    let _permit = permits.acquire().await;
                    let found = look_up(shared, resource, &owner).await;
                    (owner, found)
                }
            })
            .buffer_unordered(OWNER_LOOKUPS_PER_KIND_MAX);
        while let Some((owner, found)) = lookups.next().await {
            match found {
                Ok(found) => self.answer(&owner, found).await?,
                Err(error) => {
                    self.log(&error);
                    self.answers.push((owner.uid, Answer::Failed));
                    // A single object may be broken; what else can go wrong goes wrong with all of them.
                    let single = matches!(
                        error,
                        RequestError::Garbled { .. }
                            | RequestError::TooLarge { .. }
                            | RequestError::Status {
                                code: 400 | 500,
                                ..
                            }
                    );
                    if !single {
                        return Ok(Err(KindFailed));
                    }
                }
            }
        }
        Ok(Ok(()))
    }

    async fn answer(
        &mut self,
        owner: &WantedOwner,
        found: Option<Metadata>,
    ) -> Result<(), QueueClosed> {
        let answer = if found.is_some() {
            Answer::Found
        } else {
            Answer::Gone
        };
        self.shared.status.count_owners(|owners| match answer {
            Answer::Found => owners.found += 1,
            _ => owners.gone += 1,
        });
        self.answers.push((owner.uid.clone(), answer));
        self.shared
            .queue
            .send(Observation::Owner {
                uid: owner.uid.clone(),
                facts: found.map(|object| OwnerFacts {
                    gvk: owner.gvk.clone(),
                    namespace: object.namespace,
                    name: object.name,
                    owners: object.owner_references,
                }),
            })
            .await
    }

    fn log(&self, error: &RequestError) {
        tracing::warn!(kind = %self.gvk, %error, "owners could not be looked up; trying again later");
        self.shared
            .status
            .count_owners(|owners| owners.failures += 1);
    }
}
