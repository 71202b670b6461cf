//! Events of a watch that cannot be read.

use super::*;

#[test]
fn an_event_that_cannot_be_read_is_asked_for_again_and_then_skipped() {
    let mut script = Script::watching(5);
    let broken = || Input::Event(Event::Unreadable(unreadable(Some("u"), Some(6), false)));
    for tries in 1..=POISONED_EVENT_TRIES_MAX {
        assert!(script.feed([broken()]).is_empty());
        script.does(pause(tries));
        script.feed([Input::Waited]);
        script.does(open(5, WATCH_SECONDS));
        script.feed([Input::Opened]);
    }
    let said = script.feed([broken(), applied("a", 7)]);
    assert_eq!(
        said,
        [
            "blind: an event could not be read: broken",
            "bookmark@6",
            "sighted",
            "applied a@7"
        ]
    );
    assert_eq!(script.0.skipped(), 1);
    // The next one has all its tries.
    script.feed([broken()]);
    script.does(pause(1));
}

#[test]
fn an_event_that_heals_is_not_skipped() {
    let mut script = Script::watching(5);
    let broken = Input::Event(Event::Unreadable(unreadable(None, None, false)));
    let said = script.feed([broken, Input::Waited, Input::Opened, applied("a", 6)]);
    assert_eq!(said, ["applied a@6"]);
    assert_eq!((script.0.skipped(), script.0.failures()), (0, 0));
}

#[test]
fn behind_an_unreadable_event_without_a_version_or_of_a_deletion_comes_a_list() {
    for event in [
        unreadable(Some("u"), None, false),
        unreadable(Some("u"), Some(6), true),
    ] {
        let mut script = Script::watching(5);
        for _ in 0..POISONED_EVENT_TRIES_MAX {
            let event = Input::Event(Event::Unreadable(event.clone()));
            script.feed([event, Input::Waited, Input::Opened]);
        }
        let said = script.feed([Input::Event(Event::Unreadable(event))]);
        assert_eq!(said, ["blind: an event could not be read: broken"]);
        script.feed([Input::Waited]);
        script.does(first_page());
    }
}

#[test]
fn an_event_that_came_as_it_was_sent_is_skipped_at_once() {
    let mut script = Script::watching(5);
    let event = Unreadable {
        intact: true,
        ..unreadable(Some("u"), Some(6), false)
    };
    let said = script.feed([Input::Event(Event::Unreadable(event))]);
    assert_eq!(said, ["bookmark@6"]);
    script.does(Action::Read);
    assert_eq!(script.0.skipped(), 1);
}

#[test]
fn unreadable_deletions_do_not_mean_one_list_after_the_other() {
    let mut script = Script::watching(5);
    let mut pauses = 0;
    for version in 10..20 {
        let event = Unreadable {
            intact: true,
            ..unreadable(Some("u"), Some(version), true)
        };
        script.feed([Input::Event(Event::Unreadable(event))]);
        if matches!(script.0.action(), Action::Pause { failures, .. } if failures >= pauses) {
            pauses += 1;
            script.feed([Input::Waited]);
        }
        script.feed([page(None, version), Input::Opened, bookmark(version)]);
    }
    assert_eq!(pauses, 9);
}
