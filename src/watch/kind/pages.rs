//! Lists: the server's current version, and page after page.

use std::sync::Arc;

use bytes::BytesMut;
use serde_json::value::RawValue;

use super::Kind;
use crate::ingest::QueueClosed;
use crate::limits::{LIST_PAGE_BYTES_MAX, LIST_SPARE_BYTES_MAX};
use crate::watch::ahead::{self, Ahead};
use crate::watch::list::{Page, page_path};
use crate::watch::server::{METADATA_LIST, RequestError};
use crate::watch::session::Input;

impl Kind {
    pub(super) async fn current_version(&mut self) -> Result<String, RequestError> {
        let path = page_path(&self.collection(), 1, None);
        let bytes = self
            .shared
            .server
            .fetch_small(&path, METADATA_LIST, LIST_PAGE_BYTES_MAX)
            .await?;
        Ok(Page::<&RawValue>::read(&bytes)?.version)
    }

    /// Fetches a page and hands its items over one by one: no more than the page is ever held.
    pub(super) async fn page(
        &mut self,
        token: Option<&str>,
        limit: u32,
    ) -> Result<(), QueueClosed> {
        let shared = Arc::clone(&self.shared);
        let come = match self.ahead.take() {
            Some(ahead) => ahead.page(limit, token).await,
            None => None,
        };
        let (_permit, fetched) = match come {
            Some((permit, fetched)) => (Some(permit), fetched),
            None => {
                // Others may hold all places for long.
                self.spare = BytesMut::new();
                let permit = shared.page_permit(self.slow).await;
                let (server, collection) = (&shared.server, self.collection());
                let spare = BytesMut::new();
                let fetched = ahead::fetch(spare, server, &collection, limit, token).await;
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
        let page = match self.decoder.page(&bytes) {
            Ok(page) => page,
            Err(error) => {
                let input = self.failed("listing", &error);
                return self.tell(input).await;
            }
        };
        let spare = std::mem::take(&mut self.spare);
        // Only where a place is free that nobody waits for.
        if let Some(next) = &page.token
            && page.token.as_deref() != token
            && let Ok(permit) = Arc::clone(&shared.lists).try_acquire_owned()
        {
            let (server, collection) = (shared.server.clone(), self.collection());
            let next = next.clone();
            self.ahead = Some(Ahead::begin(permit, spare, server, collection, limit, next));
        } else {
            drop(spare);
        }
        self.count(|counters| counters.items += page.items.len() as u64);
        let Page {
            items,
            token,
            version,
        } = page;
        for item in items {
            let item = self.decoder.listed(&item);
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
        if bytes.capacity() <= LIST_SPARE_BYTES_MAX {
            self.spare = bytes;
        }
        self.tell(Input::PageRead { token, version }).await
    }
}
