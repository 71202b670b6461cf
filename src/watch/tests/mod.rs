//! The watches against an API server in the process, under paused time: five minutes of watching take no time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod fake;
mod faults;
mod kinds;
mod lists;
mod owners;
mod resume;
mod session;
mod stopping;
mod thread;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{
    WantedOwner, WantedOwners, WatchError, WatchPlan, WatchStart, WatchState, WatchStatus, run,
};
use crate::clock::ManualClock;
use crate::config::{TracerConfig, TrackedKind};
use crate::ingest::{Receiver, queue};
use crate::model::{Gvk, Item, Observation, RedactionKey};
use crate::normalize::Redaction;
use fake::Fake;

/// The owners that a test wants.
#[derive(Clone, Default)]
struct Wanted(Arc<Mutex<Vec<WantedOwner>>>);

impl WantedOwners for Wanted {
    fn wanted(&self, limit: usize) -> Vec<WantedOwner> {
        self.0.lock().unwrap().iter().take(limit).cloned().collect()
    }
}

/// Watches under way, and what they say.
struct Running {
    clock: Arc<ManualClock>,
    observations: Receiver,
    status: Arc<WatchStatus>,
    wanted: Wanted,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), WatchError>>,
}

/// Watches pods, and the kinds named, as a recorder would that stored these versions.
fn start(fake: &Fake, tracked: &[&str], stored: &[(&str, u64)]) -> Running {
    let stored: Vec<_> = stored
        .iter()
        .map(|(gvk, version)| (*gvk, version.to_string()))
        .collect();
    start_at(fake, tracked, &stored)
}

fn start_at(fake: &Fake, tracked: &[&str], stored: &[(&str, String)]) -> Running {
    start_by(fake, tracked, stored, |start| tokio::spawn(run(start)))
}

/// The same, by one of the ways in which watches can be run.
fn start_by(
    fake: &Fake,
    tracked: &[&str],
    stored: &[(&str, String)],
    run: impl FnOnce(WatchStart) -> JoinHandle<Result<(), WatchError>>,
) -> Running {
    let clock = Arc::new(ManualClock::default());
    let (sender, observations) = queue(Arc::clone(&clock) as Arc<_>);
    let status = Arc::new(WatchStatus::new(Arc::clone(&clock) as Arc<_>));
    let wanted = Wanted::default();
    let (stop, stopped) = watch::channel(false);
    let config = TracerConfig {
        tracked: tracked
            .iter()
            .map(|gvk| (gvk.parse().unwrap(), TrackedKind::default()))
            .collect(),
        ..TracerConfig::default()
    };
    let redaction = Redaction::new(RedactionKey::from_bytes([7; 32]), &config);
    let resume: BTreeMap<Gvk, String> = stored
        .iter()
        .map(|(gvk, version)| (gvk.parse().unwrap(), version.clone()))
        .collect();
    let plan = WatchPlan {
        config,
        redaction,
        resume,
    };
    let task = run(WatchStart {
        client: fake.client(),
        plan,
        queue: sender,
        wanted: Arc::new(wanted.clone()),
        status: Arc::clone(&status),
        stop: stopped,
    });
    Running {
        clock,
        observations,
        status,
        wanted,
        stop,
        task,
    }
}

impl Running {
    /// The next observation; it fails when nothing comes for an hour.
    async fn next(&mut self) -> Observation {
        tokio::time::timeout(Duration::from_secs(3600), self.observations.recv())
            .await
            .expect("nothing observed for an hour")
            .expect("the watches have ended")
            .observation
    }

    /// What is said of one kind, up to and with the first text that begins so. What is said of others is dropped.
    async fn until_of(&mut self, gvk: &str, text: &str) -> Vec<String> {
        let mut said = Vec::new();
        let begin = tokio::time::Instant::now();
        loop {
            let observation = self.next().await;
            assert!(
                begin.elapsed().as_secs() < 12 * 3600,
                "{text} does not come"
            );
            if observation.watch().map(Gvk::to_string).as_deref() != Some(gvk) {
                continue;
            }
            said.push(told(&observation));
            if said.last().unwrap().starts_with(text) {
                return said;
            }
            assert!(
                said.len() < 6_000,
                "{text} does not come: {:?}",
                &said[..20]
            );
        }
    }

    /// The bodies of a kind's objects, up to the first thing said of it that begins so.
    async fn bodies_until(&mut self, gvk: &str, text: &str) -> Vec<Vec<u8>> {
        let mut bodies = Vec::new();
        loop {
            let observation = self.next().await;
            if observation.watch().map(Gvk::to_string).as_deref() != Some(gvk) {
                continue;
            }
            if let Observation::Applied { item, .. } | Observation::Deleted { item, .. } =
                &observation
            {
                bodies.extend(item.object.iter().map(|object| object.body.clone()));
            }
            if told(&observation).starts_with(text) {
                return bodies;
            }
        }
    }

    /// What is said of pods, up to and with the first text that begins so.
    async fn until(&mut self, text: &str) -> Vec<String> {
        self.until_of("v1.Pod", text).await
    }

    /// What is said within some seconds.
    async fn within(&mut self, seconds: u64) -> Vec<String> {
        let end = tokio::time::Instant::now() + Duration::from_secs(seconds);
        let mut said = Vec::new();
        while let Ok(queued) = tokio::time::timeout_at(end, self.observations.recv()).await {
            said.push(told(&queued.expect("the watches have ended").observation));
        }
        said
    }

    fn state(&self, gvk: &str) -> WatchState {
        self.status.watches()[&gvk.parse().unwrap()].state.clone()
    }

    fn counters(&self, gvk: &str) -> super::WatchCounters {
        self.status.watches()[&gvk.parse().unwrap()].counters
    }
}

/// An observation in a few words.
fn told(observation: &Observation) -> String {
    let at = |version: &Option<String>| {
        version
            .as_ref()
            .map(|version| format!("@{version}"))
            .unwrap_or_default()
    };
    match observation {
        Observation::ListStarted { .. } => "started".into(),
        Observation::Applied {
            item,
            resource_version,
            ..
        } => format!("applied {}{}", name(item), at(resource_version)),
        Observation::Listed { uid, .. } => format!("listed {uid}"),
        Observation::Deleted {
            item,
            resource_version,
            ..
        } => format!("deleted {}{}", name(item), at(resource_version)),
        Observation::ListFinished {
            resource_version, ..
        } => format!("finished@{resource_version}"),
        Observation::Bookmark {
            resource_version, ..
        } => format!("bookmark@{resource_version}"),
        Observation::Blind { reason, .. } => format!("blind: {reason}"),
        Observation::Sighted { .. } => "sighted".into(),
        Observation::Ended { complete_until, .. } => format!("ended at {complete_until}"),
        Observation::Owner { uid, facts } => format!(
            "owner {uid}: {}",
            facts
                .as_ref()
                .map_or_else(|| "none".to_owned(), |facts| format!("{facts:?}"))
        ),
    }
}

fn name(item: &Item) -> &str {
    match (&item.object, &item.pod) {
        (Some(object), _) => &object.key.name,
        (None, Some(pod)) => &pod.name,
        _ => "?",
    }
}

/// Watches of a collection, not its lists.
fn watches(collection: &'static str) -> impl Fn(&str) -> bool {
    move |path: &str| path.starts_with(&format!("{collection}?watch"))
}

/// Pages of a list, not the request for the current version.
fn pages(collection: &'static str) -> impl Fn(&str) -> bool {
    move |path: &str| {
        path.starts_with(&format!("{collection}?limit=")) && !path.ends_with("?limit=1")
    }
}
