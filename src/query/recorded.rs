//! A record to ask things of, for tests.

use std::path::Path;

use crate::recorder::SimulatedRecorder;
use crate::store::{Reader, Store};
use crate::workload::{Workload, WorkloadOptions};

/// A record of so many objects, some of which come and go, as a new process would open it.
pub(crate) async fn recorded(folder: &Path, objects: usize, changes: u64) -> Reader {
    let mut workload = Workload::new(WorkloadOptions {
        objects,
        changes,
        ..WorkloadOptions::default()
    });
    let path = folder.join("trace.redb");
    let store = Store::create(&path).unwrap();
    let recorder = SimulatedRecorder::start(store, &workload, "test")
        .await
        .unwrap();
    while let Some(step) = workload.next() {
        recorder.step(step, &workload).await.unwrap();
    }
    drop(recorder.stop().await.unwrap());
    Reader::open(&path).unwrap()
}
