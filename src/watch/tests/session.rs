//! Guards against ghosts, holes and storms: a session that sweeps what it has not listed, that goes on behind
//! something it has not delivered, or that repeats a request without a pause.

mod lists;
mod unreadable;

use std::time::Duration;

use super::super::decode::{Event, Unreadable};
use super::super::session::{Action, Class, Input, Session, Standing, Trouble};
use super::told;
use crate::limits::{
    CATCH_UP_WATCH_SECONDS, EARLY_ENDS_BEFORE_BLIND, LIST_PAGE_ITEMS, LIST_PAGE_TRIES_MAX,
    POISONED_EVENT_TRIES_MAX, WATCH_SECONDS,
};
use crate::model::{Gvk, Item, ObservedPod, PodTimes, Uid};

const NEW: &str = "blind: nothing is known of this kind yet: it has to be listed";

fn item(name: &str) -> Item {
    Item {
        pod: Some(ObservedPod {
            namespace: "default".into(),
            name: name.into(),
            uid: Uid(format!("uid-{name}")),
            owners: Vec::new(),
            spec_hash: 0,
            times: PodTimes::default(),
        }),
        ..Item::default()
    }
}

fn applied(name: &str, version: u64) -> Input {
    Input::Event(Event::Applied(item(name), version.to_string()))
}

fn bookmark(version: u64) -> Input {
    Input::Event(Event::Bookmark(version.to_string()))
}

fn failed(class: Class, reason: &str) -> Input {
    Input::Failed(Trouble {
        class,
        reason: reason.into(),
        retry_after: None,
    })
}

fn page(token: Option<&str>, version: u64) -> Input {
    Input::PageRead {
        token: token.map(str::to_owned),
        version: version.to_string(),
    }
}

fn ended(asked_seconds: u32, lasted_seconds: u32) -> Input {
    Input::Ended {
        asked_seconds,
        lasted_seconds,
    }
}

fn unreadable(uid: Option<&str>, version: Option<u64>, deleted: bool) -> Unreadable {
    Unreadable {
        reason: "broken".into(),
        uid: uid.map(Uid::from),
        version: version.map(|version| version.to_string()),
        deleted,
        intact: false,
    }
}

fn pause(failures: u32) -> Action {
    Action::Pause {
        failures,
        at_least: Duration::ZERO,
    }
}

fn open(from: u64, seconds: u32) -> Action {
    Action::Open {
        from: from.to_string(),
        seconds,
    }
}

fn first_page() -> Action {
    Action::Page {
        token: None,
        limit: LIST_PAGE_ITEMS,
    }
}

struct Script(Session);

impl Script {
    fn new(version: Option<u64>) -> Self {
        let version = version.map(|version| version.to_string());
        Self(Session::new(Gvk::pod(), version))
    }

    /// In contact at a version, the watch being open.
    fn watching(version: u64) -> Self {
        let mut script = Self::new(Some(version));
        script.feed([
            Input::Discovered,
            Input::Version(version.to_string()),
            Input::Opened,
        ]);
        assert_eq!(script.0.standing(), Standing::Watching);
        script
    }

    fn feed(&mut self, inputs: impl IntoIterator<Item = Input>) -> Vec<String> {
        inputs
            .into_iter()
            .flat_map(|input| self.0.on(input))
            .map(|observation| told(&observation))
            .collect()
    }

    #[track_caller]
    fn does(&self, action: Action) {
        assert_eq!(self.0.action(), action);
    }
}

#[test]
fn a_first_list_is_followed_by_a_watch_from_its_version() {
    let mut script = Script::new(None);
    script.does(Action::Discover);
    assert_eq!(script.feed([Input::Discovered]), [NEW]);
    script.does(first_page());
    let said = script.feed([Input::Listed(Ok(item("a"))), page(Some("t"), 5)]);
    assert_eq!(said, ["started", "applied a"]);
    script.does(Action::Page {
        token: Some("t".into()),
        limit: LIST_PAGE_ITEMS,
    });
    assert_eq!(script.0.standing(), Standing::Listing);
    let said = script.feed([Input::Listed(Ok(item("b"))), page(None, 5)]);
    assert_eq!(said, ["applied b", "finished@5"]);
    script.does(open(5, WATCH_SECONDS));
    let said = script.feed([Input::Opened, applied("a", 6), bookmark(9)]);
    assert_eq!(said, ["applied a@6", "bookmark@9"]);
    assert!(script.feed([ended(200, 199)]).is_empty());
    script.does(open(9, WATCH_SECONDS));
}

#[test]
fn a_resumed_watch_has_caught_up_at_the_version_that_was_current() {
    let mut script = Script::new(Some(5));
    script.feed([Input::Discovered]);
    script.does(Action::Ask);
    assert!(script.feed([Input::Version("9".into())]).is_empty());
    script.does(open(5, CATCH_UP_WATCH_SECONDS));
    let said = script.feed([
        Input::Opened,
        applied("a", 8),
        applied("b", 9),
        applied("c", 10),
    ]);
    assert_eq!(
        said,
        ["applied a@8", "applied b@9", "sighted", "applied c@10"]
    );
}

#[test]
fn a_quiet_kind_catches_up_by_a_bookmark() {
    let mut script = Script::new(Some(5));
    let said = script.feed([
        Input::Discovered,
        Input::Version("9".into()),
        Input::Opened,
        bookmark(8),
        bookmark(12),
    ]);
    assert_eq!(said, ["bookmark@8", "bookmark@12", "sighted"]);
}

#[test]
fn without_any_bookmark_a_watch_long_enough_has_caught_up() {
    let mut script = Script::new(Some(5));
    script.feed([Input::Discovered, Input::Version("9".into())]);
    let mut said = Vec::new();
    let mut watched = 0;
    while said.is_empty() {
        let Action::Open { seconds, .. } = script.0.action() else {
            panic!("{:?}", script.0.action());
        };
        assert!(watched < WATCH_SECONDS, "{watched}");
        watched += seconds;
        said = script.feed([Input::Opened, ended(seconds, seconds)]);
    }
    assert_eq!(said, ["sighted"]);
    assert!(watched >= WATCH_SECONDS);
}

#[test]
fn versions_that_cannot_be_compared_catch_up_with_a_bookmark() {
    let mut script = Script::new(Some(5));
    let said = script.feed([
        Input::Discovered,
        Input::Version("x-9".into()),
        Input::Opened,
        Input::Event(Event::Applied(item("a"), "x-8".into())),
        Input::Event(Event::Bookmark("x-10".into())),
    ]);
    assert_eq!(said, ["applied a@x-8", "bookmark@x-10", "sighted"]);
}

#[test]
fn resuming_where_nothing_happened_is_in_contact_at_once() {
    let mut script = Script::new(Some(9));
    let said = script.feed([Input::Discovered, Input::Version("9".into())]);
    assert_eq!(said, ["sighted"]);
    script.does(open(9, WATCH_SECONDS));
}

#[test]
fn a_server_behind_the_stored_version_has_another_history() {
    let mut script = Script::new(Some(10));
    let said = script.feed([Input::Discovered, Input::Version("9".into())]);
    assert_eq!(said.len(), 1);
    assert!(
        said[0].starts_with("blind: the server is at version 9, behind the 10"),
        "{said:?}"
    );
    script.does(first_page());
}

#[test]
fn a_version_that_the_server_does_not_accept_leads_to_a_list() {
    let mut script = Script::new(Some(5));
    script.feed([Input::Discovered, Input::Version("5".into())]);
    let said = script.feed([failed(Class::Refused, "HTTP 422")]);
    assert_eq!(said, ["blind: HTTP 422"]);
    script.does(first_page());
}

#[test]
fn a_watch_that_cannot_be_opened_again_is_blind_until_it_has_caught_up() {
    let mut script = Script::watching(5);
    script.feed([ended(200, 200)]);
    assert_eq!(
        script.feed([failed(Class::Other, "HTTP 503")]),
        ["blind: HTTP 503"]
    );
    script.does(pause(1));
    // The same again is not said again.
    script.feed([Input::Waited]);
    script.does(Action::Ask);
    assert!(script.feed([failed(Class::Other, "HTTP 503")]).is_empty());
    script.does(pause(2));
    assert_eq!(script.0.standing(), Standing::Failing("HTTP 503".into()));
    script.feed([Input::Waited]);
    let said = script.feed([Input::Version("8".into()), Input::Opened, applied("a", 8)]);
    assert_eq!(said, ["applied a@8", "sighted"]);
}

#[test]
fn a_kind_that_vanishes_is_discovered_again_and_goes_on() {
    let mut script = Script::watching(5);
    assert_eq!(
        script.feed([failed(Class::NotServed, "gone")]),
        ["blind: gone"]
    );
    script.feed([Input::Waited]);
    script.does(Action::Discover);
    script.feed([Input::Discovered]);
    script.does(Action::Ask);
}

#[test]
fn a_silent_watch_is_blind() {
    let mut script = Script::watching(5);
    assert_eq!(
        script.feed([Input::Silent]),
        ["blind: the watch fell silent"]
    );
    script.feed([Input::Waited]);
    script.does(Action::Ask);
}

#[test]
fn watches_that_end_at_once_wait_longer_and_longer_and_are_blind_in_the_end() {
    let mut script = Script::watching(5);
    for failures in 1..=EARLY_ENDS_BEFORE_BLIND {
        assert!(script.feed([ended(200, 0)]).is_empty());
        script.does(pause(failures));
        script.feed([Input::Waited, Input::Version("5".into()), Input::Opened]);
    }
    let said = script.feed([ended(200, 0)]);
    assert_eq!(said, ["blind: watches end as soon as they begin"]);
    script.feed([Input::Waited]);
    assert_eq!(script.feed([Input::Version("5".into())]), ["sighted"]);
}

#[test]
fn watches_that_something_cuts_after_a_while_are_no_failures() {
    let mut script = Script::watching(5);
    for _ in 0..20 {
        assert!(script.feed([ended(200, 50)]).is_empty());
        script.does(Action::Ask);
        script.feed([Input::Version("5".into()), Input::Opened]);
    }
}

#[test]
fn a_server_may_ask_to_be_left_alone_but_not_for_ever() {
    for (asked, waited) in [(7, 7), (1_000_000, crate::limits::RETRY_AFTER_SECONDS_MAX)] {
        let mut script = Script::new(None);
        script.feed([Input::Failed(Trouble {
            class: Class::Other,
            reason: "HTTP 429".into(),
            retry_after: Some(Duration::from_secs(asked)),
        })]);
        script.does(Action::Pause {
            failures: 1,
            at_least: Duration::from_secs(waited),
        });
    }
}

#[test]
fn a_bookmark_never_leads_back() {
    let mut script = Script::watching(5);
    assert!(script.feed([bookmark(4)]).is_empty());
    script.feed([ended(200, 200)]);
    script.does(open(5, WATCH_SECONDS));
}
