//! Pod specs that were read before: all pods of one owner have the same, but for what the pod-spec hash leaves out.
//!
//! To take the hash of a spec means to build it as a tree of values, which costs more than everything else that is done
//! with a pod. Here the spec's text is cut into its parts, those that the hash leaves out are passed over, and the rest is
//! looked up by its blake3 digest. Equal digests mean equal texts, so equal hashes; what is written in another way, or has
//! an unusual form, is only not found.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::limits::POD_SPECS_KNOWN_MAX;
use crate::model::pod_spec::{Kept, Place, is_service_account_volume, kept};

/// What is remembered of a spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KnownSpec {
    /// The pod-spec hash.
    pub(super) hash: u64,
    /// Number of its main containers.
    pub(super) containers: usize,
}

/// The specs of one watch's pods. Good for one [`super::Redaction`]: what it digests is part of the hash. Remembers
/// between [`POD_SPECS_KNOWN_MAX`] and twice as many.
#[derive(Debug, Default)]
pub struct KnownSpecs {
    young: HashMap<[u8; 32], KnownSpec>,
    old: HashMap<[u8; 32], KnownSpec>,
    /// What counts of the spec in hand: blake3 is quick where it gets much at once.
    text: Vec<u8>,
}

impl KnownSpecs {
    /// What is known of the spec; else what `read` says of it.
    pub(super) fn of<E>(
        &mut self,
        spec: &RawValue,
        read: impl FnOnce() -> Result<KnownSpec, E>,
    ) -> Result<KnownSpec, E> {
        let Some(digest) = digest(spec, &mut self.text) else {
            return read();
        };
        if let Some(known) = self.young.get(&digest) {
            return Ok(*known);
        }
        let known = match self.old.get(&digest) {
            Some(known) => *known,
            None => read()?,
        };
        if self.young.len() >= POD_SPECS_KNOWN_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(digest, known);
        Ok(known)
    }
}

/// A digest of everything in the spec that its hash depends on; `None` where it has an unusual form. `text` is overwritten.
fn digest(spec: &RawValue, text: &mut Vec<u8>) -> Option<[u8; 32]> {
    text.clear();
    let mut digest = Digest(text);
    let mut reader = serde_json::Deserializer::from_str(spec.get());
    ObjectPart(&mut digest, Place::PodSpec)
        .deserialize(&mut reader)
        .ok()?;
    let digest = *blake3::hash(text).as_bytes();
    text.shrink_to(TEXT_BYTES_KEPT);
    Some(digest)
}

/// Memory for the text of a spec that is kept for the next one, bytes.
const TEXT_BYTES_KEPT: usize = 64 << 10;

struct Digest<'t>(&'t mut Vec<u8>);

impl Digest<'_> {
    fn text(&mut self, text: &str) {
        self.mark(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn mark(&mut self, mark: u64) {
        self.0.extend_from_slice(&mark.to_le_bytes());
    }
}

/// Marks in place of a length: no text is that long.
const ITEM_END: u64 = u64::MAX;
const LIST_END: u64 = u64::MAX - 1;

/// Reads an object, and feeds the digest with what counts of it, in the order in which it is written. An error: it has an
/// unusual form.
struct ObjectPart<'d, 't>(&'d mut Digest<'t>, Place);

impl<'de> DeserializeSeed<'de> for ObjectPart<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ObjectPart<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(digest, place) = self;
        while let Some(Key(field)) = map.next_key()? {
            match kept(place, &field) {
                Kept::Nothing => {
                    map.next_value::<IgnoredAny>()?;
                }
                Kept::Whole => {
                    let value: &RawValue = map.next_value()?;
                    digest.text(&field);
                    digest.text(value.get());
                }
                Kept::Objects(place) => {
                    digest.text(&field);
                    map.next_value_seed(ObjectsPart(digest, place))?;
                }
                Kept::Volumes => {
                    digest.text(&field);
                    for item in map.next_value::<Vec<&RawValue>>()? {
                        let is_dropped = is_of_service_account(item)
                            .ok_or_else(|| A::Error::custom("a name is given twice"))?;
                        if !is_dropped {
                            digest.text(item.get());
                        }
                    }
                    digest.mark(LIST_END);
                }
            }
        }
        Ok(())
    }
}

/// The same of a list of such objects.
struct ObjectsPart<'d, 't>(&'d mut Digest<'t>, Place);

impl<'de> DeserializeSeed<'de> for ObjectsPart<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ObjectsPart<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self(digest, place) = self;
        while list.next_element_seed(ObjectPart(digest, place))?.is_some() {
            digest.mark(ITEM_END);
        }
        digest.mark(LIST_END);
        Ok(())
    }
}

/// Whether the hash leaves out this volume, or mount of one; `None` where its name is given more than once.
fn is_of_service_account(volume: &RawValue) -> Option<bool> {
    let Ok(Entries(entries)) = serde_json::from_str(volume.get()) else {
        return Some(false);
    };
    let mut names = entries.iter().filter(|(field, _)| field == "name");
    match (names.next(), names.next()) {
        (Some((_, name)), None) => {
            let name = serde_json::from_str::<Key<'_>>(name.get());
            Some(name.is_ok_and(|Key(name)| is_service_account_volume(&name)))
        }
        (None, _) => Some(false),
        (Some(_), Some(_)) => None,
    }
}

/// The entries of an object, in the order in which they are written.
struct Entries<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entered;

        impl<'de> Visitor<'de> for Entered {
            type Value = Entries<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(Key(key)) = map.next_key()? {
                    entries.push((key, map.next_value()?));
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(Entered)
    }
}

/// A key, borrowed where it is written without escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    //! Guards against a spec that is taken for another, which would give its pods another owner's lifetime in a replay,
    //! and against a memory that grows with the cluster.

    use serde_json::{Value, json};

    use super::*;

    fn spec() -> Value {
        json!({
            "containers": [{"name": "a", "image": "a:1", "ports": [{"containerPort": 80}],
                "volumeMounts": [{"name": "data"}, {"name": "kube-api-access-x7k2p"}]}],
            "initContainers": [{"name": "b", "volumeMounts": [{"name": "kube-api-access-x7k2p"}]}],
            "nodeName": "n1",
            "volumes": [{"name": "data"}, {"name": "kube-api-access-x7k2p", "projected": {}}],
        })
    }

    /// Whether the spec has to be read.
    fn is_new(known: &mut KnownSpecs, spec: &str) -> bool {
        let mut new = false;
        let raw: &RawValue = serde_json::from_str(spec).unwrap();
        let read = || {
            new = true;
            Ok::<_, std::convert::Infallible>(KnownSpec {
                hash: 0,
                containers: 1,
            })
        };
        known.of(raw, read).unwrap();
        new
    }

    #[test]
    fn pods_of_one_owner_have_one_spec() {
        let mut known = KnownSpecs::default();
        let text = spec().to_string();
        assert!(is_new(&mut known, &text));
        assert!(!is_new(&mut known, &text));
        assert!(!is_new(&mut known, &text.replace("x7k2p", "00000")));
        assert!(!is_new(&mut known, &text.replace("\"n1\"", "\"n2\"")));
        assert!(!is_new(&mut known, &text.replace("80", "81")));
        let mut other = spec();
        other["serviceAccountName"] = json!("robot");
        assert!(!is_new(&mut known, &other.to_string()));
    }

    #[test]
    fn what_counts_makes_another_spec() {
        let change = |path: &str, value: Value| {
            let mut spec = spec();
            *spec.pointer_mut(path).unwrap() = value;
            spec.to_string()
        };
        for other in [
            change("/containers/0/image", json!("a:2")),
            change("/containers/0/volumeMounts/0/name", json!("log")),
            change("/containers/0/volumeMounts/1/name", json!("access")),
            change("/initContainers/0/name", json!("c")),
            change("/initContainers", json!([])),
            change("/containers", json!([])),
            change("/volumes/0", json!({"name": "data", "emptyDir": {}})),
            change("/volumes/0/name", json!(1)),
            change("/volumes", json!([])),
        ] {
            let mut known = KnownSpecs::default();
            is_new(&mut known, &spec().to_string());
            assert!(is_new(&mut known, &other), "{other}");
        }
    }

    #[test]
    fn unusual_forms_are_read_every_time() {
        for odd in [
            r#"{"containers": "none"}"#,
            r#"{"volumes": [{"name": "a", "name": "kube-api-access-x"}]}"#,
            "[]",
            "null",
        ] {
            let mut known = KnownSpecs::default();
            assert!(is_new(&mut known, odd) && is_new(&mut known, odd), "{odd}");
        }
    }

    #[test]
    fn what_is_used_is_kept_and_the_rest_is_forgotten() {
        let mut known = KnownSpecs::default();
        let named = |n: usize| format!(r#"{{"hostname":"h{n}"}}"#);
        for n in 0..5 * POD_SPECS_KNOWN_MAX {
            is_new(&mut known, &named(n));
            assert!(!is_new(&mut known, &named(0)), "{n}");
        }
        assert!(known.young.len() + known.old.len() <= 2 * POD_SPECS_KNOWN_MAX);
        assert!(is_new(&mut known, &named(1)));
    }
}
