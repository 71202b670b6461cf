//! blake3 over a canonical, structure-preserving encoding: decides whether something changed.
//!
//! Two values have the same hash exactly when they are equal; the order of the keys in their text does not count.
//! The encoding is frozen, because hashes made from it are stored. Every value starts with a tag; lengths and counts are
//! u64, and all numbers are little-endian:
//!
//! | value | bytes |
//! |---|---|
//! | null, false, true | `n`, `f`, `t` |
//! | integer from 0 | `u`, u64 |
//! | negative integer | `i`, i64 |
//! | any other number | `d`, f64 bits, -0.0 as 0.0 |
//! | string | `s`, length in bytes, UTF-8 |
//! | array | `a`, count, elements |
//! | object | `o`, count, then per entry in byte-sorted order of the keys: length of the key, key, value |
//!
//! A hash in a domain has `D`, the length of the domain's name and the name before all that, so hashes of different
//! domains never meet. A hash under a key is blake3's keyed mode over `K`, the count of the parts of its place, each part with
//! its length before it, and the value.

use serde_json::{Number, Value};

/// A blake3 hash of canonical bytes.
pub type ContentHash = [u8; 32];

/// The hash of a value.
pub fn content_hash(value: &Value) -> ContentHash {
    let mut encoder = Encoder::new();
    encoder.value(value);
    encoder.finish()
}

/// The hash of a value in a domain: never equal to a hash in another domain or in none.
pub fn domain_hash(domain: &str, value: &Value) -> ContentHash {
    let mut encoder = Encoder::new();
    encoder.tag(b'D');
    encoder.text(domain);
    encoder.value(value);
    encoder.finish()
}

/// The hash of a value under a key, at a place: equal where key, place and value are, and of no use to whoever has not the
/// key.
pub fn keyed_hash(key: &[u8; 32], place: &[&str], value: &Value) -> ContentHash {
    let mut encoder = Encoder::with(blake3::Hasher::new_keyed(key));
    encoder.tag(b'K');
    encoder.count(place.len());
    place.iter().for_each(|part| encoder.text(part));
    encoder.value(value);
    encoder.finish()
}

/// Feeds the encoding to blake3 in pieces that are large enough for it to be fast.
struct Encoder {
    hasher: blake3::Hasher,
    pending: Vec<u8>,
}

impl Encoder {
    const PENDING_BYTES: usize = 4096;

    fn new() -> Self {
        Self::with(blake3::Hasher::new())
    }

    fn with(hasher: blake3::Hasher) -> Self {
        Self {
            hasher,
            pending: Vec::with_capacity(Self::PENDING_BYTES),
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        if self.pending.len() + bytes.len() > Self::PENDING_BYTES {
            self.hasher.update(&self.pending);
            self.pending.clear();
            if bytes.len() > Self::PENDING_BYTES {
                self.hasher.update(bytes);
                return;
            }
        }
        self.pending.extend_from_slice(bytes);
    }

    fn tag(&mut self, tag: u8) {
        self.bytes(&[tag]);
    }

    fn count(&mut self, count: usize) {
        self.bytes(&(count as u64).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.bytes(text.as_bytes());
    }

    fn number(&mut self, number: &Number) {
        let (tag, bytes) = if let Some(unsigned) = number.as_u64() {
            (b'u', unsigned.to_le_bytes())
        } else if let Some(signed) = number.as_i64() {
            (b'i', signed.to_le_bytes())
        } else {
            let float = number.as_f64().unwrap_or(0.0);
            // 0.0 and -0.0 are equal as values.
            let float = if float == 0.0 { 0.0 } else { float };
            (b'd', float.to_bits().to_le_bytes())
        };
        self.tag(tag);
        self.bytes(&bytes);
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.tag(b'n'),
            Value::Bool(false) => self.tag(b'f'),
            Value::Bool(true) => self.tag(b't'),
            Value::Number(number) => self.number(number),
            Value::String(text) => {
                self.tag(b's');
                self.text(text);
            }
            Value::Array(items) => {
                self.tag(b'a');
                self.count(items.len());
                items.iter().for_each(|item| self.value(item));
            }
            Value::Object(entries) => {
                self.tag(b'o');
                self.count(entries.len());
                // serde_json's map is sorted by bytes as long as its feature preserve_order is off.
                for (key, value) in entries {
                    self.text(key);
                    self.value(value);
                }
            }
        }
    }

    fn finish(mut self) -> ContentHash {
        self.hasher.update(&self.pending);
        *self.hasher.finalize().as_bytes()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    //! Guards change detection: two values with one hash are a change that is never recorded, one value with two
    //! hashes is a change recorded at every restart.
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn hex(hash: ContentHash) -> String {
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn values_that_simkubes_hash_confuses_differ() {
        let values = [
            json!(null),
            json!(0),
            json!(0.0),
            json!(false),
            json!(-1),
            json!(u64::MAX),
            json!(1),
            json!(1.0),
            json!("1"),
            json!(""),
            json!([]),
            json!({}),
            json!([[]]),
            json!([{}]),
            json!(["a", "b"]),
            json!(["ab"]),
            json!([["a"], "b"]),
            json!({"a": "b"}),
            json!({"a": {"b": null}}),
            json!({"a": null, "b": null}),
            json!([{"a": 1}, {"b": 2}]),
            json!([{"a": 1, "b": 2}]),
        ];
        for (i, one) in values.iter().enumerate() {
            for other in &values[i + 1..] {
                assert_ne!(content_hash(one), content_hash(other), "{one} and {other}");
            }
        }
    }

    #[test]
    fn zero_is_the_same_with_either_sign() {
        assert_eq!(json!(-0.0), json!(0.0));
        assert_eq!(content_hash(&json!(-0.0)), content_hash(&json!(0.0)));
    }

    #[test]
    fn domains_never_meet() {
        let value = json!({"replicas": 1});
        let hashes = [
            content_hash(&value),
            domain_hash("", &value),
            domain_hash("spec", &value),
            domain_hash("object", &value),
        ];
        for (i, one) in hashes.iter().enumerate() {
            assert!(!hashes[i + 1..].contains(one), "hash {i} occurs twice");
        }
    }

    /// The encoding is frozen: hashes made from it are in databases.
    #[test]
    fn the_encoding_is_that_of_earlier_releases() {
        let long = |number: u64| number.to_le_bytes();
        let one = json!({"b": [7, -7, 1.5, null, true, false], "a": {"é": "x"}});
        let encoding = [
            &b"o"[..],
            &long(2),
            &long(1),
            b"a",
            b"o",
            &long(1),
            &long(2),
            "é".as_bytes(),
            b"s",
            &long(1),
            b"x",
            &long(1),
            b"b",
            b"a",
            &long(6),
            b"u",
            &long(7),
            b"i",
            &(-7i64).to_le_bytes(),
            b"d",
            &1.5f64.to_le_bytes(),
            b"n",
            b"t",
            b"f",
        ]
        .concat();
        assert_eq!(content_hash(&one), *blake3::hash(&encoding).as_bytes());
        let encoding = [&b"D"[..], &long(4), b"spec", &encoding].concat();
        assert_eq!(
            domain_hash("spec", &one),
            *blake3::hash(&encoding).as_bytes()
        );
        assert_eq!(
            hex(content_hash(&json!({}))),
            "8c7eff43cf3348b8203d74b08f1ffa90e8cdec66400a84e3fb7ad1441b3a1567"
        );
    }

    #[test]
    fn a_value_longer_than_the_buffer_hashes_as_its_encoding_in_one_piece() {
        let text = "x".repeat(3 * Encoder::PENDING_BYTES + 7);
        let mut encoding = vec![b's'];
        encoding.extend_from_slice(&(text.len() as u64).to_le_bytes());
        encoding.extend_from_slice(text.as_bytes());
        assert_eq!(
            content_hash(&json!(text)),
            *blake3::hash(&encoding).as_bytes()
        );

        let many: Vec<u32> = (0..3000).collect();
        let mut encoding = vec![b'a'];
        encoding.extend_from_slice(&3000u64.to_le_bytes());
        for number in 0..3000u64 {
            encoding.push(b'u');
            encoding.extend_from_slice(&number.to_le_bytes());
        }
        assert_eq!(
            content_hash(&json!(many)),
            *blake3::hash(&encoding).as_bytes()
        );
    }

    /// Small alphabets, so that near misses (moved brackets, split strings, number kinds) are common.
    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-2i64..3).prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            // serde_json reads only short fractions back exactly.
            prop_oneof![Just(-0.0), any::<i16>().prop_map(|n| f64::from(n) / 4.0)]
                .prop_map(Value::from),
            "[ab]{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[ab]{0,2}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// The JSON text of a value with the entries of every object in another order.
    fn shuffled(value: &Value, seed: usize) -> String {
        match value {
            Value::Object(entries) if !entries.is_empty() => {
                let mut parts: Vec<String> = entries
                    .iter()
                    .map(|(key, value)| format!("{}:{}", json!(key), shuffled(value, seed / 2)))
                    .collect();
                let by = seed % parts.len();
                parts.rotate_left(by);
                if seed % 2 == 1 {
                    parts.reverse();
                }
                format!("{{{}}}", parts.join(","))
            }
            Value::Array(items) => {
                let parts: Vec<String> = items.iter().map(|item| shuffled(item, seed)).collect();
                format!("[{}]", parts.join(","))
            }
            other => other.to_string(),
        }
    }

    proptest! {
        #[test]
        fn the_hash_is_equal_exactly_when_the_value_is(one in any_value(), other in any_value()) {
            prop_assert_eq!(one == other, content_hash(&one) == content_hash(&other));
        }

        #[test]
        fn the_order_of_keys_in_the_text_does_not_count(value in any_value(), seed in any::<usize>()) {
            let again: Value = serde_json::from_str(&shuffled(&value, seed)).unwrap();
            prop_assert_eq!(&again, &value);
            prop_assert_eq!(content_hash(&again), content_hash(&value));
        }
    }
}
