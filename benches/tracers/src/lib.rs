//! sk-tracedb beside SimKube's sk-tracer, the in-memory recorder that it replaces. Both run as processes, with the same
//! config file, and record from the same scripted API server, which runs in this process: its memory is not theirs.
//!
//! ```text
//! content (what the cluster holds, what will happen in it) -> api (HTTP) -> subject (a process)
//!                                                              |               | /proc, its HTTP server
//!                                                              +--- runs <-----+ --> results
//! ```
//!
//! Nothing is taken on trust: a run fails where a subject's trace does not hold the changes that the server delivered.

#![allow(
    missing_docs,
    clippy::missing_errors_doc,
    reason = "a benchmark, not a library"
)]

pub mod api;
pub mod content;
pub mod http;
pub mod lean;
pub mod limits;
pub mod proc_stat;
pub mod results;
pub mod runs;
pub mod subject;
pub mod trace;
