//! What can go wrong with an export.

use super::encode::sktrace::EncodeError;
use crate::model::Timestamp;
use crate::store::StoreError;

/// Why an export failed. What had been written by then is no trace.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store could not be read.
    #[error("cannot read the store")]
    Store(#[from] StoreError),
    /// The trace could not be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// Nothing has been recorded yet.
    #[error("the store holds no record yet")]
    Empty,
    /// The window lies before the record.
    #[error("the window ends at {end}, but the record begins at {record_start}")]
    BeforeRecord {
        /// End of the window.
        end: Timestamp,
        /// Where the record begins.
        record_start: Timestamp,
    },
    /// There is more than a trace file can hold (MessagePack counts to 2^32 - 1).
    #[error("the window holds more {what} than a trace file can\nhint: export a shorter window")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
    },
}
