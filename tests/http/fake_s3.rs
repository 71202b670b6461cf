//! As much of S3 as an upload uses, in this process.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode, Uri};
use sk_tracedb::export::sink::StorageOptions;
use tokio::net::TcpListener;

/// How it behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    #[default]
    Fine,
    /// There is no such bucket.
    NoBucket,
    /// Nothing may be written.
    Forbidden,
    /// Parts from the second on are refused.
    RefusesParts,
    /// Parts are never answered.
    Hangs,
    /// Uploads cannot be completed.
    RefusesCompletion,
}

#[derive(Default)]
pub struct Contents {
    /// Whole objects: `bucket/path` to bytes.
    pub objects: BTreeMap<String, Vec<u8>>,
    /// Parts of the upload under way.
    pub parts: BTreeMap<u32, Vec<u8>>,
    /// Part sizes of the upload that was completed.
    pub part_sizes: Vec<usize>,
    pub begun: usize,
    pub aborted: usize,
    pub parts_seen: usize,
}

pub struct FakeS3 {
    pub address: SocketAddr,
    pub contents: Arc<Mutex<Contents>>,
}

type Shared = (Mood, Arc<Mutex<Contents>>);

impl FakeS3 {
    pub async fn start(mood: Mood) -> Self {
        let contents = Arc::new(Mutex::new(Contents::default()));
        let router = Router::new()
            .fallback(answer)
            .layer(DefaultBodyLimit::disable())
            .with_state((mood, contents.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, contents }
    }

    pub fn options(&self) -> StorageOptions {
        let endpoint = format!("http://{}", self.address);
        let settings = [
            ("aws_endpoint", endpoint.as_str()),
            ("aws_allow_http", "true"),
            ("aws_region", "test"),
            ("aws_access_key_id", "id"),
            ("aws_secret_access_key", "secret"),
        ];
        StorageOptions {
            overrides: settings
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        }
    }
}

async fn answer(
    State((mood, contents)): State<Shared>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> Response {
    let query: BTreeMap<_, _> = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect();
    let object = uri.path().trim_start_matches('/').to_owned();
    let refused = |status: StatusCode, code: &str| {
        (status, format!("<Error><Code>{code}</Code></Error>")).into_response()
    };
    match mood {
        Mood::NoBucket => return refused(StatusCode::NOT_FOUND, "NoSuchBucket"),
        Mood::Forbidden => return refused(StatusCode::FORBIDDEN, "AccessDenied"),
        _ => {}
    }
    let part = query
        .get("partNumber")
        .map(|number| number.parse::<u32>().unwrap());
    if part.is_some() {
        contents.lock().unwrap().parts_seen += 1;
        if mood == Mood::Hangs {
            std::future::pending::<()>().await;
        }
    }
    let mut contents = contents.lock().unwrap();
    match (method, part) {
        (Method::POST, _) if query.contains_key("uploads") => {
            contents.begun += 1;
            "<InitiateMultipartUploadResult><UploadId>upload</UploadId></InitiateMultipartUploadResult>".into_response()
        }
        (Method::PUT, Some(number)) => {
            if mood == Mood::RefusesParts && number > 1 {
                return refused(StatusCode::FORBIDDEN, "AccessDenied");
            }
            contents.parts.insert(number, body.to_vec());
            ([("etag", format!("\"{number}\""))], "").into_response()
        }
        (Method::POST, _) if query.contains_key("uploadId") => {
            if mood == Mood::RefusesCompletion {
                return refused(StatusCode::FORBIDDEN, "AccessDenied");
            }
            let parts = std::mem::take(&mut contents.parts);
            contents.part_sizes = parts.values().map(Vec::len).collect();
            contents
                .objects
                .insert(object, parts.into_values().flatten().collect());
            "<CompleteMultipartUploadResult><ETag>\"whole\"</ETag></CompleteMultipartUploadResult>"
                .into_response()
        }
        (Method::DELETE, _) => {
            contents.parts.clear();
            contents.aborted += 1;
            StatusCode::NO_CONTENT.into_response()
        }
        (Method::PUT, None) => {
            contents.objects.insert(object, body.to_vec());
            ([("etag", "\"whole\"")], "").into_response()
        }
        (method, _) => panic!("unexpected {method} {uri}"),
    }
}
