//! The watches on a thread of their own, in real time. Guards against a thread that outlives whoever waits for it, and against a crash on it
//! that nobody is told of.

use std::sync::Arc;
use std::time::Duration;

use super::fake::Fake;
use super::{Running, WantedOwner, WantedOwners, start_by};
use crate::watch::{WatchError, run_on_thread};

/// Owners of a store that panics.
struct Broken;

impl WantedOwners for Broken {
    fn wanted(&self, _limit: usize) -> Vec<WantedOwner> {
        panic!("broken");
    }
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    let deadline = Duration::from_secs(60);
    let done = tokio::time::timeout(deadline, work).await;
    done.expect("it takes more than a minute")
}

fn start(fake: &Fake, owners: Option<Arc<dyn WantedOwners>>) -> Running {
    let stored = [("v1.Pod", fake.version().to_string())];
    start_by(fake, &[], &stored, |mut start| {
        start.wanted = owners.unwrap_or(start.wanted);
        tokio::spawn(run_on_thread(start))
    })
}

#[tokio::test]
async fn what_happens_is_told_and_a_stop_ends_the_thread() {
    let fake = Fake::new();
    let mut running = start(&fake, None);
    fake.pod("a");
    soon(running.until("sighted")).await;
    for name in ["b", "c", "d"] {
        fake.pod(name);
        soon(running.until(&format!("applied {name}"))).await;
    }
    running.stop.send(true).unwrap();
    soon(running.until("ended")).await;
    soon(running.task).await.unwrap().unwrap();
    assert!(soon(running.observations.recv()).await.is_none());
}

#[tokio::test]
async fn the_thread_ends_when_nobody_waits_for_it() {
    let fake = Fake::new();
    let mut running = start(&fake, None);
    fake.pod("a");
    soon(running.until("sighted")).await;
    running.task.abort();
    // Its senders are gone.
    while soon(running.observations.recv()).await.is_some() {}
}

#[tokio::test]
async fn a_crash_on_the_thread_is_an_error() {
    let running = start(&Fake::new(), Some(Arc::new(Broken)));
    let error = soon(running.task).await.unwrap().unwrap_err();
    assert!(matches!(error, WatchError::Crashed(_)), "{error}");
}
