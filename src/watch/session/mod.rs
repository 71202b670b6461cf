//! What one watch does next, and what it tells the ingest: a state machine without any I/O.
//!
//! ```text
//!            +----------------------- 404 ------------------------+
//!            v                                                    |
//!        Discover --(no version)--> List --(last page)--> Open --> Stream
//!            |                       ^ ^                   ^  ^      |
//!            +--(version)--> Ask ----+-|-------------------+  +------+ full length
//!                             ^   gone back   410                    |
//!                             +------------ anything else -----------+
//! ```
//!
//! A driver performs [`Session::action`] and reports what came of it with [`Session::on`], which answers with the
//! observations to send, in their order. The invariants:
//!
//! - `version` is the version up to which everything was handed over, or nothing: a list under way has none.
//! - `ListFinished` follows only a complete list in which every item could at least be identified (R7).
//! - Sighted and blind alternate as the protocol of [`Observation`] says; a first `Blind` may be missing, since a
//!   watch is blind from its start.
//! - Every cycle without progress (nothing delivered, no full watch) passes through a pause that grows.

mod listing;
mod step;
mod watching;

use std::time::Duration;

pub(super) use step::{Action, Class, Input, Standing, Trouble};

use super::version::{ahead, reached};
use crate::limits::{
    CATCH_UP_WATCH_SECONDS, LIST_PAGE_ITEMS, LIST_PAGE_TRIES_MAX, RETRY_AFTER_SECONDS_MAX,
    WATCH_SECONDS,
};
use crate::model::{Observation, WatchId};

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Discover,
    Ask,
    List(List),
    Open,
    Stream,
    Pause {
        then: Box<Phase>,
        at_least: Duration,
    },
}

/// A list under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct List {
    /// Where the next page begins.
    token: Option<String>,
    /// The version of the first page; present once the list has begun.
    version: Option<String>,
    /// Whether `ListStarted` was said.
    started: bool,
    /// Failed tries of this page.
    tries: u32,
    /// The first item that could not even be identified: the list cannot tell what was deleted.
    unidentified: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Sight {
    /// Since the start.
    Unknown,
    /// Since `Blind` was said with this reason.
    Blind(String),
    /// Since `Sighted` or `ListFinished` was said.
    Sighted,
}

/// The state of one watch.
#[derive(Debug)]
pub(super) struct Session {
    watch: WatchId,
    phase: Phase,
    version: Option<String>,
    /// The version that was current when the watch resumed: it has caught up when it gets there.
    goal: Option<String>,
    sight: Sight,
    /// The last failure, until something works again.
    trouble: Option<String>,
    /// Failures since the last progress.
    failures: u32,
    /// Events given up.
    skipped: u64,
    /// Times that the server was found behind what it had told before.
    replacements: u64,
    /// Tries of the event behind `version`, which cannot be read.
    poisoned: u32,
    /// Lists that an unreadable event made necessary since the last watch of full length.
    sweeps: u32,
    /// Watches that ended while catching up, and the seconds that they lasted.
    catch_ups: u32,
    caught_seconds: u32,
    /// Items to ask for in a page.
    limit: u32,
}

impl Session {
    /// A watch that goes on from a stored version, or begins with a list.
    pub(super) fn new(watch: WatchId, version: Option<String>) -> Self {
        Self {
            watch,
            phase: Phase::Discover,
            version,
            goal: None,
            sight: Sight::Unknown,
            trouble: None,
            failures: 0,
            skipped: 0,
            replacements: 0,
            poisoned: 0,
            sweeps: 0,
            catch_ups: 0,
            caught_seconds: 0,
            limit: LIST_PAGE_ITEMS,
        }
    }

    /// What to do next.
    pub(super) fn action(&self) -> Action {
        match &self.phase {
            Phase::Discover => Action::Discover,
            Phase::Ask => Action::Ask,
            Phase::List(list) => Action::Page {
                token: list.token.clone(),
                limit: self.limit,
            },
            Phase::Open => match &self.version {
                Some(from) => Action::Open {
                    from: from.clone(),
                    seconds: self.seconds(),
                },
                // Not reached: a phase that needs a version is entered only with one.
                None => Action::Discover,
            },
            Phase::Stream => Action::Read,
            Phase::Pause { at_least, .. } => Action::Pause {
                failures: self.failures,
                at_least: *at_least,
            },
        }
    }

    /// Where it stands.
    pub(super) fn standing(&self) -> Standing {
        if self.sight == Sight::Sighted {
            return Standing::Watching;
        }
        if let Some(reason) = &self.trouble {
            return Standing::Failing(reason.clone());
        }
        match self.phase {
            Phase::List(_) => Standing::Listing,
            Phase::Stream => Standing::CatchingUp,
            _ => Standing::Pending,
        }
    }

    /// Failures in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Events given up: what they told is not in the record.
    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Times that the server was found behind what it had told before: its history was replaced (R16).
    pub(super) fn replacements(&self) -> u64 {
        self.replacements
    }

    /// Takes what came of an action; what to tell the ingest, in order.
    pub(super) fn on(&mut self, input: Input) -> Vec<Observation> {
        // Nearly all say one thing, and it is large: a vector that grows begins with room for four.
        let mut out = match input {
            Input::Listed(_) | Input::Event(_) => Vec::with_capacity(1),
            _ => Vec::new(),
        };
        match input {
            Input::Waited => {
                if let Phase::Pause { then, .. } = &mut self.phase {
                    self.phase = std::mem::replace(then, Phase::Discover);
                }
            }
            Input::Discovered => {
                if self.version.is_some() {
                    self.phase = Phase::Ask;
                } else {
                    let reason = "nothing is known of this kind yet: it has to be listed";
                    if self.sight == Sight::Unknown {
                        self.blind(&mut out, reason);
                    }
                    self.phase = Phase::List(List::default());
                }
            }
            Input::Version(current) => self.on_version(&mut out, current),
            Input::Listed(item) => self.on_listed(&mut out, item),
            Input::PageRead { token, version } => self.on_page(&mut out, token, version),
            Input::PageTooLarge => {
                if self.limit > 1 {
                    self.limit = (self.limit / 4).max(1);
                } else {
                    self.fail(&mut out, too_large());
                }
            }
            Input::Opened => {
                self.trouble = None;
                self.phase = Phase::Stream;
            }
            Input::Event(event) => self.on_event(&mut out, event),
            Input::Ended {
                asked_seconds,
                lasted_seconds,
            } => self.on_end(&mut out, asked_seconds, lasted_seconds),
            Input::Silent => {
                let reason = "the watch fell silent".to_owned();
                self.fail(&mut out, other(reason));
            }
            Input::Failed(trouble) => self.fail(&mut out, trouble),
            // A list that is under way is of the new history, or fails: its next page is none of the server's any more.
            Input::Replaced if self.version.is_none() => {}
            Input::Replaced => {
                let reason = "another watch found that the server's history was replaced";
                self.relist(&mut out, reason.to_owned(), None);
            }
        }
        out
    }

    fn on_version(&mut self, out: &mut Vec<Observation>, current: String) {
        let Some(stored) = &self.version else {
            self.phase = Phase::Discover;
            return;
        };
        if ahead(stored, &current) {
            let reason = format!(
                "the server is at version {current}, behind the {stored} that was recorded: its history was replaced"
            );
            self.replacements = self.replacements.saturating_add(1);
            self.relist(out, reason, None);
            return;
        }
        let arrived = reached(stored, &current);
        self.phase = Phase::Open;
        if self.sight != Sight::Sighted {
            if self.goal.is_none() {
                self.goal = Some(current);
                self.catch_ups = 0;
                self.caught_seconds = 0;
            }
            if arrived {
                self.sighted(out);
            }
        }
    }

    fn fail(&mut self, out: &mut Vec<Observation>, trouble: Trouble) {
        let Trouble {
            class,
            reason,
            retry_after,
        } = trouble;
        let at_least = retry_after
            .unwrap_or_default()
            .min(Duration::from_secs(RETRY_AFTER_SECONDS_MAX));
        match (class, &mut self.phase) {
            (Class::NotServed, _) => {
                self.trouble_with(out, reason);
                self.pause(Phase::Discover, at_least);
            }
            (Class::Gone, Phase::List(_) | Phase::Open | Phase::Stream)
            | (Class::Refused, Phase::Open) => {
                let wait = (!at_least.is_zero()).then_some(at_least);
                self.relist(out, reason, wait);
            }
            // Another try of the same page saves the pages before it; the watch is blind all the time.
            (Class::Other, Phase::List(list))
                if list.started && list.tries + 1 < LIST_PAGE_TRIES_MAX =>
            {
                list.tries += 1;
                let again = Phase::List(list.clone());
                self.failures = self.failures.saturating_add(1);
                self.trouble = Some(reason);
                self.pause(again, at_least);
            }
            (_, Phase::List(_)) => self.relist(out, reason, Some(at_least)),
            (_, phase) => {
                let then = match phase {
                    Phase::Discover => Phase::Discover,
                    // What was current before does not matter any more.
                    _ => Phase::Ask,
                };
                self.goal = None;
                self.trouble_with(out, reason);
                self.pause(then, at_least);
            }
        }
    }

    /// Forgets what is known and lists anew: at once where this is the first failure since the last progress and
    /// nobody asks for a wait.
    fn relist(&mut self, out: &mut Vec<Observation>, reason: String, wait: Option<Duration>) {
        self.version = None;
        self.goal = None;
        self.poisoned = 0;
        let at_once = self.failures == 0 && wait.is_none();
        self.blind(out, &reason);
        self.failures = self.failures.saturating_add(1);
        let list = Phase::List(List::default());
        if at_once {
            self.phase = list;
        } else {
            self.trouble = Some(reason);
            self.pause(list, wait.unwrap_or_default());
        }
    }

    fn trouble_with(&mut self, out: &mut Vec<Observation>, reason: String) {
        self.blind(out, &reason);
        self.failures = self.failures.saturating_add(1);
        self.trouble = Some(reason);
    }

    fn pause(&mut self, then: Phase, at_least: Duration) {
        self.phase = Phase::Pause {
            then: Box::new(then),
            at_least,
        };
    }

    fn blind(&mut self, out: &mut Vec<Observation>, reason: &str) {
        if !matches!(&self.sight, Sight::Blind(said) if said == reason) {
            self.sight = Sight::Blind(reason.to_owned());
            out.push(Observation::Blind {
                watch: self.watch.clone(),
                reason: reason.to_owned(),
            });
        }
    }

    fn sighted(&mut self, out: &mut Vec<Observation>) {
        self.sight = Sight::Sighted;
        self.goal = None;
        self.trouble = None;
        out.push(Observation::Sighted {
            watch: self.watch.clone(),
        });
    }

    /// How long the next watch shall last: short ones while catching up.
    fn seconds(&self) -> u32 {
        if self.sight == Sight::Sighted {
            return WATCH_SECONDS;
        }
        CATCH_UP_WATCH_SECONDS
            .saturating_mul(1 << self.catch_ups.min(10))
            .min(WATCH_SECONDS)
    }
}

fn other(reason: String) -> Trouble {
    Trouble {
        class: Class::Other,
        reason,
        retry_after: None,
    }
}

fn too_large() -> Trouble {
    other("a single object is larger than a page may be".to_owned())
}
