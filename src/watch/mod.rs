//! Watching a cluster: the only place with the Kubernetes client.
//!
//! [`run`] starts one task for each tracked kind and one for pods, which are always watched; [`run_on_thread`] does so on a thread
//! of their own, as a recorder does. Each task performs what
//! a `session` tells it (a pure state machine), reads raw answers (`server`, `list`, `lines`), and sends
//! [`crate::model::Observation`]s to the ingest. What goes wrong with one kind stays with it (R15): it is said to be
//! blind, logged, shown in [`WatchStatus`], and retried with a backoff for ever. One more task looks up owners that
//! the record does not know (`owners`).
//!
//! Nothing here is durable: the ingest stores each watch's version in the transaction with the rows it covers, and
//! hands it back at the next start as [`run`]'s `resume`. Memory is bounded by [`crate::limits::LISTS_MAX`] pages, as many
//! times [`crate::limits::LIST_SPARE_BYTES_MAX`], and one event for each kind.

mod ahead;
mod cluster;
mod connect;
mod decode;
mod discover;
mod kind;
mod lines;
mod list;
mod owners;
mod reason;
mod rest;
mod retry;
mod server;
mod session;
mod shared;
mod status;
#[cfg(test)]
mod tests;
mod thread;
mod version;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch::Receiver;
use tokio::task::JoinSet;

pub use cluster::cluster_id;
pub use connect::connect;
pub use kube::Client;
pub use owners::{WantedOwner, WantedOwners};
pub use server::RequestError;
pub use status::{OwnerCounters, Readiness, WatchCounters, WatchReport, WatchState, WatchStatus};
pub use thread::run_on_thread;

use self::rest::Rest;
use self::shared::Shared;
use crate::config::TracerConfig;
use crate::ingest::{Queue, QueueClosed};
use crate::limits::WATCHES_STOP_MS_MAX;
use crate::model::{Gvk, WatchId};
use crate::normalize::Redaction;

/// Why watching ended, or could not begin. What goes wrong with one kind is not among it: that is retried.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The writer has stopped, so that nothing can be recorded any more.
    #[error("watching has ended")]
    QueueClosed(#[from] QueueClosed),
    /// Neither a kubeconfig file nor a service account says where the API server is.
    #[error(
        "cannot tell where the API server is\nhint: set KUBECONFIG, or run inside a cluster with a service account"
    )]
    Config(#[source] Box<kube::Error>),
    /// It could not be found out which cluster this is.
    #[error("cannot read the kube-system namespace, whose UID identifies the cluster")]
    ClusterId(#[source] RequestError),
    /// A watch ended in a way that it never should: a bug.
    #[error("a watch has crashed")]
    Crashed(#[source] tokio::task::JoinError),
    /// The watches got no thread.
    #[error("the watches have no thread")]
    Thread(#[source] std::io::Error),
}

/// What is watched.
#[derive(Clone, Debug)]
pub struct WatchPlan {
    /// The kinds, and how they are tracked.
    pub config: TracerConfig,
    /// What goes into the observations as a digest only (S8).
    pub redaction: Redaction,
    /// The versions up to which the store knows its watches: those go on from there.
    pub resume: BTreeMap<WatchId, String>,
}

/// What watching begins with.
pub struct WatchStart {
    /// The API server, and how to authenticate to it.
    pub client: kube::Client,
    /// What is watched.
    pub plan: WatchPlan,
    /// Where observations go.
    pub queue: Queue,
    /// Which owners are looked up.
    pub wanted: Arc<dyn WantedOwners>,
    /// What the watches say of themselves.
    pub status: Arc<WatchStatus>,
    /// Becomes true when watching shall end.
    pub stop: Receiver<bool>,
}

/// Watches every tracked kind, and pods, until `stop` becomes true (or its sender is gone), or the writer stops.
///
/// Told to stop, open watches read on for [`WATCH_LAST_MS`](crate::limits::WATCH_LAST_MS), and say up to when they are complete;
/// all else is dropped. It takes [`WATCHES_STOP_MS_MAX`] at most.
///
/// # Errors
/// When the writer has stopped, or a task panicked. Never because of what the API server does.
pub async fn run(start: WatchStart) -> Result<(), WatchError> {
    run_with(start, Rest::new(false)).await
}

async fn run_with(start: WatchStart, rest: Rest) -> Result<(), WatchError> {
    let WatchStart {
        client,
        plan,
        queue,
        wanted,
        status,
        mut stop,
    } = start;
    let WatchPlan {
        config,
        redaction,
        mut resume,
    } = plan;
    let server = server::Server::new(client);
    let shared = Shared::new(server, queue, status, redaction, rest);
    let mut kinds: BTreeMap<Gvk, _> = config
        .tracked
        .into_iter()
        .map(|(gvk, tracked)| (gvk, Some(tracked)))
        .collect();
    if !kinds.keys().any(Gvk::is_pod) {
        kinds.insert(Gvk::pod(), None);
    }
    for gvk in kinds.keys() {
        shared.status.register(gvk);
    }
    let mut tasks = JoinSet::new();
    for (gvk, tracked) in kinds {
        let version = resume.remove(&gvk);
        let shared = Arc::clone(&shared);
        tasks.spawn(kind::watch(shared, gvk, tracked, version, stop.clone()));
    }
    let mut enough = stop.clone();
    tasks.spawn(async move {
        tokio::select! {
            biased;
            () = told(&mut enough) => Ok(()),
            closed = owners::resolve(shared, wanted) => Err(closed),
        }
    });

    let overdue = async {
        told(&mut stop).await;
        tokio::time::sleep(Duration::from_millis(WATCHES_STOP_MS_MAX)).await;
    };
    let outcome = tokio::select! {
        biased;
        outcome = all_ended(&mut tasks) => outcome,
        () = overdue => Ok(()),
    };
    tasks.shutdown().await;
    outcome
}

/// Waits until there is nobody who wants this to go on.
async fn told(stop: &mut Receiver<bool>) {
    // An error is a sender that is gone: nobody could stop this any more.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Waits for the tasks to end, which they do when told to; or for the first that fails.
async fn all_ended(tasks: &mut JoinSet<Result<(), QueueClosed>>) -> Result<(), WatchError> {
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(WatchError::Crashed)??;
    }
    Ok(())
}
