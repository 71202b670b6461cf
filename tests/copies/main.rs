//! Copies of a store: backups, plain copies of the live file, damaged ones, and what is done about them.
//!
//! Guards against the worst that a store can do: answer wrongly and say nothing. A copy that was torn while it was made,
//! or that a disk has damaged, opens without a word in most databases, and rows are missing or old. And against copies
//! that cannot be opened at all, found when the original is gone.
//!
//! `SK_TRACEDB_LONG_TESTS=1` takes as many copies as the product promises; without it fewer.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

#[path = "../support/mod.rs"]
mod support;

mod backups;
mod damage;
mod damaged;
mod foreign;
mod full;
mod live;
mod load;
mod outputs;
mod own;
mod program;
mod salvage;
mod salvage_report;
mod verify;
mod waiting;

/// How many copies a test takes.
fn copies(few: u64, many: u64) -> u64 {
    let long = std::env::var_os("SK_TRACEDB_LONG_TESTS").is_some();
    let copies = if long { many } else { few };
    println!("taking {copies} copies (SK_TRACEDB_LONG_TESTS=1 takes {many})");
    copies
}
