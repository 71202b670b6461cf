//! Who a benchmark reports to.

use super::BenchError;
use super::measurement::Measurement;
use crate::store::Progress;

/// Is told what a benchmark does and finds, and says whether it shall go on.
pub trait Audience {
    /// How far the work has come. `false` stops it.
    fn progress(&mut self, progress: Progress) -> bool;

    /// One result.
    fn measured(&mut self, measurement: Measurement);

    /// What cannot be measured, and why.
    fn left_out(&mut self, reason: &str);

    /// Where something stays that was made.
    fn kept(&mut self, path: &std::path::Path);
}

/// Tells the audience how far the work has come.
///
/// # Errors
/// [`BenchError::Stopped`].
pub(super) fn tell(
    audience: &mut dyn Audience,
    work: &'static str,
    done: u64,
    total: u64,
) -> Result<(), BenchError> {
    if audience.progress(Progress { work, done, total }) {
        Ok(())
    } else {
        Err(BenchError::Stopped)
    }
}
