//! What is dropped, when, and how much of it at once.

use super::recording::{BATCH_AGE_MS_MAX, BATCH_OBSERVATIONS_MAX};

/// UIDs of owners that are touched while unused ones are looked for, above which the search begins anew.
pub const SWEEP_TOUCHED_MAX: usize = 65_536;
/// Of what a store's file could grow to on its volume, how much it may take by default, percent.
pub const VOLUME_SHARE_PERCENT_MAX: u32 = 80;
/// Smallest size limit of a file, bytes: one batch and what commits need besides must fit.
pub const RETENTION_SIZE_BYTES_MIN: u64 = 16 << 20;
/// Room between a file that counts as full and its limit, bytes, at least and at most; else an eighth of the limit. It
/// takes what one batch writes before anything is dropped for it.
pub const SIZE_HEADROOM_BYTES_MIN: u64 = 4 << 20;
/// See [`SIZE_HEADROOM_BYTES_MIN`].
pub const SIZE_HEADROOM_BYTES_MAX: u64 = 1 << 30;
/// What a full file may have in use, percent: the rest is for rows that were dropped and whose chunks have not been made
/// anew, and for pages that are kept for copies.
pub const SIZE_USED_PERCENT: u32 = 70;
/// How long a file grows in its last room before it is cut at once, seconds: pins are given up before that.
pub const SIZE_GROWING_SECONDS: i64 = 15;
/// Time between two walks over a full store, seconds, at least, and
pub const SIZE_MEASURE_SECONDS_MIN: i64 = 30;
/// so many times what a walk takes.
pub const SIZE_MEASURE_SHARE: u32 = 50;
/// How long packing waits when the file begins to grow in its last room, seconds: more than the time between two looks at the
/// pins, up to a grace of a minute.
pub const PACKING_HELD_SECONDS: i64 = 10;
/// Rows dropped after which chunks are made anew for the room, at least.
pub const PACK_DROPPED_MIN: u64 = 256;
/// Files up to this size are measured at once, bytes: a walk over them takes less than a piece of retention may.
pub const SIZE_MEASURE_AT_ONCE_BYTES_MAX: u64 = 64 << 20;
/// Changes dropped after which chunks are made anew for the room: one in so many of what is kept.
pub const PACK_DROPPED_PARTS: u64 = 8;
/// What is kept as long as the file has room, seconds; and
pub const SIZE_KEEPS_SECONDS_MIN: i64 = 60;
/// what is kept whatever the size, seconds.
pub const SIZE_KEEPS_SECONDS_PRESSED: i64 = 10;
/// By size, the horizon moves at once by at most this part of what is kept, even where nothing changed.
pub const SIZE_STRIDES: i64 = 16;
/// Pieces that retention drops at once when the volume is full.
pub const ROOM_PIECES_MAX: usize = 16;
/// Rows that one of them drops where more of them found no room.
pub const ROOM_ROWS_MIN: usize = 4;
/// By age, the horizon moves in so many steps for the whole age ...
pub const AGE_STEPS: i64 = 64;
/// ... each of at most so many seconds.
pub const AGE_STEP_SECONDS_MAX: i64 = 60;
/// Time that retention works on one piece, milliseconds, its commit aside.
pub const RETENTION_WORK_MS_MAX: u64 = 10;
/// The same while the file is about to reach its limit, milliseconds.
pub const RETENTION_WORK_MS_PRESSED: u64 = 20;
/// Observations in one write transaction while the file is about to reach its limit: half as many as the last piece dropped,
/// at most
pub const BATCH_OBSERVATIONS_PRESSED: usize = 1_024;
/// and at least.
pub const BATCH_OBSERVATIONS_PRESSED_MIN: usize = 64;
/// How long nothing must have come before a piece of retention gets a commit of its own, milliseconds.
pub const RETENTION_SILENCE_MS_MIN: u64 = 50;
/// Time that one piece of retention may hold back a commit, milliseconds: pieces that take longer become smaller.
pub const RETENTION_PIECE_MS_MAX: u64 = 40;
/// Rows that one piece of retention reads or drops, at least.
pub const RETENTION_ROWS_MIN: usize = 64;
/// Rows that one piece of retention reads or drops, at most: several times what a batch adds.
pub const RETENTION_ROWS_MAX: usize = 16_384;
/// Changes or rows that retention drops before it looks at the time, to begin with.
pub const RETENTION_STRIDE_ROWS: usize = 64;
/// Least part of a stride for which there must be time: less is left to the next piece.
pub const RETENTION_STRIDES_MIN: f64 = 0.25;
/// Memory of the marks of a sweep before they go to a temporary file, bytes: what is written to it at once takes a few
/// milliseconds.
pub const SWEEP_MARKS_BYTES_MAX: usize = 256 << 10;
/// Share of the writer's time that retention may take, percent.
pub const RETENTION_SHARE_PERCENT: u32 = 20;
/// The same while the file is about to reach its limit, percent.
pub const RETENTION_SHARE_PERCENT_PRESSED: u32 = 100;
/// How often a store is measured and cut until it fits into a size given by hand.
pub const SIZE_ROUNDS_MAX: u32 = 16;
/// Time whose unused share retention may take later, milliseconds.
pub const SHARE_MEMORY_MS: i64 = 1_000;
/// How often retention looks whether there is something to do, milliseconds.
pub const RETENTION_IDLE_MS: u64 = 1_000;
/// Unused lifecycles and owners are looked for when this part of all changes has been dropped since ...
pub const SWEEP_PARTS: u64 = 16;
/// ... and so many changes at least, or when the horizon has moved by this part of what is kept, and by so many seconds at
/// least.
pub const SWEEP_CHANGES_MIN: u64 = 4_096;
/// See [`SWEEP_CHANGES_MIN`].
pub const SWEEP_SECONDS_MIN: i64 = 60;
const _: () = assert!(
    RETENTION_WORK_MS_MAX <= RETENTION_WORK_MS_PRESSED
        && RETENTION_WORK_MS_PRESSED < RETENTION_PIECE_MS_MAX
        && RETENTION_PIECE_MS_MAX <= BATCH_AGE_MS_MAX
        && BATCH_OBSERVATIONS_PRESSED <= BATCH_OBSERVATIONS_MAX,
    "retention must not hold back a commit for longer than a batch waits"
);
