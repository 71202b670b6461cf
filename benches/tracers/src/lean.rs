//! The limit of an initial sync: reading the same lists with a lean type, and doing nothing with them.

use std::time::Instant;

use anyhow::{Context, bail};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::Method;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::http::Connection;
use crate::proc_stat::ProcStat;

/// Items of a page: what all recorders ask for.
pub const PAGE_ITEMS: usize = 500;
const WHOLE: &str = "application/json";
const METADATA: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

/// What the reader says on its stdout when it is done.
#[derive(Debug, Serialize, Deserialize)]
pub struct Read {
    pub seconds: f64,
    pub cpu_seconds: f64,
    pub peak_rss: u64,
    pub items: u64,
    pub bytes: u64,
}

/// What a recorder needs of an object, at least.
#[derive(Deserialize)]
struct Lean<'a> {
    metadata: Metadata,
    #[serde(borrow)]
    spec: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    uid: String,
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    owner_references: Vec<Owner>,
}

#[derive(Deserialize)]
struct Owner {
    uid: String,
}

#[derive(Deserialize)]
struct Page<'a> {
    metadata: PageMetadata,
    #[serde(borrow)]
    items: Vec<Lean<'a>>,
}

#[derive(Deserialize)]
struct PageMetadata {
    #[serde(default, rename = "continue")]
    token: String,
}

/// Reads all lists that a recorder of Deployments and their pods reads, side by side as it does: Deployments and pods,
/// and the metadata of ReplicaSets.
pub async fn read(url: &str) -> anyhow::Result<Read> {
    let began = Instant::now();
    let address = url
        .strip_prefix("http://")
        .context("only http:// is known")?;
    let ((pods, pod_bytes), (deployments, deployment_bytes), (sets, set_bytes)) = tokio::try_join!(
        spawned(address, "/api/v1/pods", WHOLE),
        spawned(address, "/apis/apps/v1/deployments", WHOLE),
        spawned(address, "/apis/apps/v1/replicasets", METADATA),
    )?;
    let seconds = began.elapsed().as_secs_f64();
    let stat = ProcStat::read(std::process::id())?;
    Ok(Read {
        seconds,
        cpu_seconds: stat.cpu_seconds,
        peak_rss: stat.peak,
        items: pods + deployments + sets,
        bytes: pod_bytes + deployment_bytes + set_bytes,
    })
}

async fn spawned(
    address: &str,
    path: &'static str,
    accept: &'static str,
) -> anyhow::Result<(u64, u64)> {
    let address = address.to_owned();
    tokio::spawn(async move { list(&address, path, accept).await }).await?
}

async fn list(address: &str, path: &str, accept: &str) -> anyhow::Result<(u64, u64)> {
    let mut connection = Connection::open(address).await?;
    let (mut items, mut bytes) = (0, 0);
    let mut token = String::new();
    loop {
        let page = match token.as_str() {
            "" => format!("{path}?limit={PAGE_ITEMS}"),
            token => format!("{path}?limit={PAGE_ITEMS}&continue={token}"),
        };
        let (status, mut body) = connection
            .send(Method::GET, &page, accept, Bytes::new())
            .await?;
        if !status.is_success() {
            bail!("{page}: {status}");
        }
        let mut json = BytesMut::new();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                json.extend_from_slice(&data);
            }
        }
        bytes += json.len() as u64;
        let page: Page<'_> = serde_json::from_slice(&json)?;
        for item in &page.items {
            let metadata = &item.metadata;
            let raw = |raw: Option<&RawValue>| raw.map_or(0, |raw| raw.get().len());
            // So that nothing of it is optimized away.
            std::hint::black_box((
                metadata.uid.len() + metadata.name.len() + metadata.namespace.len(),
                metadata
                    .owner_references
                    .iter()
                    .map(|owner| owner.uid.len())
                    .sum::<usize>(),
                raw(item.spec) + raw(item.status),
            ));
            items += 1;
        }
        if page.metadata.token.is_empty() {
            return Ok((items, bytes));
        }
        token = page.metadata.token;
    }
}
