//! What is refused, with its kind, key or file named.

use super::*;

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
