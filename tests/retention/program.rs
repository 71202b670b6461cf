//! What an operator sees of it: refusals that name the horizon, warnings where a window was cut, and that nobody collects
//! or compacts under a recorder.

use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use serde_json::json;
use sk_tracedb::model::ByteSize;
use sk_tracedb::{Reader, Store, allocated_bytes};

use crate::support::*;

fn sk_tracedb(folder: &Path, args: &[&str]) -> Output {
    Command::cargo_bin("sk-tracedb")
        .unwrap()
        .current_dir(folder)
        .env_remove("SK_TRACEDB_DB")
        .args(args)
        .timeout(std::time::Duration::from_secs(120))
        .output()
        .unwrap()
}

/// Runs the program and returns its exit code, stdout and stderr.
fn told(recorder: &Recorder, line: &str) -> (i32, String, String) {
    let args: Vec<&str> = line.split(' ').collect();
    let output = sk_tracedb(recorder.folder(), &args);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// A stopped recorder's store: a ConfigMap that changes every second from 101 to 200, and large ones that come and go.
fn recorded() -> Recorder {
    let mut recorder = Recorder::listed(config(&["v1.ConfigMap: {}"]));
    let mut noise = 7u64;
    for second in 101..=200 {
        let map = obj("v1.ConfigMap", "ns/map", "uid").field("data", json!({"n": second}));
        let mut text = String::new();
        while text.len() < 40_000 {
            noise = noise
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            text.push_str(&format!("{noise:x}"));
        }
        let large = obj(
            "v1.ConfigMap",
            &format!("ns/l-{second}"),
            &format!("uid-{second}"),
        );
        let large = large.field("data", json!({"text": text}));
        recorder.see_all(s(second), [map.applied(), large.applied()]);
        recorder.see(s(second), large.deleted());
    }
    recorder.stop(s(300));
    recorder
}

#[test]
fn what_was_dropped_is_refused_with_the_horizon_or_clamped_on_request() {
    let recorder = recorded();
    let (code, _, err) = told(
        &recorder,
        "export --db trace.redb --start 150 --end 190 -o before",
    );
    assert_eq!(code, 0, "{err}");
    let (code, out, err) = told(&recorder, "gc --db trace.redb --before 150");
    assert_eq!((code, out.as_str()), (0, ""), "{err}");
    assert!(err.contains("dropped 147 changes"), "{err}");
    assert!(
        err.contains("the record begins at 1970-01-01T00:02:30Z"),
        "{err}"
    );
    let (code, _, err) = told(&recorder, "gc --db trace.redb --before 150");
    assert!(code == 0 && err.starts_with("nothing to drop"), "{err}");

    let (code, _, err) = told(
        &recorder,
        "export --db trace.redb --start 140 --end 190 -o early",
    );
    assert_eq!(code, 1);
    assert!(
        err.contains("before 1970-01-01T00:02:30Z has been dropped"),
        "{err}"
    );
    assert!(
        err.contains("hint: start at 1970-01-01T00:02:30Z or later")
            && err.contains("hint: --clamp begins there"),
        "{err}"
    );
    assert!(!recorder.folder().join("early").exists());

    let read = |name: &str| std::fs::read(recorder.folder().join(name)).unwrap();
    let before = read("before");
    for line in [
        "export --db trace.redb --start 150 --end 190 -o exact",
        "export --db trace.redb --start 140 --end 190 --clamp -o clamped",
        "export --db trace.redb --end 190 -o all",
    ] {
        let (code, _, err) = told(&recorder, line);
        assert_eq!(code, 0, "{line}: {err}");
        assert!(read(line.rsplit(' ').next().unwrap()) == before, "{line}");
        let warned = "warning: the window begins at 1970-01-01T00:02:30Z";
        assert_eq!(
            err.contains(warned),
            line.contains("clamp"),
            "{line}: {err}"
        );
    }

    let (code, _, err) = told(&recorder, "state --db trace.redb --at 149");
    assert!(code == 1 && err.contains("dropped by retention"), "{err}");
    let (code, out, err) = told(&recorder, "state --db trace.redb --at 150");
    assert!(code == 0 && out.contains("map"), "{out} {err}");
    let (code, out, err) = told(&recorder, "history --db trace.redb cm ns/map --start 100");
    assert_eq!(code, 0, "{err}");
    assert_eq!(out.lines().count(), 1 + 51, "{out}");
    assert!(
        err.contains("note: what was recorded before 1970-01-01T00:02:30Z has been dropped"),
        "{err}"
    );
    let (_, out, _) = told(&recorder, "info --db trace.redb");
    assert!(out.contains("Horizon:  1970-01-01T00:02:30Z"), "{out}");
    let (_, out, _) = told(&recorder, "info --db trace.redb --json");
    assert!(
        out.contains(r#""horizon": "1970-01-01T00:02:30Z""#),
        "{out}"
    );
}

#[test]
fn of_a_window_before_the_horizon_nothing_is_left_and_no_way_there_is_hinted_at() {
    let recorder = recorded();
    let (code, _, err) = told(&recorder, "gc --db trace.redb --before 150");
    assert_eq!(code, 0, "{err}");
    for clamp in ["", " --clamp"] {
        let line = format!("export --db trace.redb --start 120 --end 140{clamp} -o early");
        let (code, _, err) = told(&recorder, &line);
        assert_eq!(code, 1, "{err}");
        assert!(
            err.contains("nothing of the window is left: it ends at 1970-01-01T00:02:20Z"),
            "{err}"
        );
        assert!(
            err.contains("hint: end at 1970-01-01T00:02:30Z or later") && !err.contains("--clamp"),
            "{err}"
        );
        assert!(!recorder.folder().join("early").exists());
    }
}

#[test]
fn a_record_of_which_everything_was_dropped_does_not_end_before_it_begins() {
    let recorder = recorded();
    let (code, _, err) = told(&recorder, "gc --db trace.redb --before 100000");
    assert_eq!(code, 0, "{err}");
    let info = recorder.info();
    assert_eq!(info.changes, 0);
    assert!(info.start <= info.end, "{:?} {:?}", info.start, info.end);
    assert_eq!(info.start, info.horizon);
    // What exists is still told.
    let (code, _, err) = told(&recorder, "export --db trace.redb -o rest");
    assert!(
        code == 0 && err.contains(": 1 objects at the start, 0 applied"),
        "{err}"
    );
}

#[test]
fn a_backup_says_what_retention_had_left_of_the_record() {
    let recorder = recorded();
    let (code, _, err) = told(&recorder, "gc --db trace.redb --before 150");
    assert_eq!(code, 0, "{err}");
    let live = recorder.info();
    let (code, _, err) = told(&recorder, "backup --db trace.redb -o copy.redb");
    assert_eq!(code, 0, "{err}");
    let kept = format!(
        "1970-01-01T00:02:30Z to 1970-01-01T00:05:00Z, {} changes",
        live.changes
    );
    assert!(err.contains(&kept), "{err}");
    assert!(
        err.contains("what was recorded before 1970-01-01T00:02:30Z had been dropped"),
        "{err}"
    );
    let (_, out, _) = told(&recorder, "info --db trace.redb");
    assert!(!out.contains("Backup:"), "{out}");
    let (_, out, _) = told(&recorder, "info --db copy.redb --json");
    let before: serde_json::Value = serde_json::from_str(&out).unwrap();
    let backup = &before["backup"];
    assert_eq!(backup["store_id"], json!(live.store_id));
    assert_eq!(backup["horizon"], "1970-01-01T00:02:30Z");
    assert_eq!(backup["start"], "1970-01-01T00:02:30Z");
    assert_eq!(backup["changes"], json!(live.changes));
    // It stays so when more is dropped of the copy.
    let (code, _, err) = told(&recorder, "gc --db copy.redb --before 180");
    assert_eq!(code, 0, "{err}");
    let (_, out, _) = told(&recorder, "info --db copy.redb --json");
    let after: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(after["backup"], *backup);
    assert_eq!(after["horizon"], "1970-01-01T00:03:00Z");
    let (_, out, _) = told(&recorder, "info --db copy.redb");
    assert!(
        out.contains(&format!("Backup:   of store {}, taken ", live.store_id)),
        "{out}"
    );
    assert!(out.contains("horizon 1970-01-01T00:02:30Z"), "{out}");
}

#[test]
fn collecting_and_compacting_give_room_back_and_keep_the_rest() {
    let recorder = recorded();
    let path = recorder.path();
    let before = recorder.export(180, 210).bytes;
    let full = allocated_bytes(&path).unwrap();
    let (code, _, err) = told(&recorder, "gc --db trace.redb --before 180");
    assert_eq!(code, 0, "{err}");
    // What it says of the file is true once it has ended; of this small one, closing has given the free room back.
    let size = {
        let reader = Reader::open(&path).unwrap();
        let snapshot = reader.snapshot().unwrap();
        snapshot.size_on_disk().unwrap()
    };
    let collected = format!(
        "{} of tables in a file of {}",
        ByteSize(size.used_bytes()),
        ByteSize(size.allocated_bytes)
    );
    assert!(err.contains(&collected), "{collected}: {err}");
    assert!(!err.contains("hint: `sk-tracedb compact`"), "{err}");
    let (code, out, err) = told(&recorder, "compact --db trace.redb");
    assert_eq!((code, out.as_str()), (0, ""), "{err}");
    assert!(
        err.contains(" before, ") && err.contains(" after, "),
        "{err}"
    );
    let compact = allocated_bytes(&path).unwrap();
    assert!(compact < full / 2, "{full} before, {compact} after");
    assert!(recorder.export(180, 210).bytes == before);
}

#[test]
fn an_age_by_hand_counts_from_the_end_of_the_record() {
    let recorder = recorded();
    let (code, _, err) = told(&recorder, "gc --db trace.redb --retention-age 150s");
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("dropped 147 changes"), "{err}");
    let (code, _, err) = told(&recorder, "gc --db trace.redb --retention-age 150s");
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("nothing to drop"), "{err}");
}

#[test]
fn nobody_collects_or_compacts_under_a_recorder() {
    let mut recorder = recorded();
    recorder.run_from(s(400));
    for line in ["gc --db trace.redb --before 150", "compact --db trace.redb"] {
        let (code, _, err) = told(&recorder, line);
        assert_eq!(code, 1, "{line}: {err}");
        assert!(
            err.contains("another process is writing this store"),
            "{line}: {err}"
        );
        assert!(err.contains("hint:"), "{line}: {err}");
    }
    assert!(recorder.writer().horizon().is_none());
}

#[test]
fn a_size_by_hand_is_reached_by_dropping_the_oldest() {
    let mut recorder = Recorder::listed(config(&["v1.ConfigMap: {}"]));
    let mut noise = 7u64;
    for second in 101..=160 {
        let large = obj(
            "v1.ConfigMap",
            &format!("ns/l-{second}"),
            &format!("uid-{second}"),
        );
        let mut text = String::new();
        while text.len() < 900_000 {
            noise = noise
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            text.push_str(&format!("{noise:x}"));
        }
        let large = large.field("data", json!({"text": text}));
        recorder.see(s(second), large.applied());
        recorder.see(s(second), large.deleted());
    }
    recorder.stop(s(300));
    let used = recorder.snapshot().size_on_disk().unwrap().used_bytes();
    assert!(used > 24 << 20, "only {used} bytes");
    let (code, _, err) = told(&recorder, "gc --db trace.redb --retention-size 16MiB");
    assert_eq!(code, 0, "{err}");
    let used = recorder.snapshot().size_on_disk().unwrap().used_bytes();
    assert!(used <= 16 << 20, "{used}: {err}");
    assert!(used >= 10 << 20, "too much was dropped: {used}");
    Store::open(recorder.path()).unwrap().close().unwrap();
}

#[test]
fn arguments_that_mean_nothing_are_refused() {
    let recorder = recorded();
    for (line, named) in [
        ("gc --db trace.redb", "nothing says what to drop"),
        (
            "gc --db trace.redb --retention-size 1MB",
            "a store needs 16.0 MiB at least",
        ),
        ("gc --db trace.redb --retention-size many", "is not a size"),
        ("gc --db trace.redb --retention-age 5y", "is not an age"),
        ("gc --db trace.redb --before yesterday", "is not a time"),
        ("record -c x --retention-size 10Q", "is not a size"),
    ] {
        let (code, _, err) = told(&recorder, line);
        assert_eq!(code, 2, "{line}: {err}");
        assert!(err.contains(named), "{line}: {err}");
    }
    let (code, _, err) = told(&recorder, "gc --db none.redb --before 150");
    assert!(
        code == 1 && err.contains("none.redb: no such file"),
        "{err}"
    );
}
