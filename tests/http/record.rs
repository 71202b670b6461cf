//! Stores with something in them.

use std::path::{Path, PathBuf};

use redb::{Database, ReadableTable, TableDefinition};
use serde_json::json;
use sk_tracedb::config::TracerConfig;
use sk_tracedb::export::{ExportFilters, ExportRequest, export};
use sk_tracedb::ingest::{Effort, Writer};
use sk_tracedb::model::{Gvk, Horizon, Observation, TimeRange, Timestamp};
use sk_tracedb::normalize::{Redaction, normalize};
use sk_tracedb::{Reader, Store};

/// When the record begins, Unix seconds.
pub const START: i64 = 1_000;

/// A store in a folder of its own.
pub struct Record {
    folder: tempfile::TempDir,
}

impl Record {
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("trace.redb")
    }

    pub fn reader(&self) -> Reader {
        Reader::open(self.path()).unwrap()
    }

    /// What an offline export of a window gives.
    pub fn trace(&self, start: i64, end: i64, filters: ExportFilters) -> Vec<u8> {
        let window =
            TimeRange::new(Timestamp::from_seconds(start), Timestamp::from_seconds(end)).unwrap();
        let mut trace = Vec::new();
        export(
            &self.reader(),
            &ExportRequest { window, filters },
            &mut trace,
        )
        .unwrap();
        trace
    }

    /// No run, no row.
    pub fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let record = Self { folder };
        drop(Writer::new(Store::open(record.path()).unwrap()).unwrap());
        record
    }

    /// ConfigMaps `cm-0`, `cm-1` ... of this size, alternating between the namespaces `even` and `odd`, one a second
    /// from [`START`] + 1.
    pub fn of_config_maps(count: usize, bytes: usize) -> Self {
        let record = Self::empty();
        let (config, _) = TracerConfig::parse("trackedObjects: {v1.ConfigMap: {}}").unwrap();
        let kind = kind();
        let mut writer = Writer::new(Store::open(record.path()).unwrap()).unwrap();
        writer
            .begin_run(Timestamp::from_seconds(START), &config, "record", None)
            .unwrap();
        let list = [
            Observation::ListStarted {
                watch: kind.clone(),
            },
            Observation::ListFinished {
                watch: kind.clone(),
                resource_version: "1".to_owned(),
            },
        ];
        writer
            .append(list.map(|seen| (Timestamp::from_seconds(START), seen)))
            .unwrap();
        let redaction = Redaction::new(writer.redaction_key().unwrap(), &config);
        let observations = (0..count).map(|n| {
            let json = json!({
                "metadata": {
                    "name": format!("cm-{n}"),
                    "namespace": if n % 2 == 0 { "even" } else { "odd" },
                    "uid": format!("uid-{n}"),
                },
                "data": {"k": noise(n, bytes)},
            });
            let item = normalize(&kind, config.tracked.get(&kind), &redaction, json).unwrap();
            let seen = Observation::Applied {
                watch: kind.clone(),
                item,
                resource_version: Some(format!("{}", n + 2)),
            };
            (Timestamp::from_seconds(START + 1 + n as i64), seen)
        });
        writer.append(observations).unwrap();
        let end = Timestamp::from_seconds(START + 1 + count as i64);
        writer.end_run(end).unwrap();
        // Rows lie in their tables, where a test can damage them.
        writer.pack_all(std::time::Duration::MAX).unwrap();
        record
    }

    /// More than the sockets and the server's buffers hold together, so that an export of it waits for its client.
    pub fn large() -> Self {
        Self::of_config_maps(24, 1 << 20)
    }

    /// The window of everything.
    pub fn window(&self) -> (i64, i64) {
        (START, START + 1_000)
    }

    /// Retention drops what lies before a second.
    pub fn drop_before(&self, second: i64) {
        let mut writer = Writer::new(Store::open(self.path()).unwrap()).unwrap();
        let effort = Effort {
            rows: 1_000,
            time: std::time::Duration::from_secs(10),
        };
        let horizon = Horizon::at(Timestamp::from_seconds(second));
        while !writer.retain(horizon, effort, false).unwrap().done {}
    }

    /// A second run, begun and in contact with the pods only: a gap.
    pub fn with_gap(self) -> Self {
        let (config, _) = TracerConfig::parse("trackedObjects: {v1.ConfigMap: {}}").unwrap();
        let mut writer = Writer::new(Store::open(self.path()).unwrap()).unwrap();
        writer
            .begin_run(
                Timestamp::from_seconds(START + 500),
                &config,
                "record",
                None,
            )
            .unwrap();
        let pods = [
            Observation::ListStarted { watch: Gvk::pod() },
            Observation::ListFinished {
                watch: Gvk::pod(),
                resource_version: "2".to_owned(),
            },
        ];
        writer
            .append(pods.map(|seen| (Timestamp::from_seconds(START + 500), seen)))
            .unwrap();
        drop(writer);
        self
    }

    /// Flips a bit of the last large body: planning an export does not read it, writing it does.
    pub fn with_damaged_last_body(self) -> Self {
        flip_bit(
            &self.path(),
            TableDefinition::<u64, &[u8]>::new("base_to_body"),
        );
        self
    }

    /// Flips a bit of the last header: planning an export reads it.
    pub fn with_damaged_last_header(self) -> Self {
        flip_bit(
            &self.path(),
            TableDefinition::<&[u8; 16], &[u8]>::new("event_to_headers"),
        );
        self
    }
}

pub fn kind() -> Gvk {
    Gvk::new("", "v1", "ConfigMap")
}

/// Text that no compressor makes much shorter.
fn noise(seed: usize, bytes: usize) -> String {
    let mut noise = vec![0; bytes];
    blake3::Hasher::new()
        .update(&seed.to_le_bytes())
        .finalize_xof()
        .fill(&mut noise);
    for byte in &mut noise {
        *byte = b'0' + (*byte & 63);
    }
    String::from_utf8(noise).unwrap()
}

fn flip_bit<K: redb::Key + 'static>(path: &Path, definition: TableDefinition<'_, K, &'static [u8]>)
where
    for<'k> K::SelfType<'k>: std::borrow::Borrow<K::SelfType<'k>>,
{
    let database = Database::open(path).unwrap();
    let txn = database.begin_write().unwrap();
    {
        let mut table = txn.open_table(definition).unwrap();
        let (key, mut bytes) = {
            let (key, value) = table.last().unwrap().unwrap();
            (
                K::as_bytes(&key.value()).as_ref().to_vec(),
                value.value().to_vec(),
            )
        };
        *bytes.last_mut().unwrap() ^= 1;
        table.insert(K::from_bytes(&key), bytes.as_slice()).unwrap();
    }
    txn.commit().unwrap();
}
