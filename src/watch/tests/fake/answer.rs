//! What it answers: lists in pages, objects, watches under way.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use http::Response;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Fake, Reply, State};
use crate::model::Gvk;

impl Fake {
    pub(super) async fn answer(&self, uri: &str) -> Response<Body> {
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
            Some(Reply::Stuck(text)) => {
                let text = futures::stream::iter([Ok::<_, Infallible>(Bytes::from(text))]);
                Response::new(Body::from_stream(text.chain(futures::stream::pending())))
            }
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

pub(super) fn root(gvk: &Gvk) -> String {
    if gvk.group.is_empty() {
        format!("/api/{}", gvk.version)
    } else {
        format!("/apis/{}/{}", gvk.group, gvk.version)
    }
}

pub(super) fn line(action: &str, object: &Value) -> String {
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
