//! How the work of an export is shared by its threads: by object id, so that what is remembered of an object is with the
//! one thread that asks for it.

use std::panic::resume_unwind;
use std::thread;

use super::error::ExportError;
use crate::limits::EXPORT_THREADS;

/// The share that an object belongs to, below [`EXPORT_THREADS`].
pub(super) fn share_of(id: u64) -> usize {
    (id % EXPORT_THREADS as u64) as usize
}

/// Works on all shares at once, the first one on the caller's thread. Of several errors, that of the first share counts.
pub(super) fn for_each_share<S: Send, T: Send>(
    shares: impl IntoIterator<Item = S>,
    work: impl Fn(S) -> Result<T, ExportError> + Sync,
) -> Result<Vec<T>, ExportError> {
    let work = &work;
    let mut shares = shares.into_iter();
    thread::scope(|scope| {
        let Some(own) = shares.next() else {
            return Ok(Vec::new());
        };
        let others: Vec<_> = shares
            .map(|share| scope.spawn(move || work(share)))
            .collect();
        let mut results = vec![work(own)];
        for other in others {
            results.push(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        results.into_iter().collect()
    })
}
