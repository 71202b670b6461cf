//! An object as the MessagePack that stands in a trace file.
//!
//! The bytes are those of rmp-serde (with field names) for the same value: every number and length in its shortest
//! form. The same value always gives the same bytes.

use std::convert::Infallible;

use rmp::encode::{
    ByteBuf, ValueWriteError, write_array_len, write_bool, write_f64, write_map_len, write_nil,
    write_sint, write_str, write_uint,
};
use serde_json::{Map, Number, Value};

/// The fields that come first in an object, as SimKube writes it; the others follow, sorted.
const FIRST: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Writing into memory cannot fail.
type Written = Result<(), ValueWriteError<Infallible>>;

/// An object (or any value) as MessagePack: `apiVersion`, `kind`, `metadata`, then the other fields sorted.
pub fn encode_body(object: &Value) -> Vec<u8> {
    match object {
        Value::Object(entries) => encode_object(entries),
        other => {
            let mut out = ByteBuf::new();
            let Ok(()) = write_value(&mut out, other);
            out.into_vec()
        }
    }
}

/// The same from the fields of an object.
pub(super) fn encode_object(entries: &Map<String, Value>) -> Vec<u8> {
    let mut out = ByteBuf::with_capacity(1024);
    let first = FIRST.iter().filter_map(|key| entries.get_key_value(*key));
    let others = entries
        .iter()
        .filter(|(key, _)| !FIRST.contains(&key.as_str()));
    let Ok(()) = write_entries(&mut out, entries.len(), first.chain(others));
    out.into_vec()
}

fn write_entries<'a>(
    out: &mut ByteBuf,
    count: usize,
    entries: impl Iterator<Item = (&'a String, &'a Value)>,
) -> Written {
    write_map_len(out, length(count))?;
    for (key, value) in entries {
        write_str(out, key)?;
        write_value(out, value)?;
    }
    Ok(())
}

fn write_value(out: &mut ByteBuf, value: &Value) -> Written {
    match value {
        Value::Null => write_nil(out).map_err(ValueWriteError::InvalidMarkerWrite),
        Value::Bool(flag) => write_bool(out, *flag).map_err(ValueWriteError::InvalidMarkerWrite),
        Value::Number(number) => write_number(out, number),
        Value::String(text) => write_str(out, text),
        Value::Array(items) => {
            write_array_len(out, length(items.len()))?;
            items.iter().try_for_each(|item| write_value(out, item))
        }
        Value::Object(entries) => write_entries(out, entries.len(), entries.iter()),
    }
}

fn write_number(out: &mut ByteBuf, number: &Number) -> Written {
    if let Some(unsigned) = number.as_u64() {
        write_uint(out, unsigned).map(drop)
    } else if let Some(signed) = number.as_i64() {
        write_sint(out, signed).map(drop)
    } else {
        write_f64(out, number.as_f64().unwrap_or(0.0))
    }
}

/// A count as MessagePack has it. What does not fit is refused by its size later, see
/// [`crate::limits::OBJECT_BYTES_MAX`].
fn length(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    //! Guards the bytes of a trace: SimKube must read back the object that was recorded, and the same object must give
    //! the same bytes in every release (X4, X8).
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_type_and_metadata_come_first_and_the_rest_is_sorted() {
        let object = json!({"zeta": 1, "metadata": {"name": "a"}, "alpha": [], "kind": "K", "apiVersion": "v1"});
        let mut expected = vec![0x85];
        for (key, value) in [
            ("apiVersion", &b"\xa2v1"[..]),
            ("kind", &b"\xa1K"[..]),
            ("metadata", &b"\x81\xa4name\xa1a"[..]),
            ("alpha", &b"\x90"[..]),
            ("zeta", &b"\x01"[..]),
        ] {
            expected.push(0xa0 + u8::try_from(key.len()).unwrap());
            expected.extend_from_slice(key.as_bytes());
            expected.extend_from_slice(value);
        }
        assert_eq!(encode_body(&object), expected);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-40_000i64..70_000).prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,40}".prop_map(Value::from),
            "[a-z]{200,300}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 20, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..20).prop_map(Value::from),
                prop::collection::btree_map("[a-f]{0,3}", inner, 0..20)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_bytes_are_those_of_rmp_serde_and_decode_to_the_value(value in any_value()) {
            let body = encode_body(&value);
            prop_assert_eq!(&body, &rmp_serde::to_vec_named(&value).unwrap());
            prop_assert_eq!(rmp_serde::from_slice::<Value>(&body).unwrap(), value);
        }
    }
}
