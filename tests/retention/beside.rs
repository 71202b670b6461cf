//! Retention beside recording, on the writer's thread: with the batches while they come, by itself once they do not.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::json;
use sk_tracedb::ingest::{Retention, RetentionPolicy};
use sk_tracedb::model::{MICROS_PER_SECOND, Observation};

use crate::running::Running;
use crate::support::*;

const AGE_SECONDS: i64 = 100;
const MAPS: i64 = 50;
const DEADLINE: Duration = Duration::from_secs(60);

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What happens in a second: each map changes.
fn second(second: i64) -> impl Iterator<Item = Observation> {
    (0..MAPS).map(move |n| {
        obj("v1.ConfigMap", &format!("ns/map-{n}"), &format!("map-{n}"))
            .field("data", json!({"second": second}))
            .applied()
    })
}

#[test]
fn batches_take_retention_with_them_and_silence_gives_it_commits_of_its_own() {
    let mut recorder = Recorder::listed(config(&["v1.ConfigMap: {}"]));
    let mut everything = Recorder::listed(config(&["v1.ConfigMap: {}"]));
    let writer = recorder.take_writer();
    let policy = RetentionPolicy {
        age_us: Some(AGE_SECONDS * MICROS_PER_SECOND),
        size_bytes: None,
    };
    let retention = Retention::new(policy, &writer).unwrap();
    let reader = writer.reader();
    let running = Running::start(writer, retention, s(101));
    let stats = Arc::clone(&running.stats);
    let dropped = || stats.retention.changes.load(Ordering::SeqCst);
    let shared = || stats.retention.pieces.count() > stats.retention.commits.count();

    // Until a batch has taken a piece with it.
    let mut now = 101;
    let deadline = Instant::now() + DEADLINE;
    while dropped() == 0 || !shared() {
        assert!(Instant::now() < deadline, "{:?}", stats.retention);
        running.clock.set(s(now));
        for seen in second(now) {
            running.tell(seen);
        }
        everything.see_all(s(now), second(now));
        now += 1;
    }
    wait_for("the batches are not committed", || {
        stats.observations.load(Ordering::SeqCst) == ((now - 101) * MAPS) as u64
    });
    let end = now - 1;
    let kept = end - AGE_SECONDS;
    assert!(kept > 101);

    // Nothing more comes, and time goes on: what gets too old goes by itself, and the rest is still what was told.
    let alone = stats.retention.commits.count();
    running.clock.set(s(end + AGE_SECONDS / 2));
    let gone = |second: i64| {
        let horizon = reader.snapshot().unwrap().info().unwrap().horizon;
        horizon.is_some_and(|horizon| horizon >= s(second))
    };
    wait_for("nothing is dropped in silence", || {
        gone(end - AGE_SECONDS / 2)
    });
    assert!(stats.retention.commits.count() > alone);
    assert!(stats.retention.work.count() == stats.retention.pieces.count());
    recorder.put_writer(running.stop());
    let start = end - AGE_SECONDS / 2 + 1;
    assert_eq!(
        recorder.export(start, end + 1).bytes,
        everything.export(start, end + 1).bytes
    );
}
