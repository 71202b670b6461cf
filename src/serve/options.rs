//! How to serve.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::export::sink::StorageOptions;
use crate::limits::{
    HTTP_CONNECTIONS_MAX, HTTP_EXPORTS_MAX, HTTP_HEAD_SECONDS_MAX, HTTP_REQUEST_SECONDS_MAX,
    HTTP_STALL_SECONDS_MAX,
};

/// How to serve. [`ServeOptions::new`] has the defaults: no token, no place in an object store allowed.
#[derive(Clone)]
pub struct ServeOptions {
    /// Address to listen on; port 0: any that is free.
    pub bind: SocketAddr,
    /// Bearer token that everything asks for except `/healthz`, `/livez` and `/readyz`; `None`: nothing asks for one.
    pub token: Option<String>,
    /// The places in object stores that exports may be written to: `s3://bucket/folder` allows that folder and what is
    /// below it. Empty: none (S7).
    pub allowed_export_locations: Vec<Url>,
    /// How object stores are reached.
    pub storage: StorageOptions,
    /// Where backups are made before they are sent: each takes as much room as the data.
    pub temp_dir: PathBuf,
    /// How long requests under way may take once the server is told to stop.
    pub grace: Duration,
    /// Connections open at once; more wait until one is closed.
    pub connections_max: usize,
    /// Exports under way at once; more are sent away with 429.
    pub exports_max: usize,
    /// Longest wait for the head of a request; also how long a connection may stay idle.
    pub head_timeout: Duration,
    /// Longest wait for the body of a request.
    pub request_timeout: Duration,
    /// Longest time in which a client takes nothing of what is ready for it.
    pub stall_timeout: Duration,
}

impl ServeOptions {
    /// The defaults, on this address.
    pub fn new(bind: SocketAddr) -> Self {
        Self {
            bind,
            token: None,
            allowed_export_locations: Vec::new(),
            storage: StorageOptions::default(),
            temp_dir: std::env::temp_dir(),
            grace: Duration::from_secs(20),
            connections_max: HTTP_CONNECTIONS_MAX,
            exports_max: HTTP_EXPORTS_MAX,
            head_timeout: Duration::from_secs(HTTP_HEAD_SECONDS_MAX),
            request_timeout: Duration::from_secs(HTTP_REQUEST_SECONDS_MAX),
            stall_timeout: Duration::from_secs(HTTP_STALL_SECONDS_MAX),
        }
    }
}

impl fmt::Debug for ServeOptions {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let locations: Vec<_> = self
            .allowed_export_locations
            .iter()
            .map(Url::as_str)
            .collect();
        f.debug_struct("ServeOptions")
            .field("bind", &self.bind)
            .field("token", &self.token.as_ref().map(|_| "(set)"))
            .field("allowed_export_locations", &locations)
            .field("storage", &self.storage)
            .field("temp_dir", &self.temp_dir)
            .field("grace", &self.grace)
            .finish_non_exhaustive()
    }
}
