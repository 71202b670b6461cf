//! The next page of a list, fetched while the one before it is handed over: the server works on it meanwhile.

use bytes::BytesMut;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

use super::list::page_path;
use super::server::{OBJECTS, RequestError, Server};
use crate::limits::{LIST_PAGE_BYTES_MAX, LIST_PAGE_SECONDS_MAX};

/// What came of a request for a page.
pub(super) type Fetched = Result<BytesMut, RequestError>;

/// Fetches one page of a list into the memory of an earlier one.
pub(super) async fn fetch(
    spare: BytesMut,
    server: &Server,
    collection: &str,
    limit: u32,
    token: Option<&str>,
) -> Fetched {
    let path = page_path(collection, limit, token);
    server
        .fetch_into(
            spare,
            &path,
            OBJECTS,
            LIST_PAGE_BYTES_MAX,
            LIST_PAGE_SECONDS_MAX,
        )
        .await
}

/// A page on its way. Dropped, it is not fetched any further, and gives its permit back.
pub(super) struct Ahead {
    token: String,
    limit: u32,
    fetching: JoinHandle<(OwnedSemaphorePermit, Fetched)>,
}

impl Ahead {
    /// Begins to fetch the page at `token`. `permit` is its place among the pages that may be held at once.
    pub(super) fn begin(
        permit: OwnedSemaphorePermit,
        spare: BytesMut,
        server: Server,
        collection: String,
        limit: u32,
        token: String,
    ) -> Self {
        let from = token.clone();
        let fetching = tokio::spawn(async move {
            let fetched = fetch(spare, &server, &collection, limit, Some(&from)).await;
            (permit, fetched)
        });
        Self {
            token,
            limit,
            fetching,
        }
    }

    /// The page, if it is the one asked for; `None` also where the fetching has crashed.
    pub(super) async fn page(
        mut self,
        limit: u32,
        token: Option<&str>,
    ) -> Option<(OwnedSemaphorePermit, Fetched)> {
        if token != Some(self.token.as_str()) || limit != self.limit {
            return None;
        }
        (&mut self.fetching).await.ok()
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.fetching.abort();
    }
}
