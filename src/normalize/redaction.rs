//! What is stored in the place of what must not be read: digests under the store's own key (S8).
//!
//! A digest is `redacted:` and 32 hex digits: 16 bytes of blake3, keyed with a random key of the store. A value that
//! changes has another digest, so the change is seen; without the key nobody can try guesses. A redacted object is still
//! one that an API server takes: the values of a Secret's `data` are base64, those that have to be JSON are.
//!
//! All hashes of an object (of its change, SimKube's of its spec, the pod-spec hash) are taken after this. A 64-bit hash
//! without a key over a spec with a password in it would tell whether a guess is right; and a replay makes its pods from
//! the redacted template, so only the hash of the redacted pod is the one that sk-driver will look for.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::identity::Identity;
use crate::config::TracerConfig;
use crate::model::RedactionKey;
use crate::model::canonical::keyed_hash;

/// How a digest begins.
const MARK: &str = "redacted:";
/// Length of a digest, bytes. Keyed, so only chance could make two values the same.
const DIGEST_BYTES: usize = 16;
/// Keys of a Secret's data whose value must be a JSON object, by the Secret's type: API servers refuse the Secret
/// otherwise. The first maps registries to logins, the second has the same under `auths`.
const DOCKER_CFG: &str = ".dockercfg";
const DOCKER_CONFIG_JSON: &str = ".dockerconfigjson";
/// Annotations of a Secret that are stored as they are. They name the service account of a token, and an API server
/// demands the first. All others are digested: tools keep copies of data in them, whole or compressed
/// (`openshift.io/token-secret.value`, `objectset.rio.cattle.io/applied`, `kapp.k14s.io/original`).
const PLAIN_ANNOTATIONS: [&str; 2] = [
    "kubernetes.io/service-account.name",
    "kubernetes.io/service-account.uid",
];

/// Which values are digested, and under which key. It does not print the key.
#[derive(Clone, Debug)]
pub struct Redaction {
    key: RedactionKey,
    secret_data: bool,
    env: bool,
}

/// In which form a digest stands in its place.
#[derive(Clone, Copy)]
enum Form {
    Text,
    Base64,
}

impl Redaction {
    /// What a config redacts: the data of Secrets, unless their entry has `storeSecretData: true`, and literal values of
    /// environment variables where [`TracerConfig::redact_env`] is set.
    ///
    /// The key is the store's, from [`crate::ingest::Writer::redaction_key`]: what is digested under another one does not
    /// compare.
    pub fn new(key: RedactionKey, config: &TracerConfig) -> Self {
        let stored_in_clear = config
            .tracked
            .iter()
            .any(|(gvk, kind)| gvk.is_secret() && kind.store_secret_data);
        Self {
            key,
            secret_data: !stored_in_clear,
            env: config.redact_env,
        }
    }

    /// Digests the values of a Secret: of `data`, `stringData`, and of every field that a Secret should not have.
    ///
    /// What stays is `apiVersion`, `kind`, `type`, `immutable`, the metadata (its annotations are digested, see
    /// [`PLAIN_ANNOTATIONS`]), and the names of the values. Values of a form that no API server sends are digested as a
    /// whole. Namespace, name and place go into a digest: equal passwords of two Secrets do not look equal.
    pub(super) fn secret(&self, identity: &Identity, object: &mut Map<String, Value>) {
        if !self.secret_data {
            return;
        }
        for (field, value) in object.iter_mut() {
            match (field.as_str(), &mut *value) {
                ("apiVersion" | "kind" | "type", Value::String(_))
                | ("immutable", Value::Bool(_)) => {}
                ("metadata", Value::Object(metadata)) => {
                    if let Some(annotations) = metadata.get_mut("annotations") {
                        self.values(identity, "annotations", annotations, Form::Text);
                    }
                }
                ("data", value) => self.values(identity, field, value, Form::Base64),
                (_, value) => self.values(identity, field, value, Form::Text),
            }
        }
    }

    /// Digests each value of a map, or a value that is no map.
    fn values(&self, identity: &Identity, field: &str, value: &mut Value, form: Form) {
        let place = |key| ["secret", &identity.namespace, &identity.name, field, key];
        let Value::Object(entries) = value else {
            self.replace(&place(""), value, form);
            return;
        };
        for (key, value) in entries {
            let plain = field == "annotations" && PLAIN_ANNOTATIONS.contains(&key.as_str());
            if !plain {
                self.replace(&place(key), value, form);
            }
        }
    }

    /// Puts the digest of a value in its place. `null` says nothing and stays.
    fn replace(&self, place: &[&str], value: &mut Value, form: Form) {
        if value.is_null() {
            return;
        }
        let mark = self.mark(place, value);
        let text = match place.last() {
            Some(&DOCKER_CFG) => json!({mark: {}}).to_string(),
            Some(&DOCKER_CONFIG_JSON) => json!({"auths": {mark: {}}}).to_string(),
            _ => mark,
        };
        *value = Value::String(match form {
            Form::Text => text,
            Form::Base64 => STANDARD.encode(text),
        });
    }

    fn mark(&self, place: &[&str], value: &Value) -> String {
        let hash = keyed_hash(self.key.as_bytes(), place, value);
        let mut text = MARK.to_owned();
        for byte in hash.iter().take(DIGEST_BYTES) {
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
            }
        }
        text
    }

    /// Digests literal values of environment variables, where the config asks for it: wherever in `part` a list called
    /// `env` stands. That is every container of every pod and pod template, of custom resources and ControllerRevisions
    /// too. `valueFrom` stays.
    ///
    /// Only the name of the variable goes into its digest, because a pod must have the value that its template has, to
    /// whatever namespace and container a controller copies it: so it shows where a variable of one name has one value.
    /// An empty value stays, since API servers leave it out of the pods.
    ///
    /// The depth of `part` is the caller's to bound.
    pub(super) fn env(&self, part: &mut Value) {
        if self.env {
            self.variables(part);
        }
    }

    fn variables(&self, part: &mut Value) {
        match part {
            Value::Array(items) => items.iter_mut().for_each(|item| self.variables(item)),
            Value::Object(entries) => {
                for (field, value) in entries {
                    if let ("env", Value::Array(variables)) = (field.as_str(), &mut *value) {
                        variables.iter_mut().for_each(|one| self.variable(one));
                    }
                    self.variables(value);
                }
            }
            _ => {}
        }
    }

    fn variable(&self, variable: &mut Value) {
        let name = match variable.get("name") {
            Some(Value::String(name)) => name.clone(),
            _ => String::new(),
        };
        match variable.get_mut("value") {
            None => {}
            Some(Value::String(text)) if text.is_empty() => {}
            Some(value) => self.replace(&["env", &name], value, Form::Text),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;
