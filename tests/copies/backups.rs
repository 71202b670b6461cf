//! Backups, of a store that is being written.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sk_tracedb::model::Timestamp;
use sk_tracedb::store::{Backup, verify};
use sk_tracedb::{Reader, Store, StoreError};

use crate::load::{Load, closed, commits_of, trace};
use crate::support::folder::names;

#[test]
fn a_backup_made_while_the_recorder_writes_is_one_moment_of_it() {
    let load = Load::start(30, None);
    let copy = load.recorder_folder.join("copy.redb");
    let mut taken = Vec::new();
    for _ in 0..3 {
        let before = load.commits();
        let at = Timestamp::from_seconds(7);
        let summary = Backup::to_file(load.reader(), &copy, at, &mut |_| true).unwrap();
        let reader = Reader::open(&copy).unwrap();
        let commits = commits_of(&reader);
        assert!(commits >= before);
        let snapshot = reader.snapshot().unwrap();
        let provenance = snapshot.provenance().unwrap().unwrap();
        assert_eq!(provenance, summary.provenance);
        let live = load.reader().snapshot().unwrap().info().unwrap();
        assert_eq!((provenance.store_id, provenance.at), (live.store_id, at));
        assert_eq!(provenance.last_seq, snapshot.info().unwrap().changes);
        assert_eq!(Some(provenance.end), snapshot.info().unwrap().end);
        let verification = verify(&copy, &mut |_| true).unwrap();
        assert!(
            verification.intact && verification.pages_checked,
            "{verification:?}"
        );
        taken.push((commits, trace(&reader, commits)));
    }
    assert_eq!(names(&load.recorder_folder), ["copy.redb", "trace.redb"]);
    let recorder = load.stop();
    assert_eq!(recorder.snapshot().provenance().unwrap(), None);
    for (commits, hash) in taken {
        assert!(trace(&recorder.reader(), commits) == hash);
    }
}

#[test]
fn a_backup_is_closed_and_believed_where_it_was_made_and_can_be_recorded_further() {
    let (folder, path) = closed(10);
    let copy = folder.path().join("copy.redb");
    let at = Timestamp::from_seconds(7);
    Backup::to_file(&Reader::open(&path).unwrap(), &copy, at, &mut |_| true).unwrap();
    // A store that had not been closed would have to be repaired, which this mode refuses.
    let state = std::fs::read(&copy).unwrap()[9];
    assert_eq!(state & 2, 0, "it was not closed");
    Store::open(&copy).unwrap().close().unwrap();
    let reader = Reader::open(&copy).unwrap();
    assert_eq!(commits_of(&reader), 10);
    assert!(reader.snapshot().unwrap().provenance().unwrap().is_some());
}

#[test]
fn a_backup_that_is_stopped_or_fails_leaves_nothing() {
    let (folder, path) = closed(10);
    let reader = Reader::open(&path).unwrap();
    let at = Timestamp::from_seconds(7);
    let copy = folder.path().join("copy.redb");
    std::fs::write(&copy, "an older one").unwrap();
    for work in ["copying", "checking the copy"] {
        let stopped = Backup::to_file(&reader, &copy, at, &mut |progress| progress.work != work);
        assert!(matches!(stopped, Err(StoreError::Stopped)), "{work}");
    }
    let itself = Backup::to_file(&reader, &path, at, &mut |_| true);
    assert!(matches!(itself, Err(StoreError::Refused(_))));
    let nowhere = Backup::to_file(&reader, &folder.path().join("no/copy"), at, &mut |_| true);
    assert!(matches!(nowhere, Err(StoreError::Io { .. })));
    assert_eq!(names(folder.path()), ["copy.redb", "store.redb"]);
    assert_eq!(std::fs::read_to_string(&copy).unwrap(), "an older one");
}

#[test]
fn another_process_backs_up_to_stdout_while_the_recorder_writes() {
    let load = Load::start(30, None);
    let temp = tempfile::tempdir().unwrap();
    let copy = load.recorder_folder.join("copy.redb");
    let mut backup = Command::new(env!("CARGO_BIN_EXE_sk-tracedb"))
        .args(["backup", "-o", "-", "--db"])
        .arg(&load.path)
        .arg("--temp-dir")
        .arg(temp.path())
        .stdout(std::fs::File::create(&copy).unwrap())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    while backup.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "the backup does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = backup.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(
        stderr.contains(&format!("making the copy in {}", temp.path().display())),
        "{stderr}"
    );
    assert_eq!(names(temp.path()), Vec::<String>::new());
    let reader = Reader::open(&copy).unwrap();
    let commits = commits_of(&reader);
    assert!(commits >= 30);
    let hash = trace(&reader, commits);
    assert!(trace(&load.stop().reader(), commits) == hash);
}

#[test]
fn a_stream_that_broke_off_is_refused() {
    let (folder, path) = closed(10);
    let backup = folder.path().join("backup.redb");
    let at = Timestamp::from_seconds(7);
    Backup::to_file(&Reader::open(&path).unwrap(), &backup, at, &mut |_| true).unwrap();
    let bytes = std::fs::read(&backup).unwrap();
    let copy = folder.path().join("copy.redb");
    for length in [bytes.len() / 3, bytes.len() - 1] {
        std::fs::write(&copy, &bytes[..length]).unwrap();
        let error = Reader::open(&copy).map(drop).unwrap_err();
        assert!(
            matches!(error, StoreError::DamagedFile { .. }),
            "{length}: {error:?}"
        );
    }
}
