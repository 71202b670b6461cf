//! Why a server does not start.

use std::net::SocketAddr;

use crate::export::sink::InvalidLocation;

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be used.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address as given.
        address: SocketAddr,
        /// The cause.
        source: std::io::Error,
    },
    /// The bearer token is empty, or could not be sent in a header.
    #[error(
        "the bearer token must be visible ASCII characters, at least one\nhint: `openssl rand -hex 32` makes a good one"
    )]
    Token,
    /// An allowed place for exports is none.
    #[error("exports cannot be allowed to a place that is none")]
    Location(#[from] InvalidLocation),
}
