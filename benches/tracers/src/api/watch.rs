//! Watches: what has happened behind a version, and what happens.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use hyper::StatusCode;
use serde_json::json;
use tokio::sync::watch::Receiver;
use tokio::time::Instant;

use super::request::Query;
use super::{Shared, json_body, status};
use crate::limits::{BOOKMARK_BEFORE_END, BOOKMARK_EVERY, WATCH_SECONDS};

pub(super) fn follow(shared: Arc<Shared>, collection: usize, query: &Query) -> Response {
    if query.says("sendInitialEvents") {
        let message =
            "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
        return status(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message);
    }
    let from = match query.text("resourceVersion") {
        None | Some("" | "0") => shared.content.version,
        Some(text) => match text.parse() {
            Ok(version) => version,
            Err(_) => {
                return status(
                    StatusCode::BAD_REQUEST,
                    "BadRequest",
                    "invalid resourceVersion",
                );
            }
        },
    };
    let events = &shared.content.events;
    let position = events.partition_point(|event| event.version <= from);
    let now = Instant::now();
    let seconds = query.number("timeoutSeconds").unwrap_or(WATCH_SECONDS);
    let end = now + Duration::from_secs(seconds);
    let last_bookmark_at = end - BOOKMARK_BEFORE_END.min(end - now);
    let bookmark_at = (now + BOOKMARK_EVERY).min(last_bookmark_at);
    shared.seen.watching(collection);
    let following = Following {
        happened: shared.happened.subscribe(),
        bookmark_at: query.says("allowWatchBookmarks").then_some(bookmark_at),
        last_bookmark_at,
        shared,
        collection,
        position,
        end,
    };
    let frames = futures::stream::unfold(following, |mut following| async move {
        let frame = following.next().await?;
        Some((Ok::<_, Infallible>(frame), following))
    });
    json_body(Body::from_stream(frames))
}

/// A watch under way.
struct Following {
    shared: Arc<Shared>,
    happened: Receiver<usize>,
    collection: usize,
    /// The next event to look at.
    position: usize,
    /// When the next bookmark is due; `None` where no more are.
    bookmark_at: Option<Instant>,
    last_bookmark_at: Instant,
    end: Instant,
}

impl Following {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let happened = *self.happened.borrow_and_update();
            while self.position < happened {
                let event = &self.shared.content.events[self.position];
                self.position += 1;
                if event.collection == self.collection {
                    let line = event.line.clone();
                    self.shared.seen.delivered(self.collection);
                    return Some(line);
                }
            }
            let until = self.bookmark_at.unwrap_or(self.end);
            tokio::select! {
                changed = self.happened.changed() => changed.ok()?,
                () = tokio::time::sleep_until(until) => {
                    let due = self.bookmark_at.take()?;
                    if due < self.last_bookmark_at {
                        self.bookmark_at = Some((due + BOOKMARK_EVERY).min(self.last_bookmark_at));
                    }
                    return Some(self.bookmark());
                }
            }
        }
    }

    fn bookmark(&self) -> Bytes {
        let content = &self.shared.content;
        let last = self.position.checked_sub(1);
        let last = last.and_then(|last| content.events.get(last));
        let version = last.map_or(content.version, |event| event.version);
        let gvk = &content.collections[self.collection].served.gvk;
        let bookmark = json!({"type": "BOOKMARK", "object": {
            "kind": gvk.kind, "apiVersion": gvk.api_version(),
            "metadata": {"resourceVersion": version.to_string(), "creationTimestamp": null},
        }});
        Bytes::from(format!("{bookmark}\n"))
    }
}
