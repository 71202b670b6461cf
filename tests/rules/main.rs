//! Guards the record itself: a trace that leaves out a pod, shows an object that was long gone, or cannot tell what it
//! did not see is worse than no trace, because somebody will size a cluster by it. One module a theme; each test plays
//! what watches see, restarts included, and judges by what comes out: decoded traces, states, histories, gaps.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

#[path = "../support/mod.rs"]
mod support;

mod changes;
mod closing;
mod config;
mod copies;
mod downtime;
mod durability;
mod epochs;
mod export_order;
mod filters;
mod gaps;
mod identity;
mod lists;
mod outputs;
mod owners;
mod pods;
mod secrets;
mod snapshot;
mod time;
