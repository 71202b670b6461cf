//! A body as lines, however its frames cut them.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kube::client::Body;
use tokio::time::timeout;

use super::rest::Rest;
use super::server::{RequestError, next_chunk};
use crate::limits::WATCH_QUIET_MS;

/// What comes next in a stream of lines.
#[derive(Debug)]
pub(super) enum Line {
    /// A complete line, without its end.
    Whole(BytesMut),
    /// A line longer than the bound. The stream is of no use behind it.
    TooLong,
    /// The body has ended. Anything behind the last line end was cut off, and is dropped.
    End,
}

/// Splits a body into lines. Holds at most one line and one frame.
pub(super) struct Lines {
    body: Body,
    buffer: BytesMut,
    /// The bytes at the start of `buffer` in which there is no line end.
    searched: usize,
    bytes_max: usize,
    /// Whether frames have come since the last rest.
    has_read: bool,
    /// Whether each frame is read as it comes.
    at_once: bool,
}

impl Lines {
    /// The lines of a body, of at most so many bytes each.
    pub(super) fn new(body: Body, bytes_max: usize) -> Self {
        Self {
            body,
            buffer: BytesMut::new(),
            searched: 0,
            bytes_max,
            has_read: false,
            at_once: false,
        }
    }

    /// From now on, nothing is left to gather.
    pub(super) fn read_at_once(&mut self) {
        self.at_once = true;
    }

    /// Whether all that was read has been handed out, and no part of a line is left.
    pub(super) fn is_between_lines(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The next frame. When none has come for a moment, the next ones are left to gather: to wake for each change of a hundred
    /// in a second costs more than reading it.
    async fn frame(&mut self, rest: &Rest) -> Result<Option<Bytes>, RequestError> {
        if self.at_once {
            return next_chunk(&mut self.body).await;
        }
        if self.has_read {
            let quiet = Duration::from_millis(WATCH_QUIET_MS);
            if let Ok(frame) = timeout(quiet, next_chunk(&mut self.body)).await {
                return frame;
            }
        }
        // Not before: a flood has to be read, and of watches that have read something the last one to be quiet sleeps for all.
        let _waits = rest.wait();
        if self.has_read {
            rest.take().await;
            self.has_read = false;
        }
        let frame = next_chunk(&mut self.body).await;
        self.has_read = true;
        frame
    }

    /// The next line that is not empty. Cancelling this loses nothing.
    pub(super) async fn next(&mut self, rest: &Rest) -> Result<Line, RequestError> {
        loop {
            let fresh = self.buffer.get(self.searched..).unwrap_or_default();
            match fresh.iter().position(|byte| *byte == b'\n') {
                Some(offset) => {
                    let end = self.searched + offset;
                    let mut line = self.buffer.split_to(end + 1);
                    line.truncate(end);
                    self.searched = 0;
                    if line.len() > self.bytes_max {
                        return Ok(Line::TooLong);
                    }
                    if !line.iter().all(u8::is_ascii_whitespace) {
                        return Ok(Line::Whole(line));
                    }
                }
                None => {
                    self.searched = self.buffer.len();
                    if self.searched > self.bytes_max {
                        return Ok(Line::TooLong);
                    }
                    match self.frame(rest).await? {
                        Some(frame) => self.buffer.extend_from_slice(&frame),
                        None => return Ok(Line::End),
                    }
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    //! Guards against events lost or joined where a frame ends in the middle of a line.

    use std::sync::{Arc, Mutex};

    use futures::{Stream, StreamExt};
    use tokio::time::{Instant, sleep_until};

    use super::*;

    async fn open(
        frames: impl Stream<Item = std::io::Result<Vec<u8>>> + Send + 'static,
        bytes_max: usize,
    ) -> Lines {
        let body = Arc::new(Mutex::new(Some(axum::body::Body::from_stream(frames))));
        let client = kube::Client::new(
            tower::service_fn(move |_| {
                let body = body.lock().unwrap().take().unwrap();
                async move { Ok::<_, std::io::Error>(http::Response::new(body)) }
            }),
            "default",
        );
        let server = super::super::server::Server::new(client);
        let body = server.open("/x", super::super::server::OBJECTS, 1).await;
        Lines::new(body.unwrap(), bytes_max)
    }

    async fn lines_of(frames: Vec<Vec<u8>>, bytes_max: usize) -> Vec<String> {
        let frames = futures::stream::iter(frames.into_iter().map(Ok));
        let mut lines = open(frames, bytes_max).await;
        let rest = Rest::new(false);
        let mut found = Vec::new();
        loop {
            match lines.next(&rest).await.unwrap() {
                Line::Whole(line) => found.push(String::from_utf8(line.to_vec()).unwrap()),
                Line::TooLong => {
                    found.push("TOO LONG".into());
                    return found;
                }
                Line::End => return found,
            }
        }
    }

    #[tokio::test]
    async fn frames_may_cut_lines_anywhere() {
        let text = "first\nsecond \u{e4}\u{1F600}\n\r\n\nthird\ncut off".as_bytes();
        for size in 1..text.len() {
            let frames = text.chunks(size).map(<[u8]>::to_vec).collect();
            assert_eq!(
                lines_of(frames, 100).await,
                ["first", "second \u{e4}\u{1F600}", "third"],
                "frames of {size}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn lines_that_come_seldom_are_read_together_and_a_flood_at_once() {
        let began = Instant::now();
        let at = move |ms: u64| began + Duration::from_millis(ms);
        // Five in a row, a pause, two, and many that follow each other closely.
        let times = [0, 10, 20, 30, 40, 300, 310].into_iter().chain(400..500);
        let frames = futures::stream::iter(times).then(move |ms| async move {
            sleep_until(at(ms)).await;
            Ok(format!("{ms}\n").into_bytes())
        });
        let mut lines = open(frames, 100).await;
        let rest = Rest::new(false);
        let mut late = Vec::new();
        while let Line::Whole(line) = lines.next(&rest).await.unwrap() {
            let sent: u64 = std::str::from_utf8(&line).unwrap().parse().unwrap();
            late.push(at(sent).elapsed().as_millis());
        }
        assert_eq!(late.get(..7).unwrap(), [0, 90, 80, 70, 60, 0, 90]);
        assert!(late.iter().skip(7).all(|ms| *ms == 0), "{late:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_is_not_idle_before_nothing_has_come_for_a_moment() {
        let rest = Rest::new(false);
        let _member = rest.join();
        let frames = futures::stream::iter([Ok(b"line\n".to_vec())]);
        let mut lines = open(frames.chain(futures::stream::pending()), 100).await;
        assert!(matches!(lines.next(&rest).await, Ok(Line::Whole(_))));
        assert!(!rest.all_wait(), "it has a line to hand over");
        let mut next = std::pin::pin!(lines.next(&rest));
        for (wait_ms, is_idle) in [(1, false), (2 * WATCH_QUIET_MS, true), (1_000, true)] {
            let wait = timeout(Duration::from_millis(wait_ms), &mut next).await;
            assert!(wait.is_err());
            assert_eq!(rest.all_wait(), is_idle, "after another {wait_ms} ms");
        }
    }

    #[tokio::test]
    async fn a_line_beyond_the_bound_is_not_collected() {
        let endless = vec![b"ok\n".to_vec(), vec![b'x'; 60], vec![b'x'; 60]];
        assert_eq!(lines_of(endless, 100).await, ["ok", "TOO LONG"]);
        let at_once = vec![[vec![b'x'; 101], b"\nok\n".to_vec()].concat()];
        assert_eq!(lines_of(at_once, 100).await, ["TOO LONG"]);
        let just = vec![[vec![b'x'; 100], b"\n".to_vec()].concat()];
        assert_eq!(lines_of(just, 100).await, ["x".repeat(100)]);
    }
}
