//! The tracer config file.
use crate::model::Gvk;
use std::collections::BTreeMap;
/// stub
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TracerConfig {
    /// What is tracked, by kind.
    pub tracked: BTreeMap<Gvk, TrackedKind>,
}
/// stub
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrackedKind {
    /// JSON pointers to the pod templates, resolved.
    pub pod_spec_template_paths: Vec<String>,
    /// Whether pods that this kind (transitively) owns get lifecycles.
    pub track_lifecycle: bool,
    /// Whether objects with any owner are ignored.
    pub skip_owned: bool,
    /// What counts as a change (R6).
    pub changes: Option<ChangeScope>,
}
/// stub
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeScope {
    /// spec
    Spec,
    /// object
    Object,
}
/// stub
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {}
impl TracerConfig {
    /// stub
    pub fn to_json(&self) -> String {
        String::new()
    }
}
impl TracerConfig {
    /// stub
    pub fn from_json(_: &str) -> Result<Self, ConfigError> {
        Ok(Self::default())
    }
    /// stub
    pub fn to_simkube(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
}
