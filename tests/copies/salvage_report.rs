//! What `salvage` says of its work: nothing is missing that it does not report, and what retention had dropped does not
//! come back.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::json;
use sk_tracedb::ingest::{RetentionPolicy, Writer, collect};
use sk_tracedb::query::Info;
use sk_tracedb::store::{Salvage, salvage, verify};
use sk_tracedb::{Reader, Store, StoreError, allocated_bytes};

use crate::copies;
use crate::load::{Load, closed, compacted};
use crate::support::recorder::export_of;
use crate::support::*;

const PAGE: u64 = 4096;
/// When the record begins and ends.
const BEGIN: i64 = 100;
const END: i64 = 700;

/// A closed store in which owners are recorded (Deployments), known without being recorded (ReplicaSets), and pods'
/// lifecycles hang on both.
fn owned() -> (tempfile::TempDir, PathBuf) {
    let mut recorder = Recorder::listed(config(&[
        "apps/v1.Deployment: {trackLifecycle: true}",
        "apps/v1.ReplicaSet: {skipOwned: true}",
        "v1.ConfigMap: {}",
    ]));
    for n in 0..500_i64 {
        let name = n % 60;
        let web = obj(
            "apps/v1.Deployment",
            &format!("ns/web-{name}"),
            &format!("web-{name}"),
        )
        .spec(json!({"replicas": n, "text": format!("{n} ").repeat(20)}));
        let set = obj(
            "apps/v1.ReplicaSet",
            &format!("ns/set-{n}"),
            &format!("set-{n}"),
        )
        .owned_by(&web);
        let map = obj("v1.ConfigMap", &format!("ns/map-{n}"), &format!("map-{n}"))
            .owned_by(&web)
            .field("data", json!({"n": n}));
        let pod = pod(&format!("ns/pod-{n}"), &format!("pod-{n}"))
            .owned_by(&set)
            .started(BEGIN + 1 + n);
        let skipped =
            crate::support::build::applied(&gvk("apps/v1.ReplicaSet"), set.skipped_item());
        let at = s(BEGIN + 1 + n);
        recorder.see_all(at, [web.applied(), skipped, map.applied(), pod.applied()]);
        if n % 2 == 0 {
            recorder.see(at, pod.finished(BEGIN + 2 + n).terminal().deleted());
        }
    }
    recorder.blind(s(END - 20), "v1.ConfigMap", "test");
    recorder.stop(s(END - 10));
    compacted(&recorder)
}

fn trace(reader: &Reader) -> blake3::Hash {
    blake3::hash(&export_of(reader, window(BEGIN, END), Default::default()).bytes)
}

fn info(path: &Path) -> Info {
    Reader::open(path)
        .unwrap()
        .snapshot()
        .unwrap()
        .info()
        .unwrap()
}

fn saved(broken: &Path, rescued: &Path, what: &str) -> Salvage {
    let _ = std::fs::remove_file(rescued);
    let saved =
        salvage(broken, rescued, &mut |_| true).unwrap_or_else(|error| panic!("{what}: {error:?}"));
    let verification = verify(rescued, &mut |_| true).unwrap();
    assert!(verification.intact, "{what}: {:?}", verification.findings);
    saved
}

fn zero(path: &Path, page: u64) {
    let file = File::options().write(true).open(path).unwrap();
    file.write_all_at(&[0; PAGE as usize], page * PAGE).unwrap();
}

fn run(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sk-tracedb"))
        .current_dir(folder)
        .args(args)
        .output()
        .unwrap()
}

#[test]
fn whatever_page_is_lost_an_export_that_differs_is_explained_by_what_is_reported() {
    let (folder, path) = owned();
    let (whole, all) = (trace(&Reader::open(&path).unwrap()), info(&path));
    let (broken, rescued) = (
        folder.path().join("broken.redb"),
        folder.path().join("rescued.redb"),
    );
    let pages = std::fs::metadata(&path).unwrap().len() / PAGE;
    let stride = (pages / copies(40, 100_000)).max(1);
    let (mut pods, mut owners, mut runs, mut same, mut remade) = (0, 0, 0, 0, 0);
    for page in (1..pages).step_by(stride as usize) {
        std::fs::copy(&path, &broken).unwrap();
        zero(&broken, page);
        let what = format!("page {page} of {pages}");
        let saved = saved(&broken, &rescued, &what);
        let is = info(&rescued);
        assert_eq!(saved.pods + saved.pods_lost, all.pods, "{what}: {saved:?}");
        assert_eq!(saved.pods, is.pods, "{what}");
        assert!(
            !saved
                .notes
                .iter()
                .any(|note| note.contains('\n') || note.ends_with("failed")),
            "{what}: {saved:?}"
        );
        assert_eq!(
            saved.changes + saved.changes_lost,
            all.changes,
            "{what}: {saved:?}"
        );
        assert_eq!(
            (is.runs.len() as u64 == 1, is.gaps == all.gaps),
            (true, saved.gaps_lost_max == 0),
            "{what}: {saved:?}"
        );
        let lost = saved.changes_lost
            + saved.pods_lost
            + saved.owners_lost
            + saved.runs_lost
            + saved.gaps_lost_max;
        if trace(&Reader::open(&rescued).unwrap()) == whole {
            same += 1;
        } else {
            assert!(lost > 0, "{what}: {saved:?}");
        }
        pods += u64::from(saved.pods_lost > 0);
        owners += u64::from(saved.owners_lost > 0);
        runs += u64::from(saved.runs_lost > 0);
        remade += u64::from(saved.notes.iter().any(|note| note.contains("made anew")));
    }
    println!(
        "{same} with the same export; pods {pods}, owners {owners}, runs {runs}, owners remade {remade}"
    );
    assert!(same > 0 && pods > 0 && owners > 0 && remade > 0);
}

#[test]
fn what_is_left_of_a_file_that_was_cut_off_can_be_exported() {
    let (folder, path) = owned();
    let all = info(&path);
    let (broken, rescued) = (
        folder.path().join("broken.redb"),
        folder.path().join("rescued.redb"),
    );
    let length = std::fs::metadata(&path).unwrap().len();
    let cuts = copies(8, 60);
    let (mut exported, mut made) = (0, 0);
    for cut in 1..cuts {
        std::fs::copy(&path, &broken).unwrap();
        let file = File::options().write(true).open(&broken).unwrap();
        file.set_len(length * cut / cuts).unwrap();
        let _ = std::fs::remove_file(&rescued);
        if salvage(&broken, &rescued, &mut |_| true).is_err() {
            continue;
        }
        let what = format!("cut {cut} of {cuts}");
        let saved = saved(&broken, &rescued, &what);
        let is = info(&rescued);
        if saved.changes == 0 {
            continue;
        }
        assert!(!is.runs.is_empty(), "{what}: {saved:?}");
        let output = run(
            folder.path(),
            &["export", "--db", "rescued.redb", "-o", "-"],
        );
        assert!(
            output.status.success() && !output.stdout.is_empty(),
            "{what}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        exported += 1;
        if is.runs[0].source == "salvage" {
            made += 1;
            assert!(saved.runs_lost > 0, "{what}: {saved:?}");
            assert_eq!(is.start, Some(is.runs[0].start), "{what}");
            assert!(is.end <= all.end && is.start >= all.start, "{what}");
        }
        // And recording goes on.
        Store::open(&rescued).unwrap().close().unwrap();
    }
    println!("{exported} exported, {made} with a run that was made");
    assert!(exported > 0 && made > 0);
}

#[test]
fn what_retention_dropped_does_not_come_back() {
    let (folder, path) = owned();
    // Who reads it keeps it from being compacted: pages of before stay in the file.
    let mut writer = Writer::new(Store::open(&path).unwrap()).unwrap();
    let before = writer.reader().snapshot().unwrap();
    let end = writer.last_time();
    collect(
        &mut writer,
        RetentionPolicy::default(),
        Some(s(400)),
        end,
        |_| true,
    )
    .unwrap();
    writer.pack_all(Duration::MAX).unwrap();
    writer.into_store().close().unwrap();
    drop(before);
    let (broken, rescued) = (
        folder.path().join("broken.redb"),
        folder.path().join("rescued.redb"),
    );
    let exported = |path: &Path| {
        let reader = Reader::open(path).unwrap();
        blake3::hash(&export_of(&reader, window(400, END), Default::default()).bytes)
    };
    let live = info(&path);
    let pages = std::fs::metadata(&path).unwrap().len() / PAGE;
    let (mut intact, mut damaged) = (0, 0);
    for page in (1..pages).step_by((pages / copies(12, 200)).max(1) as usize) {
        std::fs::copy(&path, &broken).unwrap();
        zero(&broken, page);
        let what = format!("page {page} of {pages}");
        let saved = saved(&broken, &rescued, &what);
        let mut is = info(&rescued);
        // Without the row that tells the horizon, nothing tells what was dropped.
        if is.horizon.is_none() {
            assert!(
                saved.notes.iter().any(|note| note.contains("the writer")),
                "{what}: {saved:?}"
            );
            continue;
        }
        assert_eq!(is.horizon, live.horizon, "{what}");
        assert!(is.changes <= live.changes, "{what}");
        damaged += u64::from(!saved.is_intact);
        for (is, live) in is.kinds.iter().zip(&live.kinds) {
            assert!(
                is.applied <= live.applied
                    && is.deleted <= live.deleted
                    && is.objects <= live.objects
                    && is.raw_bytes <= live.raw_bytes,
                "{what}: {is:?} of {live:?}"
            );
        }
        assert_eq!(saved.pods + saved.pods_lost, live.pods, "{what}: {saved:?}");
        if saved.changes_lost + saved.pods_lost + saved.owners_lost + saved.gaps_lost_max == 0
            && is.changes == live.changes
            && saved.notes.is_empty()
        {
            intact += 1;
            is.store_id.clone_from(&live.store_id);
            assert_eq!(is, live, "{what}");
            assert!(exported(&rescued) == exported(&path), "{what}");
        }
    }
    println!("{intact} intact, {damaged} damaged");
    assert!(intact > 0 && damaged > 0);
    let whole = saved(&path, &rescued, "whole");
    assert!(whole.is_intact && whole.notes.is_empty(), "{whole:?}");
    let mut is = info(&rescued);
    is.store_id.clone_from(&live.store_id);
    assert_eq!(is, live);
}

#[test]
fn an_older_schema_is_told_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let rescued = folder.path().join("rescued.redb");
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/fixtures");
    for version in ["v1", "v2", "v3"] {
        let path = folder.path().join("old.redb");
        std::fs::copy(fixtures.join(format!("{version}.redb")), &path).unwrap();
        let error = salvage(&path, &rescued, &mut |_| true).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("old.redb") && text.contains("migrate") && text.contains("hint:"),
            "{version}: {text}"
        );
        assert!(!rescued.exists());
    }
    let path = folder.path().join("old.redb");
    std::fs::copy(fixtures.join("v4.redb"), &path).unwrap();
    let saved = saved(&path, &rescued, "v4");
    assert_eq!((saved.changes_lost, saved.notes.len()), (0, 0), "{saved:?}");
}

#[test]
fn a_file_that_is_being_written_is_not_salvaged() {
    let load = Load::start(3, None);
    let rescued = load.recorder_folder.join("rescued.redb");
    let error = salvage(&load.path, &rescued, &mut |_| true).unwrap_err();
    assert!(matches!(error, StoreError::Busy { .. }), "{error:?}");
    load.stop();
}

#[test]
fn what_cannot_be_an_input_or_output_is_refused_with_a_way_out() {
    let (folder, _path) = closed(3);
    let folder = folder.path();
    let output = run(folder, &["salvage", "--db", "store.redb", "-o", "-"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("hint:") && output.stdout.is_empty());
    assert!(!folder.join("-").exists());
    std::fs::write(folder.join("empty"), "").unwrap();
    std::fs::write(folder.join("text"), "some text\n".repeat(1_000)).unwrap();
    let other = redb::TableDefinition::<u64, u64>::new("other");
    let database = redb::Database::create(folder.join("foreign")).unwrap();
    let txn = database.begin_write().unwrap();
    txn.open_table(other).unwrap().insert(1, 2).unwrap();
    txn.commit().unwrap();
    drop(database);
    for name in ["empty", "text", ".", "foreign"] {
        let output = run(folder, &["salvage", "--db", name, "-o", "rescued"]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{name}: {stderr}");
        assert!(
            stderr.contains("hint:") && stderr.contains(&format!("{name}: ")),
            "{name}: {stderr}"
        );
        assert!(!folder.join("rescued").exists());
    }
}

#[test]
fn the_program_makes_a_store_that_takes_no_more_than_the_broken_one() {
    let (folder, path) = closed(400);
    let output = run(folder.path(), &["compact", "--db", "store.redb"]);
    assert!(output.status.success());
    let args = ["salvage", "--db", "store.redb", "-o", "rescued.redb"];
    let output = run(folder.path(), &args);
    assert!(output.status.success());
    let rescued = folder.path().join("rescued.redb");
    let (was, is) = (
        allocated_bytes(&path).unwrap(),
        allocated_bytes(&rescued).unwrap(),
    );
    assert!(is < was / 4 * 5, "{is} bytes of {was}");
    assert!(trace(&Reader::open(&rescued).unwrap()) == trace(&Reader::open(&path).unwrap()));
    assert!(verify(&rescued, &mut |_| true).unwrap().intact);
}

#[test]
fn a_full_disk_is_told_with_the_name_of_the_new_file() {
    let (folder, _path) = closed(20);
    // A limit on the size of files stands for the disk.
    let output = Command::new("sh")
        .current_dir(folder.path())
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f 800; exec \"$0\" salvage --db store.redb -o rescued.redb",
            env!("CARGO_BIN_EXE_sk-tracedb"),
        ])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("rescued.redb: cannot be written") && stderr.contains("File too large"),
        "{stderr}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
