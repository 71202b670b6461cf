//! A connection that is given up when its client takes nothing for too long.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Fails a write that has been waiting for the client for `stall`. What a slow client does take, however little,
/// starts the wait anew. Reading waits as long as it likes: hyper bounds that.
pub(super) struct PacedIo<T> {
    io: T,
    stall: Duration,
    deadline: Pin<Box<Sleep>>,
    /// A write is waiting; the deadline counts.
    waiting: bool,
}

impl<T> PacedIo<T> {
    pub(super) fn new(io: T, stall: Duration) -> Self {
        Self {
            io,
            stall,
            deadline: Box::pin(tokio::time::sleep(stall)),
            waiting: false,
        }
    }

    /// Passes on what a write said, and keeps the deadline while it says nothing.
    fn paced<R>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        if written.is_ready() {
            self.waiting = false;
            return written;
        }
        if !self.waiting {
            self.waiting = true;
            self.deadline.as_mut().reset(Instant::now() + self.stall);
        }
        match self.deadline.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the client takes nothing",
            ))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for PacedIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for PacedIo<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.paced(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.paced(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.paced(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.io).poll_shutdown(cx);
        self.paced(cx, shut)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    //! Guards against a client that asks for an export and never reads it: it would hold one of few places for ever.

    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_given_up_after_the_stall() {
        let (server, _client) = tokio::io::duplex(4);
        let mut server = PacedIo::new(server, Duration::from_secs(10));
        let began = Instant::now();
        let error = server.write_all(b"more than four").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_client_is_waited_for() {
        let (server, mut client) = tokio::io::duplex(1);
        let mut server = PacedIo::new(server, Duration::from_secs(10));
        let reading = tokio::spawn(async move {
            let mut taken = Vec::new();
            for _ in 0..12 {
                tokio::time::sleep(Duration::from_secs(9)).await;
                taken.push(client.read_u8().await.unwrap());
            }
            taken
        });
        server.write_all(b"hello, world").await.unwrap();
        assert_eq!(reading.await.unwrap(), b"hello, world");
    }
}
