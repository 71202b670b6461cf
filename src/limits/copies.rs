//! Copies of the live file, backups, checks and salvage.

/// How long the check of a copy may take before people are told of it, milliseconds.
pub const CHECK_UNTOLD_MS_MAX: u64 = 1_000;
/// Time between two looks whether somebody has opened the FIFO that an output is written to, milliseconds.
pub const FIFO_POLL_MS: u64 = 20;
/// Rows between two reports of how far a copy or a check has come.
pub const PROGRESS_ROWS: u64 = 4_096;
/// Bytes of rows in one transaction of a backup.
pub const BACKUP_COMMIT_BYTES: usize = 32 << 20;
/// Page cache of the file that a backup writes, bytes.
pub const BACKUP_CACHE_BYTES: usize = 32 << 20;
/// Findings that one verification lists; more are counted.
pub const VERIFY_FINDINGS_MAX: usize = 1_000;
/// Longest leaf page that a salvage reads, bytes: a row of [`OBJECT_BYTES_MAX`](super::OBJECT_BYTES_MAX) and its neighbours.
pub const SALVAGE_LEAF_BYTES_MAX: usize = 64 << 20;
/// Rows that a salvage writes in one transaction.
pub const SALVAGE_ROWS_PER_COMMIT: usize = 16_384;
/// Stretches of lost changes that a salvage lists; more are counted.
pub const SALVAGE_LOST_MAX: usize = 1_000;
/// How long the pages of a commit are kept for copies of the live file by default, seconds.
pub const COPY_GRACE_SECONDS: u64 = 60;
/// Longest copy grace, seconds: whatever is pinned so long makes the file grow.
pub const COPY_GRACE_SECONDS_MAX: u64 = 3_600;
/// Pins (read transactions) within one copy grace: a new one every grace / (this - 1), and not more often than
/// [`COPY_PIN_MS_MIN`].
pub const COPY_PINS_MAX: usize = 13;
/// Shortest time between two pins, milliseconds.
pub const COPY_PIN_MS_MIN: u64 = 100;
/// Longest time between two looks whether there is room for the pins, milliseconds.
pub const COPY_LOOK_MS_MAX: u64 = 1_000;
/// Free space of the volume below which pins are given up, bytes, and
pub const COPY_GRACE_FREE_BYTES_MIN: u64 = 512 << 20;
/// the share of the volume, in percent, below which they are given up too.
pub const COPY_GRACE_FREE_PERCENT_MIN: u64 = 2;
/// Growth of the file during the life of the oldest pin at which all pins are given up: so many times what it was then,
pub const COPY_GRACE_GROWTH_MAX: u64 = 1;
/// and this at least, bytes.
pub const COPY_GRACE_GROWTH_BYTES_MIN: u64 = 2 << 30;
