//! Where a change stands in the recorded order, and what it did.

use super::Timestamp;

/// The place of a change in the record: time, then sequence number.
///
/// Sequence numbers are unique in a store and never go backwards, nor do the times: `a.seq < b.seq` implies
/// `a.at <= b.at` (R5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKey {
    /// When the change was recorded.
    pub at: Timestamp,
    /// Sequence number in this store, from 1.
    pub seq: u64,
}

/// What a change did to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// The object was created or changed.
    Apply,
    /// The object was deleted.
    Delete,
}
