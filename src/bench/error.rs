//! Why a benchmark failed.

use std::io;

use crate::config::ConfigError;
use crate::export::ExportError;
use crate::export::sink::SinkError;
use crate::import::sktrace::TraceError;
use crate::normalize::NormalizeError;
use crate::store::StoreError;

/// Why a benchmark failed.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The options contradict each other or what was found.
    #[error("{0}")]
    Options(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The export failed.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The trace file could not be written.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The exported file is no trace.
    #[error("the exported trace")]
    Trace(#[from] TraceError),
    /// The workload's config is none: a bug.
    #[error("the workload's config")]
    Config(#[from] ConfigError),
    /// An object of the workload is none: a bug.
    #[error("an object of the workload")]
    Object(#[from] NormalizeError),
    /// Something that belongs to the benchmark itself failed.
    #[error("{what}")]
    Io {
        /// What was being done.
        what: String,
        /// The cause.
        source: io::Error,
    },
    /// A process of ours that was to measure something failed.
    #[error("the process that was to {what} failed: {message}")]
    Worker {
        /// What it was to do.
        what: &'static str,
        /// What it said.
        message: String,
    },
    /// What was measured did something else than it should have: its time is worth nothing.
    #[error("{what}: {found} instead of {expected}")]
    Wrong {
        /// What was counted.
        what: &'static str,
        /// What there should have been.
        expected: u64,
        /// What there was.
        found: u64,
    },
    /// The audience asked to stop.
    #[error("stopped before it was done")]
    Stopped,
}

impl BenchError {
    /// Says what was being done when the system failed.
    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// Checks a count.
    ///
    /// # Errors
    /// [`BenchError::Wrong`].
    pub(super) fn unless_equal(
        what: &'static str,
        expected: u64,
        found: u64,
    ) -> Result<(), BenchError> {
        if expected == found {
            return Ok(());
        }
        Err(Self::Wrong {
            what,
            expected,
            found,
        })
    }
}
