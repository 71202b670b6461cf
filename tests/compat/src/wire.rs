//! What the referee reads without looking: the names of the fields in the order of the file.

use std::fmt;

use anyhow::{Context, Result};
use serde::Deserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};

/// The field names of a trace file, in the order of its bytes. The file must end where the trace ends.
pub fn field_names(bytes: &[u8]) -> Result<Vec<String>> {
    struct Names;
    impl<'de> Visitor<'de> for Names {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map with string keys")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut names = Vec::new();
            while let Some((name, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
                names.push(name);
            }
            Ok(names)
        }
    }
    let mut rest = bytes;
    let mut deserializer = rmp_serde::Deserializer::new(&mut rest);
    let names = deserializer
        .deserialize_map(Names)
        .context("not a MessagePack map")?;
    drop(deserializer);
    anyhow::ensure!(rest.is_empty(), "{} bytes behind the trace", rest.len());
    Ok(names)
}
