//! S4: a disk that is full, or fails, pauses recording. Nothing acknowledged is lost, nothing is recorded twice, reads
//! go on, and recording goes on by itself.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;
use sk_tracedb::clock::ManualClock;
use sk_tracedb::ingest::{
    Patience, Pause, Queue, Retention, Writer, WriterStats, WriterThread, queue, spawn_patient,
};
use sk_tracedb::model::Observation;
use sk_tracedb::{Reader, StoreError};

use crate::batches::{CONFIGS, Rng, begin, told};
use crate::faulty::{Fail, Faulty};
use crate::support::*;

const DEADLINE: Duration = Duration::from_secs(30);
const OBJECTS: usize = 60;
const BODY_BYTES: usize = 6_000;

/// Observations that are recorded before anything goes wrong.
const BEGINNING: usize = 30;

/// Polls until something is there.
fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A list of many large objects, one of which is gone in the next.
fn observations() -> Vec<Observation> {
    let mut rng = Rng(11);
    let started = Observation::ListStarted {
        watch: gvk(CONFIGS),
    };
    let finished = |version: &str| Observation::ListFinished {
        watch: gvk(CONFIGS),
        resource_version: version.to_owned(),
    };
    let map = |n: usize, text: String| {
        obj(CONFIGS, &format!("ns/m{n}"), &format!("m{n}")).field("data", json!(text))
    };
    let mut seen = vec![started.clone()];
    for n in 0..OBJECTS {
        seen.push(map(n, rng.text(BODY_BYTES)).applied());
    }
    seen.push(finished("1"));
    seen.push(started);
    for n in 1..OBJECTS {
        seen.push(map(n, rng.text(BODY_BYTES)).applied());
    }
    seen.push(finished("2"));
    seen
}

/// A recorder's writer on storage that fails.
struct Recording {
    storage: Faulty,
    queue: Queue,
    thread: WriterThread,
    stats: Arc<WriterStats>,
    reader: Reader,
}

impl Recording {
    fn start() -> Self {
        let storage = Faulty::new_store();
        let mut writer = Writer::new(storage.open().unwrap()).unwrap();
        begin(&mut writer).unwrap();
        let reader = writer.reader();
        let clock = Arc::new(ManualClock::new(s(1_000)));
        let (queue, receiver) = queue(clock.clone());
        let stats = Arc::new(WriterStats::default());
        let patience = Patience {
            retry_min: Duration::from_millis(1),
            retry_max: Duration::from_millis(5),
            reserve_bytes: 0,
        };
        let thread = spawn_patient(
            writer,
            Retention::default(),
            receiver,
            clock,
            Arc::clone(&stats),
            patience,
        )
        .unwrap();
        Self {
            storage,
            queue,
            thread,
            stats,
            reader,
        }
    }

    /// Sends the beginning, up to the middle of the first list, and waits until it is acknowledged.
    fn record_beginning(&self) {
        self.send(0..BEGINNING).join().unwrap();
        self.wait_for_acknowledged(BEGINNING);
    }

    /// Sends what comes then, as fast as it is taken.
    fn send_rest(&self) -> JoinHandle<()> {
        self.send(BEGINNING..observations().len())
    }

    fn send(&self, range: Range<usize>) -> JoinHandle<()> {
        let queue = self.queue.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            runtime.block_on(async {
                for seen in &observations()[range] {
                    // A writer that has stopped takes no more.
                    if queue.send(seen.clone()).await.is_err() {
                        return;
                    }
                }
            });
        })
    }

    fn wait_for_pause(&self) -> Pause {
        wait_for("recording never paused", || self.stats.pause())
    }

    /// Waits until a paused writer has failed so many times more.
    fn wait_for_failures(&self, more: u64) {
        let failures = || self.stats.write_failures.load(Ordering::SeqCst);
        let wanted = failures() + more;
        wait_for("it is not tried again", || {
            (failures() >= wanted).then_some(())
        });
    }

    fn acknowledged(&self) -> (u64, u64) {
        let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::SeqCst);
        (load(&self.stats.observations), load(&self.stats.changes))
    }

    fn wait_for_acknowledged(&self, observations: usize) {
        wait_for("recording did not go on", || {
            (self.acknowledged().0 == observations as u64).then_some(())
        });
    }
}

/// What an undisturbed recording of the same tells.
fn undisturbed() -> crate::batches::Told {
    let recording = Recording::start();
    recording.record_beginning();
    recording.send_rest().join().unwrap();
    recording.wait_for_acknowledged(observations().len());
    told(&recording.reader)
}

#[test]
fn a_full_disk_pauses_recording_until_there_is_room() {
    let recording = Recording::start();
    recording.record_beginning();
    recording.storage.leave_bytes(Some(100_000));
    let sender = recording.send_rest();
    let mut length = None;
    // More than once: each time there is a little more room.
    for _ in 0..3 {
        let pause = recording.wait_for_pause();
        assert_eq!(pause.since, s(1_000));
        assert!(
            pause.reason.starts_with("no space left on the volume of "),
            "{pause:?}"
        );
        recording.wait_for_failures(3);
        // Readers see what was acknowledged, and an export of it succeeds.
        let (_, changes) = recording.acknowledged();
        let info = recording.reader.snapshot().unwrap().info().unwrap();
        assert_eq!(info.changes, changes);
        let before = told(&recording.reader);
        recording.wait_for_failures(3);
        assert_eq!(told(&recording.reader), before);
        // Trying again does not make the file longer and longer.
        let now = std::fs::metadata(recording.storage.path()).unwrap().len();
        assert!(*length.get_or_insert(4 * now) >= now, "{now} bytes");
        recording.storage.leave_bytes(Some(40_000));
    }
    recording.storage.leave_bytes(None);
    sender.join().unwrap();
    recording.wait_for_acknowledged(observations().len());
    assert_eq!(recording.stats.pause(), None);
    assert_eq!(told(&recording.reader), undisturbed());
    drop(recording.queue);
    let writer = recording.thread.join().unwrap();
    writer.into_store().close().unwrap();
}

#[test]
fn a_disk_that_fails_for_a_while_pauses_recording() {
    let recording = Recording::start();
    recording.record_beginning();
    recording.storage.fail(Fail::From(10));
    let sender = recording.send_rest();
    let pause = recording.wait_for_pause();
    assert!(pause.reason.contains("Input/output error"), "{pause:?}");
    recording.wait_for_failures(3);
    recording.storage.fail(Fail::Never);
    sender.join().unwrap();
    recording.wait_for_acknowledged(observations().len());
    assert_eq!(told(&recording.reader), undisturbed());
}

#[test]
fn a_recorder_that_is_stopped_while_paused_says_what_it_did_not_record() {
    let recording = Recording::start();
    recording.record_beginning();
    recording.storage.leave_bytes(Some(100_000));
    let sender = recording.send_rest();
    recording.wait_for_pause();
    sender.join().unwrap();
    let Recording {
        storage,
        queue,
        thread,
        stats,
        reader,
    } = recording;
    drop(queue);
    let Err(error) = thread.join() else {
        panic!("it says that it has recorded everything");
    };
    let StoreError::NotRecorded { observations, .. } = &error else {
        panic!("{error:?}");
    };
    let recorded = stats.observations.load(Ordering::SeqCst);
    assert_eq!(recorded + observations, self::observations().len() as u64);
    assert!(error.to_string().contains("hint:"), "{error}");
    // What was acknowledged is there, also for the next recorder.
    let before = told(&reader);
    let writer = Writer::new(storage.open().unwrap()).unwrap();
    assert_eq!(told(&writer.reader()), before);
    let changes = stats.changes.load(Ordering::SeqCst);
    let info = reader.snapshot().unwrap().info().unwrap();
    assert_eq!((info.changes, info.runs[0].closed), (changes, false));
}

/// What became of a recorder that was told to stop before it began, and whose storage fails once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stopped {
    failures: u64,
    recorded: u64,
    in_good_order: bool,
}

fn stopped_at_once(observations: &[Observation], fail: Fail) -> Stopped {
    let storage = Faulty::new_store();
    let mut writer = Writer::new(storage.open().unwrap()).unwrap();
    begin(&mut writer).unwrap();
    let clock = Arc::new(ManualClock::new(s(1_000)));
    let (queue, receiver) = queue(clock.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for seen in observations {
        runtime.block_on(queue.send(seen.clone())).unwrap();
    }
    drop(queue);
    let stats = Arc::new(WriterStats::default());
    let (retention, patience) = (Retention::default(), Patience::default());
    storage.fail(fail);
    let told = Arc::clone(&stats);
    let thread = spawn_patient(writer, retention, receiver, clock, told, patience);
    let in_good_order = thread.unwrap().join().is_ok();
    Stopped {
        failures: stats.write_failures.load(Ordering::SeqCst),
        recorded: stats.observations.load(Ordering::SeqCst),
        in_good_order,
    }
}

#[test]
fn packing_that_fails_when_it_is_told_to_stop_does_not_end_the_recorder() {
    let mut observations = observations();
    // One list, with three objects: while one is under way nothing is packed.
    observations.truncate(OBJECTS + 2);
    observations.drain(4..=OBJECTS);
    let all = observations.len() as u64;
    let ends: Vec<_> = (0..)
        .map(|n| stopped_at_once(&observations, Fail::Once(n)))
        .take_while(|end| end.failures > 0)
        .collect();
    assert!(ends.len() > 20, "{ends:?}");
    // First there is the batch, and at last the end of the run: without them it did not end in good order.
    let first = ends.first().unwrap();
    assert_eq!((first.recorded, first.in_good_order), (0, false));
    let last = ends.iter().rposition(|end| !end.in_good_order).unwrap();
    assert_eq!(ends[last].recorded, all);
    // Between them is packing.
    let packing = ends[..last].iter().filter(|end| end.in_good_order);
    assert!(packing.clone().count() > 5, "{ends:?}");
    assert!(packing.clone().all(|end| end.recorded == all));
}
