//! A recorder that writes as fast as it can, in a thread, and what a copy of its file must hold.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;
use sk_tracedb::store::{CopyGrace, CopyGraceOptions};
use sk_tracedb::{Reader, Store};

use crate::support::recorder::export_of;
use crate::support::*;

/// Objects that change all the time.
const OBJECTS: u64 = 120;
/// Changes in one commit; each commit has a second of its own.
pub const BATCH: u64 = 40;
/// The second before the first commit of changes.
const BEGIN: i64 = 101;

const DEADLINE: Duration = Duration::from_secs(120);

/// Commits without end until it is told to stop.
pub struct Load {
    pub recorder_folder: PathBuf,
    pub path: PathBuf,
    reader: Option<Reader>,
    commits: Arc<AtomicU64>,
    /// It waits when it has made so many commits.
    commits_max: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Recorder>>,
}

impl Load {
    /// Begins with so many commits behind it. Every commit takes a second of the clock that the copy grace goes by, so
    /// that what a test sees does not depend on the machine.
    pub fn start(commits_before: u64, grace: Option<Duration>) -> Self {
        let mut recorder = Recorder::listed(config(&["v1.ConfigMap: {}"]));
        for n in 0..commits_before {
            commit(&mut recorder, n);
        }
        let options = CopyGraceOptions {
            grace: grace.unwrap_or_default(),
            free_bytes_min: 0,
            ..CopyGraceOptions::default()
        };
        let reader = recorder.reader();
        let mut pins = CopyGrace::new(reader.clone(), options, Arc::default());
        let commits = Arc::new(AtomicU64::new(commits_before));
        let commits_max = Arc::new(AtomicU64::new(u64::MAX));
        let allowed = Arc::clone(&commits_max);
        let stop = Arc::new(AtomicBool::new(false));
        let (path, folder) = (recorder.path(), recorder.folder().to_owned());
        let (counted, told) = (Arc::clone(&commits), Arc::clone(&stop));
        pins.tick(Duration::ZERO).unwrap();
        let thread = std::thread::spawn(move || {
            let mut n = commits_before;
            while !told.load(Ordering::SeqCst) {
                if n >= allowed.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(1));
                    continue;
                }
                pins.tick(Duration::from_secs(n - commits_before)).unwrap();
                commit(&mut recorder, n);
                n += 1;
                counted.store(n, Ordering::SeqCst);
            }
            recorder
        });
        Self {
            recorder_folder: folder,
            path,
            reader: Some(reader),
            commits,
            commits_max,
            stop,
            thread: Some(thread),
        }
    }

    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::SeqCst)
    }

    /// Has it make no more commits than these until it is told another number: what takes long beside it must not make
    /// the store grow without end.
    pub fn pause_at(&self, commits: u64) {
        self.commits_max.store(commits, Ordering::SeqCst);
    }

    pub fn reader(&self) -> &Reader {
        self.reader.as_ref().unwrap()
    }

    /// Waits until so many commits have been made.
    pub fn wait_for(&self, commits: u64) {
        let deadline = Instant::now() + DEADLINE;
        while self.commits() < commits {
            assert!(Instant::now() < deadline, "the recorder stands still");
            std::thread::yield_now();
        }
    }

    /// Copies the live file from its beginning to its end, as `cp` does, but so slowly that the recorder commits between
    /// any two of the pieces.
    pub fn copy_slowly(&self, to: &Path, pieces: u64) {
        let mut from = File::open(&self.path).unwrap();
        let mut out = File::create(to).unwrap();
        let length = from.metadata().unwrap().len();
        let piece = length.div_ceil(pieces);
        loop {
            let copied = std::io::copy(&mut Read::by_ref(&mut from).take(piece), &mut out).unwrap();
            if copied == 0 {
                return out.flush().unwrap();
            }
            self.wait_for(self.commits() + 1);
        }
    }

    /// Stops, and gives back the recorder.
    pub fn stop(mut self) -> Recorder {
        self.stop.store(true, Ordering::SeqCst);
        let recorder = self.thread.take().unwrap().join().unwrap();
        drop(self.reader.take());
        recorder
    }
}

/// Commits a batch of changes, the `n`th.
pub fn commit(recorder: &mut Recorder, n: u64) {
    let at = BEGIN + 1 + n.cast_signed();
    let changes: Vec<_> = (n * BATCH..(n + 1) * BATCH)
        .map(|n| {
            let name = n % OBJECTS;
            let text = format!("{n} ").repeat(100);
            let map = obj(
                "v1.ConfigMap",
                &format!("ns/map-{name}"),
                &format!("uid-{name}"),
            );
            (s(at), map.field("data", json!({"text": text})).applied())
        })
        .collect();
    recorder.batch(changes);
}

/// The commits that a reader of this load sees: it must see whole ones.
pub fn commits_of(reader: &Reader) -> u64 {
    let changes = reader.snapshot().unwrap().info().unwrap().changes;
    assert_eq!(changes % BATCH, 0, "half a commit is in the copy");
    changes / BATCH
}

/// The state before the last commits of so many, and those commits, as a trace.
pub fn trace(reader: &Reader, commits: u64) -> blake3::Hash {
    let end = BEGIN + 1 + commits.cast_signed();
    let window = window(BEGIN.max(end - 20), end);
    blake3::hash(&export_of(reader, window, Default::default()).bytes)
}

/// A closed store of so many commits, and the trace of all of them.
pub fn closed(commits: u64) -> (tempfile::TempDir, PathBuf) {
    let mut recorder = Recorder::listed(config(&["v1.ConfigMap: {}"]));
    for n in 0..commits {
        commit(&mut recorder, n);
    }
    recorder.stop(s(BEGIN + 1 + commits.cast_signed()));
    compacted(&recorder)
}

/// A copy of a recorder's file that was opened for writing, which makes it a recorder's own. Nothing is in it twice: no pages
/// of earlier commits.
pub fn compacted(recorder: &Recorder) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    std::fs::copy(recorder.path(), &path).unwrap();
    let mut store = Store::open(&path).unwrap();
    store.compact().unwrap();
    store.close().unwrap();
    (folder, path)
}
