//! Lists: the server's current version, and page after page.

use std::sync::Arc;

use super::Kind;
use crate::ingest::QueueClosed;
use crate::limits::{LIST_PAGE_BYTES_MAX, LIST_PAGE_SECONDS_MAX};
use crate::watch::decode;
use crate::watch::list::{Page, page_path};
use crate::watch::server::{METADATA_LIST, OBJECTS, RequestError};
use crate::watch::session::Input;

impl Kind {
    pub(super) async fn current_version(&mut self) -> Result<String, RequestError> {
        let path = page_path(&self.collection(), 1, None);
        let bytes = self
            .shared
            .server
            .fetch_small(&path, METADATA_LIST, LIST_PAGE_BYTES_MAX)
            .await?;
        Ok(Page::read(&bytes)?.version)
    }

    /// Fetches a page and hands its items over one by one: no more than the page is ever held.
    pub(super) async fn page(
        &mut self,
        token: Option<&str>,
        limit: u32,
    ) -> Result<(), QueueClosed> {
        let shared = Arc::clone(&self.shared);
        let _permit = shared.page_permit(self.slow).await;
        let path = page_path(&self.collection(), limit, token);
        let fetched = shared
            .server
            .fetch(&path, OBJECTS, LIST_PAGE_BYTES_MAX, LIST_PAGE_SECONDS_MAX)
            .await;
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
        for json in &page.items {
            let item = decode::listed(
                &self.gvk,
                self.tracked.as_ref(),
                &shared.redaction,
                json.get().as_bytes(),
            );
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
}
