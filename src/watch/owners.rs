//! Looks up owners that the record does not know: the metadata of an object, believed only if its UID is the one that
//! was asked for (R12).
//!
//! Every second the store is asked which owners it misses. An answer, also that there is no such object, goes to the
//! ingest like everything else; a failure is no answer, and is tried again later. A kind that fails, or never
//! answers, waits for itself: the kinds are looked up side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::discover::Resource;
use super::kind::Shared;
use super::list::{Page, page_path};
use super::retry::backoff;
use super::server::{METADATA, METADATA_LIST, RequestError};
use crate::ingest::QueueClosed;
use crate::limits::{
    DISCOVERY_AGE_SECONDS_MAX, LIST_PAGE_BYTES_MAX, LIST_PAGE_ITEMS, LIST_PAGE_SECONDS_MAX,
    OBJECT_BYTES_MAX, OWNER_GONE_SECONDS_MAX, OWNER_GONE_SECONDS_MIN, OWNER_KINDS_MAX,
    OWNER_LISTS_SECONDS_MIN, OWNER_LOOKUP_SECONDS_MAX, OWNER_LOOKUPS_BEFORE_LIST,
    OWNER_LOOKUPS_MAX, OWNER_LOOKUPS_PER_KIND_MAX, OWNERS_ASKED_MAX, OWNERS_WANTED_MAX,
};
use crate::model::{Gvk, Observation, OwnerFacts, OwnerRef, Uid};

/// An owner that the record does not know: what an owner reference says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedOwner {
    /// Its UID.
    pub uid: Uid,
    /// Its kind.
    pub gvk: Gvk,
    /// Namespace of what it owns: its own, unless it is cluster-scoped.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Knows which owners are unknown: the store.
pub trait WantedOwners: Send + Sync + 'static {
    /// At most `limit` owners that are referred to and unknown. Called every second from an async task: it must not
    /// block. Those that were never answered should come first: an owner that was answered with "no such object" may
    /// be named again, and is looked for again from time to time.
    fn wanted(&self, limit: usize) -> Vec<WantedOwner>;
}

/// When an owner may be looked up (again).
#[derive(Clone, Copy)]
struct Asked {
    due: Instant,
    /// Failed tries, or answers that it is gone, in a row.
    tries: u32,
}

/// A kind of owners.
#[derive(Clone, Copy)]
struct KindState {
    due: Instant,
    failures: u32,
    list_due: Instant,
    busy: bool,
}

/// What came of the look-ups of one kind.
struct Outcome {
    gvk: Gvk,
    answers: Vec<(Uid, Answer)>,
    listed: bool,
    /// Whether the kind as a whole is in trouble.
    failed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    Found,
    Gone,
    Failed,
}

/// Looks up owners for as long as the writer lives.
pub(super) async fn resolve(shared: Arc<Shared>, wanted: Arc<dyn WantedOwners>) -> QueueClosed {
    let mut resolver = Resolver {
        shared,
        wanted,
        lookups: Arc::new(Semaphore::new(OWNER_LOOKUPS_MAX)),
        asked: BTreeMap::new(),
        kinds: BTreeMap::new(),
        under_way: JoinSet::new(),
    };
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => resolver.begin(),
            Some(ended) = resolver.under_way.join_next() => match ended {
                Ok(Ok(outcome)) => resolver.note(outcome),
                Ok(Err(closed)) => return closed,
                Err(error) => {
                    // Cancelled or crashed. Which kind it was is not known any more: all may go on.
                    tracing::error!(%error, "a look-up of owners has crashed");
                    for kind in resolver.kinds.values_mut() {
                        kind.busy = false;
                    }
                }
            },
        }
    }
}

struct Resolver {
    shared: Arc<Shared>,
    wanted: Arc<dyn WantedOwners>,
    lookups: Arc<Semaphore>,
    asked: BTreeMap<Uid, Asked>,
    kinds: BTreeMap<Gvk, KindState>,
    under_way: JoinSet<Result<Outcome, QueueClosed>>,
}

impl Resolver {
    /// Starts look-ups of what is wanted and due, one task a kind.
    fn begin(&mut self) {
        let now = Instant::now();
        let wanted = self.wanted.wanted(OWNERS_WANTED_MAX);
        self.forget(&wanted, now);
        let mut due: BTreeMap<Gvk, Vec<(u32, WantedOwner)>> = BTreeMap::new();
        for owner in wanted.into_iter().take(OWNERS_WANTED_MAX) {
            let asked = self.asked.get(&owner.uid);
            if asked.is_none_or(|asked| asked.due <= now) {
                let tries = asked.map_or(0, |asked| asked.tries);
                let of_kind = due.entry(owner.gvk.clone()).or_default();
                of_kind.push((tries, owner));
            }
        }
        for (gvk, mut owners) in due {
            if !self.kinds.contains_key(&gvk) && self.kinds.len() >= OWNER_KINDS_MAX {
                continue;
            }
            let kind = self.kinds.entry(gvk.clone()).or_insert(KindState {
                due: now,
                failures: 0,
                list_due: now,
                busy: false,
            });
            if kind.busy || kind.due > now {
                continue;
            }
            kind.busy = true;
            // What keeps failing does not stand in the way of what was never tried.
            owners.sort_by_key(|(tries, _)| *tries);
            let job = Job {
                shared: Arc::clone(&self.shared),
                lookups: Arc::clone(&self.lookups),
                list: owners.len() > OWNER_LOOKUPS_BEFORE_LIST && kind.list_due <= now,
                gvk,
                answers: Vec::new(),
            };
            let owners = owners.into_iter().map(|(_, owner)| owner).collect();
            self.under_way.spawn(job.run(owners));
        }
    }

    /// Keeps the maps bounded: what is not wanted any more needs no backoff.
    fn forget(&mut self, wanted: &[WantedOwner], now: Instant) {
        if self.asked.len() > OWNERS_ASKED_MAX {
            let wanted: BTreeSet<_> = wanted.iter().map(|owner| &owner.uid).collect();
            self.asked.retain(|uid, _| wanted.contains(uid));
        }
        if self.kinds.len() >= OWNER_KINDS_MAX {
            self.kinds
                .retain(|_, kind| kind.busy || kind.due > now || kind.list_due > now);
        }
    }

    /// Remembers when to ask again.
    fn note(&mut self, outcome: Outcome) {
        let now = Instant::now();
        for (uid, answer) in outcome.answers {
            let asked = self
                .asked
                .entry(uid)
                .or_insert(Asked { due: now, tries: 0 });
            match answer {
                // The store needs a moment until it has taken it in.
                Answer::Found => {
                    asked.tries = 0;
                    asked.due = now + Duration::from_secs(OWNER_GONE_SECONDS_MIN);
                }
                Answer::Gone => {
                    let seconds = OWNER_GONE_SECONDS_MIN
                        .saturating_mul(1 << asked.tries.min(16))
                        .min(OWNER_GONE_SECONDS_MAX);
                    asked.tries = asked.tries.saturating_add(1);
                    asked.due = now + Duration::from_secs(seconds);
                }
                Answer::Failed => {
                    asked.tries = asked.tries.saturating_add(1);
                    asked.due = now + backoff(asked.tries);
                }
            }
        }
        if let Some(kind) = self.kinds.get_mut(&outcome.gvk) {
            kind.busy = false;
            if outcome.listed {
                kind.list_due = now + Duration::from_secs(OWNER_LISTS_SECONDS_MIN);
            }
            if outcome.failed {
                kind.failures = kind.failures.saturating_add(1);
                kind.due = now + backoff(kind.failures);
            } else {
                kind.failures = 0;
            }
        }
    }
}

/// The look-ups of one kind.
struct Job {
    shared: Arc<Shared>,
    lookups: Arc<Semaphore>,
    gvk: Gvk,
    list: bool,
    answers: Vec<(Uid, Answer)>,
}

/// A failure that concerns the whole kind, already logged.
struct KindFailed;

impl Job {
    async fn run(mut self, owners: Vec<WantedOwner>) -> Result<Outcome, QueueClosed> {
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
                    self.list(&resource, owners).await?
                } else {
                    owners
                };
                self.look_up(&resource, owners).await?.is_err()
            }
        };
        Ok(Outcome {
            gvk: self.gvk,
            answers: self.answers,
            listed: self.list,
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
            let page = match Page::read(&bytes) {
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

/// What a look-up needs of an object.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    uid: Uid,
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    owner_references: Vec<OwnerRef>,
}

impl Metadata {
    fn read(json: &[u8]) -> Result<Self, RequestError> {
        #[derive(Deserialize)]
        struct Object {
            metadata: Metadata,
        }
        serde_json::from_slice::<Object>(json)
            .map(|object| object.metadata)
            .map_err(|error| RequestError::garbled("an object's metadata", &error))
    }
}

/// Asks for one owner; `None`: no object of this name has this UID.
async fn look_up(
    shared: &Shared,
    resource: &Resource,
    owner: &WantedOwner,
) -> Result<Option<Metadata>, RequestError> {
    // A name that no object can have.
    let Some(path) = resource.object(&owner.namespace, &owner.name) else {
        return Ok(None);
    };
    shared.status.count_owners(|owners| owners.lookups += 1);
    let fetched = shared
        .server
        .fetch(&path, METADATA, OBJECT_BYTES_MAX, OWNER_LOOKUP_SECONDS_MAX)
        .await;
    let bytes = match fetched {
        Ok(bytes) => bytes,
        Err(error) if error.code() == Some(404) => return Ok(None),
        Err(error) => return Err(error),
    };
    let found = Metadata::read(&bytes)?;
    Ok((found.uid == owner.uid).then_some(found))
}
