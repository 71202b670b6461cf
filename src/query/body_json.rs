//! Bodies as JSON text, without a tree of values between: most of what it takes to print a state went into such trees.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{Error as _, Serialize, SerializeMap, SerializeSeq, Serializer};

/// A MessagePack body as compact JSON, the same bytes that its tree would give. `None`: it is no MessagePack, or the tree
/// would have it in another form: keys in another order, or not all of them.
pub(super) fn json(body: &[u8]) -> Option<Vec<u8>> {
    let mut source = rmp_serde::Deserializer::from_read_ref(body);
    // JSON writes out what MessagePack tells by its type and length.
    let mut text = Vec::with_capacity(body.len() + body.len() / 8);
    Piece::new(&mut source)
        .serialize(&mut serde_json::Serializer::new(&mut text))
        .ok()?;
    // Thousands of them wait to be told.
    text.shrink_to_fit();
    Some(text)
}

/// A value that is written as it is read, once.
struct Piece<D>(Cell<Option<D>>);

impl<D> Piece<D> {
    fn new(source: D) -> Self {
        Self(Cell::new(Some(source)))
    }
}

impl<'de, D: Deserializer<'de>> Serialize for Piece<D> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let source = self.0.take();
        let source = source.ok_or_else(|| S::Error::custom("it has been read already"))?;
        source
            .deserialize_any(Writing(out))
            .map_err(S::Error::custom)
    }
}

/// Writes what it visits.
struct Writing<S>(S);

impl<'de, S: Serializer> Visitor<'de> for Writing<S> {
    type Value = S::Ok;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what JSON can tell")
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<S::Ok, E> {
        self.0.serialize_bool(value).map_err(E::custom)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<S::Ok, E> {
        self.0.serialize_i64(value).map_err(E::custom)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<S::Ok, E> {
        self.0.serialize_u64(value).map_err(E::custom)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<S::Ok, E> {
        self.0.serialize_f64(value).map_err(E::custom)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<S::Ok, E> {
        self.0.serialize_str(value).map_err(E::custom)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<S::Ok, E> {
        self.0.serialize_unit().map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<S::Ok, A::Error> {
        let out = self.0.serialize_seq(items.size_hint());
        let mut out = out.map_err(A::Error::custom)?;
        while items.next_element_seed(Item(&mut out))?.is_some() {}
        out.end().map_err(A::Error::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<S::Ok, A::Error> {
        let out = self.0.serialize_map(fields.size_hint());
        let mut out = out.map_err(A::Error::custom)?;
        let mut before: Option<&str> = None;
        while let Some(key) = fields.next_key::<&str>()? {
            if before.is_some_and(|before| before >= key) {
                return Err(A::Error::custom("the keys are in no order"));
            }
            before = Some(key);
            out.serialize_key(key).map_err(A::Error::custom)?;
            fields.next_value_seed(Field(&mut out))?;
        }
        out.end().map_err(A::Error::custom)
    }
}

/// Writes the next item of a list.
struct Item<'a, L>(&'a mut L);

impl<'de, L: SerializeSeq> DeserializeSeed<'de> for Item<'_, L> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        let written = self.0.serialize_element(&Piece::new(source));
        written.map_err(D::Error::custom)
    }
}

/// Writes the value of the field whose key has been written.
struct Field<'a, M>(&'a mut M);

impl<'de, M: SerializeMap> DeserializeSeed<'de> for Field<'_, M> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        let written = self.0.serialize_value(&Piece::new(source));
        written.map_err(D::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json as value};

    fn tree() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,6}".prop_map(Value::from),
            "[\\x00-\\x7f]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::btree_map("[a-c\"é]{0,3}", inner, 0..5)
                    .prop_map(Value::from_iter),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_text_is_that_of_the_tree(tree in tree()) {
            let body = rmp_serde::to_vec_named(&tree).unwrap();
            // Numbers may come back in another type than they went.
            let read: Value = rmp_serde::from_slice(&body).unwrap();
            prop_assert_eq!(json(&body).unwrap(), serde_json::to_vec(&read).unwrap());
        }

        #[test]
        fn any_bytes_give_the_text_of_their_tree_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Some(text) = json(&bytes) {
                let read: Value = rmp_serde::from_slice(&bytes).unwrap();
                prop_assert_eq!(text, serde_json::to_vec(&read).unwrap());
            }
        }
    }

    #[test]
    fn what_a_tree_has_in_another_form_is_refused() {
        let of = |fields: &[(&str, u8)]| {
            let mut body = vec![0x80 | fields.len() as u8];
            for (key, value) in fields {
                body.extend(rmp_serde::to_vec(key).unwrap());
                body.push(*value);
            }
            json(&body)
        };
        let text = |value: Value| Some(value.to_string().into_bytes());
        assert_eq!(of(&[("a", 1), ("b", 2)]), text(value!({"a": 1, "b": 2})));
        assert_eq!(of(&[("b", 2), ("a", 1)]), None);
        assert_eq!(of(&[("a", 2), ("a", 1)]), None);
        // Bytes, and a key that is a number.
        assert_eq!(json(&[0xc4, 1, 7]), None);
        assert_eq!(json(&[0x81, 1, 7]), None);
    }
}
