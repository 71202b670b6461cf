//! Guards against one kind that stops others (R15): without permission, without its CRD, with a broken API group.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::fake::{Fake, Reply};
use super::{pages, start};
use crate::limits::{LISTS_MAX, READY_FAILURES_MIN};
use crate::watch::{WatchState, cluster_id};

const FOO: &str = "example.com/v1.Foo";

#[tokio::test(start_paused = true)]
async fn pods_are_watched_once_whether_tracked_or_not() {
    for tracked in [&[][..], &["v1.Pod"][..]] {
        let fake = Fake::new();
        fake.pod("a");
        let mut running = start(&fake, tracked, &[]);
        let said = running.until("finished").await;
        assert_eq!(said[1..], ["started", "applied a", "finished@11"]);
        running.within(100).await;
        assert_eq!(running.status.watches().len(), 1);
        assert_eq!(fake.requests(pages("/api/v1/pods")).len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn one_kind_without_permission_does_not_stop_the_others() {
    let fake = Fake::new();
    fake.serve("v1.Secret", "secrets", true);
    fake.serve("apps/v1.Deployment", "deployments", true);
    fake.put("apps/v1.Deployment", "default/web", json!({}));
    fake.rule(usize::MAX, Reply::Status(403), pages("/api/v1/secrets"));
    let tracked = ["v1.Secret", "apps/v1.Deployment"];
    let mut running = start(&fake, &tracked, &[]);
    let said = running.until_of("apps/v1.Deployment", "finished").await;
    assert_eq!(said[2], "applied web");
    running.within(120).await;
    let WatchState::Failing { reason, .. } = running.state("v1.Secret") else {
        panic!("{:?}", running.state("v1.Secret"))
    };
    assert_eq!(reason, "listing: HTTP 403: injected");
    let readiness = running.status.readiness();
    assert!(readiness.ready, "{readiness:?}");
    assert_eq!(readiness.failing.len(), 1);
    fake.clear_rules();
    running.until_of("v1.Secret", "finished").await;
    assert!(running.status.readiness().failing.is_empty());
}

#[tokio::test(start_paused = true)]
async fn readiness_waits_for_a_kind_until_it_keeps_failing() {
    let fake = Fake::new();
    let mut running = start(&fake, &[FOO], &[]);
    running.until("finished").await;
    let readiness = running.status.readiness();
    assert!(!readiness.ready && readiness.waiting == [FOO.parse().unwrap()]);
    running.within(600).await;
    assert!(running.status.readiness().ready);
    let asked = fake.requests(|path| path == "/apis/example.com/v1").len();
    assert!(asked >= usize::try_from(READY_FAILURES_MIN).unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_crd_that_is_added_later_is_picked_up() {
    let fake = Fake::new();
    let mut running = start(&fake, &[FOO], &[]);
    let said = running.until_of(FOO, "blind").await;
    assert_eq!(
        said,
        [format!("blind: the API server does not serve {FOO}")]
    );
    running.within(300).await;
    fake.serve(FOO, "foos", false);
    fake.put(FOO, "one", json!({}));
    let said = running.until_of(FOO, "finished").await;
    assert_eq!(said, ["started", "applied one", "finished@11"]);
}

#[tokio::test(start_paused = true)]
async fn a_crd_that_is_deleted_is_a_gap_and_comes_back() {
    let fake = Fake::new();
    fake.serve(FOO, "foos", true);
    let mut running = start(&fake, &[FOO], &[]);
    running.until_of(FOO, "finished").await;
    fake.unserve(FOO);
    let said = running.until_of(FOO, "blind").await;
    assert!(said[0].contains("HTTP 404"), "{said:?}");
    running.within(300).await;
    assert!(matches!(running.state(FOO), WatchState::Failing { .. }));
    // Under another name in URLs, as a new CRD may have it.
    fake.serve(FOO, "foozes", true);
    let version = fake.put(FOO, "default/new", json!({}));
    let said = running.until_of(FOO, "sighted").await;
    assert!(said.contains(&format!("applied new@{version}")), "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn an_api_group_that_never_answers_does_not_hold_up_the_others() {
    let fake = Fake::new();
    let broken: Vec<_> = (0..2 * LISTS_MAX)
        .map(|n| format!("broken.io/v1.B{n}"))
        .collect();
    for (n, gvk) in broken.iter().enumerate() {
        fake.serve(gvk, &format!("b{n}s"), true);
    }
    fake.serve("apps/v1.Deployment", "deployments", true);
    fake.rule(usize::MAX, Reply::Hole, |path| {
        path.starts_with("/apis/broken.io/v1/")
    });
    let mut tracked: Vec<_> = broken.iter().map(String::as_str).collect();
    tracked.push("apps/v1.Deployment");
    let mut running = start(&fake, &tracked, &[]);
    running.until("finished").await;
    running.within(200).await;
    // Listing again must not wait for pages that never come.
    let gone = r#"{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}"#;
    for n in 0..5 {
        let begin = tokio::time::Instant::now();
        fake.mangle(fake.version() + 1, 1, gone);
        fake.put("apps/v1.Deployment", &format!("default/web-{n}"), json!({}));
        let said = running.until_of("apps/v1.Deployment", "finished").await;
        assert!(said.contains(&format!("applied web-{n}")), "{said:?}");
        // A pause before the second list and after, since nothing else comes in between.
        assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
        running.within(13).await;
    }
    assert_eq!(running.state("apps/v1.Deployment"), WatchState::Watching);
}

#[tokio::test(start_paused = true)]
async fn kinds_of_one_group_share_a_discovery_and_lists_are_bounded() {
    let fake = Fake::new();
    let tracked: Vec<_> = (0..20).map(|n| format!("example.com/v1.K{n}")).collect();
    for (n, gvk) in tracked.iter().enumerate() {
        fake.serve(gvk, &format!("k{n}s"), true);
    }
    // Pages that take for ever show how many are asked for at once.
    fake.rule(usize::MAX, Reply::Hole, |path| path.contains("limit=500"));
    let names: Vec<_> = tracked.iter().map(String::as_str).collect();
    let mut running = start(&fake, &names, &[]);
    running.within(30).await;
    assert_eq!(
        fake.requests(|path| path == "/apis/example.com/v1").len(),
        1
    );
    assert_eq!(
        fake.requests(|path| path.contains("limit=500")).len(),
        LISTS_MAX
    );
}

#[tokio::test(start_paused = true)]
async fn the_cluster_is_known_by_the_uid_of_kube_system() {
    let fake = Fake::new();
    assert!(cluster_id(&fake.client()).await.is_err());
    fake.serve("v1.Namespace", "namespaces", false);
    let version = fake.put("v1.Namespace", "kube-system", json!({}));
    let id = cluster_id(&fake.client()).await.unwrap();
    assert_eq!(id.0, format!("uid-kube-system-{version}"));
    fake.rule(1, Reply::Hole, |_| true);
    let error = cluster_id(&fake.client()).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "no answer within 30 s");
}

#[tokio::test(start_paused = true)]
async fn secrets_leave_the_watches_without_their_values() {
    const SECRET: &str = "v1.Secret";
    let fake = Fake::new();
    fake.serve(SECRET, "secrets", true);
    let value = |text: &str| json!({"data": {"a": STANDARD.encode(text)}});
    fake.put(SECRET, "ns/listed", value("hunter2-listed"));
    let mut running = start(&fake, &[SECRET], &[]);
    let mut bodies = running.bodies_until(SECRET, "finished").await;
    fake.put(SECRET, "ns/watched", value("hunter2-added"));
    bodies.extend(running.bodies_until(SECRET, "applied").await);
    fake.put(SECRET, "ns/watched", value("hunter2-changed"));
    bodies.extend(running.bodies_until(SECRET, "applied").await);
    fake.delete(SECRET, "ns/watched");
    bodies.extend(running.bodies_until(SECRET, "deleted").await);
    assert_eq!(
        bodies.len(),
        4,
        "listed, added, changed, and the final object"
    );
    for body in bodies {
        let object: serde_json::Value = rmp_serde::from_slice(&body).unwrap();
        let stored = STANDARD
            .decode(object["data"]["a"].as_str().unwrap())
            .unwrap();
        assert!(stored.starts_with(b"redacted:"), "{object}");
    }
}
