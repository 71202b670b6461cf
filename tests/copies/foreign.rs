//! What is believed without a check, and what is not.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use sk_tracedb::{Reader, Store, StoreError};

use crate::load::{closed, commits_of, trace};
use crate::program::killed_demo;
use crate::support::*;

/// Flips a bit of a page in the middle that some tree reaches, so that only a check of all pages finds it: tries one
/// page after the other until a copy with it is refused.
fn page_in_use(path: &Path) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.redb");
    let pages = std::fs::metadata(path).unwrap().len() / 4096;
    for page in 2..pages {
        std::fs::copy(path, &copy).unwrap();
        flip(&copy, page * 4096 + 8);
        if Reader::open(&copy).is_err() {
            return page;
        }
    }
    panic!("no page is in use");
}

fn flip(path: &Path, offset: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
}

#[test]
fn a_file_left_behind_by_a_recorder_that_was_killed_answers_after_its_reader_is_gone() {
    let mut recorder = Recorder::listed(config(&["v1.ConfigMap: {}"]));
    recorder.see(s(101), obj("v1.ConfigMap", "ns/a", "a").applied());
    let copy = recorder.folder().join("copy.redb");
    std::fs::copy(recorder.path(), &copy).unwrap();
    // The reader goes at the end of this statement.
    let snapshot = Reader::open(&copy).unwrap().snapshot().unwrap();
    assert_eq!(snapshot.info().unwrap().changes, 1);
    assert_eq!(snapshot.size_on_disk().unwrap().tables.len(), 32);
}

#[test]
fn the_file_of_a_killed_program_can_be_asked() {
    let folder = tempfile::tempdir().unwrap();
    killed_demo(folder.path(), 100);
    let info = Command::new(env!("CARGO_BIN_EXE_sk-tracedb"))
        .current_dir(folder.path())
        .args(["info", "--db", "demo.redb", "--json"])
        .output()
        .unwrap();
    assert!(
        info.status.success(),
        "{}",
        String::from_utf8_lossy(&info.stderr)
    );
    let info: serde_json::Value = serde_json::from_slice(&info.stdout).unwrap();
    assert!(info["changes"].as_u64().unwrap() > 100);
}

#[test]
fn a_damaged_copy_is_found_by_readers_and_writers_and_stays_as_it_is() {
    let (folder, path) = closed(20);
    let page = page_in_use(&path);
    let copy = folder.path().join("copy.redb");
    std::fs::copy(&path, &copy).unwrap();
    flip(&copy, page * 4096 + 8);
    let before = std::fs::read(&copy).unwrap();
    assert!(matches!(
        Reader::open(&copy),
        Err(StoreError::DamagedFile { .. })
    ));
    assert!(matches!(
        Store::open(&copy),
        Err(StoreError::DamagedFile { .. })
    ));
    assert!(
        before == std::fs::read(&copy).unwrap(),
        "the damaged file was changed"
    );
}

#[test]
fn a_file_that_was_changed_after_it_was_closed_is_checked_too() {
    let (_folder, path) = closed(20);
    let page = page_in_use(&path);
    flip(&path, page * 4096 + 8);
    assert!(matches!(
        Reader::open(&path),
        Err(StoreError::DamagedFile { .. })
    ));
}

#[test]
fn a_file_that_is_as_its_recorder_left_it_is_not_checked() {
    let (_folder, path) = closed(20);
    let page = page_in_use(&path);
    let left = std::fs::metadata(&path).unwrap().modified().unwrap();
    flip(&path, page * 4096 + 8);
    // A disk that loses a bit does not change the time of the last change: rows find that, where they are read.
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(left)
        .unwrap();
    assert!(Reader::open(&path).is_ok());
}

#[test]
fn a_copy_that_a_recorder_goes_on_with_is_its_own_from_then_on() {
    let (folder, path) = closed(20);
    let copy = folder.path().join("copy.redb");
    std::fs::copy(&path, &copy).unwrap();
    Store::open(&copy).unwrap().close().unwrap();
    let page = page_in_use(&copy);
    let left = std::fs::metadata(&copy).unwrap().modified().unwrap();
    flip(&copy, page * 4096 + 8);
    File::options()
        .write(true)
        .open(&copy)
        .unwrap()
        .set_modified(left)
        .unwrap();
    assert!(Reader::open(&copy).is_ok(), "it is not known as its own");
    // And the original still is what it was.
    assert_eq!(commits_of(&Reader::open(&path).unwrap()), 20);
}

#[test]
fn a_copy_on_a_read_only_volume_is_read() {
    let (folder, path) = closed(20);
    let expected = trace(&Reader::open(&path).unwrap(), 20);
    let volume = folder.path().join("volume");
    std::fs::create_dir(&volume).unwrap();
    let copy = volume.join("copy.redb");
    std::fs::copy(&path, &copy).unwrap();
    for (file, mode) in [(&copy, 0o444), (&volume, 0o555)] {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    // Root may write all the same; where mounting is allowed, the volume is read-only for it, too.
    let mount = |args: &[&str]| {
        Command::new("mount")
            .args(args)
            .arg(&volume)
            .output()
            .is_ok_and(|output| output.status.success())
    };
    let text = volume.to_str().unwrap();
    let mounted = mount(&["--bind", text]) && mount(&["-o", "remount,ro,bind"]);
    println!("mounted read-only: {mounted}");
    if mounted {
        assert!(File::create(volume.join("new")).is_err());
    }
    let read = Reader::open(&copy).map(|reader| trace(&reader, 20));
    let verified = sk_tracedb::store::verify(&copy, &mut |_| true);
    if mounted {
        assert!(
            Command::new("umount")
                .arg(&volume)
                .status()
                .unwrap()
                .success()
        );
    }
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&volume, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    assert!(read.unwrap() == expected);
    assert!(verified.unwrap().intact);
}
