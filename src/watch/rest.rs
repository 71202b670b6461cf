//! When watches do not look at their connections: what comes meanwhile gathers there, and is read together.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::limits::WATCH_GATHER_MS;

/// The rests that the watches of a run take, all until the same moments, [`WATCH_GATHER_MS`] apart: so they wake up together.
///
/// Where they have a thread of their own, the thread sleeps as soon as nobody on it has anything to do. A timer would not do: the thread
/// would still be woken by whatever arrives at any connection, to find that nobody wants it yet.
pub(super) struct Rest {
    since: Instant,
    has_thread: bool,
    /// Tasks on the thread that may have something to do.
    members: AtomicUsize,
    /// How many of them have not: they wait for what arrives.
    idle: AtomicUsize,
}

/// Something that is counted as long as this is there.
pub(super) struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn count(counter: &AtomicUsize) -> Counted<'_> {
    counter.fetch_add(1, Ordering::Relaxed);
    Counted(counter)
}

impl Rest {
    /// `has_thread`: all members run on one thread, which nobody else is served by.
    pub(super) fn new(has_thread: bool) -> Self {
        Self {
            since: Instant::now(),
            has_thread,
            members: AtomicUsize::new(0),
            idle: AtomicUsize::new(0),
        }
    }

    /// As long as this is there, the thread does not sleep unless its task [waits](Self::wait).
    pub(super) fn join(&self) -> Counted<'_> {
        count(&self.members)
    }

    /// A member waits for what arrives, and for nothing else.
    pub(super) fn wait(&self) -> Counted<'_> {
        count(&self.idle)
    }

    /// Whether no member has anything to do.
    pub(super) fn all_wait(&self) -> bool {
        self.idle.load(Ordering::Relaxed) >= self.members.load(Ordering::Relaxed)
    }

    /// Rests until the next moment at which all wake up. Whoever takes one waits.
    pub(super) async fn take(&self) {
        let end = self.end(Instant::now());
        if self.has_thread && self.all_wait() {
            // `block_in_place` and the like would keep the runtime going, which is what shall not be.
            std::thread::sleep(end.saturating_duration_since(Instant::now()));
        } else {
            sleep_until(end).await;
        }
    }

    fn end(&self, now: Instant) -> Instant {
        let period = Duration::from_millis(WATCH_GATHER_MS).as_nanos();
        let gone = now.saturating_duration_since(self.since).as_nanos() % period;
        // Less than a period.
        now + Duration::from_nanos(u64::try_from(period - gone).unwrap_or_default())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    //! Guards against a thread that sleeps although somebody has something to do, and watches that wake up one by one.

    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    /// Whether the thread sleeps when a rest is taken: then it is over at the first poll.
    async fn sleeps(rest: &Rest) -> bool {
        let mut taking = pin!(rest.take());
        std::future::poll_fn(|context| Poll::Ready(taking.as_mut().poll(context).is_ready())).await
    }

    #[tokio::test]
    async fn the_thread_sleeps_only_when_all_wait() {
        let rest = Rest::new(true);
        let (_watch, _other) = (rest.join(), rest.join());
        let _waits = rest.wait();
        assert!(!sleeps(&rest).await, "one of two has something to do");
        let other_waits = rest.wait();
        assert!(sleeps(&rest).await);
        drop(other_waits);
        assert!(!sleeps(&rest).await, "it has something to do again");

        let shared = Rest::new(false);
        assert!(!sleeps(&shared).await, "the thread serves others");
    }

    #[tokio::test(start_paused = true)]
    async fn rests_end_together() {
        let rest = Rest::new(false);
        let begin = Instant::now();
        let ends = async |ms: u64| {
            sleep_until(begin + Duration::from_millis(ms)).await;
            rest.take().await;
            begin.elapsed().as_millis()
        };
        assert_eq!(
            futures::join!(ends(0), ends(1), ends(99), ends(100), ends(101), ends(250)),
            (100, 100, 100, 200, 200, 300)
        );
    }
}
