//! What is tracked: the tracer config, in SimKube's format.

mod tracer;

pub use tracer::{ConfigError, TracerConfig, TrackedKind};
