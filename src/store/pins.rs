//! Which part of the record exports under way still need, and how far retention may go.
//!
//! Both sides decide under one lock: an export that has its pin keeps its rows, and retention says how far it is about to
//! drop before it begins, so that nobody pins what is on its way out. An export in another process has no pin: it sees
//! at each of its snapshots whether the horizon has passed its start, and fails then.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::{Horizon, Timestamp};

/// The pins of one store.
#[derive(Debug)]
pub(crate) struct Pins(Mutex<State>);

#[derive(Debug)]
struct State {
    next: u64,
    /// Starts of the windows that are being exported. As many as there are exports.
    starts: BTreeMap<u64, Timestamp>,
    /// How far retention has dropped, or is about to.
    horizon: Horizon,
}

impl Pins {
    /// Nothing is pinned; `horizon` is what the store says.
    pub(crate) fn new(horizon: Horizon) -> Self {
        Self(Mutex::new(State {
            next: 0,
            starts: BTreeMap::new(),
            horizon,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps everything that a window from `start` on needs, until the pin is dropped.
    ///
    /// # Errors
    /// The horizon, where it lies behind `start`.
    pub(crate) fn pin(self: &Arc<Self>, start: Timestamp) -> Result<Pin, Horizon> {
        let mut state = self.state();
        if !state.horizon.allows(start) {
            return Err(state.horizon);
        }
        let number = state.next;
        state.next += 1;
        state.starts.insert(number, start);
        Ok(Pin {
            pins: Arc::clone(self),
            number,
        })
    }

    /// How far retention may drop, at most to `target`. From now on nothing before that is pinned.
    ///
    /// `force` passes over pins, whose exports will fail: for when the disk is full otherwise.
    pub(crate) fn claim(&self, target: Horizon, force: bool) -> Horizon {
        let mut state = self.state();
        let pinned = state.starts.values().min().filter(|_| !force);
        let allowed = pinned.map_or(target, |start| target.min(Horizon::at(*start)));
        state.horizon = state.horizon.max(allowed);
        allowed
    }

    /// How far retention has come of what it claimed: what lies behind it can be asked for again.
    pub(crate) fn reached(&self, horizon: Horizon) {
        self.state().horizon = horizon;
    }

    /// Windows pinned at this moment.
    #[cfg(test)]
    fn count(&self) -> usize {
        self.state().starts.len()
    }
}

/// Keeps the rows of one window.
#[derive(Debug)]
pub(crate) struct Pin {
    pins: Arc<Pins>,
    number: u64,
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.pins.state().starts.remove(&self.number);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    //! Guards against an export whose rows are dropped under it, and against a pin on rows that are on their way out.

    use super::*;

    fn s(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn retention_stops_at_the_first_pinned_window() {
        let pins = Arc::new(Pins::new(Horizon::NONE));
        let late = pins.pin(s(20)).unwrap();
        let early = pins.pin(s(10)).unwrap();
        assert_eq!(pins.claim(Horizon::at(s(15)), false), Horizon::at(s(10)));
        drop(early);
        assert_eq!(pins.claim(Horizon::at(s(15)), false), Horizon::at(s(15)));
        assert_eq!(pins.claim(Horizon::at(s(30)), false), Horizon::at(s(20)));
        assert_eq!(pins.claim(Horizon::at(s(30)), true), Horizon::at(s(30)));
        drop(late);
        assert_eq!(pins.count(), 0);
    }

    #[test]
    fn what_is_about_to_be_dropped_cannot_be_pinned() {
        let pins = Arc::new(Pins::new(Horizon::NONE));
        pins.claim(Horizon::at(s(15)), false);
        assert_eq!(pins.pin(s(14)).unwrap_err(), Horizon::at(s(15)));
        assert!(pins.pin(s(15)).is_ok());
        // A claim never goes back.
        pins.claim(Horizon::at(s(5)), false);
        assert!(pins.pin(s(14)).is_err());
        // There was no time to drop all of it.
        pins.reached(Horizon::at(s(14)));
        assert!(pins.pin(s(14)).is_ok() && pins.pin(s(13)).is_err());
    }
}
