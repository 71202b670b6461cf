//! The least of an API server that the program records: ConfigMaps that come one after the other, and no pods.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::watch;

/// A server that runs as long as this lives.
pub struct FakeApi {
    runtime: tokio::runtime::Runtime,
    /// How many ConfigMaps there are: `m1`, `m2` ..., each of `bytes`, with resource versions 2, 3 ...
    count: watch::Sender<u64>,
    bytes: usize,
    url: String,
}

#[derive(Clone)]
struct Shared {
    count: watch::Receiver<u64>,
    bytes: usize,
}

impl FakeApi {
    pub fn start(bytes: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (count, counted) = watch::channel(0);
        let shared = Shared {
            count: counted,
            bytes,
        };
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(Arc::new(shared));
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self {
            runtime,
            count,
            bytes,
            url,
        }
    }

    /// Makes so many more ConfigMaps.
    pub fn create(&self, more: u64) {
        self.count.send_modify(|count| *count += more);
    }

    pub fn count(&self) -> u64 {
        *self.count.borrow()
    }

    pub fn object_bytes(&self) -> usize {
        self.bytes
    }

    /// A kubeconfig in this folder that leads here.
    pub fn kubeconfig(&self, folder: &std::path::Path) -> PathBuf {
        let path = folder.join("kubeconfig");
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "fake",
            "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
            "users": [{"name": "fake", "user": {}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
        });
        std::fs::write(&path, config.to_string()).unwrap();
        path
    }

    pub fn runtime(&self) -> &tokio::runtime::Runtime {
        &self.runtime
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default();
    match path.as_str() {
        "/api/v1/namespaces/kube-system" => ok(json!({"metadata": {"uid": "fake-cluster"}})),
        "/api/v1" => ok(
            json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": [
                {"name": "configmaps", "kind": "ConfigMap", "namespaced": true, "verbs": ["list", "watch", "get"]},
                {"name": "pods", "kind": "Pod", "namespaced": true, "verbs": ["list", "watch", "get"]},
            ]}),
        ),
        "/api/v1/configmaps" | "/api/v1/pods" => {
            let count = match path.ends_with("pods") {
                true => None,
                false => Some(shared.count.clone()),
            };
            let number = |name: &str| {
                let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
                let (_, value) = pairs.find(|(key, _)| *key == name)?;
                value.parse::<u64>().ok()
            };
            if query.contains("watch=") {
                events(count, number("resourceVersion").unwrap_or(1), shared.bytes)
            } else {
                let count = count.map_or(0, |count| *count.borrow());
                page(
                    count,
                    number("continue").unwrap_or(0),
                    number("limit"),
                    shared.bytes,
                )
            }
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A page of the list of so many ConfigMaps, behind the `from`th.
fn page(count: u64, from: u64, limit: Option<u64>, bytes: usize) -> Response {
    let end = limit.map_or(count, |limit| count.min(from + limit));
    let items: Vec<Value> = (from + 1..=end).map(|n| config_map(n, bytes)).collect();
    let mut metadata = json!({"resourceVersion": (count + 1).to_string()});
    if end < count {
        metadata["continue"] = json!(end.to_string());
    }
    ok(json!({"metadata": metadata, "items": items}))
}

/// A watch: what came after a version, and what comes.
fn events(count: Option<watch::Receiver<u64>>, from: u64, bytes: usize) -> Response {
    let Some(count) = count else {
        // Nothing ever happens, but the connection stays.
        let nothing = futures::stream::pending::<Result<String, Infallible>>();
        return Body::from_stream(nothing).into_response();
    };
    let stream = futures::stream::unfold((count, from), move |(mut count, seen)| async move {
        // The version of a ConfigMap is its number + 1.
        count.wait_for(|count| *count + 1 > seen).await.ok()?;
        let event = json!({"type": "ADDED", "object": config_map(seen, bytes)});
        Some((Ok::<_, Infallible>(format!("{event}\n")), (count, seen + 1)))
    });
    Body::from_stream(stream).into_response()
}

fn config_map(n: u64, bytes: usize) -> Value {
    let text = crate::batches::Rng(n).text(bytes);
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": format!("m{n}"), "namespace": "ns", "uid": format!("uid-{n}"),
            "resourceVersion": (n + 1).to_string()},
        "data": {"k": text},
    })
}

fn ok(value: Value) -> Response {
    ([("content-type", "application/json")], value.to_string()).into_response()
}

/// Longest that anything may take.
pub const DEADLINE: Duration = Duration::from_secs(60);
