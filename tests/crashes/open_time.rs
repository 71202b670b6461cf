//! Opening 2 GB after SIGKILL, which has to take less than 200 ms: a recorder that repairs for minutes has a gap for
//! minutes. That takes a while and 2 GB of disk, so it is run by hand:
//! `cargo test --release --test crashes -- --ignored --nocapture open_time`.
//!
//! A smaller file is opened by every `.ci/run`, in release, too: redb's debug build walks every page when it opens a file, and
//! the journal would be read by code that is not optimized. The quickest of some opens counts, which another program on the
//! machine does not spoil.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use sk_tracedb::Store;
use sk_tracedb::ingest::Writer;

use crate::batches::{CONFIGS, Rng, begin};
use crate::killed::{CHILD, say, start};
use crate::support::*;

const FILE_BYTES: u64 = 2 << 30;
const BODY_BYTES: usize = 50_000;
const BATCH_OBJECTS: u64 = 200;
const KILLS: usize = 10;
/// A file that is made in seconds.
const SMALL_BYTES: u64 = 192 << 20;
const SMALL_KILLS: usize = 5;
const OPEN_MAX: Duration = Duration::from_millis(200);

/// The process that is killed. It fills the file first.
#[test]
fn child() {
    let Ok(path) = std::env::var(CHILD) else {
        return;
    };
    let started = Instant::now();
    let store = Store::open(&path).unwrap();
    say(format!("opened {}", started.elapsed().as_micros()));
    let mut writer = Writer::new(store).unwrap();
    begin(&mut writer).unwrap();
    for n in writer.reader().snapshot().unwrap().info().unwrap().changes.. {
        let batch = (0..BATCH_OBJECTS).map(|k| {
            let text = Rng(n << 8 | k).text(BODY_BYTES);
            let map = obj(CONFIGS, &format!("ns/m{k}"), &format!("m{k}"));
            (s(1_000), map.field("data", json!(text)).applied())
        });
        writer.append(batch).unwrap();
        let size = writer.reader().snapshot().unwrap().size_on_disk().unwrap();
        say(format!("size {}", size.allocated_bytes));
    }
}

/// How long it took to open a file of so many bytes after each of some kills, shortest first.
fn opens(path: &Path, file_bytes: u64, kills: usize) -> Vec<Duration> {
    let (mut opens, mut size) = (Vec::new(), 0);
    while opens.len() <= kills {
        let (mut child, lines) = start("open_time::child", path);
        for line in lines {
            if let Some(us) = line.strip_prefix("opened ") {
                opens.push(Duration::from_micros(us.parse().unwrap()));
            } else if let Some(bytes) = line.strip_prefix("size ") {
                size = bytes.parse().unwrap();
                if size >= file_bytes {
                    child.kill().unwrap();
                    break;
                }
            }
        }
        child.wait().unwrap();
    }
    // The first one made the file.
    opens.remove(0);
    println!("{size} bytes on disk; opened after a kill in {opens:?}");
    opens.sort();
    opens
}

#[test]
#[cfg_attr(debug_assertions, ignore = "a debug build opens files in another way")]
fn a_killed_file_opens_in_200_ms() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.redb");
    let opens = opens(&path, SMALL_BYTES, SMALL_KILLS);
    assert!(opens[0] < OPEN_MAX, "{opens:?}");
}

#[test]
#[ignore = "writes 2 GB"]
fn two_gigabytes_open_in_200_ms_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.redb");
    let opens = opens(&path, FILE_BYTES, KILLS);
    assert!(opens[opens.len() / 2] < OPEN_MAX, "{opens:?}");
}
