//! Which schema version a file has, for those who want to know it before they open it for writing.

use std::path::Path;

use super::{StoreError, reader, recognize};

/// The schema version of a store, which is not changed by looking.
///
/// # Errors
/// [`StoreError::Missing`], [`StoreError::NotAStore`], [`StoreError::DamagedFile`], or what the file system says.
pub fn schema_version(path: impl AsRef<Path>) -> Result<u32, StoreError> {
    let path = path.as_ref();
    recognize::check_magic(path)?;
    Ok(reader::peek(path)?.schema)
}
