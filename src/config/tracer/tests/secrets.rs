//! Secrets that may be stored, and environments that may not.

use super::*;

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
