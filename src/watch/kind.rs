//! One kind, watched: performs what its session says.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::sync::watch::{Receiver, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::ahead::{self, Ahead};
use super::decode::{Decoder, Event, Unreadable};
use super::discover::{Discovery, Resource};
use super::lines::{Line, Lines};
use super::list::{Page, page_path};
use super::reason::shortened;
use super::retry::{backoff, jittered_seconds};
use super::server::{METADATA_LIST, OBJECTS, RequestError, Server};
use super::session::{Action, Class, Input, Session, Standing, Trouble};
use super::status::{WatchState, WatchStatus};
use crate::config::TrackedKind;
use crate::ingest::{Queue, QueueClosed};
use crate::limits::{
    LIST_PAGE_BYTES_MAX, LISTS_MAX, LISTS_SLOW_MAX, WATCH_LINE_BYTES_MAX, WATCH_OPEN_SECONDS_MAX,
    WATCH_SLACK_SECONDS,
};
use crate::model::{Gvk, Observation};
use crate::normalize::Redaction;

/// What all watches share.
pub(super) struct Shared {
    pub(super) server: Server,
    pub(super) discovery: Discovery,
    pub(super) queue: Queue,
    pub(super) status: Arc<WatchStatus>,
    redaction: Redaction,
    /// Told when a watch of a built-in kind finds that the server's history was replaced. The other watches may stand at
    /// versions that both histories have, and would never find out (R16).
    replaced: Sender<()>,
    /// One permit for each page that may be fetched or held at once.
    lists: Arc<Semaphore>,
    /// The same for kinds whose last page did not come in time: they do not take the others' places.
    lists_slow: Arc<Semaphore>,
}

impl Shared {
    pub(super) fn new(
        server: Server,
        queue: Queue,
        status: Arc<WatchStatus>,
        redaction: Redaction,
    ) -> Arc<Self> {
        Arc::new(Self {
            discovery: Discovery::new(server.clone()),
            server,
            queue,
            status,
            redaction,
            replaced: Sender::new(()),
            lists: Arc::new(Semaphore::new(LISTS_MAX)),
            lists_slow: Arc::new(Semaphore::new(LISTS_SLOW_MAX)),
        })
    }

    async fn page_permit(&self, slow: bool) -> Option<OwnedSemaphorePermit> {
        let lane = if slow { &self.lists_slow } else { &self.lists };
        // Never closed.
        Arc::clone(lane).acquire_owned().await.ok()
    }
}

/// Watches a kind for as long as the writer lives; from `version`, where one is stored.
pub(super) async fn watch(
    shared: Arc<Shared>,
    gvk: Gvk,
    tracked: Option<TrackedKind>,
    version: Option<String>,
) -> QueueClosed {
    let mut kind = Kind {
        session: Session::new(gvk.clone(), version),
        replaced: shared.replaced.subscribe(),
        decoder: Decoder::new(gvk.clone(), tracked, shared.redaction.clone()),
        shared,
        gvk,
        resource: None,
        open: None,
        ahead: None,
        slow: false,
    };
    loop {
        if let Err(closed) = kind.step().await {
            return closed;
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
    /// Whether the last page did not come in time.
    slow: bool,
}

/// A watch that is open.
struct Open {
    lines: Lines,
    since: Instant,
    asked_seconds: u32,
}

impl Kind {
    /// Performs one action of the session.
    async fn step(&mut self) -> Result<(), QueueClosed> {
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
        }
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
            Action::Read => {
                let mut replaced = self.replaced.clone();
                let input = tokio::select! {
                    biased;
                    // What the open watch has in its buffers is of a history that is not believed any more.
                    Ok(()) = replaced.changed() => return Ok(()),
                    input = self.read() => input,
                };
                self.tell(input).await
            }
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
                tokio::time::sleep(wait).await;
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

    async fn current_version(&mut self) -> Result<String, RequestError> {
        let path = page_path(&self.collection(), 1, None);
        let bytes = self
            .shared
            .server
            .fetch_small(&path, METADATA_LIST, LIST_PAGE_BYTES_MAX)
            .await?;
        Ok(Page::read(&bytes)?.version)
    }

    /// Fetches a page and hands its items over one by one: no more than the page is ever held.
    async fn page(&mut self, token: Option<&str>, limit: u32) -> Result<(), QueueClosed> {
        let shared = Arc::clone(&self.shared);
        let come = match self.ahead.take() {
            Some(ahead) => ahead.page(limit, token).await,
            None => None,
        };
        let (_permit, fetched) = match come {
            Some((permit, fetched)) => (Some(permit), fetched),
            None => {
                let permit = shared.page_permit(self.slow).await;
                let fetched = ahead::fetch(&shared.server, &self.collection(), limit, token).await;
                (permit, fetched)
            }
        };
        let bytes = match fetched {
            Ok(bytes) => bytes,
            Err(RequestError::TooLarge { bytes_max }) => {
                tracing::info!(kind = %self.gvk, limit, bytes_max, "a page was too large: asking for fewer items");
                return self.tell(Input::PageTooLarge).await;
            }
            Err(error) => {
                self.slow = matches!(error, RequestError::Deadline { .. });
                let input = self.failed("listing", &error);
                return self.tell(input).await;
            }
        };
        self.slow = false;
        let page = match Page::read(&bytes) {
            Ok(page) => page,
            Err(error) => {
                let input = self.failed("listing", &error);
                return self.tell(input).await;
            }
        };
        // Only where a place is free that nobody waits for.
        if let Some(next) = &page.token
            && page.token.as_deref() != token
            && let Ok(permit) = Arc::clone(&shared.lists).try_acquire_owned()
        {
            let (server, collection) = (shared.server.clone(), self.collection());
            let next = next.clone();
            self.ahead = Some(Ahead::begin(permit, server, collection, limit, next));
        }
        for json in &page.items {
            let item = self.decoder.listed(json.get().as_bytes());
            self.count(|counters| counters.items += 1);
            if let Err(unreadable) = &item {
                self.count(|counters| counters.unreadable += 1);
                tracing::error!(
                    kind = %self.gvk, object = %unreadable.reason, identified = unreadable.uid.is_some(),
                    "a listed object cannot be read: nothing is recorded of it"
                );
            }
            self.tell(Input::Listed(item)).await?;
        }
        self.count(|counters| counters.pages += 1);
        self.tell(Input::PageRead {
            token: page.token,
            version: page.version,
        })
        .await
    }

    /// Waits for what the open watch brings.
    async fn read(&mut self) -> Input {
        let Some(open) = &mut self.open else {
            // Not reached: the session reads only what is open.
            return Input::Silent;
        };
        let patience = Duration::from_secs(u64::from(open.asked_seconds) + WATCH_SLACK_SECONDS);
        let line = tokio::time::timeout(patience, open.lines.next()).await;
        let ended = Input::Ended {
            asked_seconds: open.asked_seconds,
            lasted_seconds: u32::try_from(open.since.elapsed().as_secs()).unwrap_or(u32::MAX),
        };
        let line: BytesMut = match line {
            Ok(Ok(Line::Whole(line))) => line,
            Ok(Ok(Line::TooLong)) => {
                let reason = format!("a line of more than {WATCH_LINE_BYTES_MAX} bytes");
                return self.event(Event::Unreadable(Unreadable {
                    reason,
                    uid: None,
                    version: None,
                    deleted: false,
                    intact: false,
                }));
            }
            Ok(Ok(Line::End)) => return ended,
            Ok(Err(error)) => {
                tracing::info!(kind = %self.gvk, %error, "the watch broke off");
                return ended;
            }
            Err(_) => {
                self.count(|counters| counters.failures += 1);
                return Input::Silent;
            }
        };
        let event = self.decoder.event(&line);
        self.event(event)
    }

    fn event(&self, event: Event) -> Input {
        if let Event::Unreadable(unreadable) = &event {
            tracing::warn!(
                kind = %self.gvk, object = %unreadable.reason, intact = unreadable.intact,
                "an event cannot be read"
            );
        }
        self.count(|counters| match &event {
            Event::Applied(..) | Event::Deleted(..) => counters.events += 1,
            Event::Bookmark(_) => counters.bookmarks += 1,
            Event::Expired(_) => counters.expired += 1,
            Event::Error(_) => counters.failures += 1,
            Event::Unreadable(_) => counters.unreadable += 1,
        });
        Input::Event(event)
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

    fn count(&self, count: impl FnOnce(&mut super::status::WatchCounters)) {
        self.shared.status.count(&self.gvk, count);
    }
}
