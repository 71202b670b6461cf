//! One connection, and what it may hold on to.

use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::paced_io::PacedIo;
use crate::limits::HTTP_HEAD_BYTES_MAX;

/// How patient a connection is.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// With a request's head; with silence between requests, too.
    pub(super) head: Duration,
    /// With a client that takes nothing.
    pub(super) stall: Duration,
}

/// Answers the requests of one connection until its client closes it, it takes too long, or the server stops: then the
/// request under way is finished, and no other is taken.
pub(super) async fn answer(
    stream: TcpStream,
    router: Router,
    patience: Patience,
    mut stop: watch::Receiver<bool>,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .max_buf_size(HTTP_HEAD_BYTES_MAX)
        .serve_connection(
            TokioIo::new(PacedIo::new(stream, patience.stall)),
            TowerToHyperService::new(router),
        );
    let mut connection = pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "connection ended");
    }
}

/// Waits for the stop. A sender that is gone stops the server, too.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
