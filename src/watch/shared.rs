//! What all watches, and the look-ups of owners, share.

use std::sync::Arc;

use tokio::sync::watch::Sender;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::discover::Discovery;
use super::server::Server;
use super::status::WatchStatus;
use crate::ingest::Queue;
use crate::limits::{LISTS_MAX, LISTS_SLOW_MAX};
use crate::normalize::Redaction;

/// What all watches share.
pub(super) struct Shared {
    pub(super) server: Server,
    pub(super) discovery: Discovery,
    pub(super) queue: Queue,
    pub(super) status: Arc<WatchStatus>,
    pub(super) redaction: Redaction,
    /// Told when a watch of a built-in kind finds that the server's history was replaced. The other watches may stand at
    /// versions that both histories have, and would never find out (R16).
    pub(super) replaced: Sender<()>,
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

    pub(super) async fn page_permit(&self, slow: bool) -> Option<OwnedSemaphorePermit> {
        let lane = if slow { &self.lists_slow } else { &self.lists };
        // Never closed.
        Arc::clone(lane).acquire_owned().await.ok()
    }
}
