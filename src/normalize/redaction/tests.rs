//! Guards what nobody may read in a file that is copied to laptops and attached to bug reports: data of Secrets and, on
//! demand, values of environment variables. Whatever form they come in, the plain value must not come out, and a change
//! of it must not be missed.
use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::config::TrackedKind;
use crate::model::{Gvk, Item, ObservedObject};
use crate::normalize::{imported, normalize, normalize_json, normalize_pod_lean};

const DEPLOYMENT: &str = "apps/v1.Deployment";

fn gvk(text: &str) -> Gvk {
    text.parse().unwrap()
}

fn config(yaml: &str) -> TracerConfig {
    TracerConfig::parse(&format!("trackedObjects: {yaml}"))
        .unwrap()
        .0
}

fn key(byte: u8) -> RedactionKey {
    RedactionKey::from_bytes([byte; 32])
}

fn usual() -> Redaction {
    Redaction::new(key(7), &TracerConfig::default())
}

fn opted_in() -> Redaction {
    Redaction::new(key(7), &config("{v1.Secret: {storeSecretData: true}}"))
}

fn with_env() -> Redaction {
    let config = TracerConfig {
        redact_env: true,
        ..TracerConfig::default()
    };
    Redaction::new(key(7), &config)
}

fn item(redaction: &Redaction, kind: &str, object: Value) -> Item {
    normalize(&gvk(kind), Some(&TrackedKind::default()), redaction, object).unwrap()
}

fn observed(redaction: &Redaction, kind: &str, object: Value) -> ObservedObject {
    item(redaction, kind, object).object.unwrap()
}

fn stored(redaction: &Redaction, kind: &str, object: Value) -> Value {
    rmp_serde::from_slice(&observed(redaction, kind, object).body).unwrap()
}

fn secret(name: &str, rest: Value) -> Value {
    let mut object = json!({"metadata": {"name": name, "namespace": "ns", "uid": name}});
    object
        .as_object_mut()
        .unwrap()
        .extend(rest.as_object().unwrap().clone());
    object
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix(MARK)
        .is_some_and(|hex| hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn decoded(value: &Value) -> String {
    String::from_utf8(STANDARD.decode(value.as_str().unwrap()).unwrap()).unwrap()
}

#[test]
fn values_of_a_secret_become_digests_that_an_api_server_takes() {
    let object = secret(
        "db",
        json!({
            "type": "Opaque",
            "immutable": true,
            "data": {"password": "aHVudGVyMg==", "empty": "", "none": null},
            "stringData": {"user": "hunter2"},
        }),
    );
    let stored = stored(&usual(), "v1.Secret", object);
    assert_eq!(stored["type"], "Opaque");
    assert_eq!(stored["immutable"], true);
    assert!(is_digest(&decoded(&stored["data"]["password"])), "{stored}");
    assert!(is_digest(&decoded(&stored["data"]["empty"])), "{stored}");
    assert_eq!(stored["data"]["none"], Value::Null);
    assert!(is_digest(stored["stringData"]["user"].as_str().unwrap()));
}

#[test]
fn docker_logins_stay_json_that_a_registry_client_reads() {
    let data = json!({".dockercfg": "e30=", ".dockerconfigjson": "e30="});
    let stored = stored(&usual(), "v1.Secret", secret("pull", json!({"data": data})));
    let json =
        |key: &str| -> Value { serde_json::from_str(&decoded(&stored["data"][key])).unwrap() };
    let names = |value: &Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert!(is_digest(&names(&json(".dockercfg"))[0]));
    assert_eq!(names(&json(".dockerconfigjson")), ["auths"]);
    assert!(is_digest(&names(&json(".dockerconfigjson")["auths"])[0]));
}

#[test]
fn annotations_of_a_secret_are_digested_except_those_that_name_its_service_account() {
    let mut object = secret("token", json!({}));
    object["metadata"]["annotations"] = json!({
        "kubernetes.io/service-account.name": "default",
        "kubernetes.io/service-account.uid": "5",
        "kubectl.kubernetes.io/last-applied-configuration": "hunter2",
        "openshift.io/token-secret.value": "hunter2",
    });
    object["metadata"]["labels"] = json!({"app": "db"});
    let metadata = &stored(&usual(), "v1.Secret", object)["metadata"];
    let annotations = metadata["annotations"].as_object().unwrap();
    assert_eq!(annotations["kubernetes.io/service-account.name"], "default");
    assert_eq!(annotations["kubernetes.io/service-account.uid"], "5");
    assert!(is_digest(
        annotations["openshift.io/token-secret.value"]
            .as_str()
            .unwrap()
    ));
    assert_eq!(annotations.len(), 3, "{annotations:?}");
    assert_eq!(metadata["labels"], json!({"app": "db"}));
}

#[test]
fn last_applied_configurations_are_stored_of_no_kind_not_even_opted_in() {
    for kind in [
        "v1.Secret",
        "v1.ConfigMap",
        DEPLOYMENT,
        "v1.Pod",
        "x.io/v1.Any",
    ] {
        for redaction in [usual(), opted_in(), with_env()] {
            let mut object = secret("a", json!({"spec": {"containers": []}}));
            object["metadata"]["annotations"] =
                json!({"kubectl.kubernetes.io/last-applied-configuration": "hunter2"});
            let annotations = object["metadata"]["annotations"].clone();
            object["spec"]["template"] = json!({"metadata": {"annotations": annotations}});
            object["items"] = json!([{"metadata": {"annotations": annotations}}]);
            let claim = json!({"metadata": {"annotations": annotations}});
            object["spec"]["volumes"] = json!([{"ephemeral": {"volumeClaimTemplate": claim}}]);
            let stored = stored(&redaction, kind, object);
            assert!(!stored.to_string().contains("hunter2"), "{kind}: {stored}");
        }
    }
}

#[test]
fn other_annotations_of_templates_and_volume_claims_stay() {
    let claim = json!({"metadata": {"annotations": {"team": "b"}}});
    let volumes = json!([{"ephemeral": {"volumeClaimTemplate": claim}}]);
    let template =
        json!({"metadata": {"annotations": {"team": "a"}}, "spec": {"volumes": volumes}});
    let mut object = secret("a", json!({"spec": {"template": template}}));
    object["kind"] = json!("Deployment");
    let stored = stored(&usual(), DEPLOYMENT, object);
    assert_eq!(stored["spec"]["template"], template);
}

#[test]
fn a_changed_value_is_a_change_and_an_equal_one_is_none() {
    let of = |value: &str| {
        let object = secret("db", json!({"data": {"password": value}}));
        observed(&usual(), "v1.Secret", object)
    };
    assert_eq!(of("YQ==").body, of("YQ==").body);
    assert_eq!(of("YQ==").change_hash, of("YQ==").change_hash);
    assert_ne!(of("YQ==").change_hash, of("Yg==").change_hash);
}

#[test]
fn equal_values_in_different_places_or_stores_do_not_look_equal() {
    let mut seen = BTreeSet::new();
    let mut add = |redaction: &Redaction, object: Value| {
        let stored = stored(redaction, "v1.Secret", object);
        for field in ["data", "stringData"] {
            for value in stored[field].as_object().into_iter().flatten() {
                assert!(seen.insert(value.1.to_string()), "{stored}");
            }
        }
    };
    let values = json!({"data": {"a": "YQ==", "b": "YQ=="}, "stringData": {"a": "YQ=="}});
    add(&usual(), secret("one", values.clone()));
    add(&usual(), secret("two", values.clone()));
    let mut elsewhere = secret("one", values.clone());
    elsewhere["metadata"]["namespace"] = json!("other");
    add(&usual(), elsewhere);
    let other_store = Redaction::new(key(8), &TracerConfig::default());
    add(&other_store, secret("one", values));
    assert_eq!(seen.len(), 12);
}

#[test]
fn no_hash_of_a_secret_is_one_of_its_plain_content() {
    let object = secret("odd", json!({"spec": {"password": "hunter2"}}));
    let (redacted, plain) = (
        observed(&usual(), "v1.Secret", object.clone()),
        observed(&opted_in(), "v1.Secret", object),
    );
    assert_ne!(redacted.spec_hash, plain.spec_hash);
    assert_ne!(redacted.change_hash, plain.change_hash);
}

#[test]
fn a_secret_is_stored_as_it_is_where_its_entry_says_so() {
    let data = json!({"data": {"password": "aHVudGVyMg=="}});
    let stored = stored(&opted_in(), "v1.Secret", secret("db", data.clone()));
    assert_eq!(stored["data"], data["data"]);
}

#[test]
fn other_kinds_keep_their_data() {
    let data = json!({"data": {"password": "aHVudGVyMg=="}});
    for kind in ["v1.ConfigMap", "x.io/v1.Secret"] {
        let stored = stored(&usual(), kind, secret("db", data.clone()));
        assert_eq!(stored["data"], data["data"], "{kind}");
    }
}

#[test]
fn imported_secrets_are_digested_in_any_version() {
    for version in ["v1", "v2"] {
        let mut object = secret("db", json!({"data": {"password": "aHVudGVyMg=="}}));
        object["apiVersion"] = json!(version);
        object["kind"] = json!("Secret");
        let body = imported(&usual(), object).unwrap().body;
        let stored: Value = rmp_serde::from_slice(&body).unwrap();
        assert!(is_digest(&decoded(&stored["data"]["password"])), "{stored}");
    }
}

#[test]
fn errors_about_a_secret_do_not_repeat_it() {
    let tracked = TrackedKind::default();
    for json in [
        r#""hunter2""#,
        r#"{"hunter2"#,
        r#"{"metadata": "hunter2"}"#,
        r#"{"metadata": {"name": "a", "uid": "1", "annotations": {"a": ["hunter2"]}}, "data": {"p": "hunter2"}}"#,
        r#"{"metadata": {"name": "a", "uid": "1", "labels": "hunter2"}, "data": "hunter2"}"#,
        r#"{"metadata": {"name": "a", "uid": "1"}, "data": {"p": "hunter2"},"#,
    ] {
        let read = |kind: &Gvk, tracked| normalize_json(kind, tracked, &usual(), json.as_bytes());
        let error = read(&gvk("v1.Secret"), Some(&tracked)).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
        // Lean pods are read by type, and serde repeats what has the wrong one.
        if let Err(error) = read(&Gvk::pod(), None) {
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}

#[test]
fn a_redaction_does_not_print_its_key() {
    let printed = format!("{:?}", Redaction::new(key(171), &TracerConfig::default()));
    assert!(!printed.contains("171"), "{printed}");
}

fn any_json(plain: &'static str) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        Just(Value::from(plain)),
        Just(Value::from(format!("{plain}, {plain}"))),
        Just(Value::from(STANDARD.encode(plain))),
        Just(Value::from(4_711_471_147_u64)),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c]", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_form_a_secret_has_nothing_of_it_is_stored(
        fields in prop::collection::btree_map(
            prop::sample::select(vec!["data", "stringData", "type", "immutable", "spec", "status", "extra"]),
            any_json("hunter2"),
            0..5,
        ),
    ) {
        let mut object = secret("odd", json!({}));
        for (field, value) in fields {
            // Only a type is stored as it is, where it is a text.
            if field != "type" || !value.is_string() {
                object[field] = value;
            }
        }
        let stored = stored(&usual(), "v1.Secret", object).to_string();
        for plain in ["hunter2", "4711471147", &STANDARD.encode("hunter2")] {
            prop_assert!(!stored.contains(plain), "{}", stored);
        }
    }
}

fn pod_spec(password: &str) -> Value {
    let env = json!([
        {"name": "PASSWORD", "value": password},
        {"name": "EMPTY", "value": ""},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "UNSET"},
    ]);
    json!({
        "containers": [{"name": "c", "image": "i", "env": env}],
        "initContainers": [{"name": "i", "image": "i", "env": env}],
        "ephemeralContainers": [{"name": "e", "image": "i", "env": env}],
    })
}

fn pod(name: &str, spec: Value) -> Value {
    secret(name, json!({"spec": spec}))
}

#[test]
fn literal_environment_values_are_digested_in_all_containers_and_the_rest_stays() {
    let stored = stored(&with_env(), "v1.Pod", pod("a", pod_spec("hunter2")));
    for containers in ["containers", "initContainers", "ephemeralContainers"] {
        let env = &stored["spec"][containers][0]["env"];
        assert!(is_digest(env[0]["value"].as_str().unwrap()), "{stored}");
        assert_eq!(env[1], json!({"name": "EMPTY", "value": ""}));
        assert_eq!(
            env[2]["valueFrom"]["fieldRef"]["fieldPath"],
            "spec.nodeName"
        );
        assert_eq!(env[3], json!({"name": "UNSET"}));
        assert_eq!(stored["spec"][containers][0]["image"], "i");
    }
}

#[test]
fn environment_values_are_found_in_every_template_and_of_every_type() {
    for (kind, field, value) in [
        (
            DEPLOYMENT,
            "spec",
            json!({"template": {"spec": pod_spec("hunter2")}}),
        ),
        (
            "batch/v1.CronJob",
            "spec",
            json!({"jobTemplate": {"spec": {"template": {"spec": pod_spec("hunter2")}}}}),
        ),
        (
            "apps/v1.ControllerRevision",
            "data",
            json!({"spec": {"template": {"spec": pod_spec("hunter2")}}}),
        ),
        (
            "x.io/v1.Flow",
            "spec",
            json!({"steps": [{"container": {"env": [{"name": "A", "value": {"b": ["hunter2"]}}]}}]}),
        ),
    ] {
        let object = secret("a", json!({field: value}));
        let redacted = stored(&with_env(), kind, object.clone()).to_string();
        assert!(!redacted.contains("hunter2"), "{kind}: {redacted}");
        assert!(redacted.contains(MARK), "{kind}: {redacted}");
        let plain = stored(&usual(), kind, object).to_string();
        assert!(plain.contains("hunter2"), "{kind}: {plain}");
    }
}

#[test]
fn a_pod_keeps_the_values_of_its_template_and_the_hash_of_its_redacted_spec() {
    let template = stored(
        &with_env(),
        DEPLOYMENT,
        secret(
            "web",
            json!({"spec": {"template": {"spec": pod_spec("hunter2")}}}),
        ),
    );
    let mut copied = pod("web-1", pod_spec("hunter2"));
    copied["metadata"]["namespace"] = json!("another");
    let item = item(&with_env(), "v1.Pod", copied);
    let stored: Value = rmp_serde::from_slice(&item.object.unwrap().body).unwrap();
    assert_eq!(stored["spec"], template["spec"]["template"]["spec"]);
    // A replay makes the pod from the template in the trace; this is the hash that sk-driver computes then.
    let replayed = pod("replayed", template["spec"]["template"]["spec"].clone());
    let replayed = normalize(&Gvk::pod(), None, &usual(), replayed).unwrap();
    assert_eq!(item.pod.unwrap().spec_hash, replayed.pod.unwrap().spec_hash);
}

#[test]
fn all_ways_to_read_a_pod_digest_its_environment_alike() {
    let json = pod("a", pod_spec("hunter2")).to_string();
    let lean = normalize_pod_lean(&with_env(), json.as_bytes()).unwrap();
    let untracked = normalize_json(&Gvk::pod(), None, &with_env(), json.as_bytes()).unwrap();
    let tracked = item(&with_env(), "v1.Pod", pod("a", pod_spec("hunter2")));
    assert_eq!(lean, untracked);
    assert_eq!(lean.pod, tracked.pod);
    let plain = normalize_pod_lean(&usual(), json.as_bytes()).unwrap();
    assert_ne!(lean.pod, plain.pod);
}

#[test]
fn a_changed_environment_value_is_a_change() {
    let of = |password: &str| {
        let spec = json!({"template": {"spec": pod_spec(password)}});
        let object = observed(
            &with_env(),
            DEPLOYMENT,
            secret("web", json!({"spec": spec})),
        );
        (object.change_hash, object.spec_hash)
    };
    let (before, after) = (of("a"), of("b"));
    assert_ne!(before.0, after.0);
    assert_ne!(before.1, after.1);
    assert_eq!(before, of("a"));
}
