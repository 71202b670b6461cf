//! Plain copies of the live file, made while it is written.

use std::time::{Duration, Instant};

use sk_tracedb::store::verify;
use sk_tracedb::{Reader, StoreError};

use crate::copies;
use crate::load::{Load, commits_of, trace};
use crate::support::*;

/// A commit takes a second of this.
const GRACE: u64 = 60;

#[test]
fn copies_of_the_live_file_under_load_open_and_hold_what_was_committed() {
    let load = Load::start(60, Some(Duration::from_secs(GRACE)));
    let copy = load.recorder_folder.join("copy.redb");
    let wanted = copies(20, 200);
    let (mut taken, mut too_slow, mut commits_meanwhile) = (Vec::new(), 0, 0);
    while taken.len() < wanted as usize {
        let n = taken.len();
        let before = load.commits();
        load.pause_at(u64::MAX);
        if n.is_multiple_of(2) {
            load.copy_slowly(&copy, 12);
        } else {
            std::fs::copy(&load.path, &copy).unwrap();
        }
        let meanwhile = load.commits() - before;
        // Until the copy has been looked at.
        load.pause_at(0);
        if meanwhile > GRACE {
            too_slow += 1;
            assert!(too_slow <= wanted, "this machine copies too slowly");
            continue;
        }
        commits_meanwhile += meanwhile;
        let reader = Reader::open(&copy).unwrap_or_else(|error| panic!("copy {n}: {error}"));
        let commits = commits_of(&reader);
        assert!(
            commits >= before,
            "copy {n}: what was committed before is missing"
        );
        taken.push((commits, trace(&reader, commits)));
        if n.is_multiple_of(4) {
            let verification = verify(&copy, &mut |_| true).unwrap();
            assert!(verification.intact, "copy {n}: {:?}", verification.findings);
            assert!(verification.pages_checked);
        }
    }
    let bytes = std::fs::metadata(&load.path).unwrap().len();
    println!(
        "{commits_meanwhile} commits during {wanted} copies, {too_slow} took too long; the file has {bytes} bytes"
    );
    assert!(commits_meanwhile > wanted, "nothing was written meanwhile");
    let recorder = load.stop();
    let reader = recorder.reader();
    for (commits, hash) in taken {
        assert!(
            trace(&reader, commits) == hash,
            "the copy of {commits} commits differs"
        );
    }
}

#[test]
fn a_copy_that_was_torn_is_refused_or_right() {
    let load = Load::start(60, None);
    let copy = load.recorder_folder.join("copy.redb");
    let (mut refused, mut right) = (0, Vec::new());
    for n in 0..copies(12, 200) {
        load.copy_slowly(&copy, 2 + n % 10);
        match Reader::open(&copy) {
            Ok(reader) => {
                let commits = commits_of(&reader);
                right.push((commits, trace(&reader, commits)));
            }
            Err(error @ StoreError::DamagedFile { .. }) => {
                let text = error.to_string();
                assert!(text.contains("hint:") && text.contains("salvage"), "{text}");
                refused += 1;
            }
            Err(error) => panic!("copy {n}: {error:?}"),
        }
    }
    println!("{refused} refused, {} right", right.len());
    assert!(refused > 0, "no copy was torn");
    let recorder = load.stop();
    let reader = recorder.reader();
    for (commits, hash) in right {
        assert!(
            trace(&reader, commits) == hash,
            "the copy of {commits} commits differs"
        );
    }
}

#[test]
fn pins_are_given_up_when_the_file_takes_more_than_it_may() {
    use sk_tracedb::store::{CopyGrace, CopyGraceOptions, CopyGraceStats};
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    let load = Load::start(3, None);
    let stats = Arc::new(CopyGraceStats::default());
    let allocated_bytes_max = |bytes| CopyGraceOptions {
        grace: Duration::from_secs(60),
        allocated_bytes_max: bytes,
        full_bytes: None,
        free_bytes_min: 0,
    };
    let mut roomy = CopyGrace::new(
        load.reader().clone(),
        allocated_bytes_max(None),
        Arc::clone(&stats),
    );
    // A pin every five seconds; those that are older than the grace go.
    for seconds in (0..600).step_by(5) {
        roomy.tick(Duration::from_secs(seconds)).unwrap();
    }
    let pins = stats.pins.load(Ordering::Relaxed);
    assert!((13..=16).contains(&pins), "{pins} pins");
    assert_eq!(stats.given_up.load(Ordering::Relaxed), 0);
    drop(roomy);

    let mut tight = CopyGrace::new(
        load.reader().clone(),
        allocated_bytes_max(Some(1)),
        Arc::clone(&stats),
    );
    // A file that does not grow keeps them, however large it is; this one grows.
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut seconds = 0;
    while stats.given_up.load(Ordering::Relaxed) == 0 {
        assert!(Instant::now() < deadline, "the file does not grow");
        tight.tick(Duration::from_secs(seconds)).unwrap();
        seconds += 5;
        std::thread::yield_now();
    }
    for _ in 0..10 {
        tight.tick(Duration::from_secs(seconds)).unwrap();
        seconds += 5;
    }
    assert_eq!(stats.pins.load(Ordering::Relaxed), 0);
    assert_eq!(
        stats.given_up.load(Ordering::Relaxed),
        1,
        "it is said once, not at every tick"
    );
    drop(tight);

    let mut full = CopyGrace::new(
        load.reader().clone(),
        CopyGraceOptions {
            free_bytes_min: u64::MAX,
            ..allocated_bytes_max(None)
        },
        Arc::clone(&stats),
    );
    full.tick(Duration::ZERO).unwrap();
    // Half of the volume counts as enough, so this one depends on the volume.
    let held = stats.pins.load(Ordering::Relaxed);
    let given_up = stats.given_up.load(Ordering::Relaxed) - 1;
    assert_eq!(held + given_up, 1);
    load.stop();
}

#[test]
fn near_its_limit_a_file_has_pins_as_long_as_it_does_not_grow_and_at_the_limit_none() {
    use sk_tracedb::allocated_bytes;
    use sk_tracedb::store::{CopyGrace, CopyGraceOptions, CopyGraceStats};
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    let mut recorder = Recorder::listed(config(&["v1.ConfigMap: {}"]));
    let mut commits = 0;
    let mut commit = |recorder: &mut Recorder| {
        crate::load::commit(recorder, commits);
        commits += 1;
    };
    commit(&mut recorder);
    let path = recorder.path();
    let size = || allocated_bytes(&path).unwrap();
    let pins = |reader, full_bytes| {
        let stats = Arc::new(CopyGraceStats::default());
        let options = CopyGraceOptions {
            grace: Duration::from_secs(60),
            full_bytes: Some(full_bytes),
            free_bytes_min: 0,
            ..CopyGraceOptions::default()
        };
        let grace = CopyGrace::new(reader, options, Arc::clone(&stats));
        (grace, stats)
    };
    let (mut grace, stats) = pins(recorder.reader(), (1, size()));
    grace.tick(Duration::ZERO).unwrap();
    assert_eq!(stats.pins.load(Ordering::Relaxed), 0);

    let (mut grace, stats) = pins(recorder.reader(), (1, size() * 10));
    for second in 0..20 {
        grace.tick(Duration::from_secs(second)).unwrap();
    }
    assert_eq!(stats.pins.load(Ordering::Relaxed), 4);
    let before = size();
    while size() == before {
        commit(&mut recorder);
    }
    grace.tick(Duration::from_secs(20)).unwrap();
    assert_eq!(stats.pins.load(Ordering::Relaxed), 0);
    assert_eq!(stats.given_up.load(Ordering::Relaxed), 1);
}
