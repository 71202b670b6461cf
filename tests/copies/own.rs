//! A recorder's own file that is not what its recorder left: something else was put in its place, or the disk has lost a
//! bit of it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use sk_tracedb::store::verify;
use sk_tracedb::{Reader, Store, StoreError};

use crate::copies;
use crate::load::{Load, closed, commits_of};
use crate::program::{killed_demo, run};

const PAGE: u64 = 4096;

fn zero(path: &Path, page: u64) {
    let file = File::options().write(true).open(path).unwrap();
    file.write_all_at(&[0; PAGE as usize], page * PAGE).unwrap();
}

fn flip(path: &Path, offset: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
}

/// The pages of a file without which a check of it finds damage.
fn pages_in_use(path: &Path, most: usize) -> Vec<u64> {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.redb");
    let pages = std::fs::metadata(path).unwrap().len() / PAGE;
    let mut used = Vec::new();
    for page in (2..pages).rev() {
        std::fs::copy(path, &copy).unwrap();
        zero(&copy, page);
        if Reader::open(&copy).is_err() {
            used.push(page);
        }
        if used.len() >= most {
            break;
        }
    }
    assert!(!used.is_empty());
    used
}

/// An error for people: of this file, with a way out.
fn assert_told(output: &Output, what: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{what}: {stderr}");
    assert!(
        stderr.contains("store.redb")
            && stderr.contains("hint:")
            && stderr.contains("salvage --db FILE")
            && !stderr.contains("panicked"),
        "{what}: {stderr}"
    );
}

#[test]
fn what_is_put_in_the_place_of_a_recorders_file_is_checked_before_it_is_written() {
    let (folder, path) = closed(20);
    let whole = std::fs::read(&path).unwrap();
    for page in pages_in_use(&path, copies(3, 30) as usize) {
        let mut damaged = whole.clone();
        let at = (page * PAGE) as usize;
        damaged[at..at + PAGE as usize].fill(0);
        // Inode and birth stay, as with `cp damaged.redb store.redb`.
        std::fs::write(&path, &damaged).unwrap();
        let what = format!("page {page}");
        let error = Store::open(&path).map(drop).unwrap_err();
        assert!(
            matches!(error, StoreError::DamagedFile { .. }),
            "{what}: {error:?}"
        );
        for args in [
            ["gc", "--db", "store.redb", "--before", "110"].as_slice(),
            &["compact", "--db", "store.redb"],
            &["migrate", "--db", "store.redb"],
            &["info", "--db", "store.redb"],
        ] {
            assert_told(&run(folder.path(), args), &format!("{what}: {args:?}"));
        }
        assert!(damaged == std::fs::read(&path).unwrap(), "{what}: changed");
    }
    // What is whole is taken over.
    std::fs::write(&path, &whole).unwrap();
    Store::open(&path).unwrap().close().unwrap();
    assert_eq!(commits_of(&Reader::open(&path).unwrap()), 20);
}

/// The page that names the tables may be what the disk lost.
#[test]
fn a_file_without_one_of_its_tables_is_said_to_be_damaged() {
    let (folder, path) = closed(20);
    let left = std::fs::metadata(&path).unwrap().modified().unwrap();
    let database = redb::Database::open(&path).unwrap();
    let txn = database.begin_write().unwrap();
    let gaps: redb::TableDefinition<'_, u64, &[u8]> = redb::TableDefinition::new("gap_to_row");
    assert!(txn.delete_table(gaps).unwrap());
    txn.commit().unwrap();
    drop(database);
    // As its recorder left it: it is not checked as a whole before it is read.
    let file = File::options().write(true).open(&path).unwrap();
    file.set_modified(left).unwrap();
    let output = run(folder.path(), &["info", "--db", "store.redb"]);
    assert_told(&output, "info");
}

#[test]
fn a_disk_that_lost_something_of_an_own_file_makes_no_program_panic() {
    let (folder, path) = closed(20);
    let left = std::fs::metadata(&path).unwrap().modified().unwrap();
    let whole = std::fs::read(&path).unwrap();
    let mut failed = 0;
    for (n, page) in pages_in_use(&path, copies(6, 60) as usize)
        .into_iter()
        .enumerate()
    {
        std::fs::write(&path, &whole).unwrap();
        if n % 2 == 0 {
            zero(&path, page);
        } else {
            flip(&path, page * PAGE + 40);
        }
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(left).unwrap();
        for args in [
            ["info", "--db", "store.redb"].as_slice(),
            &["state", "--db", "store.redb"],
            &["export", "--db", "store.redb", "-o", "out.sktrace"],
            &["backup", "--db", "store.redb", "-o", "backup.redb"],
        ] {
            let output = run(folder.path(), args);
            if !output.status.success() {
                failed += 1;
                assert_told(&output, &format!("page {page}: {args:?}"));
            }
            let _ = std::fs::remove_file(folder.path().join("out.sktrace"));
            let _ = std::fs::remove_file(folder.path().join("backup.redb"));
        }
        // Last: it may write.
        let output = run(
            folder.path(),
            &["gc", "--db", "store.redb", "--before", "110"],
        );
        if !output.status.success() {
            failed += 1;
            assert_told(&output, &format!("page {page}: gc"));
        }
    }
    assert!(failed > 0);
}

#[test]
fn a_page_that_refers_to_what_lies_behind_the_end_is_told_as_damage() {
    // Tables with branches above their leaves.
    let (folder, path) = closed(120);
    let left = std::fs::metadata(&path).unwrap().modified().unwrap();
    let whole = std::fs::read(&path).unwrap();
    let mut failed = 0;
    for page in 2..whole.len() / PAGE as usize {
        let at = page * PAGE as usize;
        // A branch of redb: `2 | 0 | number of keys (u16) | 4 bytes | a checksum (16) and a page (u64) of each child`.
        if whole[at] != 2 {
            continue;
        }
        let keys = usize::from(u16::from_le_bytes([whole[at + 2], whole[at + 3]]));
        let first_child = at + 8 + 16 * (keys + 1);
        let mut damaged = whole.clone();
        // The number of the page in its region: 2 GiB further.
        damaged[first_child + 2] ^= 1 << 3;
        std::fs::write(&path, &damaged).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(left).unwrap();
        for args in [
            ["info", "--db", "store.redb"].as_slice(),
            &["export", "--db", "store.redb", "-o", "out.sktrace"],
            &["backup", "--db", "store.redb", "-o", "backup.redb"],
            &["gc", "--db", "store.redb", "--before", "110"],
        ] {
            let output = run(folder.path(), args);
            if !output.status.success() {
                failed += 1;
                assert_told(&output, &format!("page {page}: {args:?}"));
            }
        }
    }
    assert!(failed > 0);
}

#[test]
fn the_file_of_a_recorder_that_was_killed_is_opened_for_writing_without_a_check() {
    let folder = tempfile::tempdir().unwrap();
    let path = killed_demo(folder.path(), 2_000);
    // A bit that only a check of all pages finds: readers make one.
    let killed = std::fs::read(&path).unwrap();
    let (mut refused, mut opened) = (Vec::new(), 0);
    for page in 2..killed.len() as u64 / PAGE {
        flip(&path, page * PAGE + 8);
        if Reader::open(&path).is_err() {
            match Store::open(&path).map(drop) {
                Ok(()) => opened += 1,
                Err(error) => refused.push(error),
            }
            // The same file, as it was: neither inode nor birth change.
            std::fs::write(&path, &killed).unwrap();
        } else {
            flip(&path, page * PAGE + 8);
        }
        if opened > 0 {
            break;
        }
    }
    assert!(opened > 0, "{} refused: {refused:?}", refused.len());
}

#[test]
fn torn_copies_are_told_from_files_of_other_programs() {
    let mut torn = 0;
    for _ in 0..copies(2, 10) {
        let load = Load::start(40, None);
        let copy = load.recorder_folder.join("copy.redb");
        for n in 0..8 {
            load.copy_slowly(&copy, 2 + n);
            if Reader::open(&copy).is_ok() {
                continue;
            }
            torn += 1;
            for error in [
                Reader::open(&copy).map(drop).unwrap_err(),
                Store::open(&copy).map(drop).unwrap_err(),
            ] {
                assert!(matches!(error, StoreError::DamagedFile { .. }), "{error:?}");
            }
            let verification = verify(&copy, &mut |_| true).unwrap();
            assert!(!verification.intact);
            for (n, finding) in verification.findings.iter().enumerate() {
                assert!(
                    !finding.what.contains("not a trace store")
                        && !verification.findings[..n].contains(finding),
                    "{:?}",
                    verification.findings
                );
            }
        }
        load.stop();
    }
    assert!(torn > 0);
}

#[test]
fn a_whole_database_of_another_program_is_called_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.redb");
    let other = redb::TableDefinition::<u64, u64>::new("other");
    let database = redb::Database::create(&path).unwrap();
    let txn = database.begin_write().unwrap();
    txn.open_table(other).unwrap().insert(1, 2).unwrap();
    txn.commit().unwrap();
    drop(database);
    assert!(matches!(
        Store::open(&path).map(drop),
        Err(StoreError::NotAStore { .. })
    ));
    assert!(matches!(
        Reader::open(&path).map(drop),
        Err(StoreError::NotAStore { .. })
    ));
    assert!(matches!(
        verify(&path, &mut |_| true),
        Err(StoreError::NotAStore { .. })
    ));
}

#[test]
fn what_is_no_regular_file_is_refused_without_waiting_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let status = Command::new("mkfifo")
        .arg(folder.path().join("store.redb"))
        .status()
        .unwrap();
    assert!(status.success());
    for args in [
        ["verify", "--db", "store.redb"].as_slice(),
        &["info", "--db", "store.redb"],
        &["compact", "--db", "store.redb"],
        &["salvage", "--db", "store.redb", "-o", "rescued.redb"],
    ] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sk-tracedb"))
            .current_dir(folder.path())
            .args(args)
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                child.kill().unwrap();
                panic!("{args:?} waits");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {stderr}");
        assert!(stderr.contains("not a regular file"), "{args:?}: {stderr}");
    }
}
