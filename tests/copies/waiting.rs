//! Who has to wait for the check of a large copy is told why; who has not is not bothered.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redb::TableDefinition;

use crate::support::*;

/// Rows that only take room. The check reads them like any others.
const FILLER: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("filler");
const FILLER_ROWS: u64 = 64;
const FILLER_ROW_BYTES: usize = 4 << 20;
/// Bytes read after which the check is certainly under way, and far from its end.
const UNDER_WAY_BYTES: u64 = 32 << 20;

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args([name, &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

fn bytes_read(child: &Child) -> u64 {
    let io = std::fs::read_to_string(format!("/proc/{}/io", child.id())).unwrap();
    let read = io.lines().find_map(|line| line.strip_prefix("rchar: "));
    read.unwrap().parse().unwrap()
}

/// Runs the program on a store. It is held for so long in the middle of its check, or not at all. Returns what it says on stderr.
fn told(args: &[&str], db: &Path, held: Option<Duration>) -> String {
    let child = Command::new(env!("CARGO_BIN_EXE_sk-tracedb"))
        .args(args)
        .arg("--db")
        .arg(db)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    if let Some(held) = held {
        let deadline = Instant::now() + Duration::from_secs(30);
        while bytes_read(&child) < UNDER_WAY_BYTES {
            assert!(Instant::now() < deadline, "nothing is checked");
            std::thread::sleep(Duration::from_millis(1));
        }
        signal(&child, "-STOP");
        std::thread::sleep(held);
        signal(&child, "-CONT");
    }
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    stderr
}

#[test]
fn a_check_that_takes_long_is_told_of_once() {
    let mut recorder = Recorder::listed(config(&["v1.ConfigMap: {}"]));
    recorder.see(s(101), obj("v1.ConfigMap", "ns/a", "a").applied());
    recorder.stop(s(102));
    let small = recorder.folder().join("small.redb");
    std::fs::copy(recorder.path(), &small).unwrap();
    // Checked like a copy: it was changed after its recorder had closed it.
    let large = recorder.path();
    let database = redb::Builder::new()
        .set_concurrency_mode(redb::ConcurrencyMode::SingleWriter)
        .open(&large)
        .unwrap();
    let txn = database.begin_write().unwrap();
    {
        let mut filler = txn.open_table(FILLER).unwrap();
        let row = vec![7; FILLER_ROW_BYTES];
        for n in 0..FILLER_ROWS {
            filler.insert(n, row.as_slice()).unwrap();
        }
    }
    txn.commit().unwrap();
    database.close().unwrap();

    let commands: [&[&str]; 5] = [
        &["info"],
        &["state", "--at", "1970-01-01T00:01:41Z"],
        &["history", "ConfigMap", "ns/a"],
        &["export", "-o", "-"],
        &["backup", "-o", "-"],
    ];
    let notice = format!("checking {} (", large.display());
    for command in commands {
        let held = Duration::from_millis(1_500);
        let stderr = told(command, &large, Some(held));
        let lines = stderr.lines().filter(|line| line.starts_with(&notice));
        assert_eq!(lines.count(), 1, "{command:?}: {stderr}");
        let stderr = told(command, &small, None);
        assert!(!stderr.contains("checking "), "{command:?}: {stderr}");
    }
}
