//! The queue, batches, pauses, and what the writer remembers.

/// Observations that may wait between the watches and the writer.
pub const QUEUE_OBSERVATIONS_MAX: usize = 4_096;
/// Bytes that may wait between the watches and the writer.
pub const QUEUE_BYTES_MAX: usize = 32 << 20;
/// Observations in one write transaction.
pub const BATCH_OBSERVATIONS_MAX: usize = 4_096;
/// Bytes of bodies in one write transaction.
pub const BATCH_BYTES_MAX: usize = 16 << 20;
/// Longest time that an observation waits for others to share its commit, milliseconds: since it was queued.
pub const BATCH_AGE_MS_MAX: u64 = 60;
/// The same while few come, milliseconds: a commit costs twenty pages however few are in it.
pub const BATCH_AGE_MS_QUIET: u64 = 400;
/// Observations from which on a batch is no longer few.
pub const BATCH_OBSERVATIONS_QUIET: usize = 64;
/// First wait before a write that the storage failed is tried again, milliseconds.
pub const WRITE_RETRY_MS_MIN: u64 = 500;
/// Longest wait before a write that the storage failed is tried again, milliseconds.
pub const WRITE_RETRY_MS_MAX: u64 = 15_000;
/// How often a paused writer looks whether it is told to stop, milliseconds.
pub const PAUSE_POLL_MS: u64 = 50;
/// How often a paused writer says so in the log, seconds.
pub const PAUSE_LOG_SECONDS: u64 = 60;
/// Size of the reserve file, which is given up when the disk is full, bytes. Deleting rows takes a fraction of it.
pub const RESERVE_BYTES: u64 = 4 << 20;
/// Time between two tries to make the reserve file again, seconds.
pub const RESERVE_RETRY_SECONDS: u64 = 60;
/// Page cache of the recorder's own database, bytes.
pub const WRITER_CACHE_BYTES: usize = 16 << 20;
/// Pod specs whose hash a watch remembers, and as many older ones; about 200 bytes each.
pub const POD_SPECS_KNOWN_MAX: usize = 4_096;
/// Rows of an epoch before a new one may begin (see `ingest::apply::epochs`).
pub const EPOCH_ROWS_MIN: u64 = 16_384;
/// How many times the rows that an epoch began with it has to hold before a new one begins.
pub const EPOCH_GROWTH: u64 = 3;
/// Rows of the current epoch that one transaction looks at for the next one, if there is time for them,
pub const EPOCH_PIECE_ROWS_MAX: usize = 4_096;
/// and at least so many for each row that it adds to the current one.
pub const EPOCH_LOOKS_PER_ROW: usize = 4;
/// Rows that are looked at for the next epoch between two looks at the time.
pub const EPOCH_STRIDE_ROWS: usize = 64;
/// Objects of which the writer remembers where their last version stands: 200 bytes each.
pub const HEADS_MAX: usize = 65_536;
/// Last versions of objects that the writer remembers whole, bytes.
pub const HEAD_BODIES_BYTES_MAX: usize = 24 << 20;
/// Objects whose rows the writer remembers, 150 bytes each.
pub const KNOWN_OBJECTS_MAX: usize = 65_536;
/// Pods whose lifecycles the writer remembers, 600 bytes each.
pub const KNOWN_PODS_MAX: usize = 32_768;
/// Owners whose rows the writer remembers, 16 bytes each and as much again.
pub const KNOWN_OWNERS_MAX: usize = 65_536;
/// Characters of the reasons that are stored with a gap: some of those that a watch gives (`REASON_CHARS_MAX`).
pub const GAP_REASON_CHARS_MAX: usize = 500;
