//! A body as lines, however its frames cut them.

use bytes::BytesMut;
use kube::client::Body;

use super::server::{RequestError, next_chunk};

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
}

impl Lines {
    /// The lines of a body, of at most so many bytes each.
    pub(super) fn new(body: Body, bytes_max: usize) -> Self {
        Self {
            body,
            buffer: BytesMut::new(),
            searched: 0,
            bytes_max,
        }
    }

    /// The next line that is not empty. Cancelling this loses nothing.
    pub(super) async fn next(&mut self) -> Result<Line, RequestError> {
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
                    match next_chunk(&mut self.body).await? {
                        Some(chunk) => self.buffer.extend_from_slice(&chunk),
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

    use super::*;

    async fn lines_of(frames: Vec<Vec<u8>>, bytes_max: usize) -> Vec<String> {
        let stream = futures::stream::iter(frames.into_iter().map(Ok::<_, std::io::Error>));
        let client = kube::Client::new(
            tower::service_fn(move |_| {
                let body = axum::body::Body::from_stream(stream.clone());
                async move { Ok::<_, std::io::Error>(http::Response::new(body)) }
            }),
            "default",
        );
        let server = super::super::server::Server::new(client);
        let body = server.open("/x", super::super::server::OBJECTS, 1).await;
        let mut lines = Lines::new(body.unwrap(), bytes_max);
        let mut found = Vec::new();
        loop {
            match lines.next().await.unwrap() {
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
