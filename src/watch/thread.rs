//! The watches on a thread of their own.

use tokio::runtime::Builder;
use tokio::sync::oneshot;

use super::rest::Rest;
use super::{WatchError, WatchStart, run_with};

/// [`run`](super::run), on a thread of its own, which sleeps while changes gather in the connections.
///
/// A change goes through two tasks, the connection's and the watch's; on one thread that wakes nobody. The connections that the
/// client has already should not be in its pool: they would be served by whoever opened them. Dropping the future ends the
/// thread, after the rest that it may be taking.
///
/// # Errors
/// Those of [`run`](super::run); and [`WatchError::Thread`].
pub async fn run_on_thread(start: WatchStart) -> Result<(), WatchError> {
    let (mut sender, ended) = oneshot::channel();
    std::thread::Builder::new()
        .name("watches".to_owned())
        .spawn(move || {
            let runtime = match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => {
                    let _ = sender.send(Err(WatchError::Thread(error)));
                    return;
                }
            };
            let outcome = runtime.block_on(async {
                // A task, so that a panic is told of like that of any other.
                let watching = tokio::spawn(run_with(start, Rest::new(true)));
                tokio::select! {
                    biased;
                    () = sender.closed() => None,
                    outcome = watching => Some(outcome.map_err(WatchError::Crashed).flatten()),
                }
            });
            // Ends all tasks, so that the queue has no sender any more. A look-up of a name, or a program that fetches a token, may
            // hang for long: nobody waits for those.
            runtime.shutdown_background();
            if let Some(outcome) = outcome {
                let _ = sender.send(outcome);
            }
        })
        .map_err(WatchError::Thread)?;
    match ended.await {
        Ok(outcome) => outcome,
        Err(_) => Err(WatchError::Thread(std::io::Error::other(
            "it ended without a word; this is a bug",
        ))),
    }
}
