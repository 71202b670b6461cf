//! A request that is not carried out: a status, and plain text that skctl shows to its user.

use std::error::Error;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

use crate::export::ExportError;
use crate::export::sink::StorageError;
use crate::limits::HTTP_RETRY_AFTER_SECONDS;

/// A request that is not carried out.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) text: String,
    retry_after: Option<Duration>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
            retry_after: None,
        }
    }

    /// Refused for now: the same request can succeed later.
    pub(super) fn for_now(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            retry_after: Some(Duration::from_secs(HTTP_RETRY_AFTER_SECONDS)),
            ..Self::new(status, text)
        }
    }

    pub(super) fn bad_request(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    pub(super) fn internal(text: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, text)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.text.into_response();
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        if let Some(wait) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs()));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// An export that failed before its first byte.
impl From<ExportError> for Refusal {
    fn from(error: ExportError) -> Self {
        match &error {
            ExportError::BeforeRecord { .. }
            | ExportError::BeforeHorizon { .. }
            | ExportError::NothingLeft { .. }
            | ExportError::TooLarge { .. } => Self::bad_request(with_causes(&error)),
            ExportError::Empty => {
                Self::for_now(StatusCode::SERVICE_UNAVAILABLE, with_causes(&error))
            }
            ExportError::Dropped { .. } => {
                Self::for_now(StatusCode::SERVICE_UNAVAILABLE, with_causes(&error))
            }
            ExportError::Store(_) | ExportError::Encode(_) | ExportError::Thread(_) => {
                Self::internal(with_causes(&error))
            }
        }
    }
}

/// An upload that failed, with the statuses of sk-tracer.
impl From<StorageError> for Refusal {
    fn from(error: StorageError) -> Self {
        let status = match &error {
            StorageError::NotFound { .. } => StatusCode::NOT_FOUND,
            StorageError::Provider { .. } => StatusCode::BAD_GATEWAY,
            StorageError::Settings { .. } | StorageError::Content(_) | StorageError::Cancelled => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        Self::new(status, with_causes(&error))
    }
}

/// The text of an error and of everything that caused it.
pub(super) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
