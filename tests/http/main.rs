//! The HTTP server against real stores, over real sockets.
//!
//! Guards against what an operator would find out last: a trace that broke off and looks whole, an upload that left
//! half of itself behind, a client that occupies the recorder for ever, and a door that was thought to be closed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod access;
mod backups;
mod exports;
mod fake_s3;
mod limits;
mod probes;
mod record;
mod running;
mod shutdown;
mod slow_reader;
mod storage;
