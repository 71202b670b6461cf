//! Objects: MessagePack to JSON values, within bounds.

use std::io::Read;

use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

use super::error::{Fault, IdentityFault, Problem};
use super::reader::{At, Reader, Token, unexpected};
use crate::limits::{NAME_BYTES_MAX, NESTING_DEPTH_MAX, OBJECT_VALUES_MAX};

/// Values for which room is made before they are seen.
const PREALLOCATED_VALUES_MAX: usize = 64;
/// Bytes of a key that an error shows.
const SHOWN_KEY_CHARS_MAX: usize = 100;

/// A map with text keys, in the bounds of an object.
pub(super) fn map<R: Read>(
    reader: &mut Reader<R>,
    expected: &'static str,
) -> Result<At<Map<String, Value>>, Fault> {
    reader.begin_object();
    let At { offset, value: len } = reader.map(expected)?;
    let mut values = Values {
        reader,
        left: OBJECT_VALUES_MAX,
    };
    let value = values.map(offset, len, 1)?;
    reader.end_object();
    Ok(At { offset, value })
}

/// An object with a proper identity: texts `apiVersion` and `kind`, a map `metadata` with a name and, unless it is
/// absent or nil, a text as namespace.
pub(super) fn object<R: Read>(reader: &mut Reader<R>) -> Result<Value, Fault> {
    let At { offset, value } = map(reader, "an object (a map)")?;
    match check_identity(&value) {
        Ok(()) => Ok(Value::Object(value)),
        Err((field, fault)) => Err(Fault::at(offset, Problem::Identity { field, fault })),
    }
}

fn check_identity(object: &Map<String, Value>) -> Result<(), (&'static str, IdentityFault)> {
    let text = |field: &'static str, value: Option<&Value>| match value {
        None => Err((field, IdentityFault::Missing)),
        Some(Value::String(text)) if text.is_empty() => Err((field, IdentityFault::Empty)),
        Some(Value::String(text)) if text.len() > NAME_BYTES_MAX => {
            Err((field, IdentityFault::TooLong))
        }
        Some(Value::String(_)) => Ok(()),
        Some(_) => Err((field, IdentityFault::NotText)),
    };
    text("apiVersion", object.get("apiVersion"))?;
    text("kind", object.get("kind"))?;
    let metadata = match object.get("metadata") {
        None => return Err(("metadata", IdentityFault::Missing)),
        Some(Value::Object(metadata)) => metadata,
        Some(_) => return Err(("metadata", IdentityFault::NotMap)),
    };
    text("metadata.name", metadata.get("name"))?;
    match metadata.get("namespace") {
        None | Some(Value::Null) => Ok(()),
        // An empty namespace is none, as in Kubernetes' own JSON.
        Some(Value::String(namespace)) if namespace.is_empty() => Ok(()),
        namespace => text("metadata.namespace", namespace),
    }
}

/// The values of one object: how many of them it may still have.
struct Values<'r, R> {
    reader: &'r mut Reader<R>,
    left: usize,
}

impl<R: Read> Values<'_, R> {
    /// Refuses a length that cannot be true, or that this object may not have.
    fn admit(&mut self, offset: u64, len: u32, depth: usize, bytes_each: u64) -> Result<(), Fault> {
        if depth > NESTING_DEPTH_MAX {
            return Err(Fault::at(offset, Problem::TooDeep));
        }
        self.reader
            .admit(u64::from(len).saturating_mul(bytes_each))?;
        // Taken off here, not one by one: what is declared by all lengths together stays bounded.
        match self.left.checked_sub(len as usize) {
            Some(left) => self.left = left,
            None => return Err(Fault::at(offset, Problem::TooManyValues)),
        }
        Ok(())
    }

    /// The entries of a map whose head was at `offset`; `depth` counts the maps and arrays around it and itself.
    fn map(&mut self, offset: u64, len: u32, depth: usize) -> Result<Map<String, Value>, Fault> {
        const EXPECTED: &str = "a key (a text)";
        self.admit(offset, len, depth, 2)?;
        let mut map = Map::new();
        for _ in 0..len {
            let At {
                offset,
                value: token,
            } = self.reader.next(EXPECTED)?;
            let Token::Str(bytes) = token else {
                return Err(unexpected(offset, EXPECTED, token));
            };
            let key = self.reader.text(offset, bytes, EXPECTED)?;
            match map.entry(key) {
                Entry::Vacant(entry) => {
                    entry.insert(self.value(depth)?);
                }
                Entry::Occupied(entry) => {
                    let key = entry.key().chars().take(SHOWN_KEY_CHARS_MAX).collect();
                    return Err(Fault::at(offset, Problem::RepeatedKey { key }));
                }
            }
        }
        Ok(map)
    }

    fn array(&mut self, offset: u64, len: u32, depth: usize) -> Result<Vec<Value>, Fault> {
        self.admit(offset, len, depth, 1)?;
        let mut array = Vec::with_capacity((len as usize).min(PREALLOCATED_VALUES_MAX));
        for _ in 0..len {
            array.push(self.value(depth)?);
        }
        Ok(array)
    }

    /// A value in so many maps and arrays.
    fn value(&mut self, depth: usize) -> Result<Value, Fault> {
        const EXPECTED: &str = "a value that JSON has";
        let At { offset, value } = self.reader.next(EXPECTED)?;
        Ok(match value {
            Token::Nil => Value::Null,
            Token::Bool(value) => Value::Bool(value),
            Token::Unsigned(value) => Value::from(value),
            Token::Negative(value) => Value::from(value),
            Token::Float(found) => Number::from_f64(found)
                .map(Value::Number)
                .ok_or_else(|| Fault::at(offset, Problem::InvalidFloat { found }))?,
            Token::Str(len) => Value::String(self.reader.text(offset, len, EXPECTED)?),
            Token::Array(len) => Value::Array(self.array(offset, len, depth + 1)?),
            Token::Map(len) => Value::Object(self.map(offset, len, depth + 1)?),
            Token::Bin(_) | Token::Ext(_) | Token::Reserved => {
                return Err(unexpected(offset, EXPECTED, value));
            }
        })
    }
}
