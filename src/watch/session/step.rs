//! What a session asks for, and what it is told: the vocabulary between it and its driver.

use std::time::Duration;

use super::super::decode::{Event, Unreadable};
use crate::model::Item;

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Action {
    /// Find out where the API server keeps the kind. Then [`Input::Discovered`] or [`Input::Failed`].
    Discover,
    /// Ask for the current version of the kind. Then [`Input::Version`] or [`Input::Failed`].
    Ask,
    /// Fetch a page. Then [`Input::Listed`] for each item and [`Input::PageRead`], or [`Input::PageTooLarge`], or
    /// [`Input::Failed`].
    Page {
        /// Where it begins; `None` for the first.
        token: Option<String>,
        /// How many items.
        limit: u32,
    },
    /// Open a watch. Then [`Input::Opened`] or [`Input::Failed`].
    Open {
        /// The version behind which it begins.
        from: String,
        /// How long it shall last, about.
        seconds: u32,
    },
    /// Read from the watch that is open. Then [`Input::Event`], [`Input::Ended`] or [`Input::Silent`].
    Read,
    /// Wait. Then [`Input::Waited`].
    Pause {
        /// Failures in a row: the backoff grows with them.
        failures: u32,
        /// The least wait, as the server asked for it.
        at_least: Duration,
    },
}

/// What came of an action.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum Input {
    /// The kind is served.
    Discovered,
    /// The version of the kind that is current.
    Version(String),
    /// An item of a page.
    Listed(Result<Item, Unreadable>),
    /// All items of a page were handed in.
    PageRead {
        /// Where the next page begins.
        token: Option<String>,
        /// The version of the list.
        version: String,
    },
    /// The page is larger than the bound on pages.
    PageTooLarge,
    /// The server has begun to answer the watch.
    Opened,
    /// Something watched.
    Event(Event),
    /// The watch has ended, by the server or because the connection broke.
    Ended {
        /// How long it was to last, seconds.
        asked_seconds: u32,
        /// How long it lasted, seconds.
        lasted_seconds: u32,
    },
    /// Nothing came for longer than the watch should have lasted.
    Silent,
    /// A request failed.
    Failed(Trouble),
    /// Another watch has found that the server's history was replaced.
    Replaced,
    /// The pause is over.
    Waited,
}

/// A failed request, as far as it matters what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Trouble {
    /// What kind of failure.
    pub(in super::super) class: Class,
    /// Why, in a few words.
    pub(in super::super) reason: String,
    /// For how long the server asks to be left alone.
    pub(in super::super) retry_after: Option<Duration>,
}

/// What a failure means for where to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Class {
    /// The version or the token has expired (HTTP 410).
    Gone,
    /// The server does not accept the request (HTTP 400, 422): what it was given to go on from is no good.
    Refused,
    /// The server does not know the kind (HTTP 404, discovery).
    NotServed,
    /// Anything else: it may pass.
    Other,
}

/// Where a session stands, for those who look at it from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Standing {
    /// Nothing was heard yet.
    Pending,
    /// A list is under way.
    Listing,
    /// A watch is open, but what was missed has not all arrived.
    CatchingUp,
    /// In contact.
    Watching,
    /// Out of contact, and why.
    Failing(String),
}
