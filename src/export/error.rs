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
    /// The system gives no thread.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
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
    /// The window begins before what retention has kept.
    #[error(
        "the window starts at {start}, but what was recorded before {horizon} has been dropped by retention\nhint: \
         start at {horizon} or later"
    )]
    BeforeHorizon {
        /// Start of the window.
        start: Timestamp,
        /// From where on the record is complete.
        horizon: Timestamp,
    },
    /// The whole window lies before what retention has kept.
    #[error(
        "nothing of the window is left: it ends at {end}, and what was recorded before {horizon} has been dropped by \
         retention\nhint: end at {horizon} or later, or look into a backup"
    )]
    NothingLeft {
        /// End of the window.
        end: Timestamp,
        /// From where on the record is complete, in whole seconds.
        horizon: Timestamp,
    },
    /// Retention dropped what the export still needed.
    #[error(
        "while the window from {start} on was being exported, retention dropped what was recorded before {horizon}\n\
         hint: export a later window, or from the recorder over HTTP, which keeps a window until it is exported"
    )]
    Dropped {
        /// Start of the window.
        start: Timestamp,
        /// From where on the record is complete.
        horizon: Timestamp,
    },
    /// There is more than a trace file can hold (MessagePack counts to 2^32 - 1).
    #[error("the window holds more {what} than a trace file can\nhint: export a shorter window")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
    },
}
