//! Waiting for what a control plane does in its own time: by asking again until a deadline, never by sleeping for a guess.

use std::time::{Duration, Instant};

/// How often a probe is asked again. A probe that takes longer than this is asked again at once.
const PROBE_INTERVAL: Duration = Duration::from_millis(25);

/// Asks `probe` until it is `Ok`, and panics after `deadline` with `what` and the last `Err`.
///
/// A single probe that hangs does not outlive the deadline either.
pub async fn eventually<T>(
    deadline: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let started = Instant::now();
    let mut last = String::from("the first look did not come back");
    loop {
        let left = deadline.saturating_sub(started.elapsed());
        match tokio::time::timeout(left, probe()).await {
            Ok(Ok(value)) => return value,
            Ok(Err(reason)) => last = reason,
            Err(_) => {}
        }
        assert!(
            started.elapsed() < deadline,
            "not within {deadline:?}: {what} (last seen: {last})"
        );
        tokio::time::sleep(PROBE_INTERVAL).await;
    }
}
