//! Objects that were rendered ahead, in one buffer.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// JSON of many objects.
#[derive(Debug, Default)]
pub struct Rendered {
    whole: Vec<u8>,
    metadata: Vec<u8>,
    /// Where the object of each index ends in the buffers.
    ends: Vec<(usize, usize)>,
    /// By `namespace/name`.
    names: HashMap<String, usize>,
}

impl Rendered {
    pub fn push(&mut self, mut object: Value) {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
        let name = format!("{}/{}", text("namespace"), text("name"));
        if let Some(fields) = object.as_object_mut() {
            fields.remove("apiVersion");
            fields.remove("kind");
        }
        let metadata = Map::from_iter([("metadata".to_owned(), object["metadata"].clone())]);
        self.whole.extend_from_slice(object.to_string().as_bytes());
        self.metadata
            .extend_from_slice(Value::Object(metadata).to_string().as_bytes());
        self.names.insert(name, self.ends.len());
        self.ends.push((self.whole.len(), self.metadata.len()));
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub fn get(&self, index: usize, form: super::Form) -> &[u8] {
        let start = match index {
            0 => (0, 0),
            _ => self.ends[index - 1],
        };
        let end = self.ends[index];
        match form {
            super::Form::Whole => &self.whole[start.0..end.0],
            super::Form::Metadata => &self.metadata[start.1..end.1],
        }
    }

    pub fn find(&self, namespace: &str, name: &str) -> Option<usize> {
        self.names.get(&format!("{namespace}/{name}")).copied()
    }
}

impl FromIterator<Value> for Rendered {
    fn from_iter<T: IntoIterator<Item = Value>>(objects: T) -> Self {
        let mut rendered = Self::default();
        objects.into_iter().for_each(|object| rendered.push(object));
        rendered
    }
}
