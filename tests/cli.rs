//! Guards the program's face: what scripts and operators see of it. Every failure here is one that would otherwise show up as a
//! half-written file, a silent success, or an error that does not say what to do.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that meets what it did not expect fails by a panic"
)]

#[path = "support/folder.rs"]
mod folder;

use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use tempfile::TempDir;

use folder::names;

fn sk_tracedb(folder: &Path, args: &[&str]) -> Output {
    Command::cargo_bin("sk-tracedb")
        .unwrap()
        .current_dir(folder)
        .env_remove("SK_TRACEDB_DB")
        .env_remove("SK_TRACEDB_CONFIG")
        .env("KUBECONFIG", folder.join("no-such-kubeconfig"))
        .env_remove("KUBERNETES_SERVICE_HOST")
        .args(args)
        .timeout(std::time::Duration::from_secs(120))
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A folder with a small store, `demo.redb`, and its trace.
fn demo() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let output = sk_tracedb(
        folder.path(),
        &["demo", "--objects", "60", "--changes", "400"],
    );
    assert!(output.status.success(), "{}", stderr(&output));
    folder
}

#[test]
fn the_demo_records_restarts_exports_and_can_be_run_again() {
    let folder = demo();
    assert_eq!(names(folder.path()), ["demo.redb", "demo.sktrace"]);
    let first = std::fs::read(folder.path().join("demo.sktrace")).unwrap();
    let again = sk_tracedb(
        folder.path(),
        &["demo", "--objects", "60", "--changes", "400"],
    );
    assert!(again.status.success(), "{}", stderr(&again));
    assert!(stdout(&again).contains("The record ends with the"));
    assert!(stdout(&again).contains("the recorder was not running"));
    assert_eq!(
        std::fs::read(folder.path().join("demo.sktrace")).unwrap(),
        first,
        "the same seed gives the same trace"
    );
}

#[test]
fn the_demo_does_not_replace_what_is_not_its_own() {
    let folder = demo();
    let trace = folder.path().join("demo.sktrace");
    let import = sk_tracedb(
        folder.path(),
        &["import", trace.to_str().unwrap(), "--db", "mine.redb"],
    );
    assert!(import.status.success(), "{}", stderr(&import));
    let before = std::fs::read(folder.path().join("mine.redb")).unwrap();
    let output = sk_tracedb(folder.path(), &["demo", "--db", "mine.redb"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("mine.redb: already exists"));
    assert_eq!(
        std::fs::read(folder.path().join("mine.redb")).unwrap(),
        before
    );
}

#[test]
fn an_export_goes_to_a_file_or_to_stdout_with_the_same_bytes() {
    let folder = demo();
    let file = sk_tracedb(
        folder.path(),
        &["export", "--db", "demo.redb", "-o", "out.sktrace"],
    );
    assert!(file.status.success(), "{}", stderr(&file));
    assert_eq!(stdout(&file), "", "stdout is for data");
    let pipe = sk_tracedb(folder.path(), &["export", "--db", "demo.redb", "-o", "-"]);
    assert!(pipe.status.success());
    let bytes = std::fs::read(folder.path().join("out.sktrace")).unwrap();
    assert!(!bytes.is_empty());
    assert_eq!(pipe.stdout, bytes);
    assert_eq!(
        bytes,
        std::fs::read(folder.path().join("demo.sktrace")).unwrap()
    );
}

#[test]
fn a_copy_of_the_file_exports_the_same_bytes() {
    let folder = demo();
    std::fs::copy(
        folder.path().join("demo.redb"),
        folder.path().join("copy.redb"),
    )
    .unwrap();
    let window = [
        "--start",
        "2026-01-01T00:10:00Z",
        "--end",
        "2026-01-01T00:50:00Z",
    ];
    let export = |db: &str| {
        let mut args = vec!["export", "--db", db, "-o", "-"];
        args.extend(window);
        let output = sk_tracedb(folder.path(), &args);
        assert!(output.status.success(), "{}", stderr(&output));
        output.stdout
    };
    let original = export("demo.redb");
    assert!(original.len() > 1_000);
    assert_eq!(export("copy.redb"), original);
}

/// Exports from one time to another to stdout.
fn export_of(folder: &Path, start: &str, end: &str) -> Output {
    let from = ["export", "--db", "demo.redb", "-o", "-"];
    let args = [&from[..], &["--start", start, "--end", end]].concat();
    let output = sk_tracedb(folder, &args);
    assert!(output.status.success(), "{}", stderr(&output));
    output
}

#[test]
fn a_relative_start_counts_from_the_end() {
    let folder = demo();
    let export = |start: &str| export_of(folder.path(), start, "2026-01-01T00:30:00Z").stdout;
    assert_eq!(export("-10m"), export("2026-01-01T00:20:00Z"));
    assert_ne!(export("-10m"), export("-20m"));
}

#[test]
fn a_window_behind_the_end_of_the_record_is_told() {
    let folder = demo();
    let export = |start: &str| stderr(&export_of(folder.path(), start, "2100-01-01T00:00:00Z"));
    let behind = export("2099-12-31T23:00:00Z");
    assert!(
        behind.contains("note: the record ends at 2026-"),
        "{behind}"
    );
    let inside = export("2026-01-01T00:00:00Z");
    assert!(!inside.contains("the record ends"), "{inside}");
}

#[test]
fn import_and_export_give_back_the_changes() {
    let folder = demo();
    let import = sk_tracedb(
        folder.path(),
        &["import", "demo.sktrace", "--db", "imported.redb"],
    );
    assert!(import.status.success(), "{}", stderr(&import));
    let export = sk_tracedb(
        folder.path(),
        &["export", "--db", "imported.redb", "-o", "again.sktrace"],
    );
    assert!(export.status.success(), "{}", stderr(&export));
    let counts = |output: &Output| {
        let text = stderr(output);
        let line = text
            .lines()
            .find(|line| line.starts_with("exported"))
            .unwrap()
            .to_owned();
        line.split(": ").nth(1).unwrap().to_owned()
    };
    let original = sk_tracedb(folder.path(), &["export", "--db", "demo.redb", "-o", "-"]);
    assert_eq!(counts(&export), counts(&original));
}

#[test]
fn info_tells_what_a_store_holds() {
    let folder = demo();
    let output = sk_tracedb(folder.path(), &["info", "--db", "demo.redb", "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let info: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(info["schema_version"], sk_tracedb::store::SCHEMA_VERSION);
    assert_eq!(info["runs"].as_array().unwrap().len(), 2);
    assert_eq!(info["start"], "2026-01-01T00:00:00Z");
    assert!(!info["gaps"].as_array().unwrap().is_empty());
    assert!(info["changes"].as_u64().unwrap() > 100);
    let kinds = info["kinds"].as_array().unwrap();
    assert!(
        kinds
            .iter()
            .any(|kind| kind["kind"] == "apps/v1.Deployment" && kind["objects"].as_u64() > Some(0))
    );
    assert!(
        info["size"]["allocated_bytes"].as_u64().unwrap() > info["raw_bytes"].as_u64().unwrap()
    );
    let text = sk_tracedb(folder.path(), &["info", "--db", "demo.redb"]);
    assert!(stdout(&text).contains("apps/v1.Deployment"));
}

#[test]
fn state_and_history_answer_as_tables_json_and_yaml() {
    let folder = demo();
    let json = sk_tracedb(
        folder.path(),
        &[
            "state",
            "--db",
            "demo.redb",
            "--at",
            "2026-01-01T00:30:00Z",
            "--kind",
            "deploy",
            "-o",
            "json",
        ],
    );
    assert!(json.status.success(), "{}", stderr(&json));
    let text = stdout(&json);
    let objects: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(!objects.is_empty());
    assert!(objects.iter().all(|object| object["kind"] == "Deployment"));
    let metadata = &objects[0]["metadata"];
    let name = format!(
        "{}/{}",
        metadata["namespace"].as_str().unwrap(),
        metadata["name"].as_str().unwrap()
    );

    let table = sk_tracedb(
        folder.path(),
        &["history", "--db", "demo.redb", "deployment", &name],
    );
    assert!(table.status.success(), "{}", stderr(&table));
    let table = stdout(&table);
    assert!(table.starts_with("TIME"), "{table}");
    assert!(
        table.contains("found") || table.contains("created"),
        "{table}"
    );

    let yaml = sk_tracedb(
        folder.path(),
        &[
            "history",
            "--db",
            "demo.redb",
            "deployments.apps",
            &name,
            "-o",
            "yaml",
        ],
    );
    assert!(yaml.status.success(), "{}", stderr(&yaml));
    assert!(stdout(&yaml).starts_with("---\n"));
    assert!(stdout(&yaml).contains("action: "));
}

/// Arguments, the exit code, and what the message must name.
#[test]
fn bad_input_is_refused_by_name_and_changes_nothing() {
    let folder = demo();
    let path = folder.path();
    std::fs::write(path.join("text"), "not a database").unwrap();
    std::fs::write(path.join("empty"), "").unwrap();
    std::fs::write(path.join("hostile.sktrace"), [0xdf, 0xff, 0xff, 0xff, 0xff]).unwrap();
    let trace = std::fs::read(path.join("demo.sktrace")).unwrap();
    std::fs::write(path.join("cut.sktrace"), &trace[..trace.len() / 2]).unwrap();
    std::fs::write(
        path.join("bad-key.yml"),
        "trackedObjects: {apps/v1.Deployment: {trackLifecycles: true}}",
    )
    .unwrap();
    std::fs::write(
        path.join("bad-kind.yml"),
        "trackedObjects: {Deployment: {}}",
    )
    .unwrap();
    let cases: &[(&[&str], i32, &str)] = &[
        (
            &["export", "--db", "missing.redb", "-o", "x"],
            1,
            "missing.redb: no such file",
        ),
        (
            &["export", "--db", "text", "-o", "x"],
            1,
            "text: not a trace store",
        ),
        (&["info", "--db", "empty"], 1, "an empty file"),
        (&["info", "--db", "."], 1, "not a regular file"),
        (
            &["export", "--db", "demo.redb", "-o", "no/such/folder/x"],
            1,
            "no/such/folder/x",
        ),
        (&["export", "--db", "demo.redb", "-o", "."], 1, "folder"),
        (
            &[
                "export",
                "--db",
                "demo.redb",
                "-o",
                "x",
                "--start",
                "200",
                "--end",
                "100",
            ],
            2,
            "after its end",
        ),
        (
            &[
                "export",
                "--db",
                "demo.redb",
                "-o",
                "x",
                "--start",
                "yesterday",
            ],
            2,
            "yesterday",
        ),
        (
            &[
                "export",
                "--db",
                "demo.redb",
                "-o",
                "x",
                "--start",
                "100",
                "--end",
                "200",
            ],
            1,
            "the record begins at",
        ),
        (
            &["export", "--db", "demo.redb", "-o", "x", "-l", "a in"],
            2,
            "a in",
        ),
        (
            &["export", "--db", "demo.redb", "-o", "x", "--kind", "a b"],
            2,
            "a b",
        ),
        (
            &["import", "missing.sktrace", "--db", "x"],
            1,
            "missing.sktrace",
        ),
        (
            &["import", "hostile.sktrace", "--db", "x"],
            1,
            "hostile.sktrace: not a SimKube trace",
        ),
        (
            &["import", "cut.sktrace", "--db", "x"],
            1,
            "cut.sktrace: not a SimKube trace",
        ),
        (
            &["import", "demo.sktrace", "--db", "demo.redb"],
            1,
            "demo.redb: already exists",
        ),
        (
            &["history", "--db", "demo.redb", "deployment", "no/such"],
            2,
            "nothing is recorded of",
        ),
        (&["history", "--db", "demo.redb", "a b", "x"], 2, "a b"),
        (
            &["history", "--db", "demo.redb", "deployment", "a/b/c"],
            2,
            "a/b/c",
        ),
        (&["record", "--db", "x"], 2, "no config file"),
        (
            &["record", "--db", "x", "-c", "missing.yml"],
            2,
            "missing.yml",
        ),
        (
            &["record", "--db", "x", "-c", "bad-key.yml"],
            2,
            "trackLifecycles",
        ),
        (
            &["record", "--db", "x", "-c", "bad-kind.yml"],
            2,
            "Deployment",
        ),
        (
            &["migrate", "--db", "missing.redb"],
            1,
            "missing.redb: no such file",
        ),
    ];
    let before = names(path);
    let store = std::fs::read(path.join("demo.redb")).unwrap();
    for (args, code, names_it) in cases {
        let output = sk_tracedb(path, args);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(*code), "{args:?}: {text}");
        assert!(text.contains(names_it), "{args:?}: {text}");
        assert_eq!(stdout(&output), "", "{args:?}");
        assert_eq!(names(path), before, "{args:?} left something behind");
    }
    assert_eq!(std::fs::read(path.join("demo.redb")).unwrap(), store);
}

#[test]
fn a_newer_schema_is_refused_untouched() {
    const META: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("meta");
    let folder = demo();
    let path = folder.path().join("demo.redb");
    let database = redb::Database::open(&path).unwrap();
    let txn = database.begin_write().unwrap();
    txn.open_table(META)
        .unwrap()
        .insert("schema_version", 99u32.to_le_bytes().as_slice())
        .unwrap();
    txn.commit().unwrap();
    drop(database);
    let before = std::fs::read(&path).unwrap();
    for args in [
        ["info", "--db", "demo.redb"],
        ["migrate", "--db", "demo.redb"],
    ] {
        let output = sk_tracedb(folder.path(), &args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(
            stderr(&output).contains("schema version 99 is newer than 5"),
            "{}",
            stderr(&output)
        );
        assert!(
            std::fs::read(&path).unwrap() == before,
            "{args:?} changed the file"
        );
    }
}

#[test]
fn a_redb_database_of_another_program_is_refused_untouched() {
    const OTHER: redb::TableDefinition<'_, u64, u64> = redb::TableDefinition::new("other");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.redb");
    let database = redb::Database::create(&path).unwrap();
    let txn = database.begin_write().unwrap();
    txn.open_table(OTHER).unwrap().insert(1, 2).unwrap();
    txn.commit().unwrap();
    drop(database);
    let before = std::fs::read(&path).unwrap();
    for command in ["info", "migrate"] {
        let output = sk_tracedb(folder.path(), &[command, "--db", "other.redb"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("a redb database of another program"));
        assert!(std::fs::read(&path).unwrap() == before);
    }
}

const SECRET_VALUE: &str = "aHVudGVyMi1vZi1hLXNlY3JldA==";
const ENV_VALUE: &str = "hunter2-of-a-container";

/// A trace with a Secret and a container's environment in clear, `clear.sktrace`.
fn clear_trace(folder: &Path) {
    use sk_tracedb::config::TracerConfig;
    use sk_tracedb::export::{ExportFilters, ExportRequest, export};
    use sk_tracedb::model::{Gvk, Observation, TimeRange, Timestamp};
    use sk_tracedb::normalize::{Redaction, normalize};

    let (config, _) = TracerConfig::parse(
        "trackedObjects: {v1.Secret: {storeSecretData: true}, apps/v1.Deployment: {}}",
    )
    .unwrap();
    let store = sk_tracedb::Store::open(folder.join("clear.redb")).unwrap();
    let mut writer = sk_tracedb::ingest::Writer::new(store).unwrap();
    let at = Timestamp::from_seconds;
    writer.begin_run(at(100), &config, "record", None).unwrap();
    let redaction = Redaction::new(writer.redaction_key().unwrap(), &config);
    let env = serde_json::json!([{"name": "PASSWORD", "value": ENV_VALUE}]);
    let template = serde_json::json!({"spec": {"containers": [{"name": "c", "env": env}]}});
    for (kind, field, value) in [
        (
            "v1.Secret",
            "data",
            serde_json::json!({"password": SECRET_VALUE}),
        ),
        (
            "apps/v1.Deployment",
            "spec",
            serde_json::json!({"template": template}),
        ),
    ] {
        let kind: Gvk = kind.parse().unwrap();
        let metadata = serde_json::json!({"name": "a", "namespace": "ns", "uid": kind.kind});
        let object = serde_json::json!({"metadata": metadata, field: value});
        let item = normalize(&kind, config.tracked.get(&kind), &redaction, object).unwrap();
        let seen = Observation::Applied {
            watch: kind,
            item,
            resource_version: None,
        };
        writer.append([(at(101), seen)]).unwrap();
    }
    let request = ExportRequest {
        window: TimeRange::new(at(100), at(200)).unwrap(),
        filters: ExportFilters::default(),
    };
    let mut trace = std::fs::File::create(folder.join("clear.sktrace")).unwrap();
    export(&writer.reader(), &request, &mut trace).unwrap();
}

#[test]
fn an_import_redacts_what_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    clear_trace(folder.path());
    for (db, options, secret, env) in [
        ("usual.redb", &[][..], false, true),
        ("clear.redb2", &["--store-secret-data"][..], true, true),
        ("env.redb", &["--redact-env"][..], false, false),
        (
            "both.redb",
            &["--redact-env", "--store-secret-data"][..],
            true,
            false,
        ),
    ] {
        let mut args = vec!["import", "clear.sktrace", "--db", db];
        args.extend(options);
        let import = sk_tracedb(folder.path(), &args);
        assert!(import.status.success(), "{}", stderr(&import));
        let state = [
            "state",
            "--db",
            db,
            "--at",
            "1970-01-01T00:03:00Z",
            "-o",
            "json",
        ];
        let state = sk_tracedb(folder.path(), &state);
        assert!(state.status.success(), "{}", stderr(&state));
        let mut bytes = std::fs::read(folder.path().join(db)).unwrap();
        bytes.extend(&state.stdout);
        let found = |text: &str| {
            bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        };
        assert_eq!(found(SECRET_VALUE), secret, "{options:?}");
        assert_eq!(found(ENV_VALUE), env, "{options:?}");
        assert_eq!(
            stdout(&state).matches("redacted:").count(),
            usize::from(!env)
        );
    }
}

#[test]
fn an_opt_in_for_another_kind_than_secrets_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = "trackedObjects: {v1.ConfigMap: {storeSecretData: true}}";
    std::fs::write(folder.path().join("config.yml"), config).unwrap();
    let output = sk_tracedb(
        folder.path(),
        &["record", "-c", "config.yml", "--redact-env"],
    );
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("the entry of v1.ConfigMap has storeSecretData"),
        "{}",
        stderr(&output)
    );
    assert_eq!(names(folder.path()), ["config.yml"]);
}

#[test]
fn a_file_does_not_go_to_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let demo = sk_tracedb(
        folder.path(),
        &["demo", "--objects", "20", "--changes", "200"],
    );
    assert!(demo.status.success(), "{}", stderr(&demo));
    for command in ["backup", "export"] {
        let line = format!(
            "'{}' {command} --db demo.redb -o -",
            env!("CARGO_BIN_EXE_sk-tracedb")
        );
        // It gives the program a terminal, and prints what is written there.
        let output = std::process::Command::new("script")
            .current_dir(folder.path())
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .stdin(std::process::Stdio::null())
            .output();
        let Ok(output) = output else {
            println!("skipped: there is no `script`, which gives a program a terminal");
            return;
        };
        let shown = String::from_utf8_lossy(&output.stdout);
        assert!(shown.contains("stdout is a terminal"), "{command}: {shown}");
        assert_eq!(output.status.code(), Some(2), "{command}: {shown}");
    }
}
