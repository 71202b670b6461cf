//! Guards against holes after a restart: a recorder that goes on from a version that the server no longer has, or
//! never had (etcd restored from a backup, R16), or that claims to see before it has caught up (R10).

use super::fake::{Fake, Reply};
use super::{pages, start, start_at, watches};
use crate::limits::{CATCH_UP_WATCH_SECONDS, WATCH_SECONDS};
use crate::watch::WatchState;

#[tokio::test(start_paused = true)]
async fn what_happened_meanwhile_arrives_and_nothing_is_listed() {
    let fake = Fake::new();
    fake.pod("a");
    let stored = fake.version();
    let b = fake.pod("b");
    let gone = fake.delete("v1.Pod", "default/a");
    let again = fake.pod("a");
    let mut running = start(&fake, &[], &[("v1.Pod", stored)]);
    let said = running.until("sighted").await;
    assert_eq!(
        said,
        [
            format!("applied b@{b}"),
            format!("deleted a@{gone}"),
            format!("applied a@{again}"),
            "sighted".to_owned()
        ]
    );
    assert_eq!(running.state("v1.Pod"), WatchState::Watching);
    assert!(running.status.readiness().ready);
    assert!(fake.requests(pages("/api/v1/pods")).is_empty());
}

#[tokio::test(start_paused = true)]
async fn nothing_happened_meanwhile() {
    let fake = Fake::new();
    let mut running = start(&fake, &[], &[("v1.Pod", fake.version())]);
    assert_eq!(running.until("sighted").await, ["sighted"]);
    let version = fake.pod("a");
    let said = running.until("applied").await;
    assert_eq!(said, [format!("applied a@{version}")]);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_kind_in_a_busy_cluster_catches_up_within_a_short_watch() {
    let fake = Fake::new();
    let stored = fake.version();
    fake.pass(1_000);
    let begin = tokio::time::Instant::now();
    let mut running = start(&fake, &[], &[("v1.Pod", stored)]);
    let said = running.until("sighted").await;
    assert_eq!(said, ["bookmark@1010", "sighted"]);
    assert!(begin.elapsed().as_secs() <= u64::from(CATCH_UP_WATCH_SECONDS) + 1);
    assert_eq!(running.state("v1.Pod"), WatchState::Watching);
}

#[tokio::test(start_paused = true)]
async fn without_bookmarks_a_quiet_kind_catches_up_after_the_length_of_a_watch() {
    let fake = Fake::new();
    fake.no_bookmarks();
    let stored = fake.version();
    fake.pass(1_000);
    let begin = tokio::time::Instant::now();
    let mut running = start(&fake, &[], &[("v1.Pod", stored)]);
    assert_eq!(running.until("sighted").await, ["sighted"]);
    let seconds = begin.elapsed().as_secs();
    let full = u64::from(WATCH_SECONDS);
    assert!((full..full * 3).contains(&seconds), "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn a_server_behind_the_stored_version_is_listed_anew() {
    let fake = Fake::new();
    fake.pod("a");
    let mut running = start(&fake, &[], &[("v1.Pod", 1_000)]);
    let said = running.until("finished").await;
    assert!(said[0].starts_with("blind: the server is at version 11, behind the 1000"));
    assert_eq!(said[1..], ["started", "applied a", "finished@11"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_restored_while_watched_is_noticed() {
    let fake = Fake::new();
    fake.set_version(1_000);
    let mut running = start(&fake, &[], &[]);
    running.until("finished").await;
    // The API server goes away, and comes back with an older etcd.
    fake.rule(1, Reply::Status(503), watches("/api/v1/pods"));
    running.within(u64::from(WATCH_SECONDS) * 2).await;
    fake.set_version(500);
    fake.rule(1, Reply::Status(503), watches("/api/v1/pods"));
    let said = running.until("finished").await;
    assert!(
        said.iter()
            .any(|text| text.starts_with("blind: the server is at version 500")),
        "{said:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_replaced_history_that_one_watch_finds_is_news_to_all() {
    let fake = Fake::new();
    fake.serve("apps/v1.Deployment", "deployments", true);
    // Pods stand at a version that both histories have.
    let stored = [("v1.Pod", fake.version()), ("apps/v1.Deployment", 1_000)];
    let mut running = start(&fake, &["apps/v1.Deployment"], &stored);
    let said = running.until("finished").await;
    assert!(
        said.iter()
            .any(|text| text.starts_with("blind: another watch found")),
        "{said:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn both_forms_of_410_at_the_start_lead_to_a_list() {
    for in_stream in [false, true] {
        let fake = Fake::new();
        let stored = fake.version();
        fake.pod("a");
        fake.compact(in_stream);
        let mut running = start(&fake, &[], &[("v1.Pod", stored)]);
        let said = running.until("finished").await;
        assert!(said[0].starts_with("blind: "), "{said:?}");
        assert!(said[0].contains("410"), "{said:?}");
        assert_eq!(said[1..], ["started", "applied a", "finished@11"]);
        let version = fake.pod("b");
        let said = running.until("applied").await;
        assert_eq!(said, [format!("applied b@{version}")]);
        assert_eq!(running.counters("v1.Pod").expired, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_410_that_stays_is_not_asked_for_without_a_pause() {
    let fake = Fake::new();
    fake.rule(usize::MAX, Reply::Status(410), watches("/api/v1/pods"));
    let mut running = start(&fake, &[], &[("v1.Pod", fake.version())]);
    running.within(600).await;
    let lists = fake.requests(pages("/api/v1/pods")).len();
    assert!((5..40).contains(&lists), "{lists} lists in ten minutes");
}

#[tokio::test(start_paused = true)]
async fn a_stored_version_that_the_server_does_not_accept_leads_to_a_list() {
    // The fake answers 400 by itself; some servers say 422.
    for code in [400, 422] {
        let fake = Fake::new();
        fake.pod("a");
        fake.rule(1, Reply::Status(code), watches("/api/v1/pods"));
        let mut running = start_at(&fake, &[], &[("v1.Pod", "nonsense".to_owned())]);
        let said = running.until("finished").await;
        assert_eq!(said[1..], ["started", "applied a", "finished@11"]);
        assert!(said[0].contains(&code.to_string()), "{said:?}");
    }
}
