//! R11, R13: what is acknowledged is durable; what waits is bounded; a store that cannot be trusted is not written on.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use serde_json::json;
use sk_tracedb::clock::ManualClock;
use sk_tracedb::ingest::{Writer, WriterStats, queue, spawn};
use sk_tracedb::limits::{QUEUE_BYTES_MAX, QUEUE_OBSERVATIONS_MAX};
use sk_tracedb::{Reader, Store, StoreError};

use crate::support::*;

fn map(n: usize) -> Obj {
    obj("v1.ConfigMap", &format!("ns/m{n}"), &format!("{n}"))
}

#[test]
fn what_a_commit_acknowledged_is_in_the_file_at_that_moment() {
    let mut recorder = Recorder::listed(config(&["v1.ConfigMap: {}"]));
    for n in 0..20 {
        let committed = recorder.see(s(101), map(n).applied());
        assert_eq!(committed.changes, 1);
        // The image of a machine that loses power now.
        let image = recorder.folder().join("image.redb");
        std::fs::copy(recorder.path(), &image).unwrap();
        let mut writer = Writer::new(Store::open(&image).unwrap()).unwrap();
        assert_eq!(
            writer
                .reader()
                .snapshot()
                .unwrap()
                .state_at(s(101))
                .unwrap()
                .count(),
            n + 1
        );
        // And it can be gone on with.
        writer
            .begin_run(
                s(102),
                &config(&["v1.ConfigMap: {}"]),
                "record",
                Some("cluster"),
            )
            .unwrap();
        let next = writer.append([(s(103), map(n + 1).applied())]).unwrap();
        assert_eq!(next.last.seq, committed.last.seq + 1);
    }
}

#[test]
fn an_unchanged_object_is_acknowledged_without_a_change() {
    let mut recorder = Recorder::listed(config(&["v1.ConfigMap: {}"]));
    let first = recorder.see(s(101), map(1).applied());
    let again = recorder.see(s(105), map(1).applied());
    assert_eq!((first.changes, again.changes), (1, 0));
    assert_eq!(again.last.seq, first.last.seq);
    assert_eq!(recorder.info().end, Some(s(105)));
}

#[tokio::test]
async fn the_queue_is_bounded_in_observations_and_in_bytes() {
    let clock = Arc::new(ManualClock::new(s(100)));
    let (queue, mut receiver) = queue(clock);
    for n in 0..QUEUE_OBSERVATIONS_MAX {
        queue.send(map(n).applied()).await.unwrap();
    }
    let mut one_more = Box::pin(queue.send(map(0).applied()));
    assert!(futures::poll!(&mut one_more).is_pending());
    drop(receiver.recv().await);
    assert!(matches!(futures::poll!(&mut one_more), Poll::Ready(Ok(()))));

    while receiver.try_recv().is_ok() {}
    let large =
        obj("v1.ConfigMap", "ns/large", "l").field("data", json!("x".repeat(QUEUE_BYTES_MAX / 3)));
    queue.send(large.applied()).await.unwrap();
    queue.send(large.applied()).await.unwrap();
    let mut third = Box::pin(queue.send(large.applied()));
    assert!(futures::poll!(&mut third).is_pending());
    // The bytes are given back when the writer lets go of the observation, not when it takes it.
    let taken = receiver.recv().await;
    assert!(futures::poll!(&mut third).is_pending());
    drop(taken);
    assert!(matches!(futures::poll!(&mut third), Poll::Ready(Ok(()))));

    while receiver.try_recv().is_ok() {}
    let huge =
        obj("v1.ConfigMap", "ns/huge", "h").field("data", json!("x".repeat(2 * QUEUE_BYTES_MAX)));
    queue.send(huge.applied()).await.unwrap();
    drop(receiver);
    assert!(queue.send(map(0).applied()).await.is_err());
}

#[test]
fn the_writer_thread_commits_what_is_queued_then_ends_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.redb");
    let mut writer = Writer::new(Store::open(&path).unwrap()).unwrap();
    writer
        .begin_run(s(100), &config(&["v1.ConfigMap: {}"]), "record", None)
        .unwrap();
    let clock = Arc::new(ManualClock::new(s(110)));
    let (queue, receiver) = queue(clock.clone());
    let stats = Arc::new(WriterStats::default());
    let thread = spawn(writer, receiver, clock.clone(), Arc::clone(&stats)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        for n in 0..500 {
            queue.send(map(n).applied()).await.unwrap();
        }
    });
    clock.set(s(120));
    drop(queue);
    let writer = thread.join().unwrap();
    assert_eq!(stats.changes.load(Ordering::Relaxed), 500);
    assert_eq!(stats.observations.load(Ordering::Relaxed), 500);
    let runs = writer.reader().snapshot().unwrap().runs().unwrap();
    assert_eq!((runs[0].end, runs[0].closed), (s(120), true));
    writer.into_store().close().unwrap();
    assert_eq!(
        Reader::open(&path)
            .unwrap()
            .snapshot()
            .unwrap()
            .info()
            .unwrap()
            .changes,
        500
    );
}

#[test]
fn a_run_that_was_killed_ends_with_its_last_commit() {
    let mut recorder = Recorder::listed(config(&["v1.ConfigMap: {}"]));
    recorder.see(s(110), map(1).applied());
    recorder.see(s(120), map(2).applied());
    let runs = |recorder: &Recorder| -> Vec<_> {
        let runs = recorder.snapshot().runs().unwrap();
        runs.iter().map(|run| (run.end, run.closed)).collect()
    };
    assert_eq!(runs(&recorder), [(s(120), false)]);
    recorder.crash();
    recorder.run_from(s(200));
    assert_eq!(runs(&recorder), [(s(120), false), (s(200), false)]);
    recorder.see(s(210), map(3).applied());
    assert_eq!(runs(&recorder), [(s(120), false), (s(210), false)]);
    recorder.restart(s(220), s(230));
    let all = [(s(120), false), (s(220), true), (s(230), false)];
    assert_eq!(runs(&recorder), all);
}

/// Flips a bit in every row of a table.
fn damage(path: &std::path::Path, table: &str) {
    let database = redb::Builder::new()
        .set_concurrency_mode(redb::ConcurrencyMode::SingleWriter)
        .open(path)
        .unwrap();
    let definition = redb::TableDefinition::<&[u8], &[u8]>::new(table);
    let txn = database.begin_write().unwrap();
    {
        let mut table = txn.open_table(definition).unwrap();
        let rows: Vec<(Vec<u8>, Vec<u8>)> = redb::ReadableTable::iter(&table)
            .unwrap()
            .map(|row| {
                row.map(|(key, value)| (key.value().to_vec(), value.value().to_vec()))
                    .unwrap()
            })
            .collect();
        assert!(!rows.is_empty());
        for (key, mut value) in rows {
            *value.last_mut().unwrap() ^= 1;
            table.insert(key.as_slice(), value.as_slice()).unwrap();
        }
    }
    txn.commit().unwrap();
}

#[test]
fn a_write_that_meets_a_damaged_row_changes_nothing_and_is_the_last() {
    let mut recorder = Recorder::listed(config(&["v1.ConfigMap: {}"]));
    recorder.see(s(101), map(1).applied());
    recorder.stop(s(110));
    damage(&recorder.path(), "object_to_row_packed");
    recorder.run_from(s(120));
    let before = recorder.info();
    let batch = [(s(121), map(2).applied()), (s(121), map(1).deleted())];
    let error = recorder.writer().append(batch.clone()).unwrap_err();
    assert!(
        matches!(
            &error,
            StoreError::Damaged {
                table: "object_to_row_packed",
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(recorder.info(), before);
    // What the writer knew of lists and config is gone: going on would record wrong things.
    let refused = recorder
        .writer()
        .append([(s(122), map(3).applied())])
        .unwrap_err();
    assert!(matches!(refused, StoreError::Refused(_)), "{refused:?}");
    assert_eq!(recorder.info(), before);
}

#[test]
fn nothing_is_recorded_outside_of_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::new(Store::open(folder.path().join("trace.redb")).unwrap()).unwrap();
    let refused = writer.append([(s(100), map(1).applied())]).unwrap_err();
    assert!(matches!(refused, StoreError::Refused(_)), "{refused:?}");
    writer
        .begin_run(s(101), &config(&["v1.ConfigMap: {}"]), "record", None)
        .unwrap();
    writer.append([(s(102), map(1).applied())]).unwrap();
    writer.end_run(s(103)).unwrap();
    let refused = writer.append([(s(104), map(2).applied())]).unwrap_err();
    assert!(matches!(refused, StoreError::Refused(_)), "{refused:?}");
    assert_eq!(
        writer.reader().snapshot().unwrap().info().unwrap().changes,
        1
    );
}
