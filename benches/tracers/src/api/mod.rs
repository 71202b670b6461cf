//! A scripted Kubernetes API server over plain HTTP: discovery, lists with pages, single objects, watches.
//!
//! What it holds comes from [`Content`]; how fast the future happens is decided through [`ApiServer::offer`]. It keeps
//! book of what was asked ([`Seen`]), which tells when a client has read all its lists. Streaming lists
//! (`sendInitialEvents`) are refused with 422, as servers that do not have them do.

mod discovery;
mod list;
mod request;
mod seen;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::serve::ListenerExt as _;
use hyper::StatusCode;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch as signal;

pub use seen::{KindSeen, Seen};

use crate::content::Content;
use crate::limits::PACE_TICK;
use request::{Ask, Query};

struct Shared {
    content: Arc<Content>,
    seen: Seen,
    /// How many of the content's events have happened.
    happened: signal::Sender<usize>,
}

/// A server that runs as long as this lives.
pub struct ApiServer {
    shared: Arc<Shared>,
    url: String,
    serving: tokio::task::JoinHandle<()>,
}

impl ApiServer {
    pub async fn start(content: Arc<Content>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("no port for the API server")?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            seen: Seen::new(&content),
            content,
            happened: signal::Sender::new(0),
        });
        let app = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        let listener = listener.tap_io(|stream| {
            // Events go out when they happen.
            let _ = stream.set_nodelay(true);
        });
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                eprintln!("the API server has ended: {error}");
            }
        });
        Ok(Self {
            shared,
            url,
            serving,
        })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn content(&self) -> &Content {
        &self.shared.content
    }

    pub fn seen(&self) -> &Seen {
        &self.shared.seen
    }

    /// Writes a kubeconfig that leads here.
    pub fn kubeconfig(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let path = folder.join("kubeconfig");
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "scripted",
            "clusters": [{"name": "scripted", "cluster": {"server": self.url}}],
            "users": [{"name": "scripted", "user": {}}],
            "contexts": [{"name": "scripted", "context": {"cluster": "scripted", "user": "scripted"}}],
        });
        std::fs::write(&path, config.to_string()).context("the kubeconfig cannot be written")?;
        Ok(path)
    }

    /// Lets everything happen that has not yet, as fast as the watches take it.
    pub fn offer_all(&self) {
        let all = self.content().events.len();
        self.shared.happened.send_replace(all);
    }

    /// Lets `rate` events happen each second, evenly, for `time`; how many that were.
    pub async fn offer(&self, rate: f64, time: Duration) -> usize {
        let first = *self.shared.happened.borrow();
        let all = self.content().events.len();
        let began = Instant::now();
        loop {
            let elapsed = began.elapsed();
            let due = first + (elapsed.min(time).as_secs_f64() * rate) as usize;
            self.shared.happened.send_if_modified(|happened| {
                let due = due.min(all);
                let more = due > *happened;
                *happened = due.max(*happened);
                more
            });
            if elapsed >= time {
                return *self.shared.happened.borrow() - first;
            }
            tokio::time::sleep(PACE_TICK).await;
        }
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let query = Query::read(&request);
    let path = request.uri().path();
    shared.seen.asked();
    match request::route(&shared.content, path) {
        Ask::List(collection) if query.is_watch() => watch::follow(shared, collection, &query),
        Ask::List(collection) => list::answer(&shared, collection, &query),
        Ask::Object {
            collection,
            namespace,
            name,
        } => {
            shared.seen.looked_up(collection);
            list::object(&shared.content, collection, namespace, name, query.form)
        }
        Ask::Discovery => discovery::answer(&shared.content, path, query.aggregated),
    }
}

fn json_body(body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(
        hyper::header::CONTENT_TYPE,
        hyper::header::HeaderValue::from_static("application/json"),
    );
    response
}

/// A Kubernetes `Status`.
fn status(code: StatusCode, reason: &str, message: &str) -> Response {
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code.as_u16()});
    let mut response = json_body(body.to_string());
    *response.status_mut() = code;
    response
}

fn not_found() -> Response {
    let message = "the server could not find the requested resource";
    status(StatusCode::NOT_FOUND, "NotFound", message)
}
