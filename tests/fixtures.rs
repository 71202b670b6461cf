//! Guards against a release that cannot read what an earlier one wrote: every schema version ever released has a store here, with the
//! trace that the release which wrote it exported from it.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a test that meets what it did not expect fails by a panic"
)]

use std::path::{Path, PathBuf};

use sk_tracedb::export::{ExportFilters, ExportRequest, export};
use sk_tracedb::model::{TimeRange, Timestamp};
use sk_tracedb::recorder::SimulatedRecorder;
use sk_tracedb::store::SCHEMA_VERSION;
use sk_tracedb::workload::{Workload, WorkloadOptions};
use sk_tracedb::{Reader, Store};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/fixtures")
}

/// The whole record, cluster-scoped objects included.
fn whole(reader: &Reader) -> Vec<u8> {
    let (first, last) = reader.snapshot().unwrap().extent().unwrap();
    let window = TimeRange {
        start: Timestamp::from_seconds(first.as_seconds()),
        end: Timestamp::from_seconds(last.as_seconds() + 1),
    };
    let filters = ExportFilters {
        include_cluster_scoped: true,
        ..ExportFilters::default()
    };
    let mut trace = Vec::new();
    export(reader, &ExportRequest { window, filters }, &mut trace).unwrap();
    trace
}

#[test]
fn every_released_schema_version_gives_the_export_it_gave_then() {
    let mut versions = 0;
    for version in 1..=SCHEMA_VERSION {
        let store = fixtures().join(format!("v{version}.redb"));
        let expected = std::fs::read(fixtures().join(format!("v{version}.sktrace"))).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("store.redb");
        std::fs::copy(&store, &copy).unwrap();
        for _ in 0..2 {
            let store = Store::open(&copy).unwrap();
            assert!(
                whole(&store.reader()) == expected,
                "the export of schema version {version} has changed"
            );
            store.close().unwrap();
        }
        let read_only = Reader::open(&copy).unwrap();
        assert_eq!(
            read_only.snapshot().unwrap().info().unwrap().schema_version,
            SCHEMA_VERSION
        );
        assert!(whole(&read_only) == expected);
        versions += 1;
    }
    assert_eq!(versions, SCHEMA_VERSION);
}

/// Makes the fixture of the schema version in force. Never run it for a version that has been released.
#[tokio::test]
#[ignore = "writes migrations/fixtures; for a new schema version only"]
async fn make_fixture() {
    std::fs::create_dir_all(fixtures()).unwrap();
    let path = fixtures().join(format!("v{SCHEMA_VERSION}.redb"));
    let mut workload = Workload::new(WorkloadOptions {
        seed: 7,
        objects: 50,
        changes: 300,
        warm_start: true,
        ..WorkloadOptions::default()
    });
    let mut store = Store::create(&path).unwrap();
    for steps in [120, 150] {
        let recorder = SimulatedRecorder::start(store, &workload, "fixture")
            .await
            .unwrap();
        for _ in 0..steps {
            let Some(step) = workload.next() else { break };
            recorder.step(step, &workload).await.unwrap();
        }
        store = recorder.stop().await.unwrap();
        workload.skip_steps(20);
    }
    let trace = whole(&store.reader());
    std::fs::write(fixtures().join(format!("v{SCHEMA_VERSION}.sktrace")), trace).unwrap();
    store.close().unwrap();
}
