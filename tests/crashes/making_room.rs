//! A volume that is full, whatever the limit of the store says: the oldest changes go, and recording goes on in the room
//! that the file has. Guards against a recorder that stands still for ever beside data that it was allowed to drop.

use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::json;
use sk_tracedb::Reader;
use sk_tracedb::clock::ManualClock;
use sk_tracedb::ingest::{
    Patience, Queue, Retention, RetentionPolicy, Writer, WriterStats, WriterThread, queue,
    spawn_patient,
};
use sk_tracedb::limits::{RESERVE_BYTES, SIZE_KEEPS_SECONDS_PRESSED};
use sk_tracedb::model::Observation;

use crate::batches::{CONFIGS, Rng, begin};
use crate::faulty::{Fail, Faulty};
use crate::support::recorder::export_of;
use crate::support::*;

const DEADLINE: Duration = Duration::from_secs(30);
/// Objects, each of which changes in every turn, and their size.
const OBJECTS: usize = 40;
const BODY_BYTES: usize = 10_000;
/// Seconds from one turn to the next.
const TURN_SECONDS: i64 = 20;
/// Turns before the volume is full, and with it.
const BEFORE: usize = 20;
const AFTER: usize = 40;
/// Room of the volume when it becomes full: about two turns. It gets no more than what the reserve file gives up, once: folding
/// the journal takes room before it gives any.
const LEFT_BYTES: u64 = 600_000;

fn at(turn: usize) -> i64 {
    1_000 + TURN_SECONDS * turn as i64
}

fn turn(number: usize) -> Vec<Observation> {
    let mut rng = Rng(number as u64);
    let map = |n: usize| obj(CONFIGS, &format!("ns/m{n}"), &format!("m{n}"));
    let mut turn: Vec<_> = (0..OBJECTS)
        .map(|n| map(n).field("data", json!(rng.text(BODY_BYTES))).applied())
        .collect();
    // The batch of a few changes would wait for others.
    let watch = gvk(CONFIGS);
    turn.push(Observation::Sighted { watch });
    turn
}

/// A recorder's writer that keeps what fits into `size_bytes`.
struct Recording {
    storage: Faulty,
    /// The reserve, until it is given up.
    reserve_bytes: Cell<Option<u64>>,
    queue: Queue,
    clock: Arc<ManualClock>,
    stats: Arc<WriterStats>,
    reader: Reader,
    thread: WriterThread,
}

impl Recording {
    fn start(storage: Faulty, size_bytes: Option<u64>) -> Self {
        let mut writer = Writer::new(storage.open().unwrap()).unwrap();
        begin(&mut writer).unwrap();
        let reader = writer.reader();
        let clock = Arc::new(ManualClock::new(s(1_000)));
        let (queue, receiver) = queue(clock.clone());
        let stats = Arc::new(WriterStats::default());
        let policy = RetentionPolicy {
            age_us: None,
            size_bytes,
        };
        let retention = Retention::new(policy, &writer).unwrap();
        let patience = Patience {
            retry_min: Duration::from_millis(1),
            retry_max: Duration::from_millis(5),
            reserve_bytes: 0,
        };
        let thread = spawn_patient(
            writer,
            retention,
            receiver,
            clock.clone(),
            Arc::clone(&stats),
            patience,
        )
        .unwrap();
        Self {
            storage,
            reserve_bytes: Cell::new(Some(RESERVE_BYTES)),
            queue,
            clock,
            stats,
            reader,
            thread,
        }
    }

    /// Records turns, one after the other. Returns whether each of them was acknowledged in time: a busy machine takes most of a
    /// minute for all, but does not stand still.
    fn record(&self, turns: Range<usize>, deadline_of_each: Duration) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        for number in turns {
            let deadline = Instant::now() + deadline_of_each;
            self.clock.set(s(at(number)));
            let turn = turn(number);
            let wanted = self.stats.observations.load(Ordering::SeqCst) + turn.len() as u64;
            for seen in turn {
                runtime.block_on(self.queue.send(seen)).unwrap();
            }
            while self.stats.observations.load(Ordering::SeqCst) < wanted {
                if Instant::now() > deadline {
                    return false;
                }
                if self.stats.write_failures.load(Ordering::SeqCst) > 0 {
                    let given = self.reserve_bytes.take();
                    given.inspect(|bytes| self.storage.leave_bytes(Some(*bytes)));
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        true
    }
}

#[test]
fn the_oldest_changes_make_room_on_a_full_volume() {
    // A limit that is far away: only the volume is in the way.
    let recording = Recording::start(Faulty::new_store(), Some(1 << 40));
    assert!(recording.record(0..BEFORE, DEADLINE));
    let dropped = || recording.stats.retention.changes.load(Ordering::SeqCst);
    assert_eq!(dropped(), 0);
    recording.storage.leave_bytes(Some(LEFT_BYTES));
    assert!(
        recording.record(BEFORE..BEFORE + AFTER, DEADLINE),
        "recording stands still on a full volume: {:?}, {} changes dropped",
        recording.stats.pause(),
        dropped()
    );
    assert_eq!(recording.stats.pause(), None);
    assert!(
        recording.stats.write_failures.load(Ordering::SeqCst) > 0,
        "the volume was never full"
    );
    let told = ((BEFORE + AFTER) * OBJECTS) as u64;
    assert!((1..told).contains(&dropped()), "{} dropped", dropped());

    // What is left is what was recorded, and the end of it is never dropped.
    drop(recording.queue);
    let reader = recording.thread.join().unwrap().reader();
    let end = at(BEFORE + AFTER - 1);
    let horizon = reader.snapshot().unwrap().info().unwrap().horizon;
    let start = horizon.unwrap().as_seconds() + 1;
    // There is no room for `SIZE_KEEPS_SECONDS_MIN`.
    let kept_from = end - SIZE_KEEPS_SECONDS_PRESSED;
    assert!(start <= kept_from, "{start} of {end}");
    let everything = Recording::start(Faulty::new_store(), None);
    assert!(everything.record(0..BEFORE + AFTER, DEADLINE));
    let exported = |reader: &Reader| export_of(reader, window(start, end + 1), Default::default());
    let kept = exported(&reader);
    assert!(kept.trace.changes().len() >= OBJECTS);
    assert_eq!(kept.bytes, exported(&everything.reader).bytes);
}

#[test]
fn a_storage_that_fails_for_another_reason_drops_nothing() {
    let recording = Recording::start(Faulty::new_store(), Some(1 << 40));
    recording.reserve_bytes.set(None);
    assert!(recording.record(0..BEFORE, DEADLINE));
    recording.storage.fail(Fail::Once(20));
    assert!(recording.record(BEFORE..BEFORE + 2, DEADLINE));
    assert!(recording.stats.write_failures.load(Ordering::SeqCst) > 0);
    drop(recording.queue);
    let reader = recording.thread.join().unwrap().reader();
    assert_eq!(recording.stats.retention.changes.load(Ordering::SeqCst), 0);
    assert_eq!(reader.snapshot().unwrap().info().unwrap().horizon, None);
}

#[test]
fn a_store_without_a_limit_drops_nothing_on_a_full_volume() {
    let recording = Recording::start(Faulty::new_store(), None);
    recording.reserve_bytes.set(None);
    assert!(recording.record(0..BEFORE, DEADLINE));
    recording.storage.leave_bytes(Some(LEFT_BYTES));
    // With room it takes 6 s.
    assert!(!recording.record(BEFORE..BEFORE + AFTER, Duration::from_secs(10)));
    let deadline = Instant::now() + DEADLINE;
    while recording.stats.pause().is_none() {
        assert!(Instant::now() < deadline, "it is not paused");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(recording.stats.retention.changes.load(Ordering::SeqCst), 0);
    assert_eq!(
        recording.reader.snapshot().unwrap().info().unwrap().horizon,
        None
    );
    // It ends when there is room.
    recording.storage.leave_bytes(None);
    drop(recording.queue);
    recording.thread.join().unwrap();
}
