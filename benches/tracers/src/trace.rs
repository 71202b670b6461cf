//! Counts what a trace holds, with nothing of ours nor of SimKube's: any MessagePack reader can.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;

use anyhow::Context;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

/// What is in a trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub applied: u64,
    pub deleted: u64,
    /// A sum over what is in the applied objects, in whatever order: two traces of the same changes have the same.
    pub objects: u64,
}

/// An object as a hash over its JSON, whose keys are in order; the object itself is not kept.
struct Hashed(u64);

impl<'de> Deserialize<'de> for Hashed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = serde_json::Value::deserialize(deserializer)?;
        let mut hasher = DefaultHasher::new();
        object.to_string().hash(&mut hasher);
        Ok(Self(hasher.finish()))
    }
}

#[derive(Deserialize)]
struct Trace {
    version: u64,
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    applied_objs: Vec<Hashed>,
    deleted_objs: Vec<IgnoredAny>,
}

/// Reads a whole trace.
pub fn count(trace: impl Read) -> anyhow::Result<Counts> {
    let trace: Trace = rmp_serde::from_read(trace).context("the export is no trace")?;
    anyhow::ensure!(
        trace.version == 2,
        "the trace has version {}",
        trace.version
    );
    let mut counts = Counts::default();
    for event in &trace.events {
        counts.applied += event.applied_objs.len() as u64;
        for Hashed(object) in &event.applied_objs {
            counts.objects = counts.objects.wrapping_add(*object);
        }
        counts.deleted += event.deleted_objs.len() as u64;
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    //! Guards the comparison: a recorder that changes an object, or leaves something out of it, exports something else.

    use serde_json::{Value, json};

    use super::*;

    fn counted(applied: &[Value]) -> Counts {
        let trace =
            json!({"version": 2, "events": [{"applied_objs": applied, "deleted_objs": []}]});
        count(rmp_serde::to_vec_named(&trace).unwrap().as_slice()).unwrap()
    }

    #[test]
    fn the_order_of_objects_does_not_matter_and_what_is_in_them_does() {
        let (one, other) = (json!({"spec": {"a": 1, "b": 2}}), json!({"spec": {"c": 3}}));
        let both = counted(&[one.clone(), other.clone()]);
        assert_eq!(both, counted(&[other.clone(), one.clone()]));
        let changed = json!({"spec": {"a": 1, "b": 3}});
        let shorter = json!({"spec": {"a": 1}});
        for instead in [changed, shorter, other.clone()] {
            let counts = counted(&[instead.clone(), other.clone()]);
            assert_ne!(counts.objects, both.objects, "{instead}");
            assert_eq!(counts.applied, both.applied);
        }
    }
}
