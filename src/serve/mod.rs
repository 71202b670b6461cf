//! The recorder over HTTP: SimKube's export, health, readiness and metrics.
//!
//! [`Server::bind`] takes the address, [`Server::run`] answers until it is told to stop. `connection` bounds what one
//! client can hold on to; `routes` says who may ask for what; `export_request` reads what SimKube's client sends;
//! `export` answers it: a blocking thread writes the trace into `trace_stream`, at the other end of which is the
//! response's body or an upload. `status` is what readiness and metrics need to know of a recorder; how it
//! is put together is none of this room's business. `export_slots` counts and bounds the exports.
//!
//! A trace over HTTP is whole when the response is complete: whatever goes wrong after the first byte breaks the
//! connection off.

mod access;
mod backup;
mod connection;
mod error;
mod export;
mod export_request;
mod export_slots;
mod export_warnings;
mod health;
mod metrics;
mod options;
mod paced_io;
mod refusal;
mod routes;
mod server;
mod status;
mod trace_stream;

pub use error::ServeError;
pub use options::ServeOptions;
pub use server::{Server, serve};
pub use status::{Readiness, RecorderStatus};

/// How the body of an export request is refused, status and text; `None` where it is understood.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn export_request_refusal(body: &[u8]) -> Option<(u16, String)> {
    let refusal = export_request::parse(body).err()?;
    Some((refusal.status.as_u16(), refusal.text))
}
