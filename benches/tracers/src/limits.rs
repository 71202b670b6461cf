//! Every bound of the benchmark, with its unit.

use std::time::Duration;

/// Longest time from a subject's start until it has listed and watches everything.
pub const SYNC_MAX: Duration = Duration::from_secs(600);
/// Longest time until everything offered is recorded.
pub const RECORD_MAX: Duration = Duration::from_secs(600);
/// Longest export.
pub const EXPORT_MAX: Duration = Duration::from_secs(600);
/// Longest small request to a subject.
pub const REQUEST_MAX: Duration = Duration::from_secs(10);
/// Longest time between SIGTERM and SIGKILL.
pub const STOP_MAX: Duration = Duration::from_secs(20);
/// How often a subject is looked at while something is waited for.
pub const POLL: Duration = Duration::from_millis(20);
/// The same where a look costs the subject something.
pub const POLL_METRICS: Duration = Duration::from_millis(100);
/// The same where a start is timed that takes milliseconds.
pub const POLL_START: Duration = Duration::from_millis(2);
/// How long a process has to use no CPU time before it counts as done.
pub const QUIET: Duration = Duration::from_millis(1_500);
/// What an object takes in a trace, bytes: no less, so that the memory for one is there before it is asked for.
pub const OBJECT_BYTES_ABOUT: usize = 2_500;
/// How long after its work a process's memory is looked at.
pub const SETTLE: Duration = Duration::from_secs(3);
/// RSS at which a subject is stopped: the machine is shared.
pub const RSS_BYTES_MAX: u64 = 10 << 30;

/// Items that are written at once of a list's page.
pub const CHUNK_ITEMS: usize = 64;
/// Length of a watch where none is asked for, seconds.
pub const WATCH_SECONDS: u64 = 290;
/// How long before its end a watch sends a bookmark.
pub const BOOKMARK_BEFORE_END: Duration = Duration::from_secs(2);
/// How often it sends one besides, as API servers do.
pub const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// Between two looks at the clock of a paced offer.
pub const PACE_TICK: Duration = Duration::from_millis(5);
