//! From the value of a config text to what it means.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::tracer::STORE_SECRET_DATA;
use super::{ChangeScope, ConfigError, TracerConfig, TrackedKind};
use crate::model::Gvk;

/// Kinds whose pod template is in a known place, from SimKube.
const BUILT_IN_PATHS: [(&str, &str); 7] = [
    ("batch/v1.CronJob", "/spec/jobTemplate/spec/template"),
    ("apps/v1.DaemonSet", "/spec/template"),
    ("apps/v1.Deployment", "/spec/template"),
    ("apps/v1.StatefulSet", "/spec/template"),
    ("batch/v1.Job", "/spec/template"),
    ("apps/v1.ReplicaSet", "/spec"),
    ("v1.Pod", ""),
];

/// A whole config, with warnings for its author.
pub(super) fn config(value: &Value) -> Result<(TracerConfig, Vec<String>), ConfigError> {
    let top = mapping(value, || "the config".into())?;
    if let Some(key) = top.keys().find(|key| *key != "trackedObjects") {
        return Err(ConfigError::UnknownKey { key: key.clone() });
    }
    let kinds = top.get("trackedObjects").ok_or(ConfigError::MissingKey {
        key: "trackedObjects",
    })?;
    let mut tracked = BTreeMap::new();
    let mut warnings = vec![];
    for (kind, value) in entries(kinds, || "trackedObjects".into())? {
        let kind: Gvk = kind.parse().map_err(ConfigError::Kind)?;
        let entry = entry(&kind, value, &mut warnings)?;
        if let Some(other) = tracked.keys().find(|other| same_kind(other, &kind)) {
            let other: &Gvk = other;
            return Err(if *other == kind {
                ConfigError::RepeatedKind { kind }
            } else {
                ConfigError::TwoVersions {
                    first: Box::new(other.clone()),
                    second: Box::new(kind),
                }
            });
        }
        tracked.insert(kind, entry);
    }
    let config = TracerConfig {
        tracked,
        ..TracerConfig::default()
    };
    Ok((config, warnings))
}

fn same_kind(one: &Gvk, other: &Gvk) -> bool {
    one.group == other.group && one.kind == other.kind
}

/// The entry of one kind. Empty and `null` mean all defaults.
fn entry(
    kind: &Gvk,
    value: &Value,
    warnings: &mut Vec<String>,
) -> Result<TrackedKind, ConfigError> {
    let mut tracked = TrackedKind::default();
    let mut paths = vec![];
    let mut deprecated = None;
    for (key, value) in entries(value, || format!("the entry of {kind}"))? {
        let place = || format!("{key} of {kind}");
        match key.as_str() {
            "podSpecTemplatePaths" => paths = texts(value, place)?,
            "podSpecTemplatePath" => deprecated = optional_text(value, place)?,
            "trackLifecycle" => tracked.track_lifecycle = flag(value, place)?,
            "skipOwned" => tracked.skip_owned = flag(value, place)?,
            "changes" => tracked.changes = scope(kind, value, place)?,
            STORE_SECRET_DATA if kind.is_secret() => {
                tracked.store_secret_data = flag(value, place)?;
            }
            STORE_SECRET_DATA => return Err(ConfigError::NoSecret { kind: kind.clone() }),
            _ => {
                return Err(ConfigError::UnknownEntryKey {
                    kind: kind.clone(),
                    key: key.clone(),
                });
            }
        }
    }
    if let Some(path) = deprecated {
        if paths.is_empty() {
            warnings.push(format!(
                "podSpecTemplatePath of {kind} is deprecated: use podSpecTemplatePaths: [{path:?}]"
            ));
            paths = vec![path];
        } else {
            warnings.push(format!(
                "podSpecTemplatePath of {kind} is deprecated, and ignored because podSpecTemplatePaths is set"
            ));
        }
    }
    tracked.pod_spec_template_paths = resolved(kind, paths)?;
    Ok(tracked)
}

/// The template paths that hold for a kind.
fn resolved(kind: &Gvk, configured: Vec<String>) -> Result<Vec<String>, ConfigError> {
    if let Some(path) = configured.iter().find(|path| !is_pointer(path)) {
        return Err(ConfigError::Pointer {
            kind: kind.clone(),
            path: path.clone(),
        });
    }
    let name = kind.to_string();
    let built_in = BUILT_IN_PATHS.iter().find(|(known, _)| *known == name);
    match built_in {
        None => Ok(configured),
        Some((_, path)) if configured.is_empty() || configured == [*path] => {
            Ok(vec![(*path).to_owned()])
        }
        Some((_, path)) => Err(ConfigError::PathDiffers {
            kind: kind.clone(),
            configured,
            built_in: path,
        }),
    }
}

/// Whether a text is a JSON pointer (RFC 6901): empty, or starting with a slash, with `~` only in `~0` and `~1`.
fn is_pointer(text: &str) -> bool {
    let escapes_end = |part: &str| part.starts_with(['0', '1']);
    (text.is_empty() || text.starts_with('/')) && text.split('~').skip(1).all(escapes_end)
}

fn mapping(
    value: &Value,
    place: impl FnOnce() -> String,
) -> Result<&Map<String, Value>, ConfigError> {
    value
        .as_object()
        .ok_or_else(|| wrong_type(place(), "a mapping", value))
}

/// The entries of a mapping; none where there is nothing behind the colon.
fn entries(
    value: &Value,
    place: impl FnOnce() -> String,
) -> Result<impl Iterator<Item = (&String, &Value)>, ConfigError> {
    let map = if value.is_null() {
        None
    } else {
        Some(mapping(value, place)?)
    };
    Ok(map.into_iter().flatten())
}

fn flag(value: &Value, place: impl FnOnce() -> String) -> Result<bool, ConfigError> {
    value
        .as_bool()
        .ok_or_else(|| wrong_type(place(), "true or false", value))
}

fn optional_text(
    value: &Value,
    place: impl FnOnce() -> String,
) -> Result<Option<String>, ConfigError> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        other => Err(wrong_type(place(), "a string", other)),
    }
}

fn texts(value: &Value, place: impl Fn() -> String) -> Result<Vec<String>, ConfigError> {
    const EXPECTED: &str = "a list of strings";
    match value {
        Value::Null => Ok(vec![]),
        Value::Array(items) => {
            let text = |item: &Value| item.as_str().map(str::to_owned);
            let texts = items
                .iter()
                .map(|item| text(item).ok_or_else(|| wrong_type(place(), EXPECTED, item)));
            texts.collect()
        }
        other => Err(wrong_type(place(), EXPECTED, other)),
    }
}

fn scope(
    kind: &Gvk,
    value: &Value,
    place: impl Fn() -> String,
) -> Result<Option<ChangeScope>, ConfigError> {
    let Some(text) = optional_text(value, place)? else {
        return Ok(None);
    };
    let known = [ChangeScope::Spec, ChangeScope::Object]
        .into_iter()
        .find(|scope| scope.as_str() == text);
    known.map(Some).ok_or_else(|| ConfigError::Changes {
        kind: kind.clone(),
        found: text,
    })
}

fn wrong_type(place: String, expected: &'static str, value: &Value) -> ConfigError {
    let found = match value {
        Value::Null => "empty",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    };
    ConfigError::WrongType {
        place,
        expected,
        found,
    }
}
