//! S5: a migration that is killed, or that meets a full disk, leaves the old file working, or the new one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use sk_tracedb::export::{ExportFilters, ExportRequest, export};
use sk_tracedb::model::{TimeRange, Timestamp};
use sk_tracedb::{Reader, Store, StoreError};

use crate::full_volume::Volume;

/// How often the migration is killed, at moments spread over the time it takes.
const KILLS: u32 = 40;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/fixtures")
}

fn old_store(folder: &Path) -> PathBuf {
    let path = folder.join("trace.redb");
    fs::copy(fixtures().join("v1.redb"), &path).unwrap();
    path
}

fn migrate(path: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sk-tracedb"));
    command.arg("migrate").arg("--db").arg(path);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Whether the file is migrated; whatever it is, it opens and gives the export that it has always given.
fn is_migrated(path: &Path) -> bool {
    let migrated = match Reader::open(path) {
        Ok(_) => true,
        Err(StoreError::OlderSchema { found: 1, .. }) => false,
        Err(error) => panic!("{error}"),
    };
    let store = Store::open(path).unwrap();
    let reader = store.reader();
    let (first, last) = reader.snapshot().unwrap().extent().unwrap();
    let window = TimeRange {
        start: Timestamp::from_seconds(first.as_seconds()),
        end: Timestamp::from_seconds(last.as_seconds() + 1),
    };
    let filters = ExportFilters {
        include_cluster_scoped: true,
        ..ExportFilters::default()
    };
    let mut trace = Vec::new();
    export(&reader, &ExportRequest { window, filters }, &mut trace).unwrap();
    assert!(trace == fs::read(fixtures().join("v1.sktrace")).unwrap());
    migrated
}

#[test]
fn a_migration_that_is_killed_leaves_the_old_file_or_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = old_store(folder.path());
    let started = Instant::now();
    assert!(migrate(&path).status().unwrap().success());
    let whole = started.elapsed();
    assert!(is_migrated(&path));

    let (mut old, mut half_made) = (0, 0);
    for kill in 0..KILLS {
        let folder = tempfile::tempdir().unwrap();
        let path = old_store(folder.path());
        let mut child = migrate(&path).spawn().unwrap();
        // Not to wait for something, but to choose the moment.
        std::thread::sleep(
            whole
                .mul_f64(f64::from(kill) / f64::from(KILLS))
                .max(Duration::ZERO),
        );
        child.kill().unwrap();
        child.wait().unwrap();
        half_made += u32::from(folder.path().join("trace.redb.migrating").exists());
        old += u32::from(!is_migrated(&path));
        // What was left half-made is gone after the next one.
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
    println!(
        "{KILLS} migrations of {whole:?} killed: {old} left the old file, {half_made} a half-made one beside it"
    );
    assert!(old > 0, "no kill came early enough");
}

#[test]
fn a_second_migration_changes_no_byte_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = old_store(folder.path());
    let output = migrate(&path).output().unwrap();
    assert!(output.status.success());
    let text = stderr(&output);
    assert!(
        text.contains("migrated from schema version 1 to 5"),
        "{text}"
    );
    let before = fs::read(&path).unwrap();
    let output = migrate(&path).output().unwrap();
    assert!(output.status.success());
    let text = stderr(&output);
    assert!(
        text.contains("has schema version 5 already; nothing to do"),
        "{text}"
    );
    assert!(fs::read(&path).unwrap() == before, "its bytes changed");
    assert!(is_migrated(&path));
}

#[test]
fn a_command_that_migrates_on_its_way_says_so() {
    for (command, option) in [
        ("gc", Some("--before=1971-01-01T00:00:00Z")),
        ("compact", None),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = old_store(folder.path());
        for told in [true, false] {
            let output = Command::new(env!("CARGO_BIN_EXE_sk-tracedb"))
                .args([command, "--db"])
                .arg(&path)
                .args(option)
                .output()
                .unwrap();
            let text = stderr(&output);
            assert!(output.status.success(), "{command}: {text}");
            let says = text.contains("migrated from schema version 1 to 5");
            assert_eq!(says, told, "{command}: {text}");
        }
    }
}

#[test]
fn a_disk_that_fills_up_during_a_migration_leaves_the_old_file_working() {
    let Some(volume) = Volume::mount(2) else {
        return;
    };
    let path = old_store(volume.path());
    let filler = volume.path().join("filler");
    fs::write(&filler, vec![0; 800 << 10]).unwrap();
    let before = fs::read(&path).unwrap();
    let output = migrate(&path).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("o space left"),
        "{}",
        stderr(&output)
    );
    assert!(!volume.path().join("trace.redb.migrating").exists());
    // Not a row of it has changed: with room it migrates.
    assert!(matches!(
        Reader::open(&path),
        Err(StoreError::OlderSchema { .. })
    ));
    assert_eq!(before.len(), fs::read(&path).unwrap().len());
    fs::remove_file(&filler).unwrap();
    volume.resize(8);
    assert!(migrate(&path).status().unwrap().success());
    assert!(is_migrated(&path));
}
