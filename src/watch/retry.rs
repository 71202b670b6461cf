//! How long to wait before trying again: exponential, with jitter, bounded.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use crate::limits::{BACKOFF_MS_MAX, BACKOFF_MS_MIN};

/// The wait after `failures` failures in a row (0 counts as 1): [`BACKOFF_MS_MIN`] doubled with each, at most
/// [`BACKOFF_MS_MAX`], of which a random part of up to a half is taken off, so that many do not return together.
pub(super) fn backoff(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(20);
    let full = BACKOFF_MS_MIN
        .saturating_mul(1 << doublings)
        .min(BACKOFF_MS_MAX);
    Duration::from_millis(full - random_below(full / 2 + 1))
}

/// `seconds` and up to a tenth less or more.
pub(super) fn jittered_seconds(seconds: u32) -> u32 {
    let tenth = seconds / 10;
    let spread = u32::try_from(random_below(u64::from(tenth) * 2 + 1)).unwrap_or(0);
    seconds - tenth + spread
}

/// A random number in 0..bound, good enough to spread requests; 0 where the bound is 0.
fn random_below(bound: u64) -> u64 {
    // Every RandomState has its own keys.
    RandomState::new()
        .build_hasher()
        .finish()
        .checked_rem(bound)
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    //! Guards against hammering an API server that is down, and against waits that grow without end.

    use super::*;

    #[test]
    fn waits_grow_to_their_bound_and_never_vanish() {
        for failures in 0..100_u32 {
            let full = (BACKOFF_MS_MIN << failures.saturating_sub(1).min(20)).min(BACKOFF_MS_MAX);
            for _ in 0..50 {
                let wait = backoff(failures).as_millis();
                assert!(
                    wait >= u128::from(full / 2) && wait <= u128::from(full),
                    "{failures}: {wait}"
                );
            }
        }
        assert!(backoff(u32::MAX).as_millis() <= u128::from(BACKOFF_MS_MAX));
    }

    #[test]
    fn waits_differ() {
        let waits: std::collections::BTreeSet<_> = (0..50).map(|_| backoff(10)).collect();
        assert!(waits.len() > 10, "{waits:?}");
        let lengths: std::collections::BTreeSet<_> =
            (0..500).map(|_| jittered_seconds(200)).collect();
        assert!(lengths.len() > 10 && lengths.iter().all(|s| (180..=220).contains(s)));
    }
}
