//! SIGKILL at random moments under load, again and again on one file that grows. What was acknowledged is known from
//! outside: the recording process says so through a pipe after each commit.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::json;
use sk_tracedb::ingest::{Effort, Writer};
use sk_tracedb::model::{Horizon, TimeRange};
use sk_tracedb::{Reader, Store};

use crate::batches::{CONFIGS, Rng, Step, begin, verify_whole};
use crate::support::recorder::export_of;
use crate::support::*;

/// Names the file in the process that is to be killed.
pub const CHILD: &str = "SK_TRACEDB_TEST_KILLED_DB";
/// How many times to kill; .ci/run asks for 200.
const KILLS: &str = "SK_TRACEDB_TEST_KILLS";
const KILLS_BY_DEFAULT: u64 = 15;

/// Objects of one batch: all of them change in it.
const OBJECTS: u64 = 5;
/// Sets of objects that batches change in turn.
const SETS: u64 = 7;
/// Bodies are smaller than this, bytes.
const BODY_BYTES: u64 = 4_000;
/// Batches that retention keeps.
const KEPT: u64 = 100;
const DEADLINE: Duration = Duration::from_secs(60);
/// One in so many killed files is verified as a whole before anybody opens it again, and asked for what it holds.
const VERIFIED_EVERY: u64 = 1;
/// Half of the opens take less; the figures are printed. Not asked of a debug build: redb's walks every page then.
const OPEN_MAX: Duration = Duration::from_millis(200);

fn object(set: u64, k: u64, batch: u64, bytes: usize) -> Obj {
    let text = Rng(batch * OBJECTS + k).text(bytes);
    obj(CONFIGS, &format!("ns/{set}-{k}"), &format!("{set}-{k}"))
        .field("data", json!({"batch": batch, "text": text}))
}

/// The process that is killed: records batches for ever, says after each commit which one it was, and exports
/// meanwhile. As a test of its own it does nothing.
#[test]
fn child() {
    let Ok(path) = std::env::var(CHILD) else {
        return;
    };
    let started = Instant::now();
    let mut writer = Writer::new(Store::open(&path).unwrap()).unwrap();
    say(format!("opened {}", started.elapsed().as_micros()));
    let reader = writer.reader();
    let recorded = check(&reader);
    say(format!("recorded {recorded}"));
    begin(&mut writer).unwrap();
    std::thread::spawn(move || {
        loop {
            // What retention leaves alone: it goes on beside this.
            let (_, last) = reader.snapshot().unwrap().extent().unwrap();
            let end = last.as_seconds() + 1;
            drop(export_of(
                &reader,
                window(end - 20, end),
                Default::default(),
            ));
        }
    });
    for batch in recorded.. {
        let mut rng = Rng(batch);
        let bytes = rng.below(BODY_BYTES) as usize;
        let at = s(1_000 + batch as i64);
        let seen = (0..OBJECTS).map(|k| (at, object(batch % SETS, k, batch, bytes).applied()));
        writer.append(seen).unwrap();
        say(format!("committed {batch}"));
        // What a recorder does by itself when much more has been recorded.
        match batch % 10 {
            3 => Step::Fold.run(&mut writer).unwrap(),
            6 => Step::Pack.run(&mut writer).unwrap(),
            9 if batch > KEPT => {
                let effort = Effort {
                    rows: 1_000_000,
                    time: DEADLINE,
                };
                let horizon = Horizon::at(s(1_000 + (batch - KEPT) as i64));
                writer.begin_sweep();
                assert!(writer.retain(horizon, effort, false).unwrap().done);
            }
            _ => {}
        }
    }
}

/// Tells the process that started this one.
pub fn say(line: String) {
    let mut out = std::io::stdout().lock();
    // On a line of its own: the test harness has begun one.
    writeln!(out, "\n{line}").unwrap();
    out.flush().unwrap();
}

/// Runs a test of this binary as a process of its own, on a file; and what it prints.
pub fn start(test: &str, path: &Path) -> (Child, Receiver<String>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    (child, receiver)
}

#[test]
fn killed_at_any_moment_it_has_everything_that_it_acknowledged() {
    let kills = std::env::var(KILLS).map_or(KILLS_BY_DEFAULT, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.redb");
    Store::create(&path).unwrap().close().unwrap();
    let mut rng = Rng(kills);
    // Batches acknowledged so far.
    let mut acknowledged = 0;
    let (mut opens, mut ahead, mut before_open) = (Vec::new(), 0, 0);
    for kill in 0..kills {
        let (mut child, lines) = start("killed::child", &path);
        let mut heard = |line: &str| -> bool {
            if let Some(us) = line.strip_prefix("opened ") {
                opens.push(Duration::from_micros(us.parse().unwrap()));
            } else if let Some(batches) = line.strip_prefix("recorded ") {
                let batches: u64 = batches.parse().unwrap();
                ahead += u64::from(is_ahead(batches, acknowledged));
                acknowledged = batches;
            } else if let Some(batch) = line.strip_prefix("committed ") {
                // Nothing is skipped, nothing is done twice.
                let batch: u64 = batch.parse().unwrap();
                assert_eq!(batch, acknowledged);
                acknowledged = batch + 1;
            } else {
                return false;
            }
            true
        };
        // Sometimes it is killed while it opens the file, else after some commits; and then a bit later.
        let said = match rng.below(8) {
            0 => 0,
            _ => 1 + rng.below(30),
        };
        let deadline = Instant::now() + DEADLINE;
        let mut seen = 0;
        while seen < said {
            let left = deadline.saturating_duration_since(Instant::now());
            match lines.recv_timeout(left) {
                Ok(line) => seen += u64::from(heard(&line)),
                Err(RecvTimeoutError::Timeout) => panic!("kill {kill}: nothing is recorded"),
                Err(RecvTimeoutError::Disconnected) => panic!("kill {kill}: it died by itself"),
            }
        }
        let moment = match said {
            0 => rng.below(20_000),
            _ => rng.below(6_000),
        };
        std::thread::sleep(Duration::from_micros(moment));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines {
            seen += u64::from(heard(&line));
        }
        before_open += u64::from(seen == 0);

        if kill.is_multiple_of(VERIFIED_EVERY) {
            // From outside, too. Reading changes nothing: the next process finds the file as this one left it.
            verify_whole(&path, &format!("kill {kill}"));
            let recorded = check(&Reader::open(&path).unwrap());
            ahead += u64::from(is_ahead(recorded, acknowledged));
            acknowledged = recorded;
        }
    }
    let reader = Reader::open(&path).unwrap();
    let recorded = check(&reader);
    ahead += u64::from(is_ahead(recorded, acknowledged));
    acknowledged = recorded;
    check_histories(&reader, acknowledged);
    opens.sort();
    let (median, slowest) = (opens[opens.len() / 2], opens[opens.len() - 1]);
    println!(
        "killed {kills} times ({KILLS} sets how often), {before_open} times before it had opened the file; {acknowledged} \
         batches, {ahead} of them durable and not acknowledged, {} dropped since; one file in {VERIFIED_EVERY} was verified as a whole; {} bytes; opened in {median:?}, {slowest:?} at most",
        dropped(&reader),
        std::fs::metadata(&path).unwrap().len()
    );
    assert!(
        kills < KILLS_BY_DEFAULT || dropped(&reader) > 0,
        "nothing was dropped"
    );
    assert!(cfg!(debug_assertions) || median < OPEN_MAX, "{median:?}");
}

/// Everything acknowledged is recorded, and at most one batch more; whether that is so.
fn is_ahead(recorded: u64, acknowledged: u64) -> bool {
    assert!(
        recorded == acknowledged || recorded == acknowledged + 1,
        "{recorded} batches recorded, {acknowledged} acknowledged"
    );
    recorded > acknowledged
}

/// How many batches are recorded. Each is there as a whole, and the state at the end is that after the last of them.
fn check(reader: &Reader) -> u64 {
    let info = reader.snapshot().unwrap().info().unwrap();
    assert_eq!(info.changes % OBJECTS, 0, "half a batch");
    let batches = dropped(reader) + info.changes / OBJECTS;
    check_state(reader, batches);
    batches
}

/// How many batches retention has dropped: each had a second of its own.
fn dropped(reader: &Reader) -> u64 {
    let horizon = reader.snapshot().unwrap().horizon();
    match horizon.is_none() {
        true => 0,
        false => (horizon.first_start().as_seconds() - 1_000).cast_unsigned(),
    }
}

/// Of each set of objects all are of its last batch.
fn check_state(reader: &Reader, batches: u64) {
    let snapshot = reader.snapshot().unwrap();
    let mut found = 0;
    for version in snapshot.state_at(s(1_000_000_000)).unwrap() {
        let object = version.unwrap().object().unwrap();
        let (set, _) = object["metadata"]["name"]
            .as_str()
            .unwrap()
            .split_once('-')
            .unwrap();
        let set: u64 = set.parse().unwrap();
        let last = (0..batches)
            .rev()
            .find(|batch| batch % SETS == set)
            .unwrap();
        assert_eq!(
            object["data"]["batch"],
            json!(last),
            "set {set} after {batches}"
        );
        found += 1;
    }
    assert_eq!(found, batches.min(SETS) * OBJECTS);
}

/// Every version of every object that was kept is there, with its own bytes.
fn check_histories(reader: &Reader, batches: u64) {
    let snapshot = reader.snapshot().unwrap();
    for set in 0..SETS {
        for k in 0..OBJECTS {
            let key = object(set, k, 0, 0).key();
            let versions: Vec<_> = snapshot
                .history(&key, TimeRange::ALL)
                .unwrap()
                .map(|entry| entry.unwrap().event.at)
                .collect();
            let expected: Vec<_> = (dropped(reader)..batches)
                .filter(|batch| batch % SETS == set)
                .map(|batch| s(1_000 + batch as i64))
                .collect();
            assert_eq!(versions, expected, "{set}-{k}");
        }
    }
    // Each batch as it was.
    for batch in (0..batches).rev().take(50) {
        let state = snapshot.state_at(s(1_000 + batch as i64)).unwrap();
        let objects = state.map(|version| version.unwrap().object().unwrap());
        let of_batch: Vec<_> = objects
            .filter(|object| object["data"]["batch"] == json!(batch))
            .map(|object| object["data"].clone())
            .collect();
        let bytes = Rng(batch).below(BODY_BYTES) as usize;
        let expected: Vec<_> = (0..OBJECTS)
            .map(|k| object(batch % SETS, k, batch, bytes).fields["data"].clone())
            .collect();
        assert_eq!(of_batch, expected, "batch {batch}");
    }
}
