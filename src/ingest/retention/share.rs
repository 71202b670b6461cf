//! A bounded share of the writer's time.

use std::time::{Duration, Instant};

use crate::limits::SHARE_MEMORY_MS;

/// Time that may be spent, earned by waiting.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Share {
    /// Percent of the time that may be spent.
    percent: u32,
    /// What may be spent now; below zero after a piece that took longer.
    credit_us: i64,
    at: Instant,
}

impl Share {
    pub(in super::super) fn new(percent: u32, now: Instant) -> Self {
        Self {
            percent,
            credit_us: 0,
            at: now,
        }
    }

    /// All of the time may be spent, at any time.
    pub(in super::super) fn unlimited() -> Self {
        Self::new(UNLIMITED, Instant::now())
    }

    /// How long to wait before something may be spent; zero: now.
    pub(in super::super) fn wait(&mut self, percent: u32, now: Instant) -> Duration {
        if self.percent == UNLIMITED {
            return Duration::ZERO;
        }
        let passed = now.saturating_duration_since(self.at).as_micros();
        let passed = i64::try_from(passed).unwrap_or(i64::MAX);
        let share = i64::from(self.percent);
        let most = MEMORY_US.saturating_mul(share) / 100;
        self.credit_us = self
            .credit_us
            .saturating_add(passed.saturating_mul(share) / 100)
            .min(most);
        self.at = now;
        self.percent = percent.max(1);
        if self.credit_us >= 0 {
            return Duration::ZERO;
        }
        let wait = self.credit_us.saturating_neg().saturating_mul(100) / i64::from(self.percent);
        Duration::from_micros(u64::try_from(wait).unwrap_or(0).max(1))
    }

    pub(in super::super) fn spend(&mut self, time: Duration) {
        let time = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        self.credit_us = self.credit_us.saturating_sub(time);
    }
}

/// Percent that stand for no limit.
const UNLIMITED: u32 = u32::MAX;

/// Time whose unused share is remembered.
const MEMORY_US: i64 = SHARE_MEMORY_MS * 1_000;

#[cfg(test)]
mod tests {
    //! Guards against retention that takes the writer from the watches.

    use super::*;

    #[test]
    fn no_more_than_the_share_is_spent() {
        let start = Instant::now();
        let mut share = Share::new(20, start);
        let (mut now, mut spent) = (start, Duration::ZERO);
        let piece = Duration::from_millis(30);
        while now < start + Duration::from_secs(60) {
            let wait = share.wait(20, now);
            if wait.is_zero() {
                share.spend(piece);
                spent += piece;
                now += piece;
            } else {
                now += wait;
            }
        }
        let percent = spent.as_secs_f64() / 60.0 * 100.0;
        assert!((19.0..21.5).contains(&percent), "{percent} %");
    }

    #[test]
    fn a_long_rest_is_not_saved_up() {
        let start = Instant::now();
        let mut share = Share::new(20, start);
        let later = start + Duration::from_secs(3_600);
        assert!(share.wait(20, later).is_zero());
        share.spend(Duration::from_millis(500));
        // A second's share was there; 300 ms are owed.
        let wait = share.wait(20, later);
        assert_eq!(wait, Duration::from_millis(1_500));
    }
}
