//! How long something took, over and over: counted while it happens, read at any time by others.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Steps for each doubling: a quantile is told an eighth too long at most.
const STEPS: u64 = 8;
/// Doublings above [`STEPS`] microseconds; what takes longer than about 19 hours counts as that long.
const DOUBLINGS: u64 = 33;
const BUCKETS: usize = (STEPS * (DOUBLINGS + 1)) as usize;

/// Counts of durations, by how long they were.
pub struct Durations {
    buckets: [AtomicU64; BUCKETS],
    sum_us: AtomicU64,
    max_us: AtomicU64,
}

impl Default for Durations {
    fn default() -> Self {
        Self {
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
            sum_us: AtomicU64::new(0),
            max_us: AtomicU64::new(0),
        }
    }
}

impl Durations {
    /// Counts one more.
    pub fn add(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get(bucket_of(us)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_us.fetch_add(us, Ordering::Relaxed);
        self.max_us.fetch_max(us, Ordering::Relaxed);
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        let counts = self.buckets.iter().map(|n| n.load(Ordering::Relaxed));
        counts.fold(0, u64::saturating_add)
    }

    /// All of them together.
    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.sum_us.load(Ordering::Relaxed))
    }

    /// The longest, exactly; zero where there was none.
    pub fn max(&self) -> Duration {
        Duration::from_micros(self.max_us.load(Ordering::Relaxed))
    }

    /// What so many of a thousand took at most: exact up to 16 microseconds, else an eighth too long at most. Zero where there was none.
    pub fn per_mille(&self, share: u64) -> Duration {
        let wanted = self
            .count()
            .saturating_mul(share.min(1_000))
            .div_ceil(1_000);
        let mut seen = 0;
        for (bucket, n) in self.buckets.iter().enumerate() {
            seen += n.load(Ordering::Relaxed);
            if seen >= wanted && seen > 0 {
                return Duration::from_micros(last_of(bucket)).min(self.max());
            }
        }
        self.max()
    }
}

impl std::fmt::Debug for Durations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} times, p50 {:?}, p99 {:?}, max {:?}",
            self.count(),
            self.per_mille(500),
            self.per_mille(990),
            self.max()
        )
    }
}

/// The first [`STEPS`] buckets hold one microsecond each; after them each doubling is cut into as many.
fn bucket_of(us: u64) -> usize {
    let doubling = (us / STEPS).checked_ilog2().map_or(0, |log| log + 1);
    let first = u64::from(doubling) * STEPS;
    let step = match doubling {
        0 => us,
        _ => (us >> (doubling - 1)) - STEPS,
    };
    usize::try_from(first + step).map_or(BUCKETS - 1, |bucket| bucket.min(BUCKETS - 1))
}

/// The longest time that falls into a bucket, microseconds.
fn last_of(bucket: usize) -> u64 {
    let (doubling, step) = (bucket as u64 / STEPS, bucket as u64 % STEPS);
    match doubling {
        0 => step,
        _ => ((STEPS + step + 1) << (doubling - 1)) - 1,
    }
}

#[cfg(test)]
mod tests {
    //! Guards against quantiles that flatter.

    use super::*;
    use proptest::prelude::*;

    fn us(us: u64) -> Duration {
        Duration::from_micros(us)
    }

    #[test]
    fn nothing_took_no_time() {
        let none = Durations::default();
        assert_eq!((none.count(), none.sum(), none.max()), (0, us(0), us(0)));
        assert_eq!(none.per_mille(500), us(0));
    }

    #[test]
    fn one_in_a_hundred_is_beyond_the_99th() {
        let durations = Durations::default();
        for _ in 0..99 {
            durations.add(us(10));
        }
        durations.add(us(50_000));
        assert_eq!(durations.per_mille(500), us(10));
        assert_eq!(durations.per_mille(990), us(10));
        assert_eq!(durations.per_mille(991), us(50_000));
        assert_eq!(durations.sum(), us(50_990));
        durations.add(Duration::MAX);
        assert_eq!(durations.max(), us(u64::MAX));
    }

    proptest! {
        #[test]
        fn quantiles_are_an_eighth_too_long_at_most(
            mut all in proptest::collection::vec((0u64..1 << 35, 0u32..36).prop_map(|(n, shift)| n >> shift), 1..200),
            share in 1u64..=1_000,
        ) {
            let durations = Durations::default();
            for n in &all {
                durations.add(us(*n));
            }
            all.sort_unstable();
            let rank = (all.len() as u64 * share).div_ceil(1_000) as usize;
            let exact = all.get(rank - 1).copied().unwrap_or_default();
            let told = durations.per_mille(share).as_micros() as u64;
            prop_assert!(told >= exact && told - exact <= exact / 8, "{} for {}", told, exact);
            prop_assert_eq!(durations.count(), all.len() as u64);
        }
    }
}
