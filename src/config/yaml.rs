//! YAML with bounds: a config is small, so one that expands to much or nests deeply is refused.

use serde_json::Value;
use serde_saphyr::options::DuplicateKeyPolicy;

use super::ConfigError;
use crate::limits::{CONFIG_ALIASES_MAX, CONFIG_BYTES_MAX, CONFIG_DEPTH_MAX, CONFIG_NODES_MAX};

/// The value of a YAML text with one document. Duplicate keys are an error, at any level.
pub(super) fn read(yaml: &str) -> Result<Value, ConfigError> {
    if yaml.len() > CONFIG_BYTES_MAX {
        return Err(ConfigError::TooLarge);
    }
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::Error,
        // `yes` and `on` are strings, as in YAML 1.2 and in SimKube.
        strict_booleans: true,
        // One line that names line and column.
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_depth: CONFIG_DEPTH_MAX,
            flow_nesting_limit: CONFIG_DEPTH_MAX,
            max_nodes: CONFIG_NODES_MAX,
            max_events: 4 * CONFIG_NODES_MAX,
            max_anchors: CONFIG_ALIASES_MAX,
            max_aliases: CONFIG_ALIASES_MAX,
            max_merge_keys: CONFIG_ALIASES_MAX,
            max_total_scalar_bytes: 2 * CONFIG_BYTES_MAX,
            max_recorded_anchor_bytes: 2 * CONFIG_BYTES_MAX,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: CONFIG_NODES_MAX,
            max_replay_stack_depth: CONFIG_DEPTH_MAX,
        },
    };
    serde_saphyr::from_str_with_options(yaml, options)
        .map_err(|error| ConfigError::Yaml(Box::new(error)))
}
