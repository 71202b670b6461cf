//! S8: no plain value of a Secret reaches the file, whichever way it came; a change of it is seen all the same.

use std::io::Write;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde_json::{Value, json};
use sk_tracedb::Reader;
use sk_tracedb::config::TracerConfig;
use sk_tracedb::import::{ImportOptions, import};
use sk_tracedb::model::{Gvk, Item, RedactionKey};
use sk_tracedb::normalize::{Redaction, normalize, normalize_json};

use crate::support::build::{applied, deleted};
use crate::support::*;

const USUAL: &str = "v1.Secret: {}";
const OPTED_IN: &str = "v1.Secret: {storeSecretData: true}";
const DEPLOYMENT: &str = "apps/v1.Deployment: {trackLifecycle: true}";

/// Plain values, one for each way a Secret comes, so that a leak says where it is.
const PLAIN: [&str; 8] = [
    "plain-listed-7f3a",
    "plain-watched-91bc",
    "plain-changed-d04e",
    "plain-final-55aa",
    "plain-annotation-c2c2",
    "plain-unmapped-8e8e",
    "plain-nested-6b6b",
    "plain-string-1d1d",
];

fn secret(name: &str, rest: Value) -> Value {
    let mut object =
        json!({"metadata": {"name": name, "namespace": "ns", "uid": name, "resourceVersion": "5"}});
    object
        .as_object_mut()
        .unwrap()
        .extend(rest.as_object().unwrap().clone());
    object
}

fn with(name: &str, value: &str) -> Value {
    secret(
        name,
        json!({"type": "Opaque", "data": {"password": STANDARD.encode(value)}}),
    )
}

/// As the watches read it: from the bytes that came.
fn item(recorder: &mut Recorder, object: &Value) -> Item {
    let kind = gvk("v1.Secret");
    let redaction = recorder.redaction();
    let tracked = recorder.config.tracked.get(&kind);
    normalize_json(&kind, tracked, &redaction, object.to_string().as_bytes()).unwrap()
}

/// Records Secrets in every way that they come, and stops.
fn recorded(entry: &str) -> Recorder {
    let kind = gvk("v1.Secret");
    let mut recorder = Recorder::listed(config(&[entry]));
    let mut annotated = secret("annotated", json!({}));
    annotated["metadata"]["annotations"] = json!({"tool/applied": PLAIN[4]});
    let listed = [
        with("listed", PLAIN[0]),
        annotated,
        secret("unmapped", json!({"data": PLAIN[5]})),
        secret("nested", json!({"data": {"a": {"b": [PLAIN[6]]}}})),
        secret("string", json!({"stringData": {"a": PLAIN[7]}})),
    ];
    let items: Vec<_> = listed
        .iter()
        .map(|object| item(&mut recorder, object))
        .collect();
    recorder.list(s(101), &kind, items);
    for (at, value) in [(102, PLAIN[1]), (103, PLAIN[2])] {
        let item = item(&mut recorder, &with("watched", value));
        assert_eq!(recorder.see(s(at), applied(&kind, item)).changes, 1);
    }
    let last = item(&mut recorder, &with("watched", PLAIN[3]));
    recorder.see(s(104), deleted(&kind, last));
    recorder
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

/// A text as it is, and as it looks in base64 wherever in a longer text it stands.
fn forms(plain: &str) -> Vec<String> {
    let shifted = |by: usize| {
        let text = STANDARD_NO_PAD.encode(format!("{}{plain}", "-".repeat(by)));
        // The digits that hold bits of this text only.
        text[(by * 8).div_ceil(6)..(by + plain.len()) * 8 / 6].to_owned()
    };
    let mut forms: Vec<_> = (0..3).map(shifted).collect();
    forms.push(plain.to_owned());
    forms
}

/// Which of the plain values stand in some bytes, as they are or in base64.
fn found(bytes: &[u8]) -> Vec<&'static str> {
    PLAIN
        .into_iter()
        .filter(|plain| forms(plain).iter().any(|form| contains(bytes, form)))
        .collect()
}

fn file(recorder: &Recorder) -> Vec<u8> {
    std::fs::read(recorder.path()).unwrap()
}

/// The bytes of the file, and every body in it as it is read: most are stored compressed, or as differences.
fn everything(path: &Path, reader: &Reader) -> Vec<u8> {
    let mut bytes = std::fs::read(path).unwrap();
    let snapshot = reader.snapshot().unwrap();
    for second in 100..=200 {
        for version in snapshot.state_at(s(second)).unwrap() {
            bytes.extend(version.unwrap().body);
        }
    }
    bytes
}

#[test]
fn no_plain_value_of_a_secret_is_in_the_file_or_in_an_export() {
    let mut recorder = recorded(USUAL);
    let trace = recorder.export(100, 200);
    assert_eq!(found(&trace.bytes), [""; 0]);
    assert_eq!(trace.trace.changes().len(), 8, "everything is in");
    // A restart, another list, and an unclean copy.
    recorder.restart(s(110), s(120));
    let again = item(&mut recorder, &with("listed", PLAIN[0]));
    recorder.list(s(121), &gvk("v1.Secret"), [again]);
    let live = everything(&recorder.path(), &recorder.reader());
    assert_eq!(found(&live), [""; 0]);
    recorder.stop(s(130));
    let closed = everything(&recorder.path(), &recorder.reader());
    assert_eq!(found(&closed), [""; 0]);
    assert!(contains(&closed, &STANDARD.encode("redacted:")[..12]));
}

/// Proves that the search of the test above finds what is there.
#[test]
fn opted_in_the_plain_values_are_in_the_file_and_in_an_export() {
    let mut recorder = recorded(OPTED_IN);
    // The last version of a deleted object is not stored.
    let stored: Vec<_> = PLAIN
        .into_iter()
        .filter(|plain| *plain != PLAIN[3])
        .collect();
    assert_eq!(found(&recorder.export(100, 200).bytes), stored);
    recorder.stop(s(110));
    assert_eq!(
        found(&everything(&recorder.path(), &recorder.reader())),
        stored
    );
    // Not all of the bytes are compressed: the search of the file itself finds something.
    assert!(!found(&file(&recorder)).is_empty());
    // The config in force is part of the record, and the trace's is SimKube's.
    assert!(contains(&file(&recorder), "storeSecretData"));
    assert!(!contains(
        &recorder.export(100, 200).bytes,
        "storeSecretData"
    ));
}

#[test]
fn the_same_secret_is_no_change_after_a_restart_and_another_one_is() {
    let mut recorder = recorded(USUAL);
    let kind = gvk("v1.Secret");
    recorder.restart(s(110), s(120));
    let item = |recorder: &mut Recorder, value| item(recorder, &with("listed", value));
    let same = item(&mut recorder, PLAIN[0]);
    assert_eq!(recorder.see(s(121), applied(&kind, same)).changes, 0);
    let other = item(&mut recorder, PLAIN[1]);
    assert_eq!(recorder.see(s(122), applied(&kind, other)).changes, 1);
}

#[test]
fn a_changed_opt_in_is_told_by_a_list() {
    let mut recorder = recorded(USUAL);
    let kind = gvk("v1.Secret");
    assert!(recorder.writer().resume_points().contains_key(&kind));
    for entry in [OPTED_IN, USUAL] {
        recorder.stop(s(110));
        recorder.config = config(&[entry]);
        recorder.run_from(s(120));
        assert!(!recorder.writer().resume_points().contains_key(&kind));
        recorder.list_nothing(s(121));
        recorder.restart(s(130), s(140));
        assert!(recorder.writer().resume_points().contains_key(&kind));
    }
    // Every watch shows environment values.
    recorder.stop(s(150));
    recorder.config.redact_env = true;
    recorder.run_from(s(160));
    assert!(!recorder.writer().resume_points().contains_key(&kind));
}

#[test]
fn secrets_of_a_release_without_a_key_are_listed_again_and_digested() {
    let (secrets, maps) = (gvk("v1.Secret"), gvk("v1.ConfigMap"));
    let mut recorder = Recorder::listed(config(&[OPTED_IN, "v1.ConfigMap: {}"]));
    let clear = item(&mut recorder, &with("old", PLAIN[0]));
    recorder.see(s(101), applied(&secrets, clear));
    recorder.stop(s(110));
    // Such a release wrote neither the key nor the opt-in.
    recorder.config = config(&[USUAL, "v1.ConfigMap: {}"]);
    recorder.run_from(s(120));
    recorder.list(s(121), &secrets, []);
    recorder.stop(s(130));
    remove_key(&recorder.path());
    recorder.run_from(s(140));
    let resumed = recorder.writer().resume_points();
    assert!(resumed.contains_key(&maps) && !resumed.contains_key(&secrets));
    let digested = item(&mut recorder, &with("old", PLAIN[0]));
    assert_eq!(recorder.list(s(141), &secrets, [digested]), 1);
    assert_eq!(found(&recorder.export(142, 200).bytes), [""; 0]);
}

fn remove_key(path: &Path) {
    let database = redb::Database::open(path).unwrap();
    let txn = database.begin_write().unwrap();
    {
        let meta = redb::TableDefinition::<&str, &[u8]>::new("meta");
        let mut meta = txn.open_table(meta).unwrap();
        assert!(meta.remove("redaction_key").unwrap().is_some());
    }
    txn.commit().unwrap();
}

#[test]
fn the_key_outlives_the_run_and_is_in_no_export() {
    let mut recorder = recorded(USUAL);
    let key = recorder.writer().redaction_key().unwrap();
    recorder.restart(s(110), s(120));
    assert_eq!(recorder.writer().redaction_key().unwrap(), key);
    let other = Recorder::start(config(&[USUAL]))
        .writer()
        .redaction_key()
        .unwrap();
    assert_ne!(other, key);
}

#[test]
fn a_store_without_a_key_gets_one_with_its_first_run_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let store = sk_tracedb::Store::open(folder.path().join("trace.redb")).unwrap();
    let mut writer = sk_tracedb::ingest::Writer::new(store).unwrap();
    let refused = writer.redaction_key().unwrap_err();
    assert!(
        refused.to_string().contains("when a run begins"),
        "{refused}"
    );
    let config = config(&[USUAL]);
    writer
        .begin_run(s(100), &config, "record", Some("cluster"))
        .unwrap();
    let key = writer.redaction_key().unwrap();
    // Lost before anything was recorded: the key is durable with the beginning of the run.
    let store = writer.into_store();
    drop(store);
    let store = sk_tracedb::Store::open(folder.path().join("trace.redb")).unwrap();
    let writer = sk_tracedb::ingest::Writer::new(store).unwrap();
    assert_eq!(writer.redaction_key().unwrap(), key);
}

/// A trace with a Secret and a Deployment in clear.
fn clear_trace() -> (Recorder, std::path::PathBuf) {
    let mut recorder = recorded(OPTED_IN);
    let path = recorder.folder().join("clear.sktrace");
    let mut trace = std::fs::File::create(&path).unwrap();
    trace.write_all(&recorder.export(100, 200).bytes).unwrap();
    recorder.stop(s(200));
    (recorder, path)
}

#[test]
fn an_import_digests_secrets_unless_it_is_told_otherwise() {
    let (recorder, trace) = clear_trace();
    assert!(!found(&std::fs::read(&trace).unwrap()).is_empty());
    let made = |name: &str, options: ImportOptions| {
        let db = recorder.folder().join(name);
        import(&trace, &db, options, || Ok(())).unwrap();
        let bytes = everything(&db, &Reader::open(&db).unwrap());
        (found(&bytes), contains(&bytes, "storeSecretData"))
    };
    let (leaked, config) = made("usual.redb", ImportOptions::default());
    assert_eq!(leaked, [""; 0]);
    assert!(!config);
    let opted_in = ImportOptions {
        store_secret_data: true,
        ..ImportOptions::default()
    };
    let (leaked, config) = made("clear.redb", opted_in);
    assert_eq!(leaked.len(), PLAIN.len() - 1);
    assert!(config, "the record does not say what was done");
}

fn template(value: &str) -> Value {
    let env = json!([{"name": "PASSWORD", "value": value}]);
    json!({"spec": {"containers": [{"name": "c", "image": "i", "env": env}]}})
}

/// Records a Deployment and a pod of it, and exports them.
fn with_environment(redact_env: bool) -> (Recorder, Vec<u8>) {
    let mut recorder = Recorder::start(TracerConfig {
        redact_env,
        ..config(&[DEPLOYMENT])
    });
    recorder.list_nothing(s(100));
    let kind = gvk("apps/v1.Deployment");
    let redaction: Redaction = recorder.redaction();
    let deployment = secret("web", json!({"spec": {"template": template(PLAIN[0])}}));
    let tracked = recorder.config.tracked.get(&kind).cloned();
    let item = normalize(&kind, tracked.as_ref(), &redaction, deployment).unwrap();
    recorder.see(s(101), applied(&kind, item));
    let mut pod = secret("web-1", template(PLAIN[0]));
    pod["metadata"]["ownerReferences"] = json!([
        {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "web", "controller": true}
    ]);
    pod["status"] = json!({
        "phase": "Running",
        "containerStatuses": [{"state": {"running": {"startedAt": "1970-01-01T00:01:42Z"}}}],
    });
    let seen = normalize_json(&Gvk::pod(), None, &redaction, pod.to_string().as_bytes()).unwrap();
    recorder.see(s(102), applied(&Gvk::pod(), seen));
    let bytes = recorder.export(100, 200).bytes;
    (recorder, bytes)
}

#[test]
fn environment_values_are_digested_where_that_is_asked_for() {
    for (redact_env, expected) in [(true, vec![]), (false, vec![PLAIN[0]])] {
        let (mut recorder, trace) = with_environment(redact_env);
        assert_eq!(found(&trace), expected);
        assert!(!contains(&trace, "redactEnv"));
        recorder.stop(s(200));
        let closed = everything(&recorder.path(), &recorder.reader());
        assert_eq!(found(&closed), expected);
        assert_eq!(contains(&file(&recorder), "redactEnv"), redact_env);
    }
}

#[test]
fn a_replay_of_redacted_templates_finds_the_lifecycles_of_their_pods() {
    let (recorder, _) = with_environment(true);
    let exported = recorder.export(100, 200);
    let deployment = exported.trace.changes()[0].1.clone();
    let made = secret(
        "replayed",
        json!({"spec": deployment["spec"]["template"]["spec"]}),
    );
    // What sk-driver does knows of no redaction: the key of another store.
    let usual = Redaction::new(RedactionKey::from_bytes([0; 32]), &TracerConfig::default());
    let made = normalize(&Gvk::pod(), None, &usual, made).unwrap();
    let hashes: Vec<u64> = exported
        .trace
        .lifecycles()
        .values()
        .flat_map(|hashes| hashes.keys().copied())
        .collect();
    assert_eq!(hashes, [made.pod.unwrap().spec_hash]);
}
