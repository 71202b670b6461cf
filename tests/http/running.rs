//! A server under test, and the client that asks it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::{Client, Response};
use serde_json::{Value, json};
use sk_tracedb::ingest::WriterStats;
use sk_tracedb::model::WatchId;
use sk_tracedb::serve::{Readiness, RecorderStatus, ServeOptions, Server};
use sk_tracedb::watch::{OwnerCounters, WatchReport};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::record::Record;

/// How long anything may take before a test gives up.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Between two looks at something that is waited for.
pub const POLL: Duration = Duration::from_millis(5);

/// A recorder that is what it is told to be.
#[derive(Default)]
pub struct FakeRecorder {
    pub readiness: Mutex<Readiness>,
    pub watches: Mutex<BTreeMap<WatchId, WatchReport>>,
    pub writer: WriterStats,
}

impl RecorderStatus for FakeRecorder {
    fn readiness(&self) -> Readiness {
        self.readiness.lock().unwrap().clone()
    }

    fn watches(&self) -> BTreeMap<WatchId, WatchReport> {
        self.watches.lock().unwrap().clone()
    }

    fn owner_lookups(&self) -> OwnerCounters {
        OwnerCounters {
            lookups: 7,
            ..OwnerCounters::default()
        }
    }

    fn writer(&self) -> &WriterStats {
        &self.writer
    }

    fn queue_depth(&self) -> usize {
        3
    }
}

pub struct Running {
    pub address: SocketAddr,
    pub record: Record,
    pub recorder: Arc<FakeRecorder>,
    pub client: Client,
    pub stop: watch::Sender<bool>,
    pub task: JoinHandle<()>,
}

pub fn options() -> ServeOptions {
    ServeOptions::new(SocketAddr::from(([127, 0, 0, 1], 0)))
}

pub async fn run(record: Record) -> Running {
    run_with(record, options()).await
}

pub async fn run_with(record: Record, options: ServeOptions) -> Running {
    let server = Server::bind(options).await.unwrap();
    let address = server.local_addr();
    let recorder = Arc::new(FakeRecorder::default());
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(server.run(record.reader(), recorder.clone(), stopped));
    Running {
        address,
        record,
        recorder,
        client: client(),
        stop,
        task,
    }
}

pub fn client() -> Client {
    // There is no TLS here, but reqwest asks for a provider all the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new()
}

/// A request for everything, as skctl would write it.
pub fn everything(export_path: &str) -> Value {
    json!({
        "start_ts": super::record::START,
        "end_ts": super::record::START + 1_000,
        "export_path": export_path,
        "filters": {"excluded_namespaces": [], "excluded_labels": []},
    })
}

impl Running {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn get(&self, path: &str) -> Response {
        self.client.get(self.url(path)).send().await.unwrap()
    }

    /// `POST /export`.
    pub async fn export(&self, body: &Value) -> Response {
        self.client
            .post(self.url("/export"))
            .body(body.to_string())
            .send()
            .await
            .unwrap()
    }

    /// The metrics by their full name, labels included.
    pub async fn metrics(&self) -> BTreeMap<String, f64> {
        let text = self.get("/metrics").await.text().await.unwrap();
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| {
                let (name, value) = line.rsplit_once(' ').unwrap();
                (name.to_owned(), value.parse().unwrap())
            })
            .collect()
    }

    /// Asks for the metrics until one of them has this value.
    pub async fn wait_for(&self, metric: &str, value: f64) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let metrics = self.metrics().await;
            let found = metrics.get(metric).copied();
            if found == Some(value) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{metric} is {found:?}, not {value}"
            );
            tokio::time::sleep(POLL).await;
        }
    }
}
