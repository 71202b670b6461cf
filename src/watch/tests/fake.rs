//! A small API server in the process: lists with pages, watches with bookmarks, discovery, and faults on request.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::model::Gvk;

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

    async fn answer(&self, uri: &str) -> Response<Body> {
        let reply = {
            let mut state = self.lock();
            state.requests.push((Instant::now(), uri.to_owned()));
            let rule = state
                .rules
                .iter_mut()
                .find(|rule| rule.times > 0 && (rule.matches)(uri));
            rule.map(|rule| {
                rule.times -= 1;
                rule.reply.clone()
            })
        };
        match reply {
            None => self.serve_request(uri),
            Some(Reply::Status(code)) => status(code, "injected"),
            Some(Reply::RetryAfter(code, seconds)) => {
                let mut response = status(code, "injected");
                let value = seconds.to_string().parse().unwrap();
                response.headers_mut().insert("retry-after", value);
                response
            }
            Some(Reply::Hole) => std::future::pending().await,
            Some(Reply::Silence) => Response::new(Body::from_stream(futures::stream::pending::<
                Result<Bytes, Infallible>,
            >())),
            Some(Reply::Body(text)) => Response::new(Body::from(text)),
            Some(Reply::Broken(text)) => {
                let frames = [Ok(Bytes::from(text)), Err(std::io::Error::other("cut"))];
                Response::new(Body::from_stream(futures::stream::iter(frames)))
            }
        }
    }

    fn serve_request(&self, uri: &str) -> Response<Body> {
        let url = url::Url::parse("http://fake").unwrap().join(uri).unwrap();
        let path = url.path();
        let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        let is_collection = self.lock().collections.contains_key(path);
        if is_collection && query.contains_key("watch") {
            return self.watch(path.to_owned(), &query);
        }
        let state = self.lock();
        if is_collection {
            return list(&state, path, &query);
        }
        if let Some(found) = object(&state, path) {
            return found.map_or_else(|| status(404, "not found"), |object| ok(&object));
        }
        let resources: Vec<Value> = state
            .collections
            .iter()
            .filter(|(_, collection)| root(&collection.gvk) == path)
            .flat_map(|(path, collection)| {
                let plural = path.rsplit('/').next().unwrap();
                [
                    json!({"name": format!("{plural}/status"), "kind": collection.gvk.kind, "namespaced": true}),
                    json!({"name": plural, "kind": collection.gvk.kind, "namespaced": collection.namespaced}),
                ]
            })
            .collect();
        let versions: Vec<Value> = state
            .collections
            .values()
            .filter(|collection| format!("/apis/{}", collection.gvk.group) == path)
            .map(|collection| json!({"version": collection.gvk.version}))
            .collect();
        match (resources.is_empty(), versions.is_empty()) {
            (false, _) => ok(&json!({"kind": "APIResourceList", "resources": resources})),
            (_, false) => ok(&json!({"kind": "APIGroup", "versions": versions})),
            _ => status(404, "the server could not find the requested resource"),
        }
    }

    fn watch(&self, path: String, query: &BTreeMap<String, String>) -> Response<Body> {
        let Ok(from) = query["resourceVersion"].parse::<u64>() else {
            return status(400, "invalid resource version");
        };
        let seconds: u64 = query["timeoutSeconds"].parse().unwrap();
        let mut pending = VecDeque::new();
        let mut over = false;
        {
            let state = self.lock();
            if from < state.compacted {
                if !state.gone_in_stream {
                    return status(410, "too old resource version");
                }
                let gone = json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"});
                pending.push_back(line("ERROR", &gone));
                over = true;
            }
        }
        let end = Instant::now() + Duration::from_secs(seconds);
        let following = Following {
            fake: self.clone(),
            changed: self.changed.subscribe(),
            path,
            position: from,
            pending,
            bookmark_at: Some(end - Duration::from_secs(2)),
            end,
            over,
        };
        let frames = futures::stream::unfold(following, |mut following| async move {
            let frame = following.next().await?;
            Some((Ok::<_, Infallible>(frame), following))
        });
        Response::new(Body::from_stream(frames))
    }
}

/// A watch under way.
struct Following {
    fake: Fake,
    changed: watch::Receiver<()>,
    path: String,
    position: u64,
    pending: VecDeque<String>,
    bookmark_at: Option<Instant>,
    end: Instant,
    over: bool,
}

impl Following {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(mut line) = self.pending.pop_front() {
                let size = self.fake.lock().frame_bytes;
                if line.len() > size {
                    self.pending.push_front(line.split_off(size));
                }
                return Some(Bytes::from(line));
            }
            if self.over {
                return None;
            }
            self.changed.mark_unchanged();
            self.collect();
            if !self.pending.is_empty() || self.over {
                continue;
            }
            let until = self.bookmark_at.unwrap_or(self.end);
            tokio::select! {
                _ = self.changed.changed() => {}
                () = tokio::time::sleep_until(until) => {
                    if self.bookmark_at.take().is_some() {
                        self.bookmark();
                    } else {
                        self.over = true;
                    }
                }
            }
        }
    }

    fn collect(&mut self) {
        let mut state = self.fake.lock();
        let State {
            collections,
            mangled,
            ..
        } = &mut *state;
        let Some(collection) = collections.get(&self.path) else {
            self.over = true;
            return;
        };
        for (version, line) in &collection.events {
            if *version > self.position {
                self.position = *version;
                match mangled.get_mut(version) {
                    Some((times, other)) if *times > 0 => {
                        *times -= 1;
                        self.pending.push_back(format!("{other}\n"));
                    }
                    _ => self.pending.push_back(line.clone()),
                }
            }
        }
    }

    fn bookmark(&mut self) {
        let state = self.fake.lock();
        if state.bookmarks {
            let object = json!({"kind": "Bookmark", "metadata": {"resourceVersion": state.version.to_string()}});
            self.pending.push_back(line("BOOKMARK", &object));
        }
    }
}

fn list(state: &State, path: &str, query: &BTreeMap<String, String>) -> Response<Body> {
    let limit: usize = query["limit"].parse().unwrap();
    let (version, behind) = match query.get("continue") {
        None => (state.version.to_string(), None),
        Some(token) => {
            let (version, key) = token.split_once('~').unwrap();
            let (namespace, name) = key.split_once('/').unwrap();
            (
                version.to_owned(),
                Some((namespace.to_owned(), name.to_owned())),
            )
        }
    };
    let objects = &state.collections[path].objects;
    let rest: Vec<_> = objects
        .iter()
        .filter(|(key, _)| behind.as_ref().is_none_or(|behind| *key > behind))
        .collect();
    let page: Vec<_> = rest.iter().take(limit).collect();
    let mut metadata = json!({"resourceVersion": version});
    if rest.len() > page.len()
        && let Some(((namespace, name), _)) = page.last()
    {
        metadata["continue"] = json!(format!("{version}~{namespace}/{name}"));
    }
    let items: Vec<Value> = page
        .iter()
        .map(|(_, object)| {
            let mut object = (*object).clone();
            // As an API server does.
            let fields = object.as_object_mut().unwrap();
            fields.remove("kind");
            fields.remove("apiVersion");
            object
        })
        .collect();
    ok(&json!({"kind": "List", "metadata": metadata, "items": items}))
}

/// An object by its path: none where the path is no object's, `Some(None)` where there is no such object.
fn object(state: &State, path: &str) -> Option<Option<Value>> {
    for (prefix, collection) in &state.collections {
        let plural = prefix.rsplit('/').next().unwrap();
        let root = root(&collection.gvk);
        let Some(rest) = path.strip_prefix(&format!("{root}/")) else {
            continue;
        };
        let parts: Vec<_> = rest.split('/').collect();
        let key = match parts.as_slice() {
            ["namespaces", namespace, found, name] if *found == plural && collection.namespaced => {
                ((*namespace).to_owned(), (*name).to_owned())
            }
            [found, name] if *found == plural && !collection.namespaced => {
                (String::new(), (*name).to_owned())
            }
            _ => continue,
        };
        return Some(collection.objects.get(&key).cloned());
    }
    None
}

fn root(gvk: &Gvk) -> String {
    if gvk.group.is_empty() {
        format!("/api/{}", gvk.version)
    } else {
        format!("/apis/{}/{}", gvk.group, gvk.version)
    }
}

fn line(action: &str, object: &Value) -> String {
    format!("{}\n", json!({"type": action, "object": object}))
}

fn ok(value: &Value) -> Response<Body> {
    Response::new(Body::from(value.to_string()))
}

fn status(code: u16, message: &str) -> Response<Body> {
    let body = json!({"kind": "Status", "metadata": {}, "code": code, "message": message});
    let mut response = ok(&body);
    *response.status_mut() = http::StatusCode::from_u16(code).unwrap();
    response
}
