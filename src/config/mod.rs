//! What is tracked: the tracer config, in SimKube's format.

mod entry;
mod error;
mod tracer;
mod yaml;

pub use error::ConfigError;
pub use tracer::{ChangeScope, TracerConfig, TrackedKind};
