//! An object as a tree of values, without its managed fields: they are half of many objects, and nothing is stored of them.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::{Map, Value};

const MANAGED_FIELDS: &str = "managedFields";

/// A JSON object in which `metadata` is an object and nothing of it is written twice. Anything else is an error, and has to be
/// read as a [`Value`].
#[derive(Debug)]
pub(super) struct Tree {
    /// The object without the managed fields in its metadata.
    pub(super) object: Map<String, Value>,
    /// How deeply those are nested, as [`super::depth`] counts.
    pub(super) left_out_levels: usize,
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Tree;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
                let mut object = Map::new();
                let mut left_out_levels = 0;
                while let Some(key) = map.next_key::<String>()? {
                    let value = if key == "metadata" {
                        let (metadata, levels) = map.next_value_seed(Metadata)?;
                        left_out_levels = levels;
                        Value::Object(metadata)
                    } else {
                        map.next_value()?
                    };
                    if object.insert(key, value).is_some() {
                        return Err(A::Error::custom("a field is written twice"));
                    }
                }
                Ok(Tree {
                    object,
                    left_out_levels,
                })
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// Reads metadata, and how deeply what is left out of it is nested.
struct Metadata;

impl<'de> DeserializeSeed<'de> for Metadata {
    type Value = (Map<String, Value>, usize);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Metadata {
    type Value = (Map<String, Value>, usize);

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut metadata = Map::new();
        let mut levels = None;
        while let Some(key) = map.next_key::<String>()? {
            let is_again = if key == MANAGED_FIELDS {
                levels.replace(map.next_value_seed(Levels)?).is_some()
            } else {
                metadata.insert(key, map.next_value()?).is_some()
            };
            if is_again {
                return Err(A::Error::custom("a field is written twice"));
            }
        }
        Ok((metadata, levels.unwrap_or(0)))
    }
}

/// Reads any value, and keeps only how deeply it is nested: 0 for a scalar, 1 for `[]`.
struct Levels;

impl<'de> DeserializeSeed<'de> for Levels {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Levels {
    type Value = usize;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<usize, E> {
        Ok(0)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<usize, E> {
        Ok(0)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<usize, E> {
        Ok(0)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<usize, E> {
        Ok(0)
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<usize, E> {
        Ok(0)
    }

    fn visit_unit<E: de::Error>(self) -> Result<usize, E> {
        Ok(0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<usize, A::Error> {
        let mut below = 0;
        while let Some(levels) = list.next_element_seed(Self)? {
            below = below.max(levels);
        }
        Ok(1 + below)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<usize, A::Error> {
        let mut below = 0;
        while map.next_key_seed(Self)?.is_some() {
            below = below.max(map.next_value_seed(Self)?);
        }
        Ok(1 + below)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    //! Guards against an object that is read in another way than as the whole tree of its values.

    use super::*;
    use crate::limits::NESTING_DEPTH_MAX;

    fn read(text: &str) -> Option<Tree> {
        serde_json::from_str(text).ok()
    }

    #[test]
    fn only_managed_fields_are_left_out_and_their_depth_is_known() {
        for (fields, levels) in [
            ("null", 0),
            ("7", 0),
            ("-1.5", 0),
            (r#""\u00e9""#, 0),
            ("[]", 1),
            (r#"[{"fieldsV1":{"f:a":{".":{},"f:b\"":true}}},[1]]"#, 5),
        ] {
            let text = format!(
                r#"{{"spec":{{"managedFields":1}},"metadata":{{"managedFields":{fields},"name":"a"}},"x":[]}}"#
            );
            let tree = read(&text).unwrap();
            let mut whole: Value = serde_json::from_str(&text).unwrap();
            let metadata = whole.get_mut("metadata").and_then(Value::as_object_mut);
            let fields = metadata.unwrap().remove(MANAGED_FIELDS).unwrap();
            assert_eq!(Value::Object(tree.object), whole);
            assert_eq!(tree.left_out_levels, levels);
            assert_eq!(super::super::depth(&fields, NESTING_DEPTH_MAX), levels);
        }
        assert_eq!(read(r#"{"metadata":{}}"#).unwrap().left_out_levels, 0);
    }

    #[test]
    fn what_is_unusual_is_not_read() {
        for text in [
            "[]",
            "null",
            r#"{"metadata":null}"#,
            r#"{"metadata":[]}"#,
            r#"{"metadata":{},"metadata":{}}"#,
            r#"{"spec":1,"spec":2}"#,
            r#"{"metadata":{"name":"a","name":"b"}}"#,
            r#"{"metadata":{"managedFields":[],"managedFields":[]}}"#,
            r#"{"metadata":{"managedFields":[1e999]}}"#,
            r#"{"metadata":{"managedFields":{1:2}}}"#,
            r#"{"metadata":{"managedFields":[}}"#,
        ] {
            assert!(read(text).is_none(), "{text}");
        }
        let nested = |depth: usize| {
            let (open, close) = ("[".repeat(depth), "]".repeat(depth));
            format!(r#"{{"metadata":{{"managedFields":{open}{close}}}}}"#)
        };
        for depth in [120, 125, 126, 127, 130] {
            let text = nested(depth);
            let whole = serde_json::from_str::<Value>(&text).is_ok();
            assert_eq!(read(&text).is_some(), whole, "{depth}");
        }
    }
}
