//! The HTTP server, and object storage that exports go to.

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
pub const HTTP_CONNECTIONS_MAX: usize = 128;
/// First wait after the system gave no connection (out of file descriptors), milliseconds.
pub const HTTP_ACCEPT_RETRY_MS: u64 = 100;
/// Exports under way at once over HTTP.
pub const HTTP_EXPORTS_MAX: usize = 4;
/// When a client that was sent away should come again, seconds.
pub const HTTP_RETRY_AFTER_SECONDS: u64 = 10;
/// Warnings about one export in headers of its response.
pub const HTTP_WARNINGS_MAX: usize = 8;
/// Longest header value that carries a warning, bytes: a gap with all its reasons.
pub const HTTP_WARNING_BYTES_MAX: usize = 640;
/// One piece of a backup or an upload, bytes; a client gets the sheets of an export as they are.
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
/// Backups under way at once over HTTP: each takes the room of a copy.
pub const HTTP_BACKUPS_MAX: usize = 1;
