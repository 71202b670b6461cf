//! Guards what was acknowledged, against everything that can end or stop a recorder: power lost at any moment, a disk
//! that fails or is full, a process that is killed. Months of record are one file, and a file that cannot be opened, or
//! that opens and is wrong, takes all of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

#[path = "../support/mod.rs"]
mod support;

mod batches;
mod failing_io;
mod fake_api;
mod faulty;
mod full_disk;
mod full_volume;
mod images;
mod killed;
mod making_room;
mod migrating;
mod open_time;
