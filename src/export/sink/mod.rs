//! Where bytes go: a file that appears whole or not at all, or an object store.

mod file;

pub use file::{FileSink, SinkError};
