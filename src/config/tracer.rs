//! The tracer config: which kinds are tracked, and how.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::{ConfigError, entry, yaml};
use crate::limits::CONFIG_BYTES_MAX;
use crate::model::Gvk;

/// Key of a Secret's entry: its data is stored as it is.
pub(super) const STORE_SECRET_DATA: &str = "storeSecretData";
/// Key of the stored form: [`TracerConfig::redact_env`].
const REDACT_ENV: &str = "redactEnv";

/// What is tracked. The file format is SimKube's, with two more keys (`changes`, and
/// `storeSecretData` for Secrets); see `docs/simkube-format.md`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TracerConfig {
    /// What is tracked, by kind. No two kinds differ only in their version.
    pub tracked: BTreeMap<Gvk, TrackedKind>,
    /// Whether literal values of environment variables are stored as digests only. Not part of the file: a flag of the
    /// program sets it. It is stored with the config of every run.
    pub redact_env: bool,
}

/// How one kind is tracked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrackedKind {
    /// JSON pointers to the pod templates, where `*` stands for every element of an array. The built-in ones where none
    /// are configured; empty for a kind without pods (ConfigMap, ServiceAccount ...).
    pub pod_spec_template_paths: Vec<String>,
    /// Whether pods that this kind (transitively) owns get lifecycles.
    pub track_lifecycle: bool,
    /// Whether objects with any owner are ignored.
    pub skip_owned: bool,
    /// What counts as a change (R6). `None`: the spec for objects that have one, else the object.
    pub changes: Option<ChangeScope>,
    /// Whether the data of Secrets is stored as it is, instead of as digests (S8). For Secrets only.
    pub store_secret_data: bool,
}

/// What counts as a change of an object (R6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeScope {
    /// The spec; for an object without one, everything as in [`ChangeScope::Object`].
    Spec,
    /// Everything but the status and volatile metadata: spec, labels, annotations, owners, data ...
    Object,
}

impl ChangeScope {
    /// The scope as a config writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Spec => "spec",
            Self::Object => "object",
        }
    }
}

impl TracerConfig {
    /// Reads a config from YAML; with it come warnings for its author.
    ///
    /// # Errors
    /// When the text is no YAML, repeats a key, or is not a config as `docs/simkube-format.md` has it. Kinds without any
    /// template path are fine here (SimKube refuses them).
    pub fn parse(yaml: &str) -> Result<(Self, Vec<String>), ConfigError> {
        entry::config(&yaml::read(yaml)?)
    }

    /// Reads a config from a YAML file; with it come warnings for its author.
    ///
    /// # Errors
    /// As [`TracerConfig::parse`], and when the file cannot be read. Every error names the file.
    pub fn load(path: &Path) -> Result<(Self, Vec<String>), ConfigError> {
        let unreadable = |source| ConfigError::Read {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(unreadable)?;
        let mut bytes = vec![];
        // One byte more than allowed tells a file that is too large.
        let limit = u64::try_from(CONFIG_BYTES_MAX)
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        file.take(limit)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        let parsed = std::str::from_utf8(&bytes)
            .map_err(ConfigError::Encoding)
            .and_then(Self::parse);
        parsed.map_err(|source| ConfigError::File {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }

    /// The whole config as JSON, always the same text for the same config: what is stored with every run (R17).
    pub fn to_json(&self) -> String {
        let kinds = self.tracked.iter().map(|(gvk, kind)| {
            let mut entry = Map::new();
            entry.insert(
                "podSpecTemplatePaths".into(),
                json!(kind.pod_spec_template_paths),
            );
            entry.insert("trackLifecycle".into(), json!(kind.track_lifecycle));
            entry.insert("skipOwned".into(), json!(kind.skip_owned));
            if let Some(changes) = kind.changes {
                entry.insert("changes".into(), json!(changes.as_str()));
            }
            if kind.store_secret_data {
                entry.insert(STORE_SECRET_DATA.into(), json!(true));
            }
            (gvk.to_string(), Value::Object(entry))
        });
        let mut config = tracked_objects(kinds);
        if let (true, Value::Object(config)) = (self.redact_env, &mut config) {
            config.insert(REDACT_ENV.into(), json!(true));
        }
        config.to_string()
    }

    /// Reads what [`TracerConfig::to_json`] wrote.
    ///
    /// # Errors
    /// When the text is not JSON or not a config.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        let mut value: Value = serde_json::from_str(text).map_err(ConfigError::Json)?;
        // A flag when it was written, so no key of a file.
        let redact_env = value
            .as_object_mut()
            .and_then(|config| config.remove(REDACT_ENV));
        let (config, _) = entry::config(&value)?;
        Ok(Self {
            redact_env: redact_env == Some(Value::Bool(true)),
            ..config
        })
    }

    /// The config as an exported trace carries it.
    ///
    /// SimKube refuses a whole trace whose config names a kind without a template path, so those are left out; its
    /// driver treats a kind that is missing as one without pods.
    pub fn to_simkube(&self) -> Value {
        let with_pods = self
            .tracked
            .iter()
            .filter(|(_, kind)| !kind.pod_spec_template_paths.is_empty());
        tracked_objects(with_pods.map(|(gvk, kind)| {
            let mut entry = Map::new();
            entry.insert(
                "podSpecTemplatePaths".into(),
                json!(kind.pod_spec_template_paths),
            );
            if kind.track_lifecycle {
                entry.insert("trackLifecycle".into(), json!(true));
            }
            if kind.skip_owned {
                entry.insert("skipOwned".into(), json!(true));
            }
            (gvk.to_string(), Value::Object(entry))
        }))
    }

    /// The entry of pods, where they are tracked as objects.
    pub fn pod_kind(&self) -> Option<(&Gvk, &TrackedKind)> {
        self.tracked.iter().find(|(gvk, _)| gvk.is_pod())
    }
}

fn tracked_objects(kinds: impl Iterator<Item = (String, Value)>) -> Value {
    json!({"trackedObjects": Value::Object(kinds.collect())})
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;
