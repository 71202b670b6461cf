//! Where bytes go: a file that appears whole or not at all, or an object store.

mod file;
mod new_file;
mod object_store;

pub use file::{FileSink, SinkError};
pub use object_store::{InvalidLocation, StorageError, StorageLocation, StorageOptions};
