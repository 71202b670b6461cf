//! Guards against a scripted API server that tells subjects something else than a real one would: a list with a hole, a
//! watch that repeats or loses events, would make every figure worthless.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::Method;
use hyper::body::Incoming;
use serde_json::Value;
use sk_tracedb_tracers::api::ApiServer;
use sk_tracedb_tracers::content::{self, Content};
use sk_tracedb_tracers::http::Connection;

const PODS: &str = "/api/v1/pods";
const DEPLOYMENTS: &str = "/apis/apps/v1/deployments";
const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

async fn start(content: Content) -> ApiServer {
    ApiServer::start(Arc::new(content)).await.unwrap()
}

async fn ask(server: &ApiServer, path: &str, accept: &str) -> (u16, Incoming) {
    let address = server.url().strip_prefix("http://").unwrap();
    let mut connection = Connection::open(address).await.unwrap();
    let (status, body) = connection
        .send(Method::GET, path, accept, Bytes::new())
        .await
        .unwrap();
    (status.as_u16(), body)
}

async fn json(server: &ApiServer, path: &str) -> (u16, Value) {
    json_as(server, path, "application/json").await
}

async fn json_as(server: &ApiServer, path: &str, accept: &str) -> (u16, Value) {
    let (status, body) = ask(server, path, accept).await;
    let bytes = body.collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap())
}

fn uids(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|item| item["metadata"]["uid"].as_str().unwrap().to_owned())
        .collect()
}

/// The lines of a watch, as long as they come within the time.
struct Lines {
    body: Incoming,
    buffer: BytesMut,
}

impl Lines {
    async fn open(server: &ApiServer, path: &str) -> Self {
        let (status, body) = ask(server, path, "application/json").await;
        assert_eq!(status, 200, "{path}");
        Self {
            body,
            buffer: BytesMut::new(),
        }
    }

    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end + 1);
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let frame = tokio::time::timeout(Duration::from_secs(10), self.body.frame())
                .await
                .expect("the watch fell silent")?;
            let data = frame.unwrap().into_data().unwrap();
            self.buffer.extend_from_slice(&data);
        }
    }

    /// Whether nothing comes for a while.
    async fn is_silent(&mut self) -> bool {
        let wait = Duration::from_millis(200);
        self.buffer.is_empty() && tokio::time::timeout(wait, self.body.frame()).await.is_err()
    }
}

fn version(event: &Value) -> u64 {
    let version = event["object"]["metadata"]["resourceVersion"].as_str();
    version.unwrap().parse().unwrap()
}

#[tokio::test]
async fn pages_together_are_the_list() {
    let server = start(content::fleet(60, 777)).await;
    let (_, whole) = json(&server, PODS).await;
    let whole = uids(&whole);
    assert_eq!(whole.iter().collect::<BTreeSet<_>>().len(), 777);
    let (mut paged, mut token, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let path = format!("{PODS}?limit=100&continue={token}");
        let (status, page) = json(&server, &path).await;
        assert_eq!(status, 200);
        assert_eq!(
            page["metadata"]["resourceVersion"],
            server.content().version.to_string()
        );
        paged.extend(uids(&page));
        pages += 1;
        match page["metadata"]["continue"].as_str() {
            Some(next) => token = next.to_owned(),
            None => break,
        }
    }
    assert_eq!((pages, &paged), (8, &whole));
    // From its cache a server sends all, whatever the limit.
    let (_, cached) = json(&server, &format!("{PODS}?limit=100&resourceVersion=0")).await;
    assert_eq!(uids(&cached), whole);
    assert_eq!(
        json(&server, &format!("{PODS}?limit=1&continue=x")).await.0,
        400
    );
    // Two complete lists, and the one in pages.
    let pods = server.content().collections.iter();
    let pods = pods
        .clone()
        .position(|found| found.served.plural == "pods")
        .unwrap();
    assert_eq!(server.seen().kind(pods).lists, 3);
}

#[tokio::test]
async fn pods_are_as_large_as_pods_are_and_differ() {
    let server = start(content::fleet(60, 200)).await;
    let (_, list) = json(&server, PODS).await;
    let items = list["items"].as_array().unwrap();
    let bytes: usize = items.iter().map(|item| item.to_string().len()).sum();
    let mean = bytes / items.len();
    assert!((8_000..9_500).contains(&mean), "{mean} bytes");
    let (_, sets) = json(&server, "/apis/apps/v1/replicasets").await;
    let sets: BTreeSet<_> = uids(&sets).into_iter().collect();
    let mut names = BTreeSet::new();
    for pod in items {
        let text = pod.to_string();
        assert!(!text.contains("\\u000"), "a mark is left: {text}");
        let owner = &pod["metadata"]["ownerReferences"][0];
        assert!(sets.contains(owner["uid"].as_str().unwrap()));
        names.insert(pod["metadata"]["name"].as_str().unwrap());
        assert!(pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"].is_string());
    }
    assert_eq!(names.len(), 200);
}

#[tokio::test]
async fn objects_are_found_by_path_and_by_field() {
    let server = start(content::fleet(60, 100)).await;
    for (list, root) in [
        (PODS, "/api/v1"),
        ("/apis/apps/v1/replicasets", "/apis/apps/v1"),
    ] {
        let (_, all) = json(&server, list).await;
        let item = &all["items"][42];
        let text = |field: &str| item["metadata"][field].as_str().unwrap();
        let (namespace, name) = (text("namespace"), text("name"));
        let plural = list.rsplit('/').next().unwrap();
        let path = format!("{root}/namespaces/{namespace}/{plural}/{name}");
        let (_, found) = json(&server, &path).await;
        assert_eq!(found["metadata"], item["metadata"]);
        assert!(found["kind"].is_string() && found["spec"].is_object());
        let (_, reduced) = json_as(&server, &path, METADATA).await;
        assert_eq!(reduced["metadata"], item["metadata"]);
        assert!(reduced["spec"].is_null());
        let selector = format!(
            "{list}?fieldSelector=metadata.namespace%3D{namespace}%2Cmetadata.name%3D{name}"
        );
        let (_, selected) = json(&server, &selector).await;
        assert_eq!(uids(&selected), [text("uid")]);
        assert_eq!(json(&server, &format!("{path}x")).await.0, 404);
    }
    let (_, system) = json(&server, "/api/v1/namespaces/kube-system").await;
    assert!(system["metadata"]["uid"].is_string());
}

#[tokio::test]
async fn a_watch_delivers_each_event_once_from_where_it_is_asked_to() {
    let server = start(content::deployments(50, 300)).await;
    let first = server.content().version;
    let path =
        |from: u64| format!("{DEPLOYMENTS}?watch=true&resourceVersion={from}&timeoutSeconds=30");
    let mut lines = Lines::open(&server, &path(first)).await;
    assert!(lines.is_silent().await, "nothing was offered yet");
    let offered = server.offer(1_000.0, Duration::from_millis(100)).await;
    assert!((90..=100).contains(&offered), "{offered}");
    server.offer_all();
    let mut seen = Vec::new();
    for _ in 0..300 {
        let event = lines.next().await.unwrap();
        assert!(matches!(
            event["type"].as_str(),
            Some("ADDED" | "MODIFIED" | "DELETED")
        ));
        seen.push(version(&event));
    }
    assert!(lines.is_silent().await);
    assert!(seen.is_sorted() && seen.iter().collect::<BTreeSet<_>>().len() == 300);
    // Another begins in the middle.
    let mut rest = Lines::open(&server, &path(seen[199])).await;
    for version in &seen[200..] {
        assert_eq!(self::version(&rest.next().await.unwrap()), *version);
    }
    assert!(rest.is_silent().await);
    // Pods have a watch of their own.
    let mut pods = Lines::open(
        &server,
        &format!("{PODS}?watch=true&resourceVersion={first}"),
    )
    .await;
    assert!(pods.is_silent().await);
}

#[tokio::test]
async fn a_watch_ends_in_time_after_a_bookmark_and_streaming_lists_are_refused() {
    let server = start(content::deployments(50, 10)).await;
    let path = format!(
        "{DEPLOYMENTS}?watch=1&resourceVersion={}&timeoutSeconds=3&allowWatchBookmarks=true",
        server.content().version
    );
    let mut lines = Lines::open(&server, &path).await;
    server.offer_all();
    let mut events = Vec::new();
    while let Some(event) = lines.next().await {
        events.push(event);
    }
    assert_eq!(events.len(), 11);
    assert_eq!(events[10]["type"], "BOOKMARK");
    assert_eq!(version(&events[10]), version(&events[9]));
    let streaming = format!(
        "{DEPLOYMENTS}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
    );
    assert_eq!(json(&server, &streaming).await.0, 422);
}

#[tokio::test]
async fn what_is_served_can_be_discovered() {
    let server = start(content::nothing()).await;
    let (_, core) = json(&server, "/api/v1").await;
    let (_, apps) = json(&server, "/apis/apps/v1").await;
    let names = |list: &Value| -> Vec<String> {
        let resources = list["resources"].as_array().unwrap().iter();
        resources
            .map(|resource| resource["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&core), ["namespaces", "pods"]);
    assert_eq!(names(&apps), ["deployments", "replicasets"]);
    assert_eq!(json(&server, "/api").await.1["versions"][0], "v1");
    assert_eq!(json(&server, "/apis").await.1["groups"][0]["name"], "apps");
    assert_eq!(
        json(&server, "/apis/apps").await.1["versions"][0]["version"],
        "v1"
    );
    assert_eq!(json(&server, "/version").await.1["major"], "1");
    assert_eq!(json(&server, "/apis/batch/v1").await.0, 404);
    let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let (_, groups) = json_as(&server, "/apis", aggregated).await;
    assert_eq!(
        groups["items"][0]["versions"][0]["resources"][0]["resource"],
        "deployments"
    );
}

#[test]
fn every_offered_change_is_one_that_both_tracers_record() {
    let content = content::deployments(50, 2_000);
    let expected = content.expected;
    assert_eq!((content.events.len(), expected.changes()), (2_000, 2_000));
    assert!(expected.deleted > 0, "{expected:?}");
    assert!(
        content
            .events
            .is_sorted_by(|one, next| one.version < next.version)
    );
    // The same seed gives the same script.
    let again = content::deployments(50, 2_000);
    assert!(
        content
            .events
            .iter()
            .zip(&again.events)
            .all(|(one, other)| one.line == other.line)
    );
}
