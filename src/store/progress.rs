//! How far long work has come.

use super::StoreError;
use crate::limits::PROGRESS_ROWS;

/// How far long work has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub work: &'static str,
    /// Rows done.
    pub done: u64,
    /// Rows there are; 0 where that is not known.
    pub total: u64,
}

/// Is told how far the work has come, and says whether it shall go on.
pub(super) type GoOn<'a> = &'a mut dyn FnMut(Progress) -> bool;

/// Counts rows and reports from time to time.
pub(super) struct Counter<'a> {
    pub(super) go_on: GoOn<'a>,
    progress: Progress,
}

impl<'a> Counter<'a> {
    pub(super) fn new(go_on: GoOn<'a>) -> Self {
        Self {
            go_on,
            progress: Progress {
                work: "",
                done: 0,
                total: 0,
            },
        }
    }

    /// Begins a piece of work of so many rows.
    ///
    /// # Errors
    /// [`StoreError::Stopped`].
    pub(super) fn begin(&mut self, work: &'static str, total: u64) -> Result<(), StoreError> {
        self.progress = Progress {
            work,
            done: 0,
            total,
        };
        self.report()
    }

    /// One row is done.
    ///
    /// # Errors
    /// [`StoreError::Stopped`].
    pub(super) fn row(&mut self) -> Result<(), StoreError> {
        self.progress.done += 1;
        if self.progress.done.is_multiple_of(PROGRESS_ROWS) {
            return self.report();
        }
        Ok(())
    }

    /// Rows of this piece of work so far.
    pub(super) fn done(&self) -> u64 {
        self.progress.done
    }

    fn report(&mut self) -> Result<(), StoreError> {
        if (self.go_on)(self.progress) {
            Ok(())
        } else {
            Err(StoreError::Stopped)
        }
    }
}
