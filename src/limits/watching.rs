//! Lists, watches, owners and what is asked of the API server.

/// Items of one page of a list.
pub const LIST_PAGE_ITEMS: u32 = 500;
/// Deadline for one page of a list, seconds.
pub const LIST_PAGE_SECONDS_MAX: u64 = 60;
/// Length of one watch request, seconds: below the 240 s at which some load balancers cut idle connections.
pub const WATCH_SECONDS: u32 = 200;
/// First wait after a failed request, milliseconds.
pub const BACKOFF_MS_MIN: u64 = 500;
/// Longest wait after failed requests, milliseconds.
pub const BACKOFF_MS_MAX: u64 = 60_000;
/// How often an undecodable watch event is asked for again before it is skipped, loudly.
pub const POISONED_EVENT_TRIES_MAX: u32 = 3;
/// Owner look-ups under way at once.
pub const OWNER_LOOKUPS_MAX: usize = 8;
/// Wanted owners of one kind above which one paged list replaces single look-ups.
pub const OWNER_LOOKUPS_BEFORE_LIST: usize = 64;
/// Lists that fetch or hand over a page at once; each holds at most one page.
pub const LISTS_MAX: usize = 4;
/// The same for kinds whose last page did not come in time: they wait for each other, not the others for them.
pub const LISTS_SLOW_MAX: usize = 2;
/// Largest answer to a list request, bytes of JSON. A larger one is asked for again with fewer items.
pub const LIST_PAGE_BYTES_MAX: usize = 32 << 20;
/// Memory of a page that is kept for a later page of the list while another is on its way, bytes.
pub const LIST_SPARE_BYTES_MAX: usize = 8 << 20;
/// How often one page of a list is asked for before the list is abandoned.
pub const LIST_PAGE_TRIES_MAX: u32 = 5;
/// Longest line of a watch, bytes of JSON: an object of [`OBJECT_BYTES_MAX`](super::OBJECT_BYTES_MAX) and what normalizing drops.
pub const WATCH_LINE_BYTES_MAX: usize = 32 << 20;
/// How long frames of a watch are left to gather in the connection after some have been read, at most, milliseconds: all watches look again at
/// moments that far apart.
pub const WATCH_GATHER_MS: u64 = 100;
/// How long no frame has come before those that follow are left to gather, milliseconds.
pub const WATCH_QUIET_MS: u64 = 2;
/// How long a watch that is told to stop goes on reading, milliseconds: as late as that may come what had happened before.
pub const WATCH_LAST_MS: u64 = 250;
/// How late the end of that may be noticed, milliseconds: later, nothing is said of how complete the watch is.
pub const WATCH_LAST_LATE_MS_MAX: u64 = 50;
/// Deadline for all watches to end when they are told to, milliseconds.
pub const WATCHES_STOP_MS_MAX: u64 = 1_000;
/// Deadline for the answer to a watch request to begin, seconds.
pub const WATCH_OPEN_SECONDS_MAX: u64 = 30;
/// How long a watch may stay silent beyond the length that was asked for, seconds.
pub const WATCH_SLACK_SECONDS: u64 = 15;
/// Length of the first watch after a resume, seconds: API servers send a bookmark shortly before the end, which tells
/// early that a quiet kind has caught up. Doubled with every further one.
pub const CATCH_UP_WATCH_SECONDS: u32 = 10;
/// A watch that lasted for less than this and delivered nothing is a failure, seconds.
pub const WATCH_SECONDS_MIN: u32 = 20;
/// Watches in a row that end early without having delivered anything, before the watch counts as blind.
pub const EARLY_ENDS_BEFORE_BLIND: u32 = 3;
/// Longest wait that a server's Retry-After is followed for, seconds.
pub const RETRY_AFTER_SECONDS_MAX: u64 = 120;
/// Deadline for a small request (discovery, the current version, kube-system), seconds.
pub const REQUEST_SECONDS_MAX: u64 = 30;
/// How much of a failed request's answer is read, bytes.
pub const ERROR_BODY_BYTES_MAX: usize = 64 << 10;
/// Characters of a reason (of a failure, of a gap) that are kept.
pub const REASON_CHARS_MAX: usize = 300;
/// Largest list of the resources of a group version, bytes of JSON.
pub const DISCOVERY_BYTES_MAX: usize = 16 << 20;
/// Group versions whose resources are remembered.
pub const DISCOVERY_GROUPS_MAX: usize = 256;
/// How long owner look-ups believe what discovery said, seconds.
pub const DISCOVERY_AGE_SECONDS_MAX: u64 = 600;
/// Unknown owners asked of the store at once.
pub const OWNERS_WANTED_MAX: usize = 4_096;
/// Owners whose look-ups are remembered, for their backoff.
pub const OWNERS_ASKED_MAX: usize = 16_384;
/// Kinds of owners whose look-ups are remembered.
pub const OWNER_KINDS_MAX: usize = 256;
/// Owner look-ups of one kind under way at once: a kind that never answers leaves room for others.
pub const OWNER_LOOKUPS_PER_KIND_MAX: usize = 4;
/// Deadline for one owner look-up, seconds.
pub const OWNER_LOOKUP_SECONDS_MAX: u64 = 10;
/// Shortest time between two lists of one kind of owners, seconds.
pub const OWNER_LISTS_SECONDS_MIN: u64 = 60;
/// The same after a list in which most of what was looked for was found, seconds.
pub const OWNER_FRUITFUL_LISTS_SECONDS_MIN: u64 = 5;
/// First wait before an owner that was not found is looked for again, seconds.
pub const OWNER_GONE_SECONDS_MIN: u64 = 10;
/// Longest wait before an owner that was not found is looked for again, seconds.
pub const OWNER_GONE_SECONDS_MAX: u64 = 600;
/// Failures in a row after which a kind that was never listed no longer holds back readiness.
pub const READY_FAILURES_MIN: u32 = 5;
/// How often a recorder that starts looks whether the first lists are done, milliseconds.
pub const FIRST_LISTS_LOOK_MS: u64 = 50;
