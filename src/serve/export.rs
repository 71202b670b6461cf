//! `POST /export`.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode, Version};
use tokio::sync::oneshot;

use super::export_request::{self, Target, WantedExport};
use super::export_slots::{ExportSlot, Outcome};
use super::export_warnings;
use super::refusal::{Refusal, with_causes};
use super::routes::App;
use super::trace_stream::{TraceStream, TraceWriter, trace_stream};
use crate::export::sink::{StorageError, StorageLocation};
use crate::export::{ExportError, ExportRequest, ExportSummary, PreparedExport};
use crate::store::Reader;

pub(super) async fn export(State(app): State<Arc<App>>, request: Request) -> Response {
    match answer(&app, request).await {
        Ok(response) => response,
        Err(refusal) => {
            tracing::warn!(status = refusal.status.as_u16(), reason = %refusal.text, "export refused");
            refusal.into_response()
        }
    }
}

async fn answer(app: &Arc<App>, request: Request) -> Result<Response, Refusal> {
    let version = request.version();
    let wanted = export_request::parse(&read_body(app, request).await?)?;
    tracing::info!(?wanted, "export asked for");
    let WantedExport { request, target } = wanted;
    match &target {
        // Without chunks, nothing tells a trace that breaks off from one that ends.
        Target::Client if version < Version::HTTP_11 => {
            return Err(Refusal::new(
                StatusCode::HTTP_VERSION_NOT_SUPPORTED,
                "exports need HTTP/1.1\nhint: behind nginx, set proxy_http_version 1.1",
            ));
        }
        Target::Storage(location) if !app.allows(location) => {
            return Err(Refusal::new(
                StatusCode::FORBIDDEN,
                format!(
                    "this server may not write to {location}\nhint: start it with --allow-export-to and a prefix of that \
                     location, or export to a local path"
                ),
            ));
        }
        Target::Client | Target::Storage(_) => {}
    }
    let slot = app.slots.take().ok_or_else(|| {
        Refusal::for_now(
            StatusCode::TOO_MANY_REQUESTS,
            "too many exports are under way; try again when one of them is done",
        )
    })?;
    let (summary, stream) = begin(app.reader.clone(), request, &target, &slot).await?;
    let mut response = match target {
        Target::Client => {
            let mut response = Body::from_stream(stream).into_response();
            response.headers_mut().insert(
                CONTENT_TYPE,
                HeaderValue::from_static("application/octet-stream"),
            );
            response
        }
        Target::Storage(location) => {
            upload(app, location, stream, slot).await?;
            StatusCode::OK.into_response()
        }
    };
    response
        .headers_mut()
        .extend(export_warnings::headers(&summary));
    Ok(response)
}

async fn read_body(app: &App, request: Request) -> Result<Bytes, Refusal> {
    let body = tokio::time::timeout(app.request_timeout, Bytes::from_request(request, &()));
    match body.await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(rejection)) => Err(Refusal::new(rejection.status(), rejection.body_text())),
        Err(_) => Err(Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            "the request's body did not arrive in time",
        )),
    }
}

/// Plans an export and starts to write it. Errors up to here are the request's; later ones break the stream off.
async fn begin(
    reader: Reader,
    request: ExportRequest,
    target: &Target,
    slot: &Arc<ExportSlot>,
) -> Result<(ExportSummary, TraceStream), Refusal> {
    let (planned, plan) = oneshot::channel();
    let (out, stream) = trace_stream();
    let work = Work {
        planned,
        out,
        slot: Arc::clone(slot),
        to_client: matches!(target, Target::Client),
    };
    tokio::task::spawn_blocking(move || work.run(&reader, &request));
    match plan.await {
        Ok(Ok(summary)) => Ok((summary, stream)),
        Ok(Err(error)) => {
            let refusal = Refusal::from(error);
            slot.ended(if refusal.status.is_server_error() {
                Outcome::Failed
            } else {
                Outcome::Refused
            });
            Err(refusal)
        }
        Err(_) => {
            slot.ended(Outcome::Failed);
            Err(Refusal::internal(
                "the export stopped without a reason; this is a bug",
            ))
        }
    }
}

/// One export on its thread.
struct Work {
    planned: oneshot::Sender<Result<ExportSummary, ExportError>>,
    out: TraceWriter,
    slot: Arc<ExportSlot>,
    to_client: bool,
}

impl Work {
    fn run(self, reader: &Reader, request: &ExportRequest) {
        let began = Instant::now();
        let Self {
            planned,
            mut out,
            slot,
            to_client,
        } = self;
        let prepared = match PreparedExport::prepare_clamped(reader, request) {
            Ok(prepared) => prepared,
            Err(error) => {
                // Nobody left to tell is no further error.
                let _ = planned.send(Err(error));
                return;
            }
        };
        if planned.send(Ok(prepared.summary().clone())).is_err() {
            tracing::info!("export given up: the client went away");
            return;
        }
        let prepared = if slot.is_first() {
            prepared.first_of_several()
        } else {
            prepared
        };
        let written = if to_client {
            prepared.write_pieces(|piece| out.pass(piece))
        } else {
            // A part of an upload is more than all pieces.
            prepared.write(&mut out)
        };
        let error = match written {
            Ok(summary) => match out.finish() {
                Ok(bytes) => {
                    let seconds = began.elapsed().as_secs_f64();
                    tracing::info!(bytes, seconds, events = summary.events, "export written");
                    // An upload is complete when the provider says so.
                    if to_client {
                        slot.completed(bytes);
                    }
                    return;
                }
                Err(error) => with_causes(&error),
            },
            Err(error) if !out.is_abandoned() => {
                slot.ended(Outcome::Failed);
                let error = with_causes(&error);
                tracing::error!(error, "export failed half-way; the receiver is told");
                out.fail(io::Error::other(error));
                return;
            }
            Err(error) => with_causes(&error),
        };
        tracing::info!(reason = error, "export given up: its receiver went away");
    }
}

/// Writes the trace into an object store. The upload outlives a client that goes away for as long as it takes to abort
/// it.
async fn upload(
    app: &Arc<App>,
    location: StorageLocation,
    stream: TraceStream,
    slot: Arc<ExportSlot>,
) -> Result<(), Refusal> {
    // Dropped with this future, when the client goes away or the server cuts the connection.
    let (_present, gone) = oneshot::channel::<()>();
    let app = Arc::clone(app);
    let upload = tokio::spawn(async move {
        let cancelled = async {
            let _ = gone.await;
        };
        let result = location.write(&app.storage, stream, cancelled).await;
        match &result {
            Ok(bytes) => {
                tracing::info!(%location, bytes, "export uploaded");
                slot.completed(*bytes);
            }
            Err(StorageError::Cancelled) => {
                tracing::info!(%location, "upload aborted: the client went away");
            }
            Err(_) => slot.ended(Outcome::Failed),
        }
        result
    });
    match upload.await {
        Ok(result) => result.map(drop).map_err(Refusal::from),
        Err(_) => Err(Refusal::internal(
            "the upload stopped without a reason; this is a bug",
        )),
    }
}
