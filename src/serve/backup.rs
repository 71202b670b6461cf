//! `GET /backup`: a copy of the store, made and checked in a temporary file, then sent.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::refusal::{Refusal, with_causes};
use super::routes::App;
use super::trace_stream::{TraceWriter, trace_stream};
use crate::clock::{Clock, WallClock};
use crate::limits::HTTP_BACKUPS_MAX;
use crate::store::{Backup, BackupSummary, StoreError};

/// How many backups may be under way, and how they went.
pub(super) struct BackupSlots {
    free: Arc<Semaphore>,
    pub(super) completed: AtomicU64,
    pub(super) failed: AtomicU64,
    /// How long the last one kept pages of the live file from being reused, milliseconds.
    pub(super) pinned_ms: AtomicU64,
}

impl BackupSlots {
    pub(super) fn new() -> Self {
        Self {
            free: Arc::new(Semaphore::new(HTTP_BACKUPS_MAX)),
            completed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            pinned_ms: AtomicU64::new(0),
        }
    }
}

pub(super) async fn backup(State(app): State<Arc<App>>) -> Result<Response, Refusal> {
    let place = Arc::clone(&app.backups.free)
        .try_acquire_owned()
        .map_err(|_| {
            Refusal::for_now(
                StatusCode::TOO_MANY_REQUESTS,
                "another backup is under way; try again when it is done",
            )
        })?;
    let (made, making) = oneshot::channel();
    let (out, stream) = trace_stream();
    let abandoned = Arc::new(AtomicBool::new(false));
    // Dropped with this future, when the client goes away before the copy is made.
    let _present = Present(Arc::clone(&abandoned));
    let work = Work {
        app,
        out,
        abandoned,
        place,
    };
    tokio::task::spawn_blocking(move || work.run(made));
    let summary = match making.await {
        Ok(Ok(summary)) => summary,
        Ok(Err(error)) => return Err(Refusal::internal(with_causes(&error))),
        Err(_) => {
            return Err(Refusal::internal(
                "the backup stopped without a reason; this is a bug",
            ));
        }
    };
    let mut response = Body::from_stream(stream).into_response();
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(CONTENT_LENGTH, HeaderValue::from(summary.bytes));
    let name = format!(
        "attachment; filename=\"sk-tracedb-{}.redb\"",
        summary.provenance.at.as_seconds()
    );
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// Says when it is dropped.
struct Present(Arc<AtomicBool>);

impl Drop for Present {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// One backup on its thread.
struct Work {
    app: Arc<App>,
    out: TraceWriter,
    abandoned: Arc<AtomicBool>,
    place: OwnedSemaphorePermit,
}

impl Work {
    fn run(self, made: oneshot::Sender<Result<BackupSummary, StoreError>>) {
        let Self {
            app,
            mut out,
            abandoned,
            place,
        } = self;
        let backup = Backup::make(&app.reader, &app.temp_dir, WallClock.now(), &mut |_| {
            !abandoned.load(Ordering::SeqCst)
        });
        let backup = match backup {
            Ok(backup) => backup,
            Err(error) => {
                if !matches!(error, StoreError::Stopped) {
                    app.backups.failed.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(error = with_causes(&error), "backup failed");
                }
                // Nobody left to tell is no further error.
                let _ = made.send(Err(error));
                return;
            }
        };
        let summary = backup.summary().clone();
        let pinned_ms = u64::try_from(summary.pinned_for.as_millis()).unwrap_or(u64::MAX);
        app.backups.pinned_ms.store(pinned_ms, Ordering::Relaxed);
        tracing::info!(
            bytes = summary.bytes,
            rows = summary.rows,
            pinned_ms,
            "backup made"
        );
        if made.send(Ok(summary)).is_err() {
            return;
        }
        let sent = backup
            .into_file()
            .map_err(io::Error::other)
            .and_then(|mut file| io::copy(&mut file, &mut out));
        match sent {
            Ok(_) => {
                if out.finish().is_ok() {
                    app.backups.completed.fetch_add(1, Ordering::Relaxed);
                }
            }
            Err(error) => {
                tracing::info!(%error, "backup given up");
                out.fail(error);
            }
        }
        drop(place);
    }
}
