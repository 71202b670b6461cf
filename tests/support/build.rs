//! Observations from compact descriptions.

use std::collections::BTreeMap;
use std::hash::Hasher;

use serde_json::{Map, Value, json};
use sk_tracedb::config::TracerConfig;
use sk_tracedb::model::{
    Gvk, Item, ObjectKey, Observation, ObservedObject, ObservedPod, OwnerFacts, OwnerRef, PodTimes,
    Timestamp, Uid,
};

/// Unix seconds.
pub fn s(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

/// Microseconds.
pub fn us(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

pub fn gvk(text: &str) -> Gvk {
    text.parse().unwrap()
}

/// A tracer config from the entries of its `trackedObjects`, as YAML flow: `apps/v1.Deployment: {trackLifecycle: true}`.
pub fn config(entries: &[&str]) -> TracerConfig {
    let yaml = format!("trackedObjects: {{{}}}", entries.join(", "));
    TracerConfig::parse(&yaml).unwrap().0
}

/// An object as it stands in a cluster.
#[derive(Clone, Debug)]
pub struct Obj {
    pub gvk: Gvk,
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub labels: BTreeMap<String, String>,
    pub owners: Vec<OwnerRef>,
    pub fields: Map<String, Value>,
}

/// `obj("apps/v1.Deployment", "ns/name", "uid")`; without a slash in the path, a cluster-scoped one.
pub fn obj(kind: &str, path: &str, uid: &str) -> Obj {
    let (namespace, name) = path.split_once('/').unwrap_or(("", path));
    Obj {
        gvk: gvk(kind),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        uid: uid.to_owned(),
        labels: BTreeMap::new(),
        owners: Vec::new(),
        fields: Map::new(),
    }
}

impl Obj {
    pub fn spec(self, spec: Value) -> Self {
        self.field("spec", spec)
    }

    pub fn field(mut self, name: &str, value: Value) -> Self {
        self.fields.insert(name.to_owned(), value);
        self
    }

    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    pub fn owned_by(mut self, owner: &Obj) -> Self {
        self.owners.push(owner.reference());
        self
    }

    pub fn key(&self) -> ObjectKey {
        ObjectKey::new(
            &*self.gvk.group,
            &*self.gvk.kind,
            &*self.namespace,
            &*self.name,
        )
    }

    /// How others refer to it as their owner.
    pub fn reference(&self) -> OwnerRef {
        OwnerRef {
            api_version: self.gvk.api_version(),
            kind: self.gvk.kind.clone(),
            name: self.name.clone(),
            uid: Uid(self.uid.clone()),
            controller: true,
        }
    }

    /// What an owner look-up finds.
    pub fn facts(&self) -> OwnerFacts {
        OwnerFacts {
            gvk: self.gvk.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            owners: self.owners.clone(),
        }
    }

    /// The object as it is recorded.
    pub fn json(&self) -> Value {
        let mut metadata = Map::new();
        metadata.insert("annotations".to_owned(), json!({}));
        metadata.insert("name".to_owned(), json!(self.name));
        if !self.namespace.is_empty() {
            metadata.insert("namespace".to_owned(), json!(self.namespace));
        }
        if !self.labels.is_empty() {
            metadata.insert("labels".to_owned(), json!(self.labels));
        }
        if !self.owners.is_empty() {
            metadata.insert("ownerReferences".to_owned(), json!(self.owners));
        }
        let mut object = self.fields.clone();
        object.insert("apiVersion".to_owned(), json!(self.gvk.api_version()));
        object.insert("kind".to_owned(), json!(self.gvk.kind));
        object.insert("metadata".to_owned(), Value::Object(metadata));
        Value::Object(object)
    }

    pub fn observed(&self) -> ObservedObject {
        let spec = self.fields.get("spec").cloned();
        let counts = spec.clone().unwrap_or_else(|| {
            let mut whole = self.json();
            whole.as_object_mut().unwrap().remove("status");
            whole
        });
        // serde_json sorts keys, so these bytes are canonical.
        let canonical = serde_json::to_vec(&(self.gvk.api_version(), counts)).unwrap();
        ObservedObject {
            version: self.gvk.version.clone(),
            key: self.key(),
            uid: Uid(self.uid.clone()),
            owners: self.owners.clone(),
            change_hash: *blake3::hash(&canonical).as_bytes(),
            spec_hash: simkube_hash(spec.as_ref().unwrap_or(&Value::Null)),
            body: rmp_serde::to_vec_named(&self.json()).unwrap(),
        }
    }

    pub fn item(&self) -> Item {
        Item {
            object: Some(self.observed()),
            ..Item::default()
        }
    }

    pub fn applied(&self) -> Observation {
        applied(&self.gvk, self.item())
    }

    pub fn deleted(&self) -> Observation {
        deleted(&self.gvk, self.item())
    }

    /// As `skipOwned` makes it.
    pub fn skipped_item(&self) -> Item {
        Item {
            skipped: Some((Uid(self.uid.clone()), self.facts())),
            ..Item::default()
        }
    }

    pub fn index_entry(&self) -> (String, String, u64) {
        (
            self.gvk.to_string(),
            self.key().namespaced_name(),
            self.observed().spec_hash,
        )
    }
}

/// A pod's life as its status tells it.
#[derive(Clone, Debug)]
pub struct Pod {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub owners: Vec<OwnerRef>,
    pub hash: u64,
    pub times: PodTimes,
    /// Where pods are tracked as objects.
    pub object: Option<Obj>,
}

/// `pod("ns/name", "uid")`, with the pod-spec hash 7, not started.
pub fn pod(path: &str, uid: &str) -> Pod {
    let (namespace, name) = path.split_once('/').unwrap();
    Pod {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        uid: uid.to_owned(),
        owners: Vec::new(),
        hash: 7,
        times: PodTimes::default(),
        object: None,
    }
}

impl Pod {
    pub fn owned_by(mut self, owner: &Obj) -> Self {
        self.owners.push(owner.reference());
        self
    }

    pub fn hash(mut self, hash: u64) -> Self {
        self.hash = hash;
        self
    }

    pub fn started(mut self, seconds: i64) -> Self {
        self.times.start = Some(s(seconds));
        self
    }

    /// All of its containers have finished, the last one then.
    pub fn finished(mut self, seconds: i64) -> Self {
        self.times.containers_end = Some(s(seconds));
        self
    }

    /// Its phase is Succeeded or Failed.
    pub fn terminal(mut self) -> Self {
        self.times.terminal = true;
        self
    }

    /// Tracked as an object too.
    pub fn tracked(mut self) -> Self {
        let path = format!("{}/{}", self.namespace, self.name);
        let mut object = obj("v1.Pod", &path, &self.uid).spec(json!({"containers": [self.hash]}));
        object.owners.clone_from(&self.owners);
        self.object = Some(object);
        self
    }

    pub fn observed(&self) -> ObservedPod {
        ObservedPod {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            uid: Uid(self.uid.clone()),
            owners: self.owners.clone(),
            spec_hash: self.hash,
            times: self.times,
        }
    }

    pub fn item(&self) -> Item {
        Item {
            object: self.object.as_ref().map(Obj::observed),
            pod: Some(self.observed()),
            skipped: None,
        }
    }

    pub fn applied(&self) -> Observation {
        applied(&Gvk::pod(), self.item())
    }

    pub fn deleted(&self) -> Observation {
        deleted(&Gvk::pod(), self.item())
    }
}

/// A watch has seen an item in a new version.
pub fn applied(watch: &Gvk, item: Item) -> Observation {
    Observation::Applied {
        watch: watch.clone(),
        item,
        resource_version: Some("1".to_owned()),
    }
}

/// A watch has seen the end of an item.
pub fn deleted(watch: &Gvk, item: Item) -> Observation {
    Observation::Deleted {
        watch: watch.clone(),
        item,
        resource_version: Some("1".to_owned()),
    }
}

/// An item as a list shows it.
pub fn listed(watch: &Gvk, item: Item) -> Observation {
    Observation::Applied {
        watch: watch.clone(),
        item,
        resource_version: None,
    }
}

/// SimKube's hash, from the words of simkube-format.md.
pub fn simkube_hash(value: &Value) -> u64 {
    fn feed(value: &Value, hasher: &mut siphasher::sip::SipHasher13) {
        match value {
            Value::Null => hasher.write(&[0; 8]),
            Value::Bool(yes) => hasher.write(&[u8::from(*yes)]),
            Value::Number(number) => {
                let bits = number.as_u64().or(number.as_i64().map(i64::cast_unsigned));
                // Adding zero turns -0.0 into 0.0.
                let bits = bits.unwrap_or_else(|| (number.as_f64().unwrap() + 0.0).to_bits());
                hasher.write(&bits.to_le_bytes());
            }
            Value::String(text) => {
                hasher.write(text.as_bytes());
                hasher.write(&[0xff]);
            }
            Value::Array(items) => items.iter().for_each(|item| feed(item, hasher)),
            Value::Object(entries) => {
                for (key, value) in entries {
                    hasher.write(key.as_bytes());
                    hasher.write(&[0xff]);
                    feed(value, hasher);
                }
            }
        }
    }
    let mut hasher = siphasher::sip::SipHasher13::new();
    feed(value, &mut hasher);
    hasher.finish()
}
