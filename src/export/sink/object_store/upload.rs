//! One object on its way to a provider: a request of its own where it is smaller than a part, a multipart upload otherwise.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ::object_store::{Error, MultipartUpload, ObjectStore, ObjectStoreExt, PutPayloadMut};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::task::JoinSet;

use super::{StorageError, StorageLocation};
use crate::limits::{STORAGE_ABORT_SECONDS_MAX, STORAGE_PART_BYTES, STORAGE_PARTS_UNDER_WAY_MAX};

/// One object on its way.
pub(super) struct Upload<'a> {
    location: &'a StorageLocation,
    store: Arc<dyn ObjectStore>,
    /// Begun with the first full part, gone when it is completed.
    multipart: Option<Box<dyn MultipartUpload>>,
    parts: JoinSet<::object_store::Result<()>>,
    /// Less than one part, between calls.
    buffer: PutPayloadMut,
    bytes: u64,
}

impl<'a> Upload<'a> {
    pub(super) fn new(location: &'a StorageLocation, store: Arc<dyn ObjectStore>) -> Self {
        Self {
            location,
            store,
            multipart: None,
            parts: JoinSet::new(),
            buffer: PutPayloadMut::new(),
            bytes: 0,
        }
    }

    /// Length of what was handed over, bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Sends the content. `cancelled` is heeded where waiting can be long. A request that begins or completes an upload is never left
    /// alone half-way: its answer says what there is to abort.
    pub(super) async fn run<S, C>(
        &mut self,
        mut content: S,
        mut cancelled: Pin<&mut C>,
    ) -> Result<(), StorageError>
    where
        S: Stream<Item = io::Result<Bytes>> + Unpin,
        C: Future<Output = ()>,
    {
        let location = self.location;
        loop {
            let bytes = tokio::select! {
                biased;
                () = cancelled.as_mut() => return Err(StorageError::Cancelled),
                bytes = content.next() => bytes,
            };
            let Some(bytes) = bytes else { break };
            let mut bytes = bytes.map_err(StorageError::Content)?;
            self.bytes = self.bytes.saturating_add(bytes.len() as u64);
            // All parts but the last have the same size: some providers ask for that.
            while !bytes.is_empty() {
                let room = STORAGE_PART_BYTES.saturating_sub(self.buffer.content_length());
                self.buffer.push(bytes.split_to(room.min(bytes.len())));
                if self.buffer.content_length() < STORAGE_PART_BYTES {
                    break;
                }
                tokio::select! {
                    biased;
                    () = cancelled.as_mut() => return Err(StorageError::Cancelled),
                    waited = self.wait_for_parts(STORAGE_PARTS_UNDER_WAY_MAX - 1) => waited,
                }
                .map_err(|error| location.failed(error))?;
                self.send_part()
                    .await
                    .map_err(|error| location.failed(error))?;
            }
        }
        self.complete()
            .await
            .map_err(|error| location.failed(error))
    }

    async fn send_part(&mut self) -> ::object_store::Result<()> {
        let multipart = match &mut self.multipart {
            Some(multipart) => multipart,
            none => none.insert(self.store.put_multipart(&self.location.path).await?),
        };
        let part = std::mem::take(&mut self.buffer).freeze();
        self.parts.spawn(multipart.put_part(part));
        Ok(())
    }

    /// Waits until no more than so many parts are under way.
    async fn wait_for_parts(&mut self, under_way_max: usize) -> ::object_store::Result<()> {
        while self.parts.len() > under_way_max {
            match self.parts.join_next().await {
                Some(Ok(sent)) => sent?,
                Some(Err(source)) => return Err(Error::JoinError { source }),
                None => break,
            }
        }
        Ok(())
    }

    async fn complete(&mut self) -> ::object_store::Result<()> {
        if self.multipart.is_none() {
            let whole = std::mem::take(&mut self.buffer).freeze();
            self.store.put(&self.location.path, whole).await?;
            return Ok(());
        }
        if !self.buffer.is_empty() {
            self.send_part().await?;
        }
        self.wait_for_parts(0).await?;
        if let Some(multipart) = &mut self.multipart {
            multipart.complete().await?;
        }
        self.multipart = None;
        Ok(())
    }

    /// Leaves nothing behind, as far as the provider can still be reached.
    pub(super) async fn abort(&mut self) {
        self.parts.shutdown().await;
        let Some(mut multipart) = self.multipart.take() else {
            return;
        };
        let deadline = Duration::from_secs(STORAGE_ABORT_SECONDS_MAX);
        let reason = match tokio::time::timeout(deadline, multipart.abort()).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer in {STORAGE_ABORT_SECONDS_MAX} s"),
        };
        tracing::warn!(
            location = %self.location, reason,
            "an unfinished upload could not be aborted; its parts stay until the bucket's lifecycle rules remove them"
        );
    }
}
