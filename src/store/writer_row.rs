//! The row that says where the writer stands.

use bincode::{Decode, Encode};

use crate::model::{EventKey, Horizon, Timestamp};

/// Where the writer stands; one row, rewritten with every commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct WriterRow {
    /// Time of the last event, or of the latest time seen: times in the record never go below it (R5).
    pub last_us: i64,
    /// Last sequence number given.
    pub last_seq: u64,
    /// Last object id given.
    pub last_object: u64,
    /// Current epoch.
    pub epoch: u64,
    /// Rows of the current epoch in `alive` and `alive_pods`.
    pub epoch_rows: u64,
    /// How many of them it began with; less those that came while it was made.
    pub epoch_carried: u64,
    /// Pods recorded.
    pub pods: u64,
    /// Number of the run that is writing or wrote last.
    pub run: u64,
    /// Last gap number given.
    pub last_gap: u64,
    /// Earliest time in the record; meaningful once there is a run.
    pub first_us: i64,
    /// Changes in the record: given sequence numbers less what retention dropped.
    pub changes: u64,
    /// Time of the last place in the record that retention dropped, whether or not there was a change at it; meaningful
    /// where `horizon_seq` is not 0.
    pub horizon_us: i64,
    /// Sequence number of that place; the greatest there is: all of that microsecond; 0 while nothing was dropped.
    pub horizon_seq: u64,
    /// Last base number given.
    pub last_base: u64,
    /// Last dictionary number given.
    pub last_dictionary: u64,
    /// Last pod number given.
    pub last_pod: u64,
}

/// In `horizon_seq`: everything up to the end of a microsecond.
const WHOLE_MICROSECOND: u64 = u64::MAX;

impl WriterRow {
    /// How far retention has dropped.
    pub(crate) fn horizon(&self) -> Horizon {
        let at = Timestamp::from_micros(self.horizon_us);
        match self.horizon_seq {
            0 => Horizon::NONE,
            WHOLE_MICROSECOND => Horizon::at(at.plus_micros(1)),
            seq => Horizon::behind(EventKey { at, seq }),
        }
    }

    /// Notes how far retention has dropped.
    pub(crate) fn set_horizon(&mut self, horizon: Horizon) {
        let EventKey { at, seq } = horizon.event();
        (self.horizon_us, self.horizon_seq) = match seq {
            0 => (at.plus_micros(-1).as_micros(), WHOLE_MICROSECOND),
            seq => (at.as_micros(), seq - 1),
        };
    }
}
