//! From the thread that writes a trace to whoever receives it, in a bounded number of pieces.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes, BytesMut};
use futures::Stream;
use tokio::sync::mpsc;

use crate::limits::{EXPORT_CHUNK_BYTES, EXPORT_CHUNKS_QUEUED_MAX};

/// What goes through the channel.
enum Piece {
    Bytes(Bytes),
    /// The trace is whole.
    End,
    Failed(io::Error),
}

/// The two ends.
pub(super) fn trace_stream() -> (TraceWriter, TraceStream) {
    let (sender, receiver) = mpsc::channel(EXPORT_CHUNKS_QUEUED_MAX);
    let writer = TraceWriter {
        sender,
        chunk: BytesMut::new(),
        sent_bytes: 0,
    };
    (
        writer,
        TraceStream {
            receiver,
            over: false,
        },
    )
}

/// The sending end; blocks its thread while the receiver is slow. Nothing but [`TraceWriter::finish`] makes a whole
/// trace: a writer that is dropped, by a panic too, has failed.
pub(super) struct TraceWriter {
    sender: mpsc::Sender<Piece>,
    chunk: BytesMut,
    sent_bytes: u64,
}

impl TraceWriter {
    /// The trace is whole. Returns its length in bytes.
    ///
    /// # Errors
    /// When the receiver is gone.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        self.flush()?;
        self.send(Piece::End)?;
        Ok(self.sent_bytes)
    }

    /// The trace will not become whole.
    pub(super) fn fail(self, error: io::Error) {
        // A receiver that is gone needs no reason.
        let _ = self.send(Piece::Failed(error));
    }

    /// Sends bytes as they are, for those who write nothing.
    ///
    /// # Errors
    /// When the receiver is gone.
    pub(super) fn pass(&mut self, bytes: Bytes) -> io::Result<()> {
        let length = bytes.len() as u64;
        if length > 0 {
            self.send(Piece::Bytes(bytes))?;
        }
        self.sent_bytes = self.sent_bytes.saturating_add(length);
        Ok(())
    }

    /// Whether the receiver is gone.
    pub(super) fn is_abandoned(&self) -> bool {
        self.sender.is_closed()
    }

    fn send(&self, piece: Piece) -> io::Result<()> {
        self.sender
            .blocking_send(piece)
            .map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the receiver is gone"))
    }
}

impl Write for TraceWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.chunk.capacity() == 0 {
            self.chunk.reserve(EXPORT_CHUNK_BYTES);
        }
        let room = EXPORT_CHUNK_BYTES.saturating_sub(self.chunk.len());
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.chunk.put_slice(taken);
        if self.chunk.len() >= EXPORT_CHUNK_BYTES {
            self.flush()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::take(&mut self.chunk).freeze();
        self.pass(chunk)
    }
}

/// The receiving end: ends when the trace is whole, and with an error when it will not become so.
pub(super) struct TraceStream {
    receiver: mpsc::Receiver<Piece>,
    over: bool,
}

impl Stream for TraceStream {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        let piece = ready!(self.receiver.poll_recv(cx));
        self.over = !matches!(piece, Some(Piece::Bytes(_)));
        Poll::Ready(match piece {
            Some(Piece::Bytes(bytes)) => Some(Ok(bytes)),
            Some(Piece::End) => None,
            Some(Piece::Failed(error)) => Some(Err(error)),
            None => Some(Err(io::Error::other("the export stopped half-way"))),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    //! Guards against a trace that was cut off and looks whole: a replay would run half of it without a word.

    use super::*;
    use futures::StreamExt;

    async fn receive(mut stream: TraceStream) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(bytes) = stream.next().await {
            let bytes = bytes?;
            assert!(bytes.len() <= EXPORT_CHUNK_BYTES);
            all.extend_from_slice(&bytes);
        }
        Ok(all)
    }

    #[tokio::test]
    async fn what_is_written_arrives_in_order_and_whole() {
        let bytes: Vec<u8> = (0..3 * EXPORT_CHUNK_BYTES + 7).map(|n| n as u8).collect();
        let (mut writer, stream) = trace_stream();
        let expected = bytes.clone();
        let writing = tokio::task::spawn_blocking(move || {
            writer.write_all(&bytes).unwrap();
            writer.finish().unwrap()
        });
        assert!(receive(stream).await.unwrap() == expected);
        assert_eq!(writing.await.unwrap(), expected.len() as u64);
    }

    #[tokio::test]
    async fn a_writer_that_fails_or_vanishes_is_an_error_and_not_an_end() {
        for fail in [true, false] {
            let (mut writer, stream) = trace_stream();
            let writing = tokio::task::spawn_blocking(move || {
                writer.write_all(&[1; 2 * EXPORT_CHUNK_BYTES]).unwrap();
                if fail {
                    writer.fail(io::Error::other("damaged row"));
                }
            });
            let error = receive(stream).await.unwrap_err();
            let expected = if fail { "damaged row" } else { "half-way" };
            assert!(error.to_string().contains(expected), "{error}");
            writing.await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_writer_stops_when_its_receiver_is_gone() {
        let (mut writer, stream) = trace_stream();
        drop(stream);
        let written =
            tokio::task::spawn_blocking(move || writer.write_all(&[1; EXPORT_CHUNK_BYTES]));
        let error = written.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
