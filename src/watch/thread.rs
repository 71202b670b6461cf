//! The watches on a thread of their own.

use std::sync::Arc;

use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::sync::watch::Receiver;

use super::rest::Rest;
use super::{WantedOwners, WatchError, WatchPlan, WatchStatus, run_with};
use crate::ingest::Queue;

/// [`run`](super::run), on a thread of its own, which sleeps while changes gather in the connections.
///
/// A change goes through three tasks (the connection's, the watch's, the client's); on one thread that wakes nobody. The
/// connections that the client has already should not be in its pool: they would be served by whoever opened them. Dropping the
/// future ends the thread, at its next rest at the latest.
///
/// # Errors
/// Those of [`run`](super::run); and [`WatchError::Thread`].
pub async fn run_on_thread(
    client: kube::Client,
    plan: WatchPlan,
    queue: Queue,
    wanted: Arc<dyn WantedOwners>,
    status: Arc<WatchStatus>,
    stop: Receiver<bool>,
) -> Result<(), WatchError> {
    let (mut sender, ended) = oneshot::channel();
    // One fault of the system, at one place: there is no thread, or no runtime for it.
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(WatchError::Thread)?;
    std::thread::Builder::new()
        .name("watches".to_owned())
        .spawn(move || {
            let outcome = runtime.block_on(async {
                let rest = Rest::new(true);
                // A task, so that a panic is told of like that of any other.
                let watching =
                    tokio::spawn(run_with(client, plan, queue, wanted, status, stop, rest));
                tokio::select! {
                    biased;
                    () = sender.closed() => None,
                    outcome = watching => Some(outcome),
                }
            });
            // Connections end with their runtime, and what is queued has no sender any more.
            drop(runtime);
            if let Some(outcome) = outcome {
                let _ = sender.send(outcome);
            }
        })
        .map_err(WatchError::Thread)?;
    match ended.await {
        Ok(outcome) => outcome.map_err(WatchError::Crashed)?,
        Err(_) => Err(WatchError::Thread(std::io::Error::other(
            "it ended without a word; this is a bug",
        ))),
    }
}
