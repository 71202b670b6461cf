//! What can be asked for.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use http::StatusCode;

use super::access::{Access, guard};
use super::backup::{BackupSlots, backup};
use super::export::export;
use super::export_slots::ExportSlots;
use super::health;
use super::metrics::metrics;
use super::refusal::Refusal;
use super::status::RecorderStatus;
use crate::export::sink::{StorageLocation, StorageOptions};
use crate::limits::HTTP_REQUEST_BYTES_MAX;
use crate::store::Reader;

/// What every request can see.
pub(super) struct App {
    pub(super) reader: Reader,
    pub(super) recorder: Arc<dyn RecorderStatus>,
    pub(super) slots: ExportSlots,
    pub(super) backups: BackupSlots,
    /// Where backups are made before they are sent.
    pub(super) temp_dir: PathBuf,
    pub(super) access: Access,
    pub(super) allowed: Vec<StorageLocation>,
    pub(super) storage: StorageOptions,
    pub(super) request_timeout: Duration,
}

impl App {
    /// Whether the operator allowed exports to this place.
    pub(super) fn allows(&self, location: &StorageLocation) -> bool {
        self.allowed
            .iter()
            .any(|allowed| location.is_within(allowed))
    }
}

pub(super) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/export", post(export))
        .route("/backup", get(backup))
        .route("/healthz", get(health::live))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics))
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(HTTP_REQUEST_BYTES_MAX))
        .layer(from_fn_with_state(Arc::clone(&app), guard))
        .with_state(app)
}

async fn unknown() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "there is POST /export, and GET /backup, /healthz, /livez, /readyz and /metrics",
    )
}
