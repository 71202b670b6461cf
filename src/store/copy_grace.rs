//! Copy grace: what makes `cp` of the live file work.
//!
//! A copy begins with the header, which names the pages of one commit. Those pages stay what they are as long as a read
//! transaction at least as old as that commit lives, because redb reuses no page that it can see. So a read transaction
//! is begun every few seconds and kept for the grace: a copy that takes less than that is a consistent one (quick repair
//! makes it openable). The price is room: what is rewritten within the grace is not reused in it. When the file has grown
//! too much, or the volume is nearly full, all pins are given up at once, and begun anew when there is room. That is looked
//! at every second: what grows within one is what a file may outgrow its limit by.

use std::collections::VecDeque;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Reader, StoreError};
use crate::limits::{
    COPY_GRACE_FREE_BYTES_MIN, COPY_GRACE_FREE_PERCENT_MIN, COPY_GRACE_GROWTH_BYTES_MIN,
    COPY_GRACE_GROWTH_MAX, COPY_GRACE_SECONDS, COPY_LOOK_MS_MAX, COPY_PIN_MS_MIN, COPY_PINS_MAX,
};

/// How long, and at what cost, pages are kept for copies.
#[derive(Clone, Copy, Debug)]
pub struct CopyGraceOptions {
    /// How long a copy may take; zero: no pages are kept.
    pub grace: Duration,
    /// Bytes allocated for the file above which nothing is kept if it grows; `None`: any, as long as the file does not grow
    /// too much within the grace.
    pub allocated_bytes_max: Option<u64>,
    /// Bytes from which on retention takes growth for a lack of room, and what the file may take at all. From the first on,
    /// pins are given up as soon as it grows, for which retention waits; near the second none are begun. `None`: any.
    pub full_bytes: Option<(u64, u64)>,
    /// Free bytes of the volume below which nothing is kept; 0: it may be full.
    pub free_bytes_min: u64,
}

impl Default for CopyGraceOptions {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(COPY_GRACE_SECONDS),
            allocated_bytes_max: None,
            full_bytes: None,
            free_bytes_min: COPY_GRACE_FREE_BYTES_MIN,
        }
    }
}

/// Counters, read by metrics.
#[derive(Debug, Default)]
pub struct CopyGraceStats {
    /// Pins held now.
    pub pins: AtomicU64,
    /// How often pins were given up for want of room.
    pub given_up: AtomicU64,
}

/// Read transactions that keep the pages of recent commits. Drop it to give them all up.
pub struct CopyGrace {
    /// Oldest first. Before `reader`: a transaction goes before its database.
    pins: VecDeque<Pin>,
    reader: Reader,
    options: CopyGraceOptions,
    stats: Arc<CopyGraceStats>,
    /// When pins were given up last, if there have been none since.
    given_up: Option<Duration>,
    /// How often they have been given up without having been held for long in between.
    in_vain: u32,
    /// When the pins held now were begun.
    held_since: Option<Duration>,
}

/// Pins that were given up again and again are begun anew after so many times as long, at most: two to this.
const IN_VAIN_MAX: u32 = 3;
/// Growth of a file that is full already at which pins are given up: one in so many of what it may take.
const GROWTH_PARTS: u64 = 64;
/// What must be free of a full file's last room before pins are begun: one in so many. It may grow by that between two
/// looks.
const ROOM_PARTS: u64 = 4;
/// Time between two looks at the room.
const LOOK: Duration = Duration::from_millis(COPY_LOOK_MS_MAX);
/// Pins that were held for so many graces were not in vain.
const GRACES_HELD: u32 = 4;

/// One read transaction.
struct Pin {
    begun: Duration,
    /// Bytes allocated for the file then.
    allocated: u64,
    _txn: redb::ReadTransaction,
}

impl CopyGrace {
    /// Keeps nothing yet.
    pub fn new(reader: Reader, options: CopyGraceOptions, stats: Arc<CopyGraceStats>) -> Self {
        Self {
            pins: VecDeque::new(),
            reader,
            options,
            stats,
            given_up: None,
            in_vain: 0,
            held_since: None,
        }
    }

    /// How often [`CopyGrace::tick`] wants to be called; `None`: never.
    pub fn interval(&self) -> Option<Duration> {
        Some(self.pin_interval()?.min(LOOK))
    }

    /// How often a pin is begun.
    fn pin_interval(&self) -> Option<Duration> {
        let pins = u32::try_from(COPY_PINS_MAX.saturating_sub(1)).unwrap_or(u32::MAX);
        let interval = self.options.grace.checked_div(pins)?;
        (!self.options.grace.is_zero())
            .then(|| interval.max(Duration::from_millis(COPY_PIN_MS_MIN)))
    }

    /// Looks whether there is room, takes a new pin when it is time for one, and lets go of those that are older than the grace. `now` is any clock that never goes back.
    ///
    /// # Errors
    /// What the store says; the pins are given up then.
    pub fn tick(&mut self, now: Duration) -> Result<(), StoreError> {
        let Some(interval) = self.pin_interval() else {
            return Ok(());
        };
        let result = self.renew(now, interval);
        if result.is_err() {
            self.pins.clear();
        }
        let pins = u64::try_from(self.pins.len()).unwrap_or(u64::MAX);
        self.stats.pins.store(pins, Ordering::Relaxed);
        result
    }

    fn renew(&mut self, now: Duration, interval: Duration) -> Result<(), StoreError> {
        let path = self.reader.path();
        let allocated = std::fs::metadata(path)
            .map_err(StoreError::io(path, "cannot be measured"))?
            .blocks()
            .saturating_mul(512);
        if let Some(reason) = self.want_of_room(allocated)? {
            if self.given_up.is_none() {
                self.stats.given_up.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(
                    reason,
                    "plain copies of the live file may be torn now: its pages are no longer kept for them; \
                     `sk-tracedb backup` works all the same"
                );
            }
            self.given_up = Some(now);
            self.pins.clear();
            if let Some(since) = self.held_since.take() {
                let held = now.saturating_sub(since) > self.options.grace * GRACES_HELD;
                self.in_vain = if held {
                    0
                } else {
                    (self.in_vain + 1).min(IN_VAIN_MAX)
                };
            }
            return Ok(());
        }
        // What the pins held is used again now; the file needs a while to settle.
        let rest = self.options.grace * 2u32.saturating_pow(self.in_vain);
        if self
            .given_up
            .is_some_and(|since| now.saturating_sub(since) < rest)
        {
            return Ok(());
        }
        self.held_since.get_or_insert(now);
        if self.given_up.take().is_some() {
            tracing::info!("pages are kept for plain copies of the live file again");
        }
        // A commit may be made just before the next pin, and a copy begin just after that commit; and ticks may be late.
        let kept = self.options.grace + interval * 2;
        while self
            .pins
            .front()
            .is_some_and(|pin| now.saturating_sub(pin.begun) > kept)
        {
            self.pins.pop_front();
        }
        // Ticks come a little early or late.
        let least = interval.saturating_sub(interval.min(LOOK) / 2);
        let due = self
            .pins
            .back()
            .is_none_or(|pin| now.saturating_sub(pin.begun) >= least);
        if due {
            self.pins.push_back(Pin {
                begun: now,
                allocated,
                _txn: self.reader.begin_read()?,
            });
        }
        Ok(())
    }

    /// Why nothing can be kept, if so.
    fn want_of_room(&self, allocated: u64) -> Result<Option<String>, StoreError> {
        if let Some((full, limit)) = self.options.full_bytes {
            let wanted = match self.pins.front() {
                Some(pin) => full.max(pin.allocated),
                None => limit.saturating_sub(limit.saturating_sub(full) / ROOM_PARTS),
            };
            if allocated > wanted {
                return Ok(Some(format!(
                    "the file takes {allocated} of the {limit} bytes that are allowed"
                )));
            }
        }
        if let Some(oldest) = self.pins.front() {
            let growth = allocated.saturating_sub(oldest.allocated);
            // A file never becomes smaller by itself: one that does not grow does well with the pins.
            if let Some(limit) = self.options.allocated_bytes_max
                && allocated > limit
                && growth > limit / GROWTH_PARTS
            {
                return Ok(Some(format!(
                    "the file takes {allocated} bytes and grows, {limit} are allowed"
                )));
            }
            let limit = oldest
                .allocated
                .saturating_mul(COPY_GRACE_GROWTH_MAX)
                .max(COPY_GRACE_GROWTH_BYTES_MIN);
            if growth > limit {
                return Ok(Some(format!(
                    "the file has grown by {growth} bytes within the grace, {limit} are allowed"
                )));
            }
        }
        if self.options.free_bytes_min == 0 {
            return Ok(None);
        }
        let (free, total) = volume(self.reader.path())?;
        // On a small volume, less is enough: the file may have four fifths of it.
        let needed = self
            .options
            .free_bytes_min
            .max(total / 100 * COPY_GRACE_FREE_PERCENT_MIN)
            .min(total / 10);
        Ok((free < needed)
            .then(|| format!("the volume has {free} bytes left, {needed} are wanted")))
    }
}

/// Free and total bytes of the volume that a file is on.
fn volume(path: &Path) -> Result<(u64, u64), StoreError> {
    let stat = rustix::fs::statvfs(path)
        .map_err(|error| StoreError::io(path, "cannot measure the volume")(error.into()))?;
    Ok((
        stat.f_bavail.saturating_mul(stat.f_frsize),
        stat.f_blocks.saturating_mul(stat.f_frsize),
    ))
}
