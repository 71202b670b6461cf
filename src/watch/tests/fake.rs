//! A small API server in the process: lists with pages, watches with bookmarks, discovery, and faults on request.

mod answer;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};

use http::Request;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::model::Gvk;
use answer::{line, root};

/// What a request that a rule catches gets instead of an answer.
#[derive(Clone)]
pub enum Reply {
    Status(u16),
    RetryAfter(u16, u64),
    /// Never anything, not even a head.
    Hole,
    /// A head, and then nothing.
    Silence,
    /// This body, and the end.
    Body(String),
    /// This body, and a broken connection.
    Broken(String),
    /// This, and nothing more, without an end.
    Stuck(String),
}

type Matches = Box<dyn Fn(&str) -> bool + Send>;

struct Rule {
    matches: Matches,
    times: usize,
    reply: Reply,
}

struct Collection {
    gvk: Gvk,
    namespaced: bool,
    /// By namespace and name.
    objects: BTreeMap<(String, String), Value>,
    events: Vec<(u64, String)>,
}

struct State {
    version: u64,
    /// Versions at which a collection's watch may begin no more.
    compacted: u64,
    gone_in_stream: bool,
    bookmarks: bool,
    frame_bytes: usize,
    /// By path.
    collections: BTreeMap<String, Collection>,
    rules: Vec<Rule>,
    /// Events that arrive as something else, so often.
    mangled: BTreeMap<u64, (usize, String)>,
    requests: Vec<(Instant, String)>,
}

#[derive(Clone)]
pub struct Fake {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<()>,
}

impl Fake {
    /// Serves pods and namespaces, and has kube-system.
    pub fn new() -> Self {
        let fake = Self {
            state: Arc::new(Mutex::new(State {
                version: 10,
                compacted: 0,
                gone_in_stream: false,
                bookmarks: true,
                frame_bytes: usize::MAX,
                collections: BTreeMap::new(),
                rules: Vec::new(),
                mangled: BTreeMap::new(),
                requests: Vec::new(),
            })),
            changed: watch::Sender::new(()),
        };
        fake.serve("v1.Pod", "pods", true);
        fake
    }

    pub fn client(&self) -> kube::Client {
        let fake = self.clone();
        kube::Client::new(
            tower::service_fn(move |request: Request<kube::client::Body>| {
                let fake = fake.clone();
                async move { Ok::<_, Infallible>(fake.answer(&request.uri().to_string()).await) }
            }),
            "default",
        )
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn serve(&self, gvk: &str, plural: &str, namespaced: bool) {
        let gvk: Gvk = gvk.parse().unwrap();
        let collection = Collection {
            gvk: gvk.clone(),
            namespaced,
            objects: BTreeMap::new(),
            events: Vec::new(),
        };
        let path = format!("{}/{plural}", root(&gvk));
        self.lock().collections.insert(path, collection);
    }

    /// A CRD is deleted: its kind is gone, and with it all watches.
    pub fn unserve(&self, gvk: &str) {
        let gvk: Gvk = gvk.parse().unwrap();
        self.lock()
            .collections
            .retain(|_, collection| collection.gvk != gvk);
        self.changed.send_replace(());
    }

    /// The next requests that match get another answer.
    pub fn rule(
        &self,
        times: usize,
        reply: Reply,
        matches: impl Fn(&str) -> bool + Send + 'static,
    ) {
        self.lock().rules.push(Rule {
            matches: Box::new(matches),
            times,
            reply,
        });
    }

    pub fn clear_rules(&self) {
        self.lock().rules.clear();
    }

    pub fn version(&self) -> u64 {
        self.lock().version
    }

    pub fn set_version(&self, version: u64) {
        self.lock().version = version;
    }

    /// Something else happens in the cluster.
    pub fn pass(&self, versions: u64) {
        self.lock().version += versions;
    }

    pub fn compact(&self, in_stream: bool) {
        let mut state = self.lock();
        state.compacted = state.version;
        state.gone_in_stream = in_stream;
    }

    pub fn no_bookmarks(&self) {
        self.lock().bookmarks = false;
    }

    pub fn frames_of(&self, bytes: usize) {
        self.lock().frame_bytes = bytes;
    }

    /// The event of this version arrives as another line, so often.
    pub fn mangle(&self, version: u64, times: usize, line: &str) {
        self.lock()
            .mangled
            .insert(version, (times, line.to_owned()));
    }

    /// Creates or changes an object; its version. `fields` are merged into it at the top.
    pub fn put(&self, gvk: &str, namespaced_name: &str, fields: Value) -> u64 {
        let gvk: Gvk = gvk.parse().unwrap();
        let (namespace, name) = namespaced_name
            .rsplit_once('/')
            .unwrap_or(("", namespaced_name));
        let mut state = self.lock();
        state.version += 1;
        let version = state.version;
        let collection = state
            .collections
            .values_mut()
            .find(|collection| collection.gvk == gvk)
            .unwrap();
        let key = (namespace.to_owned(), name.to_owned());
        let before = collection.objects.get(&key);
        let action = if before.is_some() {
            "MODIFIED"
        } else {
            "ADDED"
        };
        let uid = before.map_or_else(
            || json!(format!("uid-{name}-{version}")),
            |before| before["metadata"]["uid"].clone(),
        );
        let mut object = json!({
            "apiVersion": gvk.api_version(),
            "kind": gvk.kind,
            "metadata": {"name": name, "uid": uid, "resourceVersion": version.to_string()},
            "spec": {"containers": []},
        });
        if !namespace.is_empty() {
            object["metadata"]["namespace"] = json!(namespace);
        }
        for (field, value) in fields.as_object().unwrap() {
            if field == "metadata" {
                for (field, value) in value.as_object().unwrap() {
                    object["metadata"][field] = value.clone();
                }
            } else {
                object[field] = value.clone();
            }
        }
        collection.events.push((version, line(action, &object)));
        collection.objects.insert(key, object);
        drop(state);
        self.changed.send_replace(());
        version
    }

    pub fn pod(&self, name: &str) -> u64 {
        self.put("v1.Pod", &format!("default/{name}"), json!({}))
    }

    pub fn delete(&self, gvk: &str, namespaced_name: &str) -> u64 {
        let gvk: Gvk = gvk.parse().unwrap();
        let (namespace, name) = namespaced_name
            .rsplit_once('/')
            .unwrap_or(("", namespaced_name));
        let mut state = self.lock();
        state.version += 1;
        let version = state.version;
        let collection = state
            .collections
            .values_mut()
            .find(|collection| collection.gvk == gvk)
            .unwrap();
        let key = (namespace.to_owned(), name.to_owned());
        let mut object = collection.objects.remove(&key).unwrap();
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        collection.events.push((version, line("DELETED", &object)));
        drop(state);
        self.changed.send_replace(());
        version
    }

    /// Requests so far of which the path and query match, with their times.
    pub fn requests(&self, matches: impl Fn(&str) -> bool) -> Vec<(Instant, String)> {
        let state = self.lock();
        state
            .requests
            .iter()
            .filter(|(_, path)| matches(path))
            .cloned()
            .collect()
    }
}
