//! Requests to the API server: raw answers, each with a deadline and a bound on its size.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, StatusCode, header};
use hyper::body::Body as _;
use kube::client::Body;
use serde::Deserialize;

use super::reason::{chain, shortened};
use crate::limits::{ERROR_BODY_BYTES_MAX, REQUEST_SECONDS_MAX};
use crate::model::json_fault::without_values;

/// Objects as they are.
pub(super) const OBJECTS: &str = "application/json";
/// Only the metadata of an object; all of it from servers that cannot reduce it.
pub(super) const METADATA: &str =
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
/// Only the metadata of a list's objects; all of them from servers that cannot reduce them.
pub(super) const METADATA_LIST: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

/// A request that was not answered, or not as it should have been.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The server refused.
    #[error("HTTP {code}: {message}")]
    Status {
        /// HTTP status code.
        code: u16,
        /// What the server says about it.
        message: String,
        /// For how long the server asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// No complete answer came in time.
    #[error("no answer within {seconds} s")]
    Deadline {
        /// How long was waited, seconds.
        seconds: u64,
    },
    /// The answer is too large.
    #[error("the answer is larger than {bytes_max} bytes")]
    TooLarge {
        /// The bound.
        bytes_max: usize,
    },
    /// The answer cannot be read.
    #[error("the answer is not {expected}: {detail}")]
    Garbled {
        /// What was expected, such as "a list".
        expected: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The request did not get through.
    #[error("the request failed: {detail}")]
    Unreachable {
        /// Why: the texts of the client's error and its causes.
        detail: String,
    },
}

impl RequestError {
    pub(super) fn unreachable(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Unreachable {
            detail: chain(error),
        }
    }

    pub(super) fn garbled(expected: &'static str, error: &serde_json::Error) -> Self {
        Self::Garbled {
            expected,
            detail: without_values(error),
        }
    }

    /// The HTTP status code, where the server gave one.
    pub(super) fn code(&self) -> Option<u16> {
        match self {
            Self::Status { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// For how long the server asks to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// The API server, as seen through kube's client (which knows where it is and how to authenticate).
#[derive(Clone)]
pub(super) struct Server {
    client: kube::Client,
    /// Whether a connection is closed behind each answer, and not kept for the next request.
    closes: bool,
}

impl Server {
    pub(super) fn new(client: kube::Client) -> Self {
        Self {
            client,
            closes: false,
        }
    }

    /// For requests from somewhere else than the watches: a connection is served by the runtime that opened it, so theirs should not
    /// be one of these.
    pub(super) fn new_closing(client: kube::Client) -> Self {
        Self {
            client,
            closes: true,
        }
    }

    /// Begins a GET: an answer with a good status, its body still to be read.
    pub(super) async fn open(
        &self,
        path: &str,
        accept: &'static str,
        seconds_max: u64,
    ) -> Result<Body, RequestError> {
        within(seconds_max, self.begin(path, accept)).await
    }

    /// A GET, read to its end. The deadline covers all of it.
    pub(super) async fn fetch(
        &self,
        path: &str,
        accept: &'static str,
        bytes_max: usize,
        seconds_max: u64,
    ) -> Result<BytesMut, RequestError> {
        self.fetch_into(BytesMut::new(), path, accept, bytes_max, seconds_max)
            .await
    }

    /// The same into memory that is there; what is in it is overwritten.
    pub(super) async fn fetch_into(
        &self,
        mut bytes: BytesMut,
        path: &str,
        accept: &'static str,
        bytes_max: usize,
        seconds_max: u64,
    ) -> Result<BytesMut, RequestError> {
        within(seconds_max, async {
            let mut body = self.begin(path, accept).await?;
            bytes.clear();
            while let Some(chunk) = next_chunk(&mut body).await? {
                if bytes.len().saturating_add(chunk.len()) > bytes_max {
                    return Err(RequestError::TooLarge { bytes_max });
                }
                bytes.extend_from_slice(&chunk);
            }
            Ok(bytes)
        })
        .await
    }

    /// A small GET with the usual deadline.
    pub(super) async fn fetch_small(
        &self,
        path: &str,
        accept: &'static str,
        bytes_max: usize,
    ) -> Result<BytesMut, RequestError> {
        self.fetch(path, accept, bytes_max, REQUEST_SECONDS_MAX)
            .await
    }

    async fn begin(&self, path: &str, accept: &'static str) -> Result<Body, RequestError> {
        let mut request = Request::get(path);
        if self.closes {
            request = request.header(header::CONNECTION, "close");
        }
        let request = request
            .header(header::ACCEPT, accept)
            // Newer servers compress every watch event as a gzip member of its own, which decoders stumble over.
            .header(header::ACCEPT_ENCODING, "identity")
            .body(Body::empty())
            .map_err(|error| RequestError::unreachable(&error))?;
        let response = self
            .client
            .send(request)
            .await
            .map_err(|error| RequestError::unreachable(&error))?;
        let (head, body) = response.into_parts();
        if head.status.is_success() {
            Ok(body)
        } else {
            Err(refusal(head.status, &head.headers, body).await)
        }
    }
}

/// The next bytes of a body; `None` at its end.
pub(super) async fn next_chunk(body: &mut Body) -> Result<Option<Bytes>, RequestError> {
    loop {
        match poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
            None => return Ok(None),
            Some(Err(error)) => return Err(RequestError::unreachable(&error)),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// `work`, given up after some seconds.
async fn within<T>(
    seconds: u64,
    work: impl Future<Output = Result<T, RequestError>>,
) -> Result<T, RequestError> {
    tokio::time::timeout(Duration::from_secs(seconds), work)
        .await
        .unwrap_or(Err(RequestError::Deadline { seconds }))
}

/// What a bad status says: the message of a Kubernetes `Status`, or the start of whatever text came.
async fn refusal(status: StatusCode, headers: &HeaderMap, mut body: Body) -> RequestError {
    #[derive(Deserialize)]
    struct Message {
        message: String,
    }
    let mut bytes = BytesMut::new();
    // The status is what counts: a body that breaks off is read as far as it goes.
    while let Ok(Some(chunk)) = next_chunk(&mut body).await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > ERROR_BODY_BYTES_MAX {
            break;
        }
    }
    let message = match serde_json::from_slice::<Message>(&bytes) {
        Ok(status) => status.message,
        Err(_) => String::from_utf8_lossy(&bytes).trim().to_owned(),
    };
    let message = if message.is_empty() {
        status.canonical_reason().unwrap_or("no reason").to_owned()
    } else {
        shortened(&message)
    };
    RequestError::Status {
        code: status.as_u16(),
        message,
        retry_after: headers
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.trim().parse().ok())
            .map(Duration::from_secs),
    }
}
