//! Which metadata of an object is stored.

use serde_json::{Map, Value};

use super::Problem;

/// What `kubectl apply` was given: an older version of the object, with values that are redacted in the object itself.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Annotations that are not stored.
const VOLATILE_ANNOTATIONS: [&str; 2] = [LAST_APPLIED, "deployment.kubernetes.io/revision"];

/// The metadata as it is stored, from that of an API server.
///
/// Stored are names, labels, annotations, finalizers and owner references. Everything else is volatile, says nothing in
/// another cluster (`uid`, `resourceVersion` ...), or is unknown to the Kubernetes API and dropped by SimKube as well.
/// `annotations` is always there. The types are checked, since one object with a wrong one makes a whole trace
/// unreadable for SimKube.
pub(super) fn stored(mut metadata: Map<String, Value>) -> Result<Map<String, Value>, Problem> {
    let mut stored = Map::new();
    let mut keep =
        |key: &str, field: &'static str, valid: fn(&Value) -> bool| match metadata.remove(key) {
            None | Some(Value::Null) => Ok(()),
            Some(value) if valid(&value) => {
                stored.insert(key.to_owned(), value);
                Ok(())
            }
            Some(_) => Err(Problem::Metadata { field }),
        };
    keep("annotations", "metadata.annotations", is_text_map)?;
    keep("finalizers", "metadata.finalizers", is_text_list)?;
    keep("generateName", "metadata.generateName", Value::is_string)?;
    keep("labels", "metadata.labels", is_text_map)?;
    keep("name", "metadata.name", Value::is_string)?;
    keep("namespace", "metadata.namespace", Value::is_string)?;
    // Their entries have been read one by one already.
    keep(
        "ownerReferences",
        "metadata.ownerReferences",
        Value::is_array,
    )?;
    keep("selfLink", "metadata.selfLink", Value::is_string)?;
    let annotations = stored
        .entry("annotations")
        .or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(annotations) = annotations {
        for name in VOLATILE_ANNOTATIONS {
            annotations.remove(name);
        }
    }
    Ok(stored)
}

/// Removes last-applied configurations from the objects and templates inside a part of an object: pod templates, volume
/// claims. The hashes of pods are taken after this, so they are those of the pods that a simulation makes of the templates.
///
/// The depth of `part` is the caller's to bound.
pub(super) fn strip_inner(part: &mut Value) {
    match part {
        Value::Array(items) => items.iter_mut().for_each(strip_inner),
        Value::Object(entries) => {
            for (field, value) in entries {
                if field == "annotations"
                    && let Value::Object(annotations) = value
                {
                    annotations.remove(LAST_APPLIED);
                }
                strip_inner(value);
            }
        }
        _ => {}
    }
}

fn is_text_map(value: &Value) -> bool {
    value
        .as_object()
        .is_some_and(|entries| entries.values().all(Value::is_string))
}

fn is_text_list(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|items| items.iter().all(Value::is_string))
}
