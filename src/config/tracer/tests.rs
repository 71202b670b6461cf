//! Guards the config file: an operator who misspells a key must hear of it, not find out from a trace that lacks
//! objects; and a config that SimKube takes must mean the same here.
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
fn what_is_no_config_is_refused_with_kind_and_key() {
    for (yaml, expected) in [
        ("", "the config must be a mapping, and is empty"),
        ("[]", "the config must be a mapping, and is a list"),
        ("{}", "the config has no trackedObjects"),
        (
            "trackedObject: {}",
            "the config has the unknown key \"trackedObject\": expected trackedObjects",
        ),
        (
            "{trackedObjects: {}, extra: 1}",
            "the config has the unknown key \"extra\": expected trackedObjects",
        ),
        (
            "trackedObjects: []",
            "trackedObjects must be a mapping, and is a list",
        ),
        (
            "trackedObjects: {v1.Pod: {trackLifecycles: true}}",
            "the entry of v1.Pod has the unknown key \"trackLifecycles\": expected podSpecTemplatePaths, \
             trackLifecycle, skipOwned or changes (and storeSecretData for v1.Secret)",
        ),
        (
            "trackedObjects: {v1.Pod: yes}",
            "the entry of v1.Pod must be a mapping, and is a string",
        ),
        (
            "trackedObjects: {v1.Pod: {trackLifecycle: yes}}",
            "trackLifecycle of v1.Pod must be true or false, and is a string",
        ),
        (
            "trackedObjects: {v1.Pod: {skipOwned: 1}}",
            "skipOwned of v1.Pod must be true or false, and is a number",
        ),
        (
            "trackedObjects: {v1.Pod: {skipOwned: }}",
            "skipOwned of v1.Pod must be true or false, and is empty",
        ),
        (
            "trackedObjects: {a/v1.B: {podSpecTemplatePaths: /x}}",
            "podSpecTemplatePaths of a/v1.B must be a list of strings, and is a string",
        ),
        (
            "trackedObjects: {a/v1.B: {podSpecTemplatePaths: [1]}}",
            "podSpecTemplatePaths of a/v1.B must be a list of strings, and is a number",
        ),
        (
            "trackedObjects: {a/v1.B: {podSpecTemplatePath: [/x]}}",
            "podSpecTemplatePath of a/v1.B must be a string, and is a list",
        ),
        (
            "trackedObjects: {a/v1.B: {changes: data}}",
            "changes of a/v1.B is \"data\": expected spec or object",
        ),
        (
            "trackedObjects: {a/v1.B: {changes: true}}",
            "changes of a/v1.B must be a string, and is true or false",
        ),
        (
            "trackedObjects: {Deployment: {}}",
            "under trackedObjects, \"Deployment\" is not a kind: expected group/version.Kind, such as \
             apps/v1.Deployment or v1.Pod",
        ),
        (
            "trackedObjects: {v1.Pod: {}, /v1.Pod: {}}",
            "trackedObjects lists v1.Pod twice",
        ),
        (
            "trackedObjects: {x/v1.B: {}, x/v1beta1.B: {}}",
            "trackedObjects lists one kind in two versions, x/v1.B and x/v1beta1.B: keep one of them",
        ),
    ] {
        assert_eq!(refused(yaml), expected, "{yaml}");
    }
}

#[test]
fn template_paths_must_be_json_pointers() {
    for path in [
        "",
        "/",
        "/spec/template",
        "/a~0b/c~1d",
        "/spec/tasks/*/template",
    ] {
        let config = parse(&format!(
            "trackedObjects: {{a/v1.B: {{podSpecTemplatePaths: ['{path}']}}}}"
        ));
        assert_eq!(kind(&config, "a/v1.B").pod_spec_template_paths, [path]);
    }
    for path in ["spec", "spec/template", "/a~", "/a~2b", ".spec"] {
        let message = refused(&format!(
            "trackedObjects: {{a/v1.B: {{podSpecTemplatePaths: ['{path}']}}}}"
        ));
        let expected = format!("the template path {path:?} of a/v1.B is no JSON pointer");
        assert!(message.starts_with(&expected), "{message}");
    }
}

#[test]
fn duplicate_keys_are_refused_at_every_level() {
    for yaml in [
        "trackedObjects: {}\ntrackedObjects: {}",
        "trackedObjects:\n  v1.Pod: {}\n  v1.Pod: {}",
        "trackedObjects: {v1.Pod: {skipOwned: true, skipOwned: false}}",
    ] {
        let message = refused(yaml);
        assert!(message.starts_with("not usable as YAML: "), "{message}");
        assert!(
            message.contains("duplicate") && message.contains("line"),
            "{message}"
        );
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn broken_and_hostile_yaml_is_refused() {
    let deep = format!("trackedObjects: {}1{}", "[".repeat(5000), "]".repeat(5000));
    let deep_block: String = (0..500)
        .map(|depth| format!("{}a:\n", " ".repeat(depth)))
        .collect();
    let laughs: String = (0..9)
        .map(|level| {
            let below = vec![format!("*a{level}"); 9].join(", ");
            format!("a{}: &a{} [{below}]\n", level + 1, level + 1)
        })
        .collect();
    let laughs = format!("a0: &a0 [lol, lol, lol]\n{laughs}");
    let scalar = "x".repeat(CONFIG_BYTES_MAX / 2);
    let copies = format!("a: &a {scalar}\nb: [{}]\n", vec!["*a"; 200].join(", "));
    let many = format!("a: [{}]", "1,".repeat(50_000));
    let two = "trackedObjects: {}\n---\ntrackedObjects: {}\n";
    for yaml in [
        "trackedObjects: {",
        "a: b: c",
        "a: *nowhere",
        "&a [*a]",
        two,
        &deep,
        &deep_block,
        &laughs,
        &copies,
        &many,
    ] {
        let message = refused(yaml);
        let start: String = yaml.chars().take(60).collect();
        assert!(
            message.starts_with("not usable as YAML: "),
            "{start}: {message}"
        );
    }
    let large = format!("# {}", "x".repeat(CONFIG_BYTES_MAX));
    assert_eq!(
        refused(&large),
        "more than 262144 bytes: this is no tracer config"
    );
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

#[test]
fn every_error_of_a_file_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent.yml");
    let text = message(&TracerConfig::load(&absent).unwrap_err());
    assert!(
        text.starts_with(&format!(
            "cannot read the tracer config {}: ",
            absent.display()
        )),
        "{text}"
    );

    let file = folder.path().join("config.yml");
    for (content, expected) in [
        (
            &b"trackedObjects: {x: {}}"[..],
            "under trackedObjects, \"x\" is not a kind",
        ),
        (&b"\xff\xfe"[..], "not UTF-8 text: invalid utf-8"),
        (
            &vec![b'#'; CONFIG_BYTES_MAX + 100],
            "more than 262144 bytes",
        ),
    ] {
        std::fs::write(&file, content).unwrap();
        let text = message(&TracerConfig::load(&file).unwrap_err());
        let start = format!(
            "the tracer config {} cannot be used: {expected}",
            file.display()
        );
        assert!(text.starts_with(&start), "{text}");
    }

    std::fs::write(&file, EXAMPLE).unwrap();
    assert_eq!(TracerConfig::load(&file).unwrap().0, parse(EXAMPLE));
}

#[test]
fn the_opt_in_for_secrets_is_stored_and_not_exported() {
    let config =
        parse("trackedObjects: {v1.Secret: {storeSecretData: true, podSpecTemplatePaths: [/x]}}");
    assert!(kind(&config, "v1.Secret").store_secret_data);
    assert_eq!(TracerConfig::from_json(&config.to_json()).unwrap(), config);
    assert!(config.to_json().contains("storeSecretData"));
    assert!(!config.to_simkube().to_string().contains("storeSecretData"));
    let without = parse("trackedObjects: {v1.Secret: {storeSecretData: false}}");
    assert!(!kind(&without, "v1.Secret").store_secret_data);
    assert!(!without.to_json().contains("storeSecretData"));
}

#[test]
fn only_secrets_can_be_opted_in() {
    for kind in ["v1.ConfigMap", "x.io/v1.Secret"] {
        for value in ["true", "false"] {
            assert_eq!(
                refused(&format!(
                    "trackedObjects: {{{kind}: {{storeSecretData: {value}}}}}"
                )),
                format!(
                    "the entry of {kind} has storeSecretData: only that of v1.Secret may have it"
                )
            );
        }
    }
    assert_eq!(
        refused("trackedObjects: {v1.Secret: {storeSecretData: yes}}"),
        "storeSecretData of v1.Secret must be true or false, and is a string"
    );
}

#[test]
fn redacted_environments_are_part_of_the_stored_config_and_of_no_file() {
    let mut config = parse("trackedObjects: {v1.Pod: {}}");
    assert!(!config.to_json().contains("redactEnv"));
    config.redact_env = true;
    assert_eq!(TracerConfig::from_json(&config.to_json()).unwrap(), config);
    assert!(!config.to_simkube().to_string().contains("redactEnv"));
    assert_eq!(
        refused("{trackedObjects: {}, redactEnv: true}"),
        "the config has the unknown key \"redactEnv\": expected trackedObjects"
    );
}
