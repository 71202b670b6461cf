//! One kind, watched: performs what its session says. [`pages`] fetches lists, [`stream`] reads an open watch.

mod pages;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::sync::watch::Receiver;
use tokio::time::Instant;

use self::stream::Open;
use super::ahead::Ahead;
use super::decode::Decoder;
use super::discover::Resource;
use super::lines::Lines;
use super::reason::shortened;
use super::retry::{backoff, jittered_seconds};
use super::server::{OBJECTS, RequestError};
use super::session::{Action, Class, Input, Session, Standing, Trouble};
use super::shared::Shared;
use super::status::{WatchCounters, WatchState};
use super::told;
use crate::config::TrackedKind;
use crate::ingest::QueueClosed;
use crate::limits::{WATCH_LINE_BYTES_MAX, WATCH_OPEN_SECONDS_MAX};
use crate::model::{Gvk, Observation};

/// Watches a kind until it is told to stop, or the writer ends; from `version`, where one is stored.
pub(super) async fn watch(
    shared: Arc<Shared>,
    gvk: Gvk,
    tracked: Option<TrackedKind>,
    version: Option<String>,
    mut stop: Receiver<bool>,
) -> Result<(), QueueClosed> {
    let all = Arc::clone(&shared);
    let _member = all.rest.join();
    let mut kind = Kind {
        session: Session::new(gvk.clone(), version),
        replaced: shared.replaced.subscribe(),
        decoder: Decoder::new(gvk.clone(), tracked, shared.redaction.clone()),
        shared,
        gvk,
        resource: None,
        open: None,
        ahead: None,
        spare: BytesMut::new(),
        slow: false,
    };
    loop {
        let action = kind.next().await?;
        if action == Action::Read {
            let mut replaced = kind.replaced.clone();
            let input = tokio::select! {
                biased;
                () = told(&mut stop) => return kind.end().await,
                // What the open watch has in its buffers is of a history that is not believed any more.
                Ok(()) = replaced.changed() => continue,
                input = kind.read() => input,
            };
            kind.tell(input).await?;
        } else {
            tokio::select! {
                biased;
                // What was under way is dropped, wherever it stood: this says nothing of how far it had come.
                () = told(&mut stop) => return Ok(()),
                done = kind.perform(action) => done?,
            }
        }
    }
}

struct Kind {
    shared: Arc<Shared>,
    gvk: Gvk,
    decoder: Decoder,
    session: Session,
    replaced: Receiver<()>,
    resource: Option<Resource>,
    open: Option<Open>,
    /// The next page of the list under way.
    ahead: Option<Ahead>,
    /// The memory of the page before, for the next: so its growth, and the kernel's clearing of it, are paid for once a list.
    spare: BytesMut,
    /// Whether the last page did not come in time.
    slow: bool,
}

impl Kind {
    /// What the session wants done next.
    async fn next(&mut self) -> Result<Action, QueueClosed> {
        if self.replaced.has_changed().unwrap_or(false) {
            self.replaced.mark_unchanged();
            self.tell(Input::Replaced).await?;
        }
        let action = self.session.action();
        if action != Action::Read {
            self.open = None;
        }
        if !matches!(action, Action::Page { .. }) {
            self.ahead = None;
            self.spare = BytesMut::new();
        }
        Ok(action)
    }

    /// Performs one action of the session.
    async fn perform(&mut self, action: Action) -> Result<(), QueueClosed> {
        match action {
            Action::Discover => {
                let input = match self
                    .shared
                    .discovery
                    .lookup(&self.gvk, Duration::ZERO)
                    .await
                {
                    Ok(Some(resource)) => {
                        self.resource = Some(resource);
                        Input::Discovered
                    }
                    Ok(None) => Input::Failed(self.not_served()),
                    Err(error) => self.failed("discovery", &error),
                };
                self.tell(input).await
            }
            Action::Ask => {
                let input = match self.current_version().await {
                    Ok(version) => Input::Version(version),
                    Err(error) => self.failed("asking for the current version", &error),
                };
                self.tell(input).await
            }
            Action::Page { token, limit } => self.page(token.as_deref(), limit).await,
            Action::Open { from, seconds } => {
                let asked_seconds = jittered_seconds(seconds);
                let path = format!(
                    "{}?watch=true&allowWatchBookmarks=true&timeoutSeconds={asked_seconds}&resourceVersion={}",
                    self.collection(),
                    url::form_urlencoded::byte_serialize(from.as_bytes()).collect::<String>(),
                );
                let opened = self
                    .shared
                    .server
                    .open(&path, OBJECTS, WATCH_OPEN_SECONDS_MAX)
                    .await;
                let input = match opened {
                    Ok(body) => {
                        self.count(|counters| counters.watches += 1);
                        self.open = Some(Open {
                            lines: Lines::new(body, WATCH_LINE_BYTES_MAX),
                            since: Instant::now(),
                            asked_seconds,
                        });
                        Input::Opened
                    }
                    Err(error) => self.failed("opening the watch", &error),
                };
                self.tell(input).await
            }
            // Not reached: what is open is read where a stop may come in between.
            Action::Read => Ok(()),
            Action::Pause { failures, at_least } => {
                let wait = backoff(failures).max(at_least);
                match self.session.standing() {
                    Standing::Failing(reason) => tracing::warn!(
                        kind = %self.gvk, failures, %reason, retry_in_ms = wait.as_millis(),
                        "out of contact"
                    ),
                    _ => tracing::info!(
                        kind = %self.gvk, failures, retry_in_ms = wait.as_millis(),
                        "watching again after a pause"
                    ),
                }
                {
                    let _waits = self.shared.rest.wait();
                    tokio::time::sleep(wait).await;
                }
                self.tell(Input::Waited).await
            }
        }
    }

    /// Tells the session, and the ingest what the session makes of it.
    async fn tell(&mut self, input: Input) -> Result<(), QueueClosed> {
        let (skipped, replacements) = (self.session.skipped(), self.session.replacements());
        let observations = self.session.on(input);
        if self.session.skipped() > skipped {
            tracing::error!(kind = %self.gvk, "an event is skipped: what it told is not in the record");
            self.count(|counters| counters.skipped_events += 1);
        }
        if self.session.replacements() > replacements {
            self.say_replaced();
        }
        for observation in observations {
            self.account(&observation);
            self.shared.queue.send(observation).await?;
        }
        self.show();
        Ok(())
    }

    /// Tells the other watches, unless one of them was first. Not on behalf of kinds of aggregated servers: those have
    /// histories of their own.
    fn say_replaced(&mut self) {
        let known = self.replaced.has_changed().unwrap_or(true);
        let built_in = !self.gvk.group.contains('.') || self.gvk.group.ends_with(".k8s.io");
        if !known && built_in {
            tracing::warn!(kind = %self.gvk, "the server's history was replaced: every kind is listed again");
            self.shared.replaced.send_replace(());
        }
        self.replaced.mark_unchanged();
    }

    fn account(&self, observation: &Observation) {
        match observation {
            Observation::ListStarted { .. } => {
                tracing::info!(kind = %self.gvk, "list started");
                self.count(|counters| counters.lists += 1);
            }
            Observation::ListFinished {
                resource_version, ..
            } => {
                tracing::info!(kind = %self.gvk, %resource_version, "list finished");
                self.count(|counters| counters.lists_finished += 1);
            }
            Observation::Blind { reason, .. } => {
                tracing::warn!(kind = %self.gvk, %reason, "blind");
            }
            Observation::Sighted { .. } => tracing::info!(kind = %self.gvk, "caught up"),
            _ => {}
        }
    }

    fn show(&self) {
        let status = &self.shared.status;
        let state = match self.session.standing() {
            Standing::Pending => WatchState::Pending,
            Standing::Listing => WatchState::Listing,
            Standing::CatchingUp => WatchState::CatchingUp,
            Standing::Watching => WatchState::Watching,
            Standing::Failing(reason) => {
                status.set_failing(&self.gvk, reason, self.session.failures());
                return;
            }
        };
        status.set(&self.gvk, state);
    }

    fn collection(&self) -> String {
        self.resource
            .as_ref()
            .map(Resource::collection)
            .unwrap_or_default()
    }

    fn not_served(&self) -> Trouble {
        self.count(|counters| counters.failures += 1);
        Trouble {
            class: Class::NotServed,
            reason: format!("the API server does not serve {}", self.gvk),
            retry_after: None,
        }
    }

    fn failed(&self, doing: &str, error: &RequestError) -> Input {
        let class = match error.code() {
            Some(410) => Class::Gone,
            Some(400 | 422) => Class::Refused,
            Some(404) => Class::NotServed,
            _ => Class::Other,
        };
        self.count(|counters| {
            counters.failures += 1;
            counters.expired += u64::from(class == Class::Gone);
        });
        Input::Failed(Trouble {
            class,
            reason: shortened(&format!("{doing}: {error}")),
            retry_after: error.retry_after(),
        })
    }

    fn count(&self, count: impl FnOnce(&mut WatchCounters)) {
        self.shared.status.count(&self.gvk, count);
    }
}
