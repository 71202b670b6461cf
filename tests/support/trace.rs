//! A SimKube trace, decoded for assertions. Written from simkube-format.md; stricter than SimKube's own parser:
//! field order, duplicate keys and unknown fields are errors.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trace {
    pub version: u64,
    pub config: TraceConfig,
    pub events: Vec<Event>,
    pub index: Pairs<String, Pairs<String, u64>>,
    pub pod_lifecycles: Pairs<(String, String), Pairs<u64, Vec<Lifecycle>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceConfig {
    #[serde(rename = "trackedObjects")]
    pub tracked_objects: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    pub ts: i64,
    pub applied_objs: Vec<Value>,
    pub deleted_objs: Vec<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum Lifecycle {
    Empty,
    Running(i64),
    Finished(i64, i64),
}

/// A map as it stands on the wire.
#[derive(Debug)]
pub struct Pairs<K, V>(pub Vec<(K, V)>);

impl<'de, K: Deserialize<'de> + PartialEq, V: Deserialize<'de>> Deserialize<'de> for Pairs<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<K, V>(PhantomData<(K, V)>);
        impl<'de, K: Deserialize<'de> + PartialEq, V: Deserialize<'de>> Visitor<'de> for Entries<K, V> {
            type Value = Pairs<K, V>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

impl<K: PartialEq + fmt::Debug, V> Pairs<K, V> {
    fn assert_unique(&self) {
        for (n, (key, _)) in self.0.iter().enumerate() {
            let again = self.0.iter().skip(n + 1).any(|(other, _)| other == key);
            assert!(!again, "the key {key:?} stands in the map twice");
        }
    }
}

/// `(kind, namespace/name)` of an object in a trace.
pub fn name_of(object: &Value) -> (String, String) {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let api_version = text("/apiVersion").unwrap();
    let name = text("/metadata/name").unwrap();
    let full = text("/metadata/namespace").map_or(name.to_owned(), |ns| format!("{ns}/{name}"));
    (format!("{api_version}.{}", text("/kind").unwrap()), full)
}

/// A change as a trace tells it: second, whether it is a deletion, kind, name.
pub type Told = (i64, bool, String, String);

impl Trace {
    /// Decodes a whole trace and checks everything that the format promises of any trace.
    pub fn decode(bytes: &[u8]) -> Self {
        let fields: Pairs<String, IgnoredAny> = rmp_serde::from_slice(bytes).unwrap();
        let names: Vec<&str> = fields.0.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["version", "config", "events", "index", "pod_lifecycles"]
        );
        let mut decoder = rmp_serde::Deserializer::from_read_ref(bytes);
        let trace = Self::deserialize(&mut decoder).unwrap();
        assert!(
            u8::deserialize(&mut decoder).is_err(),
            "bytes behind the trace"
        );
        trace.assert_whole();
        trace
    }

    fn assert_whole(&self) {
        assert_eq!(self.version, 2);
        assert!(
            self.events
                .windows(2)
                .all(|pair| matches!(pair, [a, b] if a.ts <= b.ts)),
            "time goes backwards"
        );
        assert!(!self.events.is_empty(), "there is no start state");
        // What is deleted was there; what the index lists is what was applied, with the hash of its last spec.
        let mut there = BTreeSet::new();
        let mut index = BTreeMap::new();
        for event in &self.events {
            for object in &event.applied_objs {
                let name = name_of(object);
                let spec = object.get("spec").unwrap_or(&Value::Null);
                index.insert(name.clone(), super::build::simkube_hash(spec));
                there.insert(name);
            }
            for object in &event.deleted_objs {
                let name = name_of(object);
                assert!(there.remove(&name), "{name:?} is deleted but was not there");
            }
        }
        assert_eq!(self.index(), index, "the index is not what the trace holds");
        self.index.assert_unique();
        self.pod_lifecycles.assert_unique();
        for ((kind, owner), hashes) in &self.pod_lifecycles.0 {
            assert!(
                index.contains_key(&(kind.clone(), owner.clone())),
                "{kind} {owner} has lifecycles but is not in the trace"
            );
            hashes.assert_unique();
            assert!(!hashes.0.is_empty());
            for lifecycle in hashes.0.iter().flat_map(|(_, lifecycles)| lifecycles) {
                match lifecycle {
                    Lifecycle::Empty => panic!("an empty lifecycle is never stored"),
                    Lifecycle::Running(start) => assert!(*start >= self.start_ts()),
                    Lifecycle::Finished(start, end) => {
                        assert!(*start >= self.start_ts() && end >= start);
                    }
                }
            }
        }
    }

    pub fn start_ts(&self) -> i64 {
        self.events.first().unwrap().ts
    }

    /// The objects of the start state, as written.
    pub fn start(&self) -> &[Value] {
        &self.events.first().unwrap().applied_objs
    }

    /// `kind name` of the objects of the start state, in their order.
    pub fn start_names(&self) -> Vec<String> {
        self.start()
            .iter()
            .map(|object| {
                let (kind, name) = name_of(object);
                format!("{} {name}", kind.rsplit('.').next().unwrap())
            })
            .collect()
    }

    /// The changes behind the start state, in the order in which a replay carries them out.
    pub fn changes(&self) -> Vec<(Told, Value)> {
        let told = |ts, deleted, object: &Value| {
            let (kind, name) = name_of(object);
            ((ts, deleted, kind, name), object.clone())
        };
        self.events
            .iter()
            .skip(1)
            .flat_map(|event| {
                let applied = event.applied_objs.iter().map(|o| told(event.ts, false, o));
                let deleted = event.deleted_objs.iter().map(|o| told(event.ts, true, o));
                applied.chain(deleted).collect::<Vec<_>>()
            })
            .collect()
    }

    /// As [`Trace::changes`], short: `105 + Deployment ns/name`, `106 - ...`.
    pub fn told(&self) -> Vec<String> {
        self.changes()
            .into_iter()
            .map(|((ts, deleted, kind, name), _)| {
                let sign = if deleted { '-' } else { '+' };
                format!("{ts} {sign} {} {name}", kind.rsplit('.').next().unwrap())
            })
            .collect()
    }

    pub fn index(&self) -> BTreeMap<(String, String), u64> {
        let entries = self.index.0.iter().flat_map(|(kind, objects)| {
            objects.assert_unique();
            assert!(
                !objects.0.is_empty(),
                "{kind} is in the index without objects"
            );
            let entry = |(name, hash): &(String, u64)| ((kind.clone(), name.clone()), *hash);
            objects.0.iter().map(entry).collect::<Vec<_>>()
        });
        entries.collect()
    }

    /// Owner -> pod-spec hash -> lifecycles, sorted.
    pub fn lifecycles(&self) -> BTreeMap<(String, String), BTreeMap<u64, Vec<Lifecycle>>> {
        let sorted = |lifecycles: &Vec<Lifecycle>| {
            let mut lifecycles = lifecycles.clone();
            lifecycles.sort();
            lifecycles
        };
        let hashes = |pairs: &Pairs<u64, Vec<Lifecycle>>| {
            let entries = pairs.0.iter().map(|(hash, list)| (*hash, sorted(list)));
            entries.collect()
        };
        let owners = self.pod_lifecycles.0.iter();
        owners
            .map(|(owner, pairs)| (owner.clone(), hashes(pairs)))
            .collect()
    }

    /// The lifecycles of one owner, over all hashes, sorted.
    pub fn lifecycles_of(&self, kind: &str, name: &str) -> Vec<Lifecycle> {
        let owner = (kind.to_owned(), name.to_owned());
        let mut all: Vec<Lifecycle> = self
            .lifecycles()
            .remove(&owner)
            .into_iter()
            .flatten()
            .flat_map(|(_, lifecycles)| lifecycles)
            .collect();
        all.sort();
        all
    }

    /// What exists after a replay of the whole trace.
    pub fn end_state(&self) -> BTreeMap<(String, String), Value> {
        let mut there = BTreeMap::new();
        for event in &self.events {
            for object in &event.applied_objs {
                there.insert(name_of(object), object.clone());
            }
            for object in &event.deleted_objs {
                there.remove(&name_of(object));
            }
        }
        there
    }
}
