//! Every bound of this crate, with its unit, in one place.

/// Deepest nesting accepted in an object, a trace file or a config.
pub const NESTING_DEPTH_MAX: usize = 128;
/// Largest single object accepted, as MessagePack. etcd's own default limit is 1.5 MiB.
pub const OBJECT_BYTES_MAX: usize = 16 << 20;
/// Longest string accepted as a name, namespace, kind or UID. Kubernetes allows 253.
pub const NAME_BYTES_MAX: usize = 1024;

/// Observations that may wait between the watches and the writer.
pub const QUEUE_OBSERVATIONS_MAX: usize = 4_096;
/// Bytes that may wait between the watches and the writer.
pub const QUEUE_BYTES_MAX: usize = 32 << 20;
/// Observations in one write transaction.
pub const BATCH_OBSERVATIONS_MAX: usize = 4_096;
/// Bytes of bodies in one write transaction.
pub const BATCH_BYTES_MAX: usize = 16 << 20;
/// Longest time that an observation waits for others to share its commit, milliseconds.
pub const BATCH_AGE_MS_MAX: u64 = 50;

/// Page cache of the recorder's own database, bytes.
pub const WRITER_CACHE_BYTES: usize = 48 << 20;
/// Page cache of a database opened for reading, bytes. One-pass scans are fastest with a small cache.
pub const READER_CACHE_BYTES: usize = 8 << 20;

/// Objects in one event of a trace, the first (the start state) excepted.
pub const TRACE_EVENT_OBJECTS_MAX: usize = 1_024;
/// Bytes of objects in one event of a trace, the first excepted.
pub const TRACE_EVENT_BYTES_MAX: usize = 4 << 20;
/// Memory of one ordered scratch set before it goes to a temporary file, bytes.
pub const SCRATCH_BYTES_MAX: usize = 8 << 20;
/// Longest life of one read transaction of an export's stream pass, milliseconds.
pub const READ_TXN_MS_MAX: u64 = 2_000;

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

/// Rows of an epoch before a new one may begin (see `ingest::apply::epochs`).
pub const EPOCH_ROWS_MIN: u64 = 16_384;
/// How many times the rows that an epoch began with it has to hold before a new one begins.
pub const EPOCH_GROWTH: u64 = 3;
/// Gaps listed in the summary of an export.
pub const GAPS_REPORTED_MAX: usize = 1_000;
/// TEMP
pub const TRACE_NAME_BYTES_MAX: usize = 4_096;

/// Largest body of a request over HTTP, bytes: Rocket's own limit for JSON, under which sk-tracer runs.
pub const HTTP_REQUEST_BYTES_MAX: usize = 1 << 20;
/// Largest head (request line and headers) of a request over HTTP, bytes.
pub const HTTP_HEAD_BYTES_MAX: usize = 64 << 10;
/// Longest wait for the head of a request, from the moment the connection could carry one, seconds.
pub const HTTP_HEAD_SECONDS_MAX: u64 = 15;
/// Longest wait for the body of a request, seconds.
pub const HTTP_REQUEST_SECONDS_MAX: u64 = 30;
/// Longest time in which a client takes not one byte of what is ready for it, seconds.
pub const HTTP_STALL_SECONDS_MAX: u64 = 120;
/// Connections open at once; further ones wait in the system's backlog.
pub const HTTP_CONNECTIONS_MAX: usize = 256;
/// First wait after the system gave no connection (out of file descriptors), milliseconds.
pub const HTTP_ACCEPT_RETRY_MS: u64 = 100;
/// Exports under way at once over HTTP.
pub const HTTP_EXPORTS_MAX: usize = 4;
/// When a client that was sent away should come again, seconds.
pub const HTTP_RETRY_AFTER_SECONDS: u64 = 10;
/// Warnings about one export in headers of its response.
pub const HTTP_WARNINGS_MAX: usize = 8;
/// Longest header value that carries a warning, bytes.
pub const HTTP_WARNING_BYTES_MAX: usize = 512;
/// One piece of a streamed export, bytes.
pub const EXPORT_CHUNK_BYTES: usize = 256 << 10;
/// Pieces of a streamed export that wait for the receiver.
pub const EXPORT_CHUNKS_QUEUED_MAX: usize = 4;

/// One part of an upload to an object store, bytes. S3 takes 10,000 of them, each of 5 MiB at least.
pub const STORAGE_PART_BYTES: usize = 8 << 20;
/// Parts of one upload under way at once.
pub const STORAGE_PARTS_UNDER_WAY_MAX: usize = 2;
/// How often a request to an object store is sent again.
pub const STORAGE_RETRIES_MAX: usize = 5;
/// How long after its first try a request to an object store may be sent again, seconds.
pub const STORAGE_RETRY_SECONDS_MAX: u64 = 60;
/// Longest wait for an object store to forget an unfinished upload, seconds.
pub const STORAGE_ABORT_SECONDS_MAX: u64 = 10;
const _: () = assert!(STORAGE_PART_BYTES >= 5 << 20 && STORAGE_PARTS_UNDER_WAY_MAX >= 1);
