//! `sk-tracedb salvage`: what is readable of a broken file, and exactly what is not.

use std::path::Path;

use serde_json::json;
use sk_tracedb::limits::PACKED_CHUNK_ROWS_BYTES_MAX;
use sk_tracedb::model::TimeRange;
use sk_tracedb::store::{Salvage, salvage, verify};
use sk_tracedb::{Reader, Store, StoreError};

use crate::copies;
use crate::damage::{Random, damage};
use crate::load::{BATCH, Load, closed, trace};
use crate::support::*;

/// Changes in one chunk of versions, at most.
const CHUNK_CHANGES_MAX: u64 = PACKED_CHUNK_ROWS_BYTES_MAX as u64 / 45;

/// Salvages, checks that the result is a store without fault, and that the broken file is as it was.
fn saved(broken: &Path, rescued: &Path, what: &str) -> Salvage {
    let before = blake3::hash(&std::fs::read(broken).unwrap());
    let saved =
        salvage(broken, rescued, &mut |_| true).unwrap_or_else(|error| panic!("{what}: {error:?}"));
    assert!(
        before == blake3::hash(&std::fs::read(broken).unwrap()),
        "{what}: the broken file changed"
    );
    let verification = verify(rescued, &mut |_| true).unwrap();
    assert!(verification.intact, "{what}: {:?}", verification.findings);
    assert_eq!(
        saved.changes,
        Reader::open(rescued)
            .unwrap()
            .snapshot()
            .unwrap()
            .info()
            .unwrap()
            .changes
    );
    saved
}

#[test]
fn an_intact_store_is_saved_as_a_whole() {
    let mut recorder = Recorder::listed(config(&[
        "apps/v1.Deployment: {trackLifecycle: true}",
        "v1.ConfigMap: {}",
    ]));
    let web = obj("apps/v1.Deployment", "ns/web", "web").spec(json!({"replicas": 2}));
    recorder.see(s(101), web.applied());
    for n in 0..200 {
        let map = obj(
            "v1.ConfigMap",
            &format!("ns/map-{}", n % 20),
            &format!("m{}", n % 20),
        );
        let map = map.field("data", json!({"n": n, "text": "x".repeat(n as usize % 50)}));
        let pod = pod(&format!("ns/p{n}"), &format!("p{n}"))
            .owned_by(&web)
            .started(102 + n);
        recorder.see_all(s(102 + n), [map.applied(), pod.applied()]);
        if n % 20 == 19 {
            recorder.see(s(102 + n), map.deleted());
        }
        if n % 2 == 0 {
            recorder.see(s(102 + n), pod.finished(103 + n).terminal().deleted());
        }
    }
    recorder.blind(s(310), "v1.ConfigMap", "test");
    recorder.stop(s(320));
    let original = recorder.reader();
    let rescued = recorder.folder().join("rescued.redb");
    let saved = saved(&recorder.path(), &rescued, "intact");
    assert_eq!((saved.changes_lost, saved.lost.len()), (0, 0));
    assert_eq!(saved.notes, Vec::<String>::new());
    let (was, is) = (
        original.snapshot().unwrap(),
        Reader::open(&rescued).unwrap(),
    );
    let is_snapshot = is.snapshot().unwrap();
    // It is a store of its own, with the same record.
    let (was_info, mut is_info) = (was.info().unwrap(), is_snapshot.info().unwrap());
    assert_ne!(was_info.store_id, is_info.store_id);
    is_info.store_id.clone_from(&was_info.store_id);
    assert_eq!(was_info, is_info);
    let gaps = |snapshot: &sk_tracedb::Snapshot| {
        snapshot
            .gaps(TimeRange::ALL)
            .unwrap()
            .map(Result::unwrap)
            .collect::<Vec<_>>()
    };
    assert_eq!(gaps(&was), gaps(&is_snapshot));
    for (start, end) in [(100, 400), (150, 160), (230, 300)] {
        let export = |reader: &Reader| support_export(reader, start, end);
        assert!(export(&original) == export(&is), "{start} to {end}");
    }
    // And it can be recorded further.
    Store::open(&rescued).unwrap().close().unwrap();
}

fn support_export(reader: &Reader, start: i64, end: i64) -> Vec<u8> {
    crate::support::recorder::export_of(reader, window(start, end), Default::default()).bytes
}

#[test]
fn of_damaged_stores_everything_is_saved_but_what_the_damage_hit() {
    let (folder, path) = closed(60);
    let all = 60 * BATCH;
    let expected = trace(&Reader::open(&path).unwrap(), 60);
    let damaged = folder.path().join("damaged.redb");
    let mut random = Random(3);
    let length = std::fs::metadata(&path).unwrap().len();
    let (mut whole, mut losses, mut most, mut refused) = (0, 0, 0, 0);
    for n in 0..copies(25, 200) {
        std::fs::copy(&path, &damaged).unwrap();
        let what = format!("{n}: {}", damage(&damaged, &mut random));
        let rescued = folder.path().join("rescued.redb");
        let _ = std::fs::remove_file(&rescued);
        // Where redb puts the pages of versions is its own affair: the first half of a file may hold none of them.
        if std::fs::metadata(&damaged).unwrap().len() < length / 2
            && let Err(error) = salvage(&damaged, &rescued, &mut |_| true)
        {
            assert!(
                matches!(error, StoreError::Refused(_) | StoreError::NotAStore { .. }),
                "{what}: {error:?}"
            );
            assert!(!rescued.exists(), "{what}");
            refused += 1;
            continue;
        }
        let _ = std::fs::remove_file(&rescued);
        let saved = saved(&damaged, &rescued, &what);
        assert!(saved.changes <= all, "{what}");
        if what.contains("cut off") {
            continue;
        }
        assert_eq!(saved.changes + saved.changes_lost, all, "{what}: {saved:?}");
        // A chunk of packed rows is the most that one page can take along. These versions take 45 bytes at least.
        let dictionary = saved.notes.iter().any(|note| note.contains("dictionary"));
        assert!(
            saved.changes_lost < CHUNK_CHANGES_MAX || dictionary,
            "{what}: {saved:?}"
        );
        let listed: u64 = saved
            .lost
            .iter()
            .map(|lost| lost.last_seq - lost.first_seq + 1)
            .sum();
        assert_eq!(listed, saved.changes_lost, "{what}");
        if saved.changes_lost == 0 {
            whole += 1;
            assert!(
                trace(&Reader::open(&rescued).unwrap(), 60) == expected,
                "{what}: wrong rows"
            );
        } else {
            losses += 1;
            most = most.max(saved.changes_lost);
        }
    }
    println!(
        "{whole} saved as a whole, {losses} with losses, {most} changes at most; {refused} refused"
    );
    assert!(whole > 0 && losses > 0);
}

#[test]
fn of_a_torn_copy_a_store_without_fault_is_made() {
    let mut torn = 0;
    for round in 0..copies(1, 8) {
        // The file grows at full rate meanwhile: a new one for every few copies.
        let load = Load::start(40, None);
        let copy = load.recorder_folder.join("copy.redb");
        let rescued = load.recorder_folder.join("rescued.redb");
        for n in 0..6 {
            load.pause_at(u64::MAX);
            load.copy_slowly(&copy, 2 + n);
            // It would grow without end while a copy is saved.
            load.pause_at(0);
            if Reader::open(&copy).is_ok() {
                continue;
            }
            torn += 1;
            let saved = saved(&copy, &rescued, &format!("copy {n} of {round}"));
            println!(
                "{} changes saved, {} lost",
                saved.changes, saved.changes_lost
            );
            std::fs::remove_file(&rescued).unwrap();
        }
        load.stop();
    }
    assert!(torn > 0);
}

#[test]
fn what_cannot_be_saved_is_said_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let (broken, rescued) = (folder.path().join("broken"), folder.path().join("rescued"));
    std::fs::write(&broken, vec![1; 50_000]).unwrap();
    let error = salvage(&broken, &rescued, &mut |_| true).unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)), "{error:?}");
    let (_store, path) = closed(3);
    let stopped = salvage(&path, &rescued, &mut |_| false);
    assert!(matches!(stopped, Err(StoreError::Stopped)));
    std::fs::write(&rescued, "").unwrap();
    let exists = salvage(&path, &rescued, &mut |_| true);
    assert!(matches!(exists, Err(StoreError::Exists { .. })));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}
