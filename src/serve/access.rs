//! Who may ask: with a token, everything but the probes asks for it (S7).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::AUTHORIZATION;

use super::error::ServeError;
use super::refusal::Refusal;
use super::routes::App;

/// What the kubelet asks without a token.
const OPEN_PATHS: [&str; 3] = ["/healthz", "/livez", "/readyz"];

/// Who may ask.
pub(super) struct Access {
    /// Hash of the bearer token. Hashes are compared in constant time, and have one length.
    token: Option<blake3::Hash>,
}

impl Access {
    pub(super) fn new(token: Option<&str>) -> Result<Self, ServeError> {
        if token.is_some_and(|token| {
            token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic())
        }) {
            return Err(ServeError::Token);
        }
        Ok(Self {
            token: token.map(|token| blake3::hash(token.as_bytes())),
        })
    }

    fn allows(&self, request: &Request) -> bool {
        let Some(token) = &self.token else {
            return true;
        };
        OPEN_PATHS.contains(&request.uri().path())
            || request
                .headers()
                .get(AUTHORIZATION)
                .and_then(|value| bearer(value.as_bytes()))
                .is_some_and(|given| blake3::hash(given) == *token)
    }
}

/// The token of `Bearer TOKEN`. The name of the scheme has no case.
fn bearer(header: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer ";
    let (scheme, token) = header.split_at_checked(SCHEME.len())?;
    scheme
        .eq_ignore_ascii_case(SCHEME)
        .then(|| token.trim_ascii())
}

pub(super) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if app.access.allows(&request) {
        return next.run(request).await;
    }
    Refusal::new(
        StatusCode::UNAUTHORIZED,
        "this server asks for its bearer token: send the header `Authorization: Bearer TOKEN`",
    )
    .into_response()
}
