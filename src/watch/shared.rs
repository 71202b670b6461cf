//! What all watches, and the look-ups of owners, share.

use std::sync::{Arc, OnceLock};

use tokio::sync::watch::Sender;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::discover::Discovery;
use super::rest::Rest;
use super::server::Server;
use super::status::WatchStatus;
use crate::ingest::Queue;
use crate::limits::{LISTS_MAX, LISTS_SLOW_MAX};
use crate::model::Timestamp;
use crate::normalize::Redaction;

/// What all watches share.
pub(super) struct Shared {
    pub(super) server: Server,
    pub(super) discovery: Discovery,
    pub(super) queue: Queue,
    pub(super) status: Arc<WatchStatus>,
    pub(super) redaction: Redaction,
    pub(super) rest: Rest,
    /// Told when a watch of a built-in kind finds that the server's history was replaced. The other watches may stand at
    /// versions that both histories have, and would never find out (R16).
    pub(super) replaced: Sender<()>,
    /// When the first watch noticed that all shall stop.
    told_to_stop_at: OnceLock<Timestamp>,
    /// One permit for each page that may be fetched or held at once.
    pub(super) lists: Arc<Semaphore>,
    /// The same for kinds whose last page did not come in time: they do not take the others' places.
    lists_slow: Arc<Semaphore>,
}

impl Shared {
    pub(super) fn new(
        server: Server,
        queue: Queue,
        status: Arc<WatchStatus>,
        redaction: Redaction,
        rest: Rest,
    ) -> Arc<Self> {
        Arc::new(Self {
            discovery: Discovery::new(server.clone()),
            server,
            queue,
            status,
            redaction,
            rest,
            replaced: Sender::new(()),
            told_to_stop_at: OnceLock::new(),
            lists: Arc::new(Semaphore::new(LISTS_MAX)),
            lists_slow: Arc::new(Semaphore::new(LISTS_SLOW_MAX)),
        })
    }

    /// When all were told to stop. To be asked by those that were.
    pub(super) fn told_to_stop_at(&self) -> Timestamp {
        *self.told_to_stop_at.get_or_init(|| self.queue.now())
    }

    pub(super) async fn page_permit(&self, slow: bool) -> Option<OwnedSemaphorePermit> {
        let lane = if slow { &self.lists_slow } else { &self.lists };
        // Never closed.
        Arc::clone(lane).acquire_owned().await.ok()
    }
}
