//! SimKube's pod-spec hash: the key under which a trace keeps the lifecycles of an owner's pods.
//!
//! SimKube reads a pod's spec into the types of Kubernetes 1.30, takes out what differs between the pods of one owner,
//! writes it as JSON again and takes its hash ([`super::simkube_hash`]). What comes out differs from the spec as it is
//! stored: fields that 1.30 does not know and optional fields that are null are gone, required ones that are absent have
//! their zero value, integers given as quantities are strings, and times are in whole seconds of UTC. Here the same
//! bytes are hashed straight from the JSON, with the field tables of `schema`.
//!
//! Taken out: `nodeName`, `serviceAccount`, `serviceAccountName`; volumes, and volume mounts of containers and init
//! containers, whose name starts with `kube-api-access` (the lists are written also where absent); the `ports` of the
//! containers, not those of init containers. Ephemeral containers stay as they are.

use serde_json::{Map, Value};

use super::simkube_hash::SimkubeHasher;
use schema::{Field, Type};

mod schema;

/// The volumes that the API server adds to every pod, under a random name.
const SERVICE_ACCOUNT_VOLUME: &str = "kube-api-access";

/// SimKube's hash of a pod's `.spec`, given as it came from the API server, in any version.
///
/// A value of a type that Kubernetes 1.30 does not have in that place cannot be read by SimKube at all; here it counts
/// as it is.
pub fn pod_spec_hash(spec: &Value) -> u64 {
    let mut hasher = SimkubeHasher::new();
    typed(&mut hasher, schema::PodSpec, spec, Edit::PodSpec);
    hasher.finish()
}

/// What is taken out of an object.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edit {
    Nothing,
    PodSpec,
    Container,
    InitContainer,
}

/// What becomes of one field.
enum Treatment {
    Keep(Edit),
    Drop,
    /// A list, written also where it is absent, without what the API server adds for service accounts.
    WithoutServiceAccount,
}

impl Edit {
    fn treatment(self, field: &str) -> Treatment {
        match (self, field) {
            (Self::PodSpec, "nodeName" | "serviceAccount" | "serviceAccountName")
            | (Self::Container, "ports") => Treatment::Drop,
            (Self::PodSpec, "volumes")
            | (Self::Container | Self::InitContainer, "volumeMounts") => {
                Treatment::WithoutServiceAccount
            }
            (Self::PodSpec, "containers") => Treatment::Keep(Self::Container),
            (Self::PodSpec, "initContainers") => Treatment::Keep(Self::InitContainer),
            _ => Treatment::Keep(Self::Nothing),
        }
    }
}

/// Hashes what SimKube writes for a value that it read as this type. `edit` applies to the object, or to each object
/// of a list.
fn typed(hasher: &mut SimkubeHasher, holds: Type, value: &Value, edit: Edit) {
    match (holds, value) {
        (Type::Object(fields), Value::Object(entries)) => object(hasher, fields, entries, edit),
        (Type::List(item), Value::Array(items)) => {
            for value in items {
                typed(hasher, *item, value, edit);
            }
        }
        (Type::Map(item), Value::Object(entries)) => {
            for (key, value) in entries {
                hasher.text(key);
                typed(hasher, *item, value, Edit::Nothing);
            }
        }
        (Type::Quantity, Value::Number(number)) if !number.is_f64() => {
            hasher.text(&number.to_string())
        }
        (Type::Time, Value::String(text)) => match text.parse::<jiff::Timestamp>() {
            Ok(time) => hasher.text(&time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
            Err(_) => hasher.text(text),
        },
        _ => hasher.value(value),
    }
}

fn object(hasher: &mut SimkubeHasher, fields: &[Field], entries: &Map<String, Value>, edit: Edit) {
    for field in fields {
        let value = entries.get(field.name).filter(|value| !value.is_null());
        match (edit.treatment(field.name), value) {
            (Treatment::Drop, _) => {}
            (Treatment::Keep(edit), Some(value)) => {
                hasher.text(field.name);
                typed(hasher, field.holds, value, edit);
            }
            (Treatment::Keep(_), None) => {
                if field.always {
                    hasher.text(field.name);
                    zero(hasher, field.holds);
                }
            }
            (Treatment::WithoutServiceAccount, value) => {
                hasher.text(field.name);
                match (field.holds, value) {
                    (Type::List(item), Some(Value::Array(items))) => {
                        for value in items.iter().filter(|value| !is_of_service_account(value)) {
                            typed(hasher, *item, value, Edit::Nothing);
                        }
                    }
                    (_, Some(value)) => hasher.value(value),
                    (_, None) => {}
                }
            }
        }
    }
}

fn is_of_service_account(volume: &Value) -> bool {
    let name = volume.get("name").and_then(Value::as_str);
    name.is_some_and(is_service_account_volume)
}

/// Whether a volume of this name is one that the API server added.
pub(crate) fn is_service_account_volume(name: &str) -> bool {
    name.starts_with(SERVICE_ACCOUNT_VOLUME)
}

/// An object in a pod's spec of which a part is left out.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    PodSpec,
    Container,
    InitContainer,
}

/// How much of a field the hash depends on.
pub(crate) enum Kept {
    Nothing,
    /// All of it, at most.
    Whole,
    /// A list of such objects.
    Objects(Place),
    /// A list without what is [`is_service_account_volume`].
    Volumes,
}

/// On how much of this field [`pod_spec_hash`] depends.
pub(crate) fn kept(place: Place, field: &str) -> Kept {
    let edit = match place {
        Place::PodSpec => Edit::PodSpec,
        Place::Container => Edit::Container,
        Place::InitContainer => Edit::InitContainer,
    };
    match edit.treatment(field) {
        Treatment::Drop => Kept::Nothing,
        Treatment::WithoutServiceAccount => Kept::Volumes,
        Treatment::Keep(Edit::Container) => Kept::Objects(Place::Container),
        Treatment::Keep(Edit::InitContainer) => Kept::Objects(Place::InitContainer),
        Treatment::Keep(_) => Kept::Whole,
    }
}

/// Hashes the value that a required field has where it is absent or null.
fn zero(hasher: &mut SimkubeHasher, holds: Type) {
    match holds {
        Type::Bool => hasher.bool(false),
        Type::Int | Type::IntOrString => hasher.integer(0),
        Type::Str | Type::Quantity => hasher.text(""),
        Type::Time | Type::Any => hasher.null(),
        Type::List(_) | Type::Map(_) => {}
        Type::Object(fields) => object(hasher, fields, &Map::new(), Edit::Nothing),
    }
}

#[cfg(test)]
mod tests {
    //! Guards the keys of `pod_lifecycles`: sk-driver looks a pod up by the hash it computes itself, and lets a pod that
    //! it does not find run for ever.
    use serde_json::json;

    use super::*;
    use crate::model::simkube_hash::simkube_hash;

    /// That the spec hashes as if SimKube had written `written`.
    #[track_caller]
    fn assert_written(spec: Value, written: Value) {
        assert_eq!(pod_spec_hash(&spec), simkube_hash(&written), "{spec}");
    }

    #[test]
    fn the_volume_lists_are_written_also_where_absent() {
        assert_written(
            json!({"containers": [{"name": "a"}], "initContainers": [{"name": "b"}]}),
            json!({
                "containers": [{"name": "a", "volumeMounts": []}],
                "initContainers": [{"name": "b", "volumeMounts": []}],
                "volumes": [],
            }),
        );
    }

    #[test]
    fn what_differs_between_pods_of_one_owner_is_taken_out() {
        let container = |name: &str| {
            json!({
                "name": name,
                "ports": [{"containerPort": 80}],
                "volumeMounts": [
                    {"name": "data", "mountPath": "/data"},
                    {"name": "kube-api-access-x7k2p", "mountPath": "/var/run/secrets"},
                ],
            })
        };
        let mount = json!([{"name": "data", "mountPath": "/data"}]);
        assert_written(
            json!({
                "nodeName": "node-1",
                "serviceAccount": "default",
                "serviceAccountName": "default",
                "containers": [container("a")],
                "initContainers": [container("b")],
                "ephemeralContainers": [container("c")],
                "volumes": [{"name": "kube-api-access-x7k2p", "projected": {}}, {"name": "data", "emptyDir": {}}, {"name": "my-kube-api-access"}],
            }),
            json!({
                "containers": [{"name": "a", "volumeMounts": mount}],
                "ephemeralContainers": [container("c")],
                "initContainers": [{"name": "b", "ports": [{"containerPort": 80}], "volumeMounts": mount}],
                "volumes": [{"name": "data", "emptyDir": {}}, {"name": "my-kube-api-access"}],
            }),
        );
    }

    #[test]
    fn fields_newer_than_1_30_do_not_count() {
        assert_written(
            json!({
                "hostnameOverride": "x",
                "resources": {"limits": {"cpu": "1"}},
                "securityContext": {"supplementalGroupsPolicy": "Strict", "seLinuxChangePolicy": "Recursive"},
                "resourceClaims": [{"name": "gpu", "resourceClaimName": "g"}],
                "containers": [{
                    "name": "a",
                    "lifecycle": {"stopSignal": "SIGUSR1"},
                    "restartPolicyRules": [],
                    "resources": {"claims": [{"name": "gpu", "request": "one"}]},
                    "env": [{"name": "E", "valueFrom": {"fileKeyRef": {"key": "k"}}}],
                }],
                "volumes": [{"name": "model", "image": {"reference": "r"}}],
            }),
            json!({
                "containers": [{
                    "name": "a",
                    "lifecycle": {},
                    "resources": {"claims": [{"name": "gpu"}]},
                    "env": [{"name": "E", "valueFrom": {}}],
                    "volumeMounts": [],
                }],
                "securityContext": {},
                "resourceClaims": [{"name": "gpu"}],
                "volumes": [{"name": "model"}],
            }),
        );
    }

    #[test]
    fn null_is_absent_and_what_is_required_has_its_zero_value() {
        assert_written(
            json!({"hostname": null, "volumes": null, "containers": null, "tolerations": []}),
            json!({"containers": [], "tolerations": [], "volumes": []}),
        );
        assert_written(
            json!({
                "containers": [{
                    "volumeMounts": null,
                    "readinessProbe": {"httpGet": {"path": "/", "port": null}, "tcpSocket": {"port": "web"}},
                }],
                "imagePullSecrets": [{}],
                "volumes": [{"ephemeral": {"volumeClaimTemplate": {"metadata": {"creationTimestamp": null}}}}],
                "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1}]}},
            }),
            json!({
                "containers": [{
                    "name": "",
                    "readinessProbe": {"httpGet": {"path": "/", "port": 0}, "tcpSocket": {"port": "web"}},
                    "volumeMounts": [],
                }],
                "imagePullSecrets": [{"name": ""}],
                "volumes": [{"name": "", "ephemeral": {"volumeClaimTemplate": {"metadata": {}, "spec": {}}}}],
                "affinity": {"nodeAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": {}}],
                }},
            }),
        );
    }

    #[test]
    fn quantities_are_strings_and_times_are_whole_seconds() {
        assert_written(
            json!({
                "overhead": {"cpu": 2, "memory": "1Gi"},
                "volumes": [{"name": "v", "ephemeral": {"volumeClaimTemplate": {
                    "metadata": {"creationTimestamp": "2024-01-01T01:00:00.5+01:00"},
                    "spec": {},
                }}}],
            }),
            json!({
                "containers": [],
                "overhead": {"cpu": "2", "memory": "1Gi"},
                "volumes": [{"name": "v", "ephemeral": {"volumeClaimTemplate": {
                    "metadata": {"creationTimestamp": "2024-01-01T00:00:00Z"},
                    "spec": {},
                }}}],
            }),
        );
    }

    #[test]
    fn a_value_of_the_wrong_type_counts_as_it_is() {
        for (one, other) in [
            (json!(null), json!("spec")),
            (json!({"containers": 1}), json!({"containers": 2})),
            (json!({"containers": [1]}), json!({"containers": [2]})),
            (json!({"volumes": "a"}), json!({"volumes": "b"})),
            (json!({"affinity": "a"}), json!({"affinity": "b"})),
            (
                json!({"overhead": {"cpu": 1.5}}),
                json!({"overhead": {"cpu": 2.5}}),
            ),
        ] {
            assert_ne!(
                pod_spec_hash(&one),
                pod_spec_hash(&other),
                "{one} and {other}"
            );
        }
    }
}
