//! Short ways to write JSON values.
//!
//! Not `json!`: it serializes every value that is put into it, which copies a nested object once for each level.

use serde_json::{Map, Value};

use crate::model::Timestamp;

/// The fields of a JSON object.
pub(super) type Fields = Map<String, Value>;

/// Fields from names and values.
pub(super) fn fields<const N: usize>(fields: [(&str, Value); N]) -> Fields {
    let mut map = Fields::new();
    for (name, value) in fields {
        map.insert(name.to_owned(), value);
    }
    map
}

/// An object from names and values.
pub(super) fn object<const N: usize>(from: [(&str, Value); N]) -> Value {
    Value::Object(fields(from))
}

/// A string.
pub(super) fn text(text: impl Into<String>) -> Value {
    Value::String(text.into())
}

/// An array.
pub(super) fn list<const N: usize>(items: [Value; N]) -> Value {
    Value::Array(Vec::from(items))
}

/// A time as Kubernetes writes it: RFC 3339 in UTC, whole seconds, rounded down.
pub(super) fn time(at: Timestamp) -> Value {
    Value::String(Timestamp::from_seconds(at.as_seconds()).to_string())
}
