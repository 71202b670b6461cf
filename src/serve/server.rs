//! The server: an address, and the connections to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::access::Access;
use super::backup::BackupSlots;
use super::connection::{self, Patience};
use super::error::ServeError;
use super::export_slots::ExportSlots;
use super::options::ServeOptions;
use super::routes::{App, router};
use super::status::RecorderStatus;
use crate::export::sink::{InvalidLocation, StorageLocation};
use crate::limits::{HTTP_ACCEPT_RETRY_MS, STORAGE_ABORT_SECONDS_MAX};
use crate::store::Reader;

/// A server that has its address and does not answer yet.
///
/// ```no_run
/// # use std::sync::Arc;
/// # use sk_tracedb::Reader;
/// # use sk_tracedb::serve::{RecorderStatus, ServeError, ServeOptions, Server};
/// # async fn example(reader: Reader, recorder: Arc<dyn RecorderStatus>) -> Result<(), ServeError> {
/// let server = Server::bind(ServeOptions::new(([127, 0, 0, 1], 7777).into())).await?;
/// let (stop, stopped) = tokio::sync::watch::channel(false);
/// tokio::spawn(async move {
///     let _ = tokio::signal::ctrl_c().await;
///     let _ = stop.send(true);
/// });
/// server.run(reader, recorder, stopped).await;
/// # Ok(())
/// # }
/// ```
pub struct Server {
    listener: TcpListener,
    local_addr: SocketAddr,
    options: ServeOptions,
    access: Access,
    allowed: Vec<StorageLocation>,
}

/// Binds and runs, in one.
///
/// # Errors
/// As [`Server::bind`].
pub async fn serve(
    options: ServeOptions,
    reader: Reader,
    recorder: Arc<dyn RecorderStatus>,
    stop: watch::Receiver<bool>,
) -> Result<(), ServeError> {
    Server::bind(options)
        .await?
        .run(reader, recorder, stop)
        .await;
    Ok(())
}

impl Server {
    /// Checks the options and takes the address: from here on connections wait to be answered.
    ///
    /// # Errors
    /// [`ServeError`]: an address that is taken, an unusable token, an allowed location that is none.
    pub async fn bind(options: ServeOptions) -> Result<Self, ServeError> {
        let access = Access::new(options.token.as_deref())?;
        let allowed = options
            .allowed_export_locations
            .iter()
            .map(|url| {
                StorageLocation::parse(url.as_str())?.ok_or_else(|| InvalidLocation {
                    text: url.to_string(),
                    reason: "expected s3://, gs:// or az://".to_owned(),
                })
            })
            .collect::<Result<_, _>>()?;
        let failed = |source| ServeError::Bind {
            address: options.bind,
            source,
        };
        let listener = TcpListener::bind(options.bind).await.map_err(failed)?;
        let local_addr = listener.local_addr().map_err(failed)?;
        Ok(Self {
            listener,
            local_addr,
            options,
            access,
            allowed,
        })
    }

    /// The address, with the port that the system chose where 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Answers until `stop` becomes true or its sender is gone. Then no connection is accepted any more, requests under
    /// way get [`ServeOptions::grace`] to finish, and what is left is cut: an export that is cut is seen as broken by
    /// its client, and an upload that is cut is aborted.
    pub async fn run(
        self,
        reader: Reader,
        recorder: Arc<dyn RecorderStatus>,
        mut stop: watch::Receiver<bool>,
    ) {
        let options = self.options;
        let app = Arc::new(App {
            reader,
            recorder,
            slots: ExportSlots::new(options.exports_max),
            backups: BackupSlots::new(),
            temp_dir: options.temp_dir,
            access: self.access,
            allowed: self.allowed,
            storage: options.storage,
            request_timeout: options.request_timeout,
        });
        let router = router(Arc::clone(&app));
        let patience = Patience {
            head: options.head_timeout,
            stall: options.stall_timeout,
        };
        let places = Arc::new(Semaphore::new(options.connections_max.max(1)));
        let mut connections = JoinSet::new();
        tracing::info!(address = %self.local_addr, "serving HTTP");
        loop {
            let (stream, place) = tokio::select! {
                biased;
                () = connection::stopped(&mut stop) => break,
                Some(_) = connections.join_next() => continue,
                accepted = accept(&self.listener, &places) => accepted,
            };
            let answering = connection::answer(stream, router.clone(), patience, stop.clone());
            connections.spawn(async move {
                answering.await;
                drop(place);
            });
        }
        drop(self.listener);
        close(connections, &app.slots, options.grace).await;
    }
}

/// The next connection, once there is a place for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed.
    let place = Arc::clone(places).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // A socket without this option is only slower.
                let _ = stream.set_nodelay(true);
                return (stream, place);
            }
            Err(error) => {
                // Out of file descriptors, or a client that was gone at once: neither ends the server.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(HTTP_ACCEPT_RETRY_MS)).await;
            }
        }
    }
}

async fn close(mut connections: JoinSet<()>, exports: &ExportSlots, grace: Duration) {
    let finished = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(grace, finished).await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            grace_seconds = grace.as_secs(),
            "requests did not finish in time and are cut"
        );
        connections.shutdown().await;
    }
    // Uploads that were cut are being aborted; a thread that reads the store notices at its next piece.
    if !exports
        .drained(Duration::from_secs(STORAGE_ABORT_SECONDS_MAX))
        .await
    {
        tracing::warn!("an export did not stop in time");
    }
}
