//! Questions to a [`Snapshot`](crate::Snapshot): what existed at a time, what happened to one object, who owns whom, what
//! the store holds. Answers come as iterators with constant memory, in a fixed order.

mod body_json;
pub mod diff;
mod gaps;
mod history;
mod info;
mod kind_match;
mod named;
mod ownership;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod recorded;
pub(crate) mod shares;
mod state;
mod state_ahead;
mod state_names;
mod wanted;

pub use gaps::Gap;
pub use history::HistoryEntry;
pub use info::{Info, KindInfo, Run};
pub use kind_match::KindMatch;
pub(crate) use ownership::{OWNERS_AHEAD_MAX, Ownership};
pub use state::ObjectVersion;
pub(crate) use state::decode_body;
pub use wanted::UnknownOwner;
