//! Lists: what they prove, how they fail, and what follows.

use super::*;

#[test]
fn an_empty_list_sweeps_too() {
    let mut script = Script::new(None);
    let said = script.feed([Input::Discovered, page(None, 5)]);
    assert_eq!(said, [NEW, "started", "finished@5"]);
}

#[test]
fn a_list_that_expires_starts_again_from_nothing() {
    let mut script = Script::new(None);
    script.feed([
        Input::Discovered,
        Input::Listed(Ok(item("a"))),
        page(Some("t"), 5),
    ]);
    let said = script.feed([failed(Class::Gone, "expired")]);
    assert_eq!(said, ["blind: expired"]);
    script.does(first_page());
    let said = script.feed([Input::Listed(Ok(item("b"))), page(None, 7)]);
    assert_eq!(said, ["started", "applied b", "finished@7"]);
    script.does(open(7, WATCH_SECONDS));
}

#[test]
fn lists_that_expire_again_and_again_wait_longer_and_longer() {
    let mut script = Script::new(None);
    script.feed([
        Input::Discovered,
        page(Some("t"), 5),
        failed(Class::Gone, "expired"),
    ]);
    for failures in 2..6 {
        script.does(first_page());
        script.feed([page(Some("t"), 5), failed(Class::Gone, "expired")]);
        script.does(pause(failures));
        script.feed([Input::Waited]);
    }
    // A list alone is no progress: the version that it gives may be expired again.
    script.feed([page(None, 6), failed(Class::Gone, "expired")]);
    script.does(pause(6));
    script.feed([Input::Waited, page(None, 7), Input::Opened, applied("a", 8)]);
    script.feed([Input::Event(Event::Expired("expired".into()))]);
    script.does(first_page());
}

#[test]
fn a_page_that_fails_is_asked_for_again_before_the_list_is_abandoned() {
    let mut script = Script::new(None);
    script.feed([
        Input::Discovered,
        Input::Listed(Ok(item("a"))),
        page(Some("t"), 5),
    ]);
    for _ in 1..LIST_PAGE_TRIES_MAX {
        assert!(script.feed([failed(Class::Other, "HTTP 500")]).is_empty());
        assert_eq!(script.0.standing(), Standing::Failing("HTTP 500".into()));
        assert!(script.feed([Input::Waited]).is_empty());
        script.does(Action::Page {
            token: Some("t".into()),
            limit: LIST_PAGE_ITEMS,
        });
    }
    assert_eq!(
        script.feed([failed(Class::Other, "HTTP 500")]),
        ["blind: HTTP 500"]
    );
    script.feed([Input::Waited]);
    script.does(first_page());
    assert_eq!(script.feed([page(None, 6)]), ["started", "finished@6"]);
}

#[test]
fn a_page_that_is_too_large_is_asked_for_in_smaller_parts() {
    let mut script = Script::new(None);
    script.feed([Input::Discovered, page(Some("t"), 5)]);
    let mut limits = Vec::new();
    while let Action::Page { token, limit } = script.0.action() {
        assert_eq!(token.as_deref(), Some("t"));
        limits.push(limit);
        script.feed([Input::PageTooLarge]);
    }
    assert_eq!(limits, [500, 125, 31, 7, 1]);
    script.does(pause(1));
}

#[test]
fn an_item_that_cannot_be_read_is_not_swept() {
    let mut script = Script::new(None);
    let said = script.feed([
        Input::Discovered,
        Input::Listed(Err(unreadable(Some("u"), None, false))),
        Input::Listed(Ok(item("b"))),
        page(None, 5),
    ]);
    assert_eq!(
        said,
        [NEW, "started", "listed u", "applied b", "finished@5"]
    );
}

#[test]
fn a_list_with_an_item_that_cannot_be_identified_sweeps_nothing() {
    let mut script = Script::new(None);
    let said = script.feed([
        Input::Discovered,
        Input::Listed(Err(unreadable(None, None, false))),
        page(Some("t"), 5),
        Input::Listed(Ok(item("b"))),
        page(None, 5),
    ]);
    assert_eq!(
        said,
        [
            NEW,
            "started",
            "applied b",
            "blind: the list holds an object that cannot be identified: broken"
        ]
    );
    script.does(pause(1));
    script.feed([Input::Waited]);
    script.does(first_page());
}

#[test]
fn both_forms_of_410_lead_to_a_list() {
    for gone in [
        failed(Class::Gone, "expired"),
        Input::Event(Event::Expired("expired".into())),
    ] {
        let mut script = Script::watching(5);
        assert_eq!(script.feed([gone]), ["blind: expired"]);
        script.does(first_page());
        assert_eq!(script.feed([page(None, 9)]), ["started", "finished@9"]);
    }
}

#[test]
fn a_page_that_leads_to_itself_is_a_failure() {
    let mut script = Script::new(None);
    script.feed([Input::Discovered, page(Some("t"), 5), page(Some("t"), 5)]);
    script.does(pause(1));
}
