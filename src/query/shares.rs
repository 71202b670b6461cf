//! How the reading of many objects is shared by threads: by object id, so that what is remembered of an object is with the
//! one thread that asks for it. Neighbours are mostly packed together: runs of ids share a thread.

use std::panic::resume_unwind;
use std::thread;

use crate::limits::{READ_ALONE_MAX, READ_THREADS};

/// Ids of a run: as many groups of versions as a packed chunk holds, about.
const RUN: u64 = 64;
const SHARES: u64 = READ_THREADS as u64;

/// The share that an object belongs to, below [`READ_THREADS`].
pub(crate) fn share_of(id: u64) -> usize {
    (id / RUN % SHARES) as usize
}

/// The place of an id among those of its share, counted from 0.
pub(crate) fn place_in_share(id: u64) -> u64 {
    id / RUN / SHARES * RUN + id % RUN
}

/// The id at a place of a share.
pub(crate) fn id_at(share: usize, place: u64) -> u64 {
    (place / RUN * SHARES + share as u64) * RUN + place % RUN
}

/// Works on all shares at once, the first one on the caller's thread. Of several errors, that of the first share counts.
pub(crate) fn for_each_share<S: Send, T: Send, E: Send>(
    shares: impl IntoIterator<Item = S>,
    work: impl Fn(S) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
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

/// Works on a list in runs of one length, one for each worker, all at once. A short list has one worker: another one would
/// not be worth its start. Of several errors, that of the first run counts.
pub(crate) fn for_each_run<W: Send, I: Send, T: Send, E: Send>(
    workers: &mut [W],
    items: &mut [I],
    work: impl Fn(&mut W, &mut [I]) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let runs = if items.len() <= READ_ALONE_MAX {
        1
    } else {
        workers.len().max(1)
    };
    let run = items.len().div_ceil(runs).max(1);
    for_each_share(
        workers.iter_mut().zip(items.chunks_mut(run)),
        |(worker, items)| work(worker, items),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_cover_a_list_in_its_order() {
        for len in [0, 1, READ_ALONE_MAX, READ_ALONE_MAX + 1, 1_000] {
            let mut items: Vec<usize> = (0..len).collect();
            let mut workers = [(); READ_THREADS];
            let runs = for_each_run(&mut workers, &mut items, |(), run| {
                Ok::<_, ()>(run.to_vec())
            });
            let runs = runs.unwrap_or_default();
            assert_eq!(runs.concat(), items);
            let used = if len > READ_ALONE_MAX {
                READ_THREADS
            } else {
                len.min(1)
            };
            assert_eq!(runs.len(), used, "{len}");
        }
    }

    #[test]
    fn each_share_counts_its_ids_without_holes() {
        let mut next = [0; READ_THREADS];
        for id in 0..10 * RUN * SHARES + 7 {
            let (share, place) = (share_of(id), place_in_share(id));
            assert_eq!(next.get(share), Some(&place), "{id}");
            assert_eq!(id_at(share, place), id);
            if let Some(next) = next.get_mut(share) {
                *next += 1;
            }
        }
    }
}
