//! A record in batches, what a writer does beside them, and what a store looks like after each of its steps.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use sk_tracedb::config::TracerConfig;
use sk_tracedb::export::{ExportFilters, ExportRequest, PreparedExport};
use sk_tracedb::ingest::{Effort, Writer};
use sk_tracedb::model::{Horizon, Observation, TimeRange, Timestamp};
use sk_tracedb::store::verify;
use sk_tracedb::{Reader, StoreError};

use crate::support::*;

pub type Batch = Vec<(Timestamp, Observation)>;

pub const CONFIGS: &str = "v1.ConfigMap";
pub const DEPLOYMENTS: &str = "apps/v1.Deployment";

pub fn tracked() -> TracerConfig {
    config(&[
        "v1.ConfigMap: {}",
        "apps/v1.Deployment: {trackLifecycle: true}",
    ])
}

/// A small random generator (splitmix64): the same numbers in every run.
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Text that does not compress well.
    pub fn text(&mut self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + 16);
        while text.len() < bytes {
            text.push_str(&format!("{:016x}", self.next()));
        }
        text.truncate(bytes);
        text
    }
}

/// `count` batches: objects that come, change and go, pods, lists that go on from one batch to the next, blind watches.
/// Every batch adds at least one change.
pub fn batches(count: usize, seed: u64, body_bytes: usize) -> Vec<Batch> {
    let mut rng = Rng(seed);
    let owner = obj(DEPLOYMENTS, "ns/web", "web").spec(json!({"replicas": 1}));
    (0..count)
        .map(|n| {
            let at = s(FIRST + n as i64);
            let mut batch = Vec::new();
            let mut see = |seen| batch.push((at, seen));
            // A list is under way in two batches of three; the last of them ends it.
            match n % 3 {
                0 => {
                    see(Observation::ListStarted {
                        watch: gvk(CONFIGS),
                    });
                    for k in 0..3 {
                        see(map(k, &mut rng, body_bytes).applied());
                    }
                }
                1 => {
                    for k in 3..6 {
                        see(map(k, &mut rng, body_bytes).applied());
                    }
                    see(Observation::ListFinished {
                        watch: gvk(CONFIGS),
                        resource_version: format!("{n}"),
                    });
                }
                _ => {
                    see(map(rng.below(6), &mut rng, 10).deleted());
                    see(map(6, &mut rng, body_bytes).applied());
                    see(Observation::Blind {
                        watch: gvk(DEPLOYMENTS),
                        reason: format!("lost {n}"),
                    });
                }
            }
            see(owner.clone().spec(json!({"replicas": n})).applied());
            let life = pod(&format!("ns/web-{n}"), &format!("pod-{n}")).owned_by(&owner);
            see(life.started(900 + n as i64).applied());
            batch
        })
        .collect()
}

fn map(n: u64, rng: &mut Rng, bytes: usize) -> Obj {
    obj(CONFIGS, &format!("ns/m{n}"), &format!("m{n}")).field("data", json!(rng.text(bytes)))
}

/// Second of the first batch; each has a second of its own.
const FIRST: i64 = 1_000;

/// What a writer does: a recorder's does the last three by itself, when enough has been recorded. Each may be done again
/// after it has failed.
#[derive(Clone)]
pub enum Step {
    Begin,
    Append(Batch),
    /// Brings the journal into the tables, in as many transactions as that takes.
    Fold,
    /// The same, and packs the tables.
    Pack,
    /// Drops what lies before this batch, in one transaction.
    Retain(usize),
}

impl Step {
    pub fn run(&self, writer: &mut Writer) -> Result<(), StoreError> {
        match self {
            Self::Begin => begin(writer),
            Self::Append(batch) => writer.append(batch.clone()).map(drop),
            Self::Fold => writer.fold_all(Duration::MAX),
            Self::Pack => writer.pack_all(Duration::MAX),
            Self::Retain(batch) => {
                let effort = Effort {
                    rows: 1_000_000,
                    time: Duration::from_secs(600),
                };
                writer.begin_sweep();
                let horizon = Horizon::at(s(FIRST + *batch as i64));
                let retained = writer.retain(horizon, effort, false)?;
                assert!(retained.done && writer.horizon() == horizon);
                Ok(())
            }
        }
    }

    /// Whether the record is another one afterwards.
    pub fn is_told(&self) -> bool {
        !matches!(self, Self::Fold | Self::Pack)
    }
}

/// A run of so many batches, in which the journal is folded, rows are packed and the oldest batches are dropped, each of them
/// more than once and with more recorded behind it. Needs eight batches to have all of it.
pub fn steps(count: usize, seed: u64, body_bytes: usize) -> Vec<Step> {
    let mut steps = vec![Step::Begin];
    for (n, batch) in batches(count, seed, body_bytes).into_iter().enumerate() {
        steps.push(Step::Append(batch));
        match n % 7 {
            2 => steps.push(Step::Fold),
            3 => steps.push(Step::Pack),
            4 | 6 => steps.push(Step::Retain(n - 3)),
            5 => steps.push(Step::Fold),
            _ => {}
        }
    }
    steps
}

/// Everything that tables promise each other holds in a file that no process has open: the whole of `sk-tracedb verify`.
pub fn verify_whole(path: &Path, when: &str) {
    let verification = verify(path, &mut |_| true).unwrap();
    assert!(
        verification.intact && verification.pages_checked,
        "{when}: {verification:#?}"
    );
}

pub fn begin(writer: &mut Writer) -> Result<(), StoreError> {
    writer.begin_run(s(999), &tracked(), "record", Some("cluster"))
}

/// Everything that a store tells of itself, but its random id.
#[derive(Clone, PartialEq)]
pub struct Told {
    pub info: String,
    pub trace: Vec<u8>,
}

pub fn told(reader: &Reader) -> Told {
    let mut info = reader.snapshot().unwrap().info().unwrap();
    info.store_id.clear();
    let mut trace = Vec::new();
    if info.start.is_some() {
        let request = ExportRequest {
            window: TimeRange::new(s(900), s(1_000_000)).unwrap(),
            filters: ExportFilters::default(),
        };
        let export = PreparedExport::prepare_clamped(reader, &request).unwrap();
        export.write(&mut trace).unwrap();
    }
    Told {
        info: format!("{info:#?}"),
        trace,
    }
}

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hash = blake3::hash(&self.trace);
        writeln!(f, "{}\ntrace {} {hash}", self.info, self.trace.len())
    }
}
