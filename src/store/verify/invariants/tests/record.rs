//! A small record, to spoil a row of.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::config::TracerConfig;
use crate::ingest::{Effort, Writer};
use crate::model::{EventKey, Gvk, Horizon, Observation, Timestamp};
use crate::normalize::{Redaction, normalize};
use crate::store::codec::hex;
use crate::store::tables::WriteTables;
use crate::store::{Finding, Store, verify};

/// Ids of the objects, in the order in which they appear.
pub(super) const CHANGED: u64 = 1;
pub(super) const DELETED: u64 = 2;
pub(super) const LARGE: u64 = 3;

/// Changes: three versions of one, creation and deletion of another, a large one, and the first one's last.
pub(super) const CHANGES: u64 = 7;

/// When the n-th change happens, from 1 on.
pub(super) fn event(n: u64) -> EventKey {
    EventKey {
        at: Timestamp::from_seconds(100 + n.cast_signed()),
        seq: n,
    }
}

pub(super) fn key(number: u64) -> String {
    hex(&number.to_be_bytes())
}

pub(super) struct Record {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Record {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace.redb");
        let text = "trackedObjects: {v1.ConfigMap: {}}";
        let (config, _) = TracerConfig::parse(text).unwrap();
        let mut writer = Writer::new(Store::create(&path).unwrap()).unwrap();
        let begin = Timestamp::from_seconds(100);
        writer.begin_run(begin, &config, "record", None).unwrap();
        let redaction = Redaction::new(writer.redaction_key().unwrap(), &config);
        let item = |kind: &Gvk, object: Value| {
            normalize(kind, config.tracked.get(kind), &redaction, object).unwrap()
        };
        let kind = Gvk::new("", "v1", "ConfigMap");
        let map = |name: &str, data: &str| {
            let metadata = json!({"name": name, "namespace": "ns", "uid": name});
            item(&kind, json!({"metadata": metadata, "data": {"text": data}}))
        };
        let applied = |item| Observation::Applied {
            watch: kind.clone(),
            item,
            resource_version: None,
        };
        let mut noise = vec![0; 3_000];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        let changes = [
            applied(map("changed", "1")),
            applied(map("changed", "2")),
            applied(map("deleted", "1")),
            applied(map("changed", "3")),
            Observation::Deleted {
                watch: kind.clone(),
                item: map("deleted", "1"),
                resource_version: None,
            },
            applied(map("large", &hex(&noise))),
            applied(map("changed", "4")),
        ];
        for (n, change) in (1..).zip(changes) {
            writer.append([(event(n).at, change)]).unwrap();
        }
        let metadata = json!({"name": "pod", "namespace": "ns", "uid": "pod"});
        let status = json!({"startTime": "1970-01-01T00:01:50Z"});
        let pod = json!({"metadata": metadata, "spec": {"containers": []}, "status": status});
        let pod = Observation::Applied {
            watch: Gvk::pod(),
            item: item(&Gvk::pod(), pod),
            resource_version: None,
        };
        let end = Timestamp::from_seconds(120);
        assert_eq!(writer.append([(end, pod)]).unwrap().changes, 0);
        assert_eq!(writer.changes(), CHANGES);
        writer.end_run(end).unwrap();
        // The journal is empty: rows lie in their tables.
        writer.pack_all(Duration::MAX).unwrap();
        writer.into_store().close().unwrap();
        Self {
            _folder: folder,
            path,
        }
    }

    /// The same record, of which retention has dropped what lies before the n-th change.
    pub(super) fn dropped_before(n: u64) -> Self {
        let record = Self::new();
        let mut writer = Writer::new(Store::open(&record.path).unwrap()).unwrap();
        let effort = Effort {
            rows: 1_000,
            time: Duration::from_secs(60),
        };
        let horizon = Horizon::at(event(n).at);
        while !writer.retain(horizon, effort, false).unwrap().done {}
        assert_eq!(writer.changes(), CHANGES + 1 - n);
        writer.pack_all(Duration::MAX).unwrap();
        writer.into_store().close().unwrap();
        record
    }

    /// What is found wrong after something was done to its rows.
    pub(super) fn spoiled(self, spoil: impl FnOnce(&mut WriteTables<'_>)) -> Vec<Finding> {
        let store = Store::open(&self.path).unwrap();
        let txn = store.begin_write().unwrap();
        spoil(&mut WriteTables::open(&txn).unwrap());
        txn.commit().unwrap();
        store.close().unwrap();
        verify(&self.path, &mut |_| true).unwrap().findings
    }
}

/// Whether a finding names a row and says this.
pub(super) fn names(findings: &[Finding], table: &str, key: &str, what: &str) -> bool {
    findings
        .iter()
        .any(|found| found.table == table && found.key == key && found.what.contains(what))
}

#[test]
fn nothing_is_wrong_with_what_was_not_spoiled() {
    assert_eq!(Record::new().spoiled(|_| {}), []);
    for n in 1..=CHANGES {
        assert_eq!(Record::dropped_before(n).spoiled(|_| {}), [], "{n}");
    }
}
