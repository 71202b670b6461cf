//! Guards against the initial list that takes the memory of a whole cluster (sk-tracer's end), against a malformed
//! object that costs the rest of its list, and against a broken list that sweeps what it has not seen (R7).

use std::collections::BTreeSet;

use serde_json::json;

use super::fake::{Fake, Reply};
use super::{pages, start};
use crate::limits::{BACKOFF_MS_MIN, LIST_PAGE_SECONDS_MAX, LIST_PAGE_TRIES_MAX};
use crate::watch::WatchState;

#[tokio::test(start_paused = true)]
async fn thousands_of_pods_arrive_page_by_page_behind_a_slow_writer() {
    let fake = Fake::new();
    for n in 0..5_800 {
        fake.pod(&format!("web-{n:04}"));
    }
    let mut running = start(&fake, &[], &[]);
    // A writer that takes nothing: what waits is bounded by the queue, and one page is fetched ahead.
    tokio::time::sleep(std::time::Duration::from_secs(600)).await;
    let in_queue = crate::limits::QUEUE_OBSERVATIONS_MAX;
    let fetched = fake.requests(pages("/api/v1/pods")).len();
    assert_eq!(fetched, in_queue / 500 + 2);

    let said = running.until("finished").await;
    assert!(
        said[0].starts_with("blind: nothing is known"),
        "{}",
        said[0]
    );
    assert_eq!(said[1], "started");
    assert_eq!(said.last().unwrap(), "finished@5810");
    let names: BTreeSet<_> = said[2..said.len() - 1].iter().collect();
    assert_eq!(names.len(), 5_800);
    let requests = fake.requests(pages("/api/v1/pods"));
    assert_eq!(requests.len(), 12);
    assert!(
        requests
            .iter()
            .all(|(_, path)| path.contains("limit=500") && !path.contains("resourceVersion"))
    );
    fake.pod("late");
    assert_eq!(running.until("applied").await, ["applied late@5811"]);
    let counters = running.counters("v1.Pod");
    assert_eq!(
        (counters.pages, counters.items, counters.events),
        (12, 5_800, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn malformed_objects_cost_no_other_and_are_not_swept() {
    let fake = Fake::new();
    fake.pod("a");
    fake.put(
        "v1.Pod",
        "default/b",
        json!({"metadata": {"ownerReferences": "none"}}),
    );
    fake.pod("c");
    let mut running = start(&fake, &[], &[]);
    let said = running.until("finished").await;
    assert_eq!(
        said[1..],
        [
            "started",
            "applied a",
            "listed uid-b-12",
            "applied c",
            "finished@13"
        ]
    );
    assert_eq!(running.counters("v1.Pod").unreadable, 1);
}

#[tokio::test(start_paused = true)]
async fn an_object_without_a_uid_keeps_the_list_from_sweeping_until_it_is_gone() {
    let fake = Fake::new();
    fake.pod("a");
    fake.put("v1.Pod", "default/b", json!({"metadata": {"uid": null}}));
    fake.pod("c");
    let mut running = start(&fake, &[], &[]);
    let said = running.until("blind: the list holds").await;
    assert_eq!(said[1..4], ["started", "applied a", "applied c"]);
    assert!(matches!(
        running.state("v1.Pod"),
        WatchState::Failing { .. }
    ));
    fake.delete("v1.Pod", "default/b");
    let said = running.until("finished").await;
    assert_eq!(said, ["started", "applied a", "applied c", "finished@14"]);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_expires_starts_the_list_again() {
    let fake = Fake::new();
    for n in 0..1_200 {
        fake.pod(&format!("web-{n:04}"));
    }
    fake.rule(2, Reply::Status(410), |path| path.contains("web-0999"));
    let mut running = start(&fake, &[], &[]);
    let said = running.until("blind: listing: HTTP 410").await;
    assert_eq!(said.len(), 2 + 1_000 + 1);
    // The first time at once, the second time after a pause, and without saying the same again.
    let said = running.until("applied web-0999").await;
    assert_eq!((said[0].as_str(), said.len()), ("started", 1 + 1_000));
    // What vanishes between the two lists is not in the second.
    fake.delete("v1.Pod", "default/web-0000");
    let said = running.until("finished").await;
    assert_eq!(said[0], "started");
    assert_eq!(said[1], "applied web-0001");
    assert_eq!(said.len(), 1 + 1_199 + 1);
    assert_eq!(running.counters("v1.Pod").expired, 2);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_fails_or_never_comes_is_asked_for_again() {
    for (reply, seconds) in [
        (Reply::Status(500), 0),
        (Reply::Body("{\"metadata\":".into()), 0),
        (Reply::Broken("{\"metadata\":".into()), 0),
        (Reply::Hole, LIST_PAGE_SECONDS_MAX),
        (Reply::Silence, LIST_PAGE_SECONDS_MAX),
    ] {
        let fake = Fake::new();
        for n in 0..600 {
            fake.pod(&format!("web-{n:04}"));
        }
        fake.rule(1, reply, |path| path.contains("continue"));
        let mut running = start(&fake, &[], &[]);
        let said = running.until("finished").await;
        assert_eq!(said.len(), 2 + 600 + 1, "{:?}", said.first());
        let requests = fake.requests(pages("/api/v1/pods"));
        let [.., failed, again] = requests.as_slice() else {
            panic!("{requests:?}")
        };
        assert_eq!(failed.1, again.1);
        let waited = (again.0 - failed.0).as_millis();
        let least = u128::from(seconds * 1_000 + BACKOFF_MS_MIN / 2);
        assert!(waited >= least, "{waited} < {least}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_cannot_be_finished_is_abandoned_and_sweeps_nothing() {
    let fake = Fake::new();
    for n in 0..600 {
        fake.pod(&format!("web-{n:04}"));
    }
    let times = usize::try_from(LIST_PAGE_TRIES_MAX).unwrap();
    fake.rule(times, Reply::Status(503), |path| path.contains("continue"));
    let mut running = start(&fake, &[], &[]);
    let said = running.until("blind: listing: HTTP 503").await;
    assert!(!said.iter().any(|text| text.starts_with("finished")));
    let said = running.until("finished").await;
    assert_eq!((said[0].as_str(), said.len()), ("started", 602));
}

#[tokio::test(start_paused = true)]
async fn a_page_of_huge_objects_is_asked_for_in_smaller_parts() {
    let fake = Fake::new();
    let huge = "x".repeat(1 << 20);
    for n in 0..40 {
        fake.put(
            "v1.Pod",
            &format!("default/web-{n:02}"),
            json!({"spec": {"containers": [], "nodeName": huge}}),
        );
    }
    let mut running = start(&fake, &[], &[]);
    let said = running.until("finished").await;
    assert_eq!(said.len(), 2 + 40 + 1);
    let limits: Vec<_> = fake
        .requests(pages("/api/v1/pods"))
        .into_iter()
        .map(|(_, path)| path.split('&').next().unwrap().to_owned())
        .collect();
    // 40 MiB fit into no page; 31 MiB do.
    let page = |limit: u32| format!("/api/v1/pods?limit={limit}");
    assert_eq!(limits, [page(500), page(125), page(31), page(31)]);
}
