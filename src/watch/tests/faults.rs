//! Guards against what kube's own watcher does on faults: an event lost because one could not be parsed, a list that
//! hangs for ever, a 410 that never heals; and against requests without pauses.

use serde_json::json;

use super::fake::{Fake, Reply};
use super::{Running, pages, start, watches};
use crate::limits::{
    BACKOFF_MS_MAX, POISONED_EVENT_TRIES_MAX, RETRY_AFTER_SECONDS_MAX, WATCH_OPEN_SECONDS_MAX,
    WATCH_SECONDS, WATCH_SLACK_SECONDS,
};
use crate::watch::WatchState;

const PODS: &str = "/api/v1/pods";

/// In contact, at the version of the fake.
async fn watching(fake: &Fake) -> Running {
    let mut running = start(fake, &[], &[("v1.Pod", fake.version())]);
    running.until("sighted").await;
    running
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_in_time_goes_on_without_a_word() {
    let fake = Fake::new();
    let mut running = watching(&fake).await;
    fake.pass(5);
    let said = running.within(1_000).await;
    assert!((4..=6).contains(&said.len()), "{said:?}");
    assert!(
        said.iter().all(|text| text.starts_with("bookmark@15")),
        "{said:?}"
    );
    let requests = fake.requests(watches(PODS));
    for (_, path) in &requests {
        assert!(path.contains("allowWatchBookmarks=true"), "{path}");
        let seconds = path.split("timeoutSeconds=").nth(1).unwrap();
        let seconds: u32 = seconds.split('&').next().unwrap().parse().unwrap();
        assert!(
            seconds.abs_diff(WATCH_SECONDS) <= WATCH_SECONDS / 10,
            "{path}"
        );
    }
    assert!(
        requests[1..]
            .iter()
            .all(|(_, path)| path.ends_with("resourceVersion=15"))
    );
    assert!(fake.requests(pages(PODS)).is_empty());
}

#[tokio::test(start_paused = true)]
async fn events_may_be_split_over_frames() {
    let fake = Fake::new();
    fake.frames_of(7);
    let mut running = watching(&fake).await;
    let version = fake.pod("sp\u{e4}t");
    fake.put(
        "v1.Pod",
        "default/sp\u{e4}t",
        json!({"status": {"phase": "Running"}}),
    );
    let said = [
        running.until("applied").await,
        running.until("applied").await,
    ]
    .concat();
    assert_eq!(
        said,
        [
            format!("applied sp\u{e4}t@{version}"),
            format!("applied sp\u{e4}t@{}", version + 1)
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_garbled_event_is_delivered_again() {
    for line in [
        "{\"type\":\"ADDED\",\"obj",
        "\u{0}\u{1}",
        "{}",
        "[1]",
        "null",
    ] {
        let fake = Fake::new();
        let mut running = watching(&fake).await;
        let a = fake.version() + 1;
        fake.mangle(a, 1, line);
        fake.pod("a");
        fake.pod("b");
        let said = [
            running.until("applied").await,
            running.until("applied").await,
        ]
        .concat();
        assert_eq!(
            said,
            [format!("applied a@{a}"), format!("applied b@{}", a + 1)]
        );
        let counters = running.counters("v1.Pod");
        assert_eq!(
            (counters.unreadable, counters.skipped_events),
            (1, 0),
            "{line}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_poisoned_event_is_skipped_in_the_end_and_the_record_says_so() {
    let fake = Fake::new();
    let mut running = watching(&fake).await;
    let a = fake.version() + 1;
    // It names its version, but not its object.
    let line =
        format!(r#"{{"type":"MODIFIED","object":{{"metadata":{{"resourceVersion":"{a}"}}}}}}"#);
    fake.mangle(a, usize::MAX, &line);
    fake.pod("a");
    fake.pod("b");
    let said = running.until("applied").await;
    assert!(
        said[0].starts_with("blind: an event could not be read"),
        "{said:?}"
    );
    assert_eq!(
        said[1..],
        [
            format!("bookmark@{a}"),
            "sighted".into(),
            format!("applied b@{}", a + 1)
        ]
    );
    let counters = running.counters("v1.Pod");
    let tries = u64::from(POISONED_EVENT_TRIES_MAX) + 1;
    assert_eq!((counters.unreadable, counters.skipped_events), (tries, 1));
    assert!(fake.requests(pages(PODS)).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_poisoned_event_without_a_version_leads_to_a_list() {
    let fake = Fake::new();
    let mut running = watching(&fake).await;
    fake.mangle(fake.version() + 1, usize::MAX, "garbage");
    fake.pod("a");
    let said = running.until("finished").await;
    assert!(
        said[0].starts_with("blind: an event could not be read"),
        "{said:?}"
    );
    assert_eq!(said[1..], ["started", "applied a", "finished@11"]);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_cannot_be_normalized_is_skipped_without_asking_again() {
    let fake = Fake::new();
    let mut running = watching(&fake).await;
    let bad = fake.put(
        "v1.Pod",
        "default/bad",
        json!({"metadata": {"ownerReferences": "none"}}),
    );
    let good = fake.pod("good");
    let said = running.until("applied").await;
    assert_eq!(
        said,
        [format!("bookmark@{bad}"), format!("applied good@{good}")]
    );
    assert_eq!(fake.requests(watches(PODS)).len(), 1);
    // Its deletion is found by a list: it may be known from before.
    fake.delete("v1.Pod", "default/bad");
    let said = running.until("finished").await;
    assert_eq!(said[1..], ["started", "applied good", "finished@13"]);
}

#[tokio::test(start_paused = true)]
async fn error_events_are_retried_after_a_pause() {
    let fake = Fake::new();
    let mut running = watching(&fake).await;
    let line = r#"{"type":"ERROR","object":{"kind":"Status","code":500,"message":"etcd is sad"}}"#;
    fake.mangle(fake.version() + 1, 1, line);
    let version = fake.pod("a");
    let said = running.until("sighted").await;
    assert_eq!(
        said,
        [
            "blind: the server ended the watch: 500 etcd is sad".to_owned(),
            format!("applied a@{version}"),
            "sighted".to_owned()
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_goes_on_where_it_was() {
    let fake = Fake::new();
    let a = fake.version() + 1;
    fake.rule(
        1,
        Reply::Broken("{\"type\":\"ADDED\",\"object\":{\"meta".into()),
        watches(PODS),
    );
    let mut running = watching(&fake).await;
    fake.pod("a");
    assert_eq!(running.until("applied").await, [format!("applied a@{a}")]);
    assert_eq!(running.counters("v1.Pod").unreadable, 0);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_falls_silent_is_noticed() {
    let fake = Fake::new();
    fake.rule(1, Reply::Silence, watches(PODS));
    let begin = tokio::time::Instant::now();
    let mut running = watching(&fake).await;
    let version = fake.pod("a");
    let said = running.until("sighted").await;
    assert_eq!(
        said,
        [
            "blind: the watch fell silent".to_owned(),
            format!("applied a@{version}"),
            "sighted".into()
        ]
    );
    let seconds = begin.elapsed().as_secs();
    let latest = u64::from(WATCH_SECONDS) * 11 / 10 + WATCH_SLACK_SECONDS + 2;
    assert!(seconds <= latest, "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn requests_that_are_never_answered_are_given_up() {
    let fake = Fake::new();
    fake.rule(1, Reply::Hole, |path| path == "/api/v1");
    fake.rule(1, Reply::Hole, |path| path.ends_with("limit=1"));
    fake.rule(1, Reply::Hole, watches(PODS));
    let begin = tokio::time::Instant::now();
    let mut running = start(&fake, &[], &[("v1.Pod", fake.version())]);
    let said = running.until("blind: opening the watch: no answer").await;
    assert_eq!(said.len(), 4, "{said:?}");
    running.until("sighted").await;
    assert!(begin.elapsed().as_secs() < 4 * WATCH_OPEN_SECONDS_MAX);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_down_is_asked_less_and_less_often() {
    let fake = Fake::new();
    fake.rule(usize::MAX, Reply::Status(503), |_| true);
    let mut running = start(&fake, &[], &[]);
    let said = running.within(3_600).await;
    assert_eq!(said, ["blind: discovery: HTTP 503: injected"]);
    let requests = fake.requests(|_| true);
    let longest = u128::from(BACKOFF_MS_MAX);
    assert!((60..200).contains(&requests.len()), "{}", requests.len());
    for pair in requests.windows(2) {
        let wait = (pair[1].0 - pair[0].0).as_millis();
        assert!((200..=longest + 100).contains(&wait), "{wait}");
    }
    assert!(!running.status.readiness().ready);
    fake.clear_rules();
    running.until("finished").await;
    assert!(running.status.readiness().ready);
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_followed_within_bounds() {
    for (asked, least) in [(30, 30), (86_400, RETRY_AFTER_SECONDS_MAX)] {
        let fake = Fake::new();
        fake.rule(1, Reply::RetryAfter(429, asked), pages(PODS));
        let mut running = start(&fake, &[], &[]);
        running.until("finished").await;
        let requests = fake.requests(pages(PODS));
        let waited = (requests[1].0 - requests[0].0).as_secs();
        assert!((least..=least + 1).contains(&waited), "{waited}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_loses_its_permission_says_so_until_it_is_back() {
    let fake = Fake::new();
    let mut running = watching(&fake).await;
    fake.rule(10, Reply::Status(403), |_| true);
    let said = running.until("sighted").await;
    assert_eq!(
        said.iter().filter(|text| text.starts_with("blind")).count(),
        2,
        "once for the watch, once for the version: {said:?}"
    );
    assert_eq!(running.state("v1.Pod"), WatchState::Watching);
}
