//! SimKube's own hash of JSON values: SipHash-1-3 with zero keys over bytes without lengths or tags.
//!
//! Different values often have the same hash here (`{}` and `[]`, `null` and `0`, `["a","b"]` and `{"a":"b"}`), so it
//! is only written out, into the `index` and the `pod_lifecycles` of a trace. What decides whether something changed
//! is [`super::canonical`]. The byte layout is that of `docs/simkube-format.md`, "Hashes".

use std::hash::Hasher;

use serde_json::{Number, Value};
use siphasher::sip::SipHasher13;

/// SimKube's hash of a value. A missing `spec` hashes as `null`.
pub fn simkube_hash(value: &Value) -> u64 {
    let mut hasher = SimkubeHasher::new();
    hasher.value(value);
    hasher.finish()
}

/// The hash of a value that is told piece by piece.
///
/// The caller gives an object's entries in byte-sorted order of their keys: [`SimkubeHasher::text`] for the key, then
/// the value. Arrays and objects themselves leave no trace.
pub(crate) struct SimkubeHasher(SipHasher13);

impl SimkubeHasher {
    pub(crate) fn new() -> Self {
        Self(SipHasher13::new())
    }

    pub(crate) fn null(&mut self) {
        self.0.write(&0u64.to_le_bytes());
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.0.write(&[u8::from(value)]);
    }

    pub(crate) fn integer(&mut self, value: i64) {
        self.0.write(&value.to_le_bytes());
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.0.write(text.as_bytes());
        self.0.write(&[0xff]);
    }

    fn number(&mut self, number: &Number) {
        if let Some(unsigned) = number.as_u64() {
            self.0.write(&unsigned.to_le_bytes());
        } else if let Some(signed) = number.as_i64() {
            self.integer(signed);
        } else {
            let float = number.as_f64().unwrap_or(0.0);
            let float = if float == 0.0 { 0.0 } else { float };
            self.0.write(&float.to_bits().to_le_bytes());
        }
    }

    pub(crate) fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.null(),
            Value::Bool(value) => self.bool(*value),
            Value::Number(number) => self.number(number),
            Value::String(text) => self.text(text),
            Value::Array(items) => items.iter().for_each(|item| self.value(item)),
            Value::Object(entries) => {
                // serde_json's map is sorted by bytes as long as its feature preserve_order is off.
                for (key, value) in entries {
                    self.text(key);
                    self.value(value);
                }
            }
        }
    }

    pub(crate) fn finish(&self) -> u64 {
        self.0.finish()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::print_stderr)]
mod tests {
    //! Guards the hashes in trace files: where one differs from SimKube's, sk-driver finds no lifecycle for a pod and
    //! lets it run for ever.
    use super::*;

    /// Vectors that SimKube 2.7 computed, so that this module is tested without the data beside the checkout too.
    const COMMITTED: &[(&str, u64)] = &[
        ("null", 13646096770106105413),
        ("true", 4952851536318644461),
        ("false", 7541581120933061747),
        ("0", 13646096770106105413),
        ("1", 2206609067086327257),
        ("-1", 3395815149532668813),
        ("-0.0", 13646096770106105413),
        ("0.0", 13646096770106105413),
        ("1.0", 13833534234735907638),
        ("1.5", 14071338911868686178),
        ("-2.25", 3607077352025514115),
        ("1e300", 7376366577797015924),
        ("5e-324", 2206609067086327257),
        ("9223372036854775807", 18405982038362582983),
        ("9223372036854775808", 17224059632725561478),
        ("18446744073709551615", 3395815149532668813),
        ("-9223372036854775808", 17224059632725561478),
        ("18446744073709551616", 10853721718811536778),
        (r#""""#, 3476900567878811119),
        (r#""a""#, 8186225505942432243),
        (r#""foo""#, 4506850079084802999),
        (r#""ünïcödé ☃ 🚀""#, 18400779074082760446),
        (r#""a\u0000b""#, 2378143915019200139),
        ("[]", 15130871412783076140),
        ("{}", 15130871412783076140),
        ("[null]", 13646096770106105413),
        ("[[],[]]", 15130871412783076140),
        ("[1,2,3]", 10001198531354766753),
        (r#"["a","b"]"#, 17343052842552570643),
        (r#"[["a"],["b"]]"#, 17343052842552570643),
        (r#"["ab"]"#, 7391266126405785627),
        (r#"{"a":1}"#, 16331044847874628985),
        (r#"{"b":2,"a":1}"#, 10306048504511684432),
        (
            r#"{"a":{"b":[1,-1,1.5,null,true,"x"]}}"#,
            17594647631227939972,
        ),
        (r#"{"a":"b"}"#, 17343052842552570643),
        (r#"{"é":{}, "z":[], "Z":null}"#, 2630538310191799935),
    ];

    #[test]
    fn committed_vectors_of_simkube() {
        for (json, expected) in COMMITTED {
            let value: Value = serde_json::from_str(json).unwrap();
            assert_eq!(simkube_hash(&value), *expected, "{json}");
        }
    }

    #[test]
    fn all_vectors_of_simkube() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../shared/data/simkube-hash-vectors.json"
        );
        let Ok(text) = std::fs::read_to_string(path) else {
            eprintln!("skipped: {path} is absent");
            return;
        };
        let vectors: Vec<Value> = serde_json::from_str(&text).unwrap();
        assert!(vectors.len() >= 37, "{} vectors", vectors.len());
        for vector in vectors {
            let json = vector.get("json").and_then(Value::as_str).unwrap();
            let expected: u64 = vector
                .get("hash_u64")
                .and_then(Value::as_str)
                .unwrap()
                .parse()
                .unwrap();
            let value: Value = serde_json::from_str(json).unwrap();
            assert_eq!(simkube_hash(&value), expected, "{json}");
        }
    }

    #[test]
    fn keys_count_in_sorted_order_whatever_their_order_in_the_text() {
        let one: Value = serde_json::from_str(r#"{"b":1,"a":{"d":2,"c":3}}"#).unwrap();
        let other: Value = serde_json::from_str(r#"{"a":{"c":3,"d":2},"b":1}"#).unwrap();
        assert_eq!(simkube_hash(&one), simkube_hash(&other));
    }
}
