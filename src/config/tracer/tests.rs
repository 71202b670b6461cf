//! Guards the config file: an operator who misspells a key must hear of it, not find out from a trace that lacks
//! objects; and a config that SimKube takes must mean the same here.
mod refused;
mod secrets;

use std::error::Error;

use super::*;

fn parse(yaml: &str) -> TracerConfig {
    let (config, warnings) = TracerConfig::parse(yaml).unwrap();
    assert_eq!(warnings, Vec::<String>::new(), "{yaml}");
    config
}

fn kind<'a>(config: &'a TracerConfig, gvk: &str) -> &'a TrackedKind {
    &config.tracked[&gvk.parse().unwrap()]
}

/// The message of an error with those of its sources.
fn message(error: &ConfigError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}

#[track_caller]
fn refused(yaml: &str) -> String {
    match TracerConfig::parse(yaml) {
        Ok(parsed) => format!("accepted: {parsed:?}"),
        Err(error) => message(&error),
    }
}

const EXAMPLE: &str = "
---
trackedObjects:
  apps/v1.Deployment: {}                 # a comment
  /v1.Pod:
    skipOwned: true
  batch.volcano.sh/v1alpha1.Job:
    podSpecTemplatePaths: [/spec/tasks/*/template]
    trackLifecycle: true
    skipOwned: true
  v1.ConfigMap:
    changes: object
  v1.Service: {changes: spec}
  v1.ServiceAccount:
  v1.Secret: ~
";

#[test]
fn the_whole_format_is_read() {
    let config = parse(EXAMPLE);
    assert_eq!(config.tracked.len(), 7);
    let built_in = |path: &str| TrackedKind {
        pod_spec_template_paths: vec![path.into()],
        ..TrackedKind::default()
    };
    assert_eq!(
        *kind(&config, "apps/v1.Deployment"),
        built_in("/spec/template")
    );
    let pod = TrackedKind {
        skip_owned: true,
        ..built_in("")
    };
    assert_eq!(*kind(&config, "v1.Pod"), pod);
    assert_eq!(config.pod_kind(), Some((&Gvk::pod(), &pod)));
    let job = TrackedKind {
        track_lifecycle: true,
        skip_owned: true,
        ..built_in("/spec/tasks/*/template")
    };
    assert_eq!(*kind(&config, "batch.volcano.sh/v1alpha1.Job"), job);
    for (gvk, changes) in [
        ("v1.ConfigMap", Some(ChangeScope::Object)),
        ("v1.Service", Some(ChangeScope::Spec)),
        ("v1.ServiceAccount", None),
        ("v1.Secret", None),
    ] {
        let expected = TrackedKind {
            changes,
            ..TrackedKind::default()
        };
        assert_eq!(*kind(&config, gvk), expected, "{gvk}");
    }
}

#[test]
fn nothing_can_be_tracked() {
    for yaml in ["trackedObjects: {}", "trackedObjects:", "trackedObjects: ~"] {
        assert_eq!(parse(yaml), TracerConfig::default(), "{yaml}");
    }
    assert_eq!(TracerConfig::default().pod_kind(), None);
}

#[test]
fn built_in_template_paths_are_those_of_simkube() {
    for (gvk, path) in [
        ("batch/v1.CronJob", "/spec/jobTemplate/spec/template"),
        ("apps/v1.DaemonSet", "/spec/template"),
        ("apps/v1.Deployment", "/spec/template"),
        ("apps/v1.StatefulSet", "/spec/template"),
        ("batch/v1.Job", "/spec/template"),
        ("apps/v1.ReplicaSet", "/spec"),
        ("v1.Pod", ""),
    ] {
        for entry in [
            "{}",
            "{podSpecTemplatePaths: []}",
            "{podSpecTemplatePaths: ~}",
        ] {
            let config = parse(&format!("trackedObjects: {{{gvk}: {entry}}}"));
            assert_eq!(
                kind(&config, gvk).pod_spec_template_paths,
                [path],
                "{gvk} {entry}"
            );
        }
        let same = format!("trackedObjects: {{{gvk}: {{podSpecTemplatePaths: ['{path}']}}}}");
        assert_eq!(
            kind(&parse(&same), gvk).pod_spec_template_paths,
            [path],
            "{gvk}"
        );
        for other in ["['/x']", "['/spec/template', '/x']", "['/spec/template/']"] {
            let yaml = format!("trackedObjects: {{{gvk}: {{podSpecTemplatePaths: {other}}}}}");
            let message = refused(&yaml);
            assert!(
                message.contains(gvk) && message.contains(&format!("{path:?}")),
                "{message}"
            );
        }
    }
    // The path belongs to the version.
    let config = parse("trackedObjects: {apps/v1beta1.Deployment: {}}");
    assert!(
        kind(&config, "apps/v1beta1.Deployment")
            .pod_spec_template_paths
            .is_empty()
    );
}

#[test]
fn the_deprecated_path_is_taken_with_a_warning_where_the_new_one_is_absent_or_empty() {
    for (entry, path, warning) in [
        (
            "{podSpecTemplatePath: /old}",
            "/old",
            "podSpecTemplatePath of x.io/v1.Thing is deprecated: use podSpecTemplatePaths: [\"/old\"]",
        ),
        (
            "{podSpecTemplatePath: /old, podSpecTemplatePaths: []}",
            "/old",
            "podSpecTemplatePath of x.io/v1.Thing is deprecated: use podSpecTemplatePaths: [\"/old\"]",
        ),
        (
            "{podSpecTemplatePath: /old, podSpecTemplatePaths: [/new]}",
            "/new",
            "podSpecTemplatePath of x.io/v1.Thing is deprecated, and ignored because podSpecTemplatePaths is set",
        ),
    ] {
        let (config, warnings) =
            TracerConfig::parse(&format!("trackedObjects: {{x.io/v1.Thing: {entry}}}")).unwrap();
        assert_eq!(
            kind(&config, "x.io/v1.Thing").pod_spec_template_paths,
            [path],
            "{entry}"
        );
        assert_eq!(warnings, [warning], "{entry}");
    }
}

#[test]
fn entries_can_be_shared_with_an_anchor() {
    let config = parse("trackedObjects:\n  a/v1.B: &all {trackLifecycle: true}\n  a/v1.C: *all\n");
    assert!(kind(&config, "a/v1.C").track_lifecycle);
}

#[test]
fn json_holds_all_of_the_config_and_always_in_the_same_text() {
    let config = parse(EXAMPLE);
    assert_eq!(TracerConfig::from_json(&config.to_json()).unwrap(), config);
    assert_eq!(
        parse("trackedObjects: {v1.ConfigMap: {changes: object, skipOwned: true}, apps/v1.ReplicaSet: {}}").to_json(),
        "{\"trackedObjects\":{\
         \"apps/v1.ReplicaSet\":{\"podSpecTemplatePaths\":[\"/spec\"],\"skipOwned\":false,\"trackLifecycle\":false},\
         \"v1.ConfigMap\":{\"changes\":\"object\",\"podSpecTemplatePaths\":[],\"skipOwned\":true,\
         \"trackLifecycle\":false}}}"
    );
    for text in ["", "[]", "{\"trackedObjects\":{\"x\":{}}}"] {
        assert!(TracerConfig::from_json(text).is_err(), "{text}");
    }
}

#[test]
fn the_exported_config_is_one_that_simkube_accepts() {
    let expected = serde_json::json!({"trackedObjects": {
        "apps/v1.Deployment": {"podSpecTemplatePaths": ["/spec/template"]},
        "batch.volcano.sh/v1alpha1.Job": {
            "podSpecTemplatePaths": ["/spec/tasks/*/template"],
            "trackLifecycle": true,
            "skipOwned": true,
        },
        "v1.Pod": {"podSpecTemplatePaths": [""], "skipOwned": true},
    }});
    assert_eq!(parse(EXAMPLE).to_simkube(), expected);
    assert_eq!(
        TracerConfig::default().to_simkube(),
        serde_json::json!({"trackedObjects": {}})
    );
}
