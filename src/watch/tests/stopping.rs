//! Guards against a stop that takes long, and one after which the record claims to have seen what came too late.

use std::time::Duration;

use super::fake::{Fake, Reply};
use super::{Running, pages, start, watches};
use crate::limits::WATCH_LAST_MS;
use crate::model::Timestamp;
use crate::watch::WatchError;

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

/// Has it stop at second 7; what it says then, while time goes on.
async fn said_when_stopped(mut running: Running) -> Vec<String> {
    running.clock.set(at(7));
    running.stop.send(true).unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    running.clock.set(at(8));
    running.task.await.unwrap().unwrap();
    let mut said = Vec::new();
    while let Some(queued) = running.observations.recv().await {
        said.push(super::told(&queued.observation));
    }
    said
}

#[tokio::test(start_paused = true)]
async fn what_had_happened_is_delivered_and_the_watch_says_until_when_it_is_complete() {
    let fake = Fake::new();
    let mut running = start(&fake, &[], &[("v1.Pod", fake.version())]);
    fake.pod("a");
    running.until("sighted").await;
    // This one gathers.
    tokio::time::sleep(Duration::from_millis(5)).await;
    let b = fake.pod("b");
    // And the server is late with these.
    let (late, server) = (Duration::from_millis(WATCH_LAST_MS - 60), fake.clone());
    tokio::spawn(async move {
        tokio::time::sleep(late).await;
        server.pod("c");
        tokio::time::sleep(Duration::from_millis(50)).await;
        server.pod("d");
    });
    let said = said_when_stopped(running).await;
    let (c, d) = (b + 1, b + 2);
    assert_eq!(
        said,
        [
            format!("applied b@{b}"),
            format!("applied c@{c}"),
            format!("applied d@{d}"),
            format!("ended at {}", at(7))
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_not_open_says_nothing_of_how_far_it_has_come() {
    // It sees, but the watch is not open, or has told half of something; a list is under way; it is in no contact.
    for number in 0..4 {
        let fake = Fake::new();
        match number {
            0 => fake.rule(usize::MAX, Reply::Hole, watches("/api/v1/pods")),
            1 => fake.rule(usize::MAX, Reply::Hole, pages("/api/v1/pods")),
            2 => {
                let half = Reply::Stuck("{\"type\":\"ADD".to_owned());
                fake.rule(usize::MAX, half, watches("/api/v1/pods"));
            }
            _ => fake.rule(usize::MAX, Reply::Status(500), |_| true),
        }
        let version = fake.version();
        let stored = [("v1.Pod", version)];
        let running = start(&fake, &[], if number == 1 { &[] } else { &stored });
        tokio::time::sleep(Duration::from_secs(5)).await;
        let said = said_when_stopped(running).await;
        let ended = said.iter().any(|said| said.starts_with("ended"));
        let sees = said == ["sighted"];
        assert!(
            !ended && sees == [0, 2].contains(&number),
            "{number}: {said:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_flooded_does_not_say_that_it_is_complete() {
    let fake = Fake::new();
    let mut running = start(&fake, &[], &[("v1.Pod", fake.version())]);
    running.until("sighted").await;
    let server = fake.clone();
    let flood = tokio::spawn(async move {
        loop {
            server.pod("a");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let observations = tokio::spawn(said_when_stopped(running));
    let said = observations.await.unwrap();
    flood.abort();
    assert!(said.len() > 100, "{said:?}");
    assert!(
        said.iter().all(|said| said.starts_with("applied")),
        "{said:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn stopping_is_prompt_whatever_is_under_way() {
    for reply in [None, Some(Reply::Hole), Some(Reply::Status(500))] {
        let fake = Fake::new();
        if let Some(reply) = reply {
            fake.rule(usize::MAX, reply, |_| true);
        }
        let running = start(&fake, &["v1.Pod"], &[]);
        tokio::time::sleep(Duration::from_secs(5)).await;
        let begin = tokio::time::Instant::now();
        running.stop.send(true).unwrap();
        running.task.await.unwrap().unwrap();
        assert!(begin.elapsed() < Duration::from_secs(1));
    }
}

#[tokio::test(start_paused = true)]
async fn watching_ends_when_the_writer_does() {
    let fake = Fake::new();
    let running = start(&fake, &[], &[]);
    drop(running.observations);
    let ended = running.task.await.unwrap();
    assert!(
        matches!(ended, Err(WatchError::QueueClosed(_))),
        "{ended:?}"
    );
}
