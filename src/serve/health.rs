//! `/healthz`, `/livez` and `/readyz`, for the kubelet and for people.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::routes::App;
use super::status::RecorderStatus;
use crate::watch::WatchState;

/// The process answers: that is all. What is wrong with a cluster or a disk is not cured by a restart.
pub(super) async fn live() -> &'static str {
    "ok"
}

/// 200 once the recorder is ready, else 503; with every watch in the text, as Kubernetes' own `?verbose` has it:
/// `[+]` in order, `[!]` failing and not waited for, `[-]` waited for.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Response {
    let (ready, text) = report(&*app.recorder);
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, text).into_response()
}

fn report(recorder: &dyn RecorderStatus) -> (bool, String) {
    let readiness = recorder.readiness();
    let mut text = String::new();
    let mut line = |mark: char, what: std::fmt::Arguments<'_>| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "[{mark}]{what}");
    };
    for (watch, report) in recorder.watches() {
        let mark = match &report.state {
            _ if !report.synced && !report.excused => '-',
            WatchState::Failing { .. } => '!',
            _ => '+',
        };
        let state = report.state.name();
        match &report.state {
            WatchState::Failing { reason, since } => {
                let reason = reason.replace(['\r', '\n'], " ");
                line(
                    mark,
                    format_args!("{watch} {state} since {since}: {reason}"),
                );
            }
            _ => line(mark, format_args!("{watch} {state}")),
        }
    }
    let mark = if readiness.ready { '!' } else { '-' };
    for note in &readiness.notes {
        line(mark, format_args!("{note}"));
    }
    text.push_str(if readiness.ready {
        "readyz check passed\n"
    } else {
        "readyz check failed\n"
    });
    (readiness.ready, text)
}
