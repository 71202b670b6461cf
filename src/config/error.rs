//! Why a tracer config cannot be used.

use std::path::PathBuf;

use crate::limits::CONFIG_BYTES_MAX;
use crate::model::Gvk;
use crate::model::gvk::InvalidGvk;

/// Why a tracer config cannot be used. Each message names the kind and key to change.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the tracer config {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file was read and is not a tracer config.
    #[error("the tracer config {} cannot be used", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<ConfigError>,
    },
    /// Larger than [`CONFIG_BYTES_MAX`].
    #[error("more than {CONFIG_BYTES_MAX} bytes: this is no tracer config")]
    TooLarge,
    /// Not UTF-8.
    #[error("not UTF-8 text")]
    Encoding(#[source] std::str::Utf8Error),
    /// Not YAML, or YAML with duplicate keys or out of all proportion.
    #[error("not usable as YAML")]
    Yaml(#[source] Box<serde_saphyr::Error>),
    /// Not JSON.
    #[error("not usable as JSON")]
    Json(#[source] serde_json::Error),
    /// A key that is required.
    #[error("the config has no {key}")]
    MissingKey {
        /// The key.
        key: &'static str,
    },
    /// A key that a config does not have, beside `trackedObjects`.
    #[error("the config has the unknown key {key:?}: expected trackedObjects")]
    UnknownKey {
        /// The key.
        key: String,
    },
    /// A key that the entry of a kind does not have.
    #[error(
        "the entry of {kind} has the unknown key {key:?}: expected podSpecTemplatePaths, trackLifecycle, skipOwned or \
         changes (and storeSecretData for v1.Secret)"
    )]
    UnknownEntryKey {
        /// The kind.
        kind: Gvk,
        /// The key.
        key: String,
    },
    /// The opt-in for the data of Secrets at another kind.
    #[error("the entry of {kind} has storeSecretData: only that of v1.Secret may have it")]
    NoSecret {
        /// The kind.
        kind: Gvk,
    },
    /// A value of the wrong type.
    #[error("{place} must be {expected}, and is {found}")]
    WrongType {
        /// What has the value.
        place: String,
        /// What is expected there.
        expected: &'static str,
        /// What stands there.
        found: &'static str,
    },
    /// A key of `trackedObjects` that is no kind.
    #[error("under trackedObjects, {0}")]
    Kind(InvalidGvk),
    /// One kind twice, once with and once without the leading slash.
    #[error("trackedObjects lists {kind} twice")]
    RepeatedKind {
        /// The kind.
        kind: Gvk,
    },
    /// One kind in two versions: they are the same objects.
    #[error(
        "trackedObjects lists one kind in two versions, {first} and {second}: keep one of them"
    )]
    TwoVersions {
        /// One of them.
        first: Box<Gvk>,
        /// The other.
        second: Box<Gvk>,
    },
    /// A template path for a kind whose path is known, and different.
    #[error(
        "podSpecTemplatePaths of {kind} is {configured:?}, but the pod template of this kind is at {built_in:?}: leave \
         podSpecTemplatePaths out"
    )]
    PathDiffers {
        /// The kind.
        kind: Gvk,
        /// The paths as configured.
        configured: Vec<String>,
        /// Where the template is.
        built_in: &'static str,
    },
    /// A template path that is no JSON pointer.
    #[error(
        "the template path {path:?} of {kind} is no JSON pointer: expected /name/name, with ~0 for '~' and ~1 for '/' \
         in a name"
    )]
    Pointer {
        /// The kind.
        kind: Gvk,
        /// The path.
        path: String,
    },
    /// A value of `changes` that is no scope.
    #[error("changes of {kind} is {found:?}: expected spec or object")]
    Changes {
        /// The kind.
        kind: Gvk,
        /// The value.
        found: String,
    },
}
