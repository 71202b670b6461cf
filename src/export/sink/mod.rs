//! Where bytes go: a file that appears whole or not at all, a device or FIFO that is written through, or an object store.

mod file;
mod new_file;
mod object_store;
mod stream;

pub use file::{FileSink, SinkError};
pub use object_store::{InvalidLocation, StorageError, StorageLocation, StorageOptions};
