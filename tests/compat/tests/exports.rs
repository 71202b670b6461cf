//! What the built `sk-tracedb` writes, judged by SimKube's own importer and types. A file that their importer refuses, an index
//! with other hashes or a change that got lost on the way through the database costs the user the replay.
//!
//! Needs the binary: `cargo build --release` in the repository, or `SK_TRACEDB_BIN`.

use std::path::Path;

use anyhow::{Result, ensure};
use sk_store::ExportedTrace;
use sk_tracedb_compat::{binary, fixtures, judged, referee, wire};
use tempfile::TempDir;

const FIELDS: [&str; 5] = ["version", "config", "events", "index", "pod_lifecycles"];

/// Everything that must be true of any file of ours; returns the trace for what comes on top.
fn judge(bytes: &[u8]) -> Result<ExportedTrace> {
    assert_eq!(wire::field_names(bytes)?, FIELDS);
    let as_written = referee::decode(bytes)?;
    let imported = referee::import(bytes)?;
    assert_eq!(imported.version, 2);
    assert_eq!(
        judged::config(&as_written)?,
        judged::config(&imported)?,
        "the config is not written as `normalize` gives it"
    );
    judged::check_replayable(&imported)?;
    let hashes = judged::last_spec_hashes(&imported)?;
    let index = judged::index(&imported)?;
    for (object, hash) in &hashes {
        assert_eq!(
            index.get(object),
            Some(hash),
            "{object:?}: the index has another hash than SimKube for the last spec"
        );
    }
    ensure!(!hashes.is_empty(), "no objects: nothing was judged");
    let written_by_simkube = referee::import(&imported.to_bytes()?)?;
    assert_eq!(
        judged::changes(&written_by_simkube)?,
        judged::changes(&imported)?
    );
    Ok(imported)
}

#[test]
fn the_demo_exports_a_trace_that_simkube_reads() -> Result<()> {
    let folder = TempDir::new()?;
    let bytes = binary::demo(
        &folder.path().join("demo.redb"),
        &folder.path().join("demo.sktrace"),
        7,
        200,
        5000,
    )?;
    let trace = judge(&bytes)?;
    let changes = judged::changes(&trace)?;
    ensure!(
        changes.len() > 50,
        "{} objects of the demo's 200",
        changes.len()
    );
    let all = changes.values().flatten();
    let (applied, deleted): (Vec<_>, Vec<_>) = all.partition(|change| change.applied.is_some());
    ensure!(
        applied.len() > 500 && !deleted.is_empty(),
        "{} applied, {} deleted",
        applied.len(),
        deleted.len()
    );
    let lifecycles = judged::lifecycles(&trace)?;
    let ended = lifecycles
        .values()
        .flatten()
        .filter(|(_, end)| end.is_some())
        .count();
    ensure!(
        lifecycles.len() > 10 && ended > 0,
        "{} lifecycle keys, {ended} ended",
        lifecycles.len()
    );
    ensure!(
        !trace.config.tracked_objects.is_empty(),
        "a config without kinds"
    );
    Ok(())
}

#[test]
fn lifecycles_of_bare_pods_stand_under_simkubes_hash_of_their_spec() -> Result<()> {
    let folder = TempDir::new()?;
    let bytes = binary::demo(
        &folder.path().join("demo.redb"),
        &folder.path().join("demo.sktrace"),
        31,
        200,
        5000,
    )?;
    let trace = judge(&bytes)?;
    let specs = judged::bare_pod_hashes(&trace)?;
    let mut compared = 0;
    for ((owner, hash), _) in judged::lifecycles(&trace)? {
        if owner.0 == "v1.Pod" {
            let of_spec = specs.get(&owner.1);
            ensure!(
                of_spec.is_some_and(|hashes| hashes.contains(&hash)),
                "{owner:?}: {hash}, and SimKube has {of_spec:?} for its spec"
            );
            compared += 1;
        }
    }
    ensure!(compared > 0, "the demo has no bare pod with a lifecycle");
    Ok(())
}

#[test]
fn windows_of_the_demo_are_traces_of_their_own() -> Result<()> {
    let folder = TempDir::new()?;
    let db = folder.path().join("demo.redb");
    let whole = judge(&binary::demo(
        &db,
        &folder.path().join("demo.sktrace"),
        11,
        100,
        2000,
    )?)?;
    let (start, end) = judged::whole_range(&whole)?;
    let third = (end - start) / 3;
    ensure!(third > 0, "the demo lasts {} s", end - start);
    for (number, from) in [start, start + third, start + 2 * third]
        .into_iter()
        .enumerate()
    {
        let out = folder.path().join(format!("{number}.sktrace"));
        let trace = judge(&binary::export(&db, from, from + third, &out)?)?;
        assert_eq!(
            trace.start_ts(),
            Some(from),
            "the first event stands at the start of the window"
        );
        ensure!(
            trace.end_ts() < Some(from + third),
            "an event at or behind the end of the window"
        );
        for ((_, _), list) in judged::lifecycles(&trace)? {
            for (begin, finish) in list {
                ensure!(
                    begin >= from && begin < from + third,
                    "{begin} outside {from}..{}",
                    from + third
                );
                ensure!(
                    finish.is_none_or(|finish| finish >= from),
                    "{finish:?} before {from}"
                );
            }
        }
    }
    Ok(())
}

#[test]
fn importing_and_exporting_the_demo_keeps_everything() -> Result<()> {
    let folder = TempDir::new()?;
    let bytes = binary::demo(
        &folder.path().join("demo.redb"),
        &folder.path().join("demo.sktrace"),
        23,
        150,
        3000,
    )?;
    let lifecycles = round_trip(folder.path(), "demo", &bytes)?;
    ensure!(lifecycles > 0, "the demo has no lifecycles");
    Ok(())
}

#[test]
fn importing_and_exporting_recorded_traces_keeps_everything() -> Result<()> {
    let Some(traces) = fixtures::traces()? else {
        fixtures::skipped("recorded traces");
        return Ok(());
    };
    let folder = TempDir::new()?;
    let mut lifecycles = 0;
    for (name, bytes) in traces {
        lifecycles += round_trip(folder.path(), &name, &bytes)?;
    }
    ensure!(lifecycles > 0, "no recorded trace has lifecycles");
    Ok(())
}

/// Imports a trace, exports its whole range and compares; returns how many lifecycles were compared.
fn round_trip(folder: &Path, name: &str, bytes: &[u8]) -> Result<usize> {
    let before = referee::import(bytes)?;
    let (start, end) = judged::whole_range(&before)?;
    let old = folder.join(format!("{name}.old"));
    let db = folder.join(format!("{name}.imported.redb"));
    std::fs::write(&old, bytes)?;
    binary::import(&old, &db)?;
    let after = judge(&binary::export(
        &db,
        start,
        end,
        &folder.join(format!("{name}.new")),
    )?)?;

    let changes = judged::changes(&before)?;
    ensure!(!changes.is_empty(), "{name}: nothing to compare");
    judged::ensure_same(
        &format!("{name}: changes"),
        &judged::changes(&after)?,
        &changes,
    )?;
    let lifecycles = judged::lifecycles(&before)?;
    judged::ensure_same(
        &format!("{name}: lifecycles"),
        &judged::lifecycles(&after)?,
        &lifecycles,
    )?;
    judged::ensure_same(
        &format!("{name}: index"),
        &judged::index(&after)?,
        &judged::index(&before)?,
    )?;
    assert_eq!(
        judged::config(&after)?,
        judged::config(&before)?,
        "{name}: config"
    );
    assert_eq!(
        (after.start_ts(), after.end_ts()),
        (before.start_ts(), before.end_ts()),
        "{name}: length of the replay"
    );
    Ok(lifecycles.values().map(Vec::len).sum())
}
