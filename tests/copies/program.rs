//! The program, run as a user would in a folder.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use sk_tracedb::Reader;

/// Runs it to its end.
pub fn run(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sk-tracedb"))
        .current_dir(folder)
        .args(args)
        .output()
        .unwrap()
}

/// Has a demo record in a folder and kills it once more than so many changes can be read. Returns its store.
pub fn killed_demo(folder: &Path, changes: u64) -> PathBuf {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_sk-tracedb"))
        .current_dir(folder)
        .args(["demo", "--objects", "60", "--changes", "1000000"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let path = folder.join("demo.redb");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !Reader::open(&path)
        .and_then(|reader| reader.snapshot()?.info())
        .is_ok_and(|info| info.changes > changes)
    {
        assert!(Instant::now() < deadline, "the demo does not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    demo.kill().unwrap();
    demo.wait().unwrap();
    path
}
