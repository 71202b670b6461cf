//! Files with one flipped bit, one truncation or one zeroed page: right answers or a clear error, never wrong rows, never
//! a panic.

use std::cell::Cell;
use std::path::Path;

use sk_tracedb::model::{TimeRange, Timestamp};
use sk_tracedb::store::SCHEMA_VERSION;
use sk_tracedb::{Reader, Store, StoreError};

use crate::copies;
use crate::damage::{Random, damage};
use crate::load::{Load, closed, commits_of, trace};
use crate::support::recorder::export_of;

thread_local! {
    /// Panics of this thread.
    static PANICS: Cell<u32> = const { Cell::new(0) };
}

fn count_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.with(|panics| panics.set(panics.get() + 1));
        before(info);
    }));
    // What becomes an error is none.
    sk_tracedb::store::hush_guarded_panics();
}

/// `true` when the file gives the right answers, `false` when it is refused.
fn answers(path: &Path, what: &str, expected: impl Fn(&Reader)) -> bool {
    let opened = Reader::open(path);
    assert_eq!(PANICS.with(Cell::get), 0, "{what}: something panicked");
    match opened {
        Ok(reader) => {
            expected(&reader);
            true
        }
        Err(error) => {
            assert_clear(&error, what);
            false
        }
    }
}

/// An error that names the file and the way out.
fn assert_clear(error: &StoreError, what: &str) {
    assert!(
        matches!(
            error,
            StoreError::DamagedFile { .. } | StoreError::NotAStore { .. }
        ),
        "{what}: {error:?}"
    );
    let text = error.to_string();
    let way_out = text.contains("hint:") && text.contains("sk-tracedb salvage --db FILE");
    assert!(way_out && text.contains("damaged.redb"), "{what}: {text}");
}

#[test]
fn damaged_files_that_were_closed_give_right_answers_or_a_clear_error() {
    count_panics();
    let (folder, path) = closed(30);
    let expected = trace(&Reader::open(&path).unwrap(), 30);
    let damaged = folder.path().join("damaged.redb");
    let mut random = Random(1);
    let (mut right, mut refused) = (0, 0);
    for n in 0..copies(100, 1_000) {
        std::fs::copy(&path, &damaged).unwrap();
        let what = format!("{n}: {}", damage(&damaged, &mut random));
        let answered = answers(&damaged, &what, |reader| {
            assert_eq!(commits_of(reader), 30, "{what}");
            assert!(trace(reader, 30) == expected, "{what}: wrong rows");
        });
        if answered {
            right += 1;
        } else {
            refused += 1;
        }
    }
    println!("{right} right, {refused} refused");
    assert!(right > 0 && refused > 0);
}

#[test]
fn damaged_files_that_were_not_closed_give_right_answers_or_a_clear_error() {
    count_panics();
    let load = Load::start(30, None);
    let recorder = load.stop();
    let original = recorder.reader();
    let commits = commits_of(&original);
    let damaged = recorder.folder().join("damaged.redb");
    let mut random = Random(2);
    for n in 0..copies(40, 400) {
        std::fs::copy(recorder.path(), &damaged).unwrap();
        let what = format!("{n}: {}", damage(&damaged, &mut random));
        answers(&damaged, &what, |reader| {
            // A header that lost its last commit is one of a moment before: whole, and one commit older.
            let found = commits_of(reader);
            assert!(
                found == commits || found + 1 == commits,
                "{what}: {found} of {commits}"
            );
            assert!(
                trace(reader, found) == trace(&original, found),
                "{what}: wrong rows"
            );
        });
    }
}

/// All of a record.
fn whole(reader: &Reader) -> Vec<u8> {
    let (start, end) = reader.snapshot().unwrap().extent().unwrap();
    let window = TimeRange::new(
        Timestamp::from_seconds(start.as_seconds()),
        Timestamp::from_seconds(end.as_seconds() + 1),
    );
    export_of(reader, window.unwrap(), Default::default()).bytes
}

#[test]
fn damaged_files_of_every_schema_are_opened_for_writing_as_they_were_or_refused() {
    count_panics();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/fixtures");
    let folder = tempfile::tempdir().unwrap();
    let damaged = folder.path().join("damaged.redb");
    let mut random = Random(4);
    for version in 1..=SCHEMA_VERSION {
        let original = fixtures.join(format!("v{version}.redb"));
        std::fs::copy(&original, &damaged).unwrap();
        let expected = whole(&Store::open(&damaged).unwrap().reader());
        let (mut right, mut refused) = (0, 0);
        for n in 0..copies(30, 200) {
            std::fs::copy(&original, &damaged).unwrap();
            let what = format!("{n} of v{version}: {}", damage(&damaged, &mut random));
            let found = std::fs::read(&damaged).unwrap();
            let opened = Store::open(&damaged);
            assert_eq!(PANICS.with(Cell::get), 0, "{what}: something panicked");
            match opened {
                Ok(store) => {
                    assert!(whole(&store.reader()) == expected, "{what}: wrong rows");
                    right += 1;
                }
                Err(error) => {
                    assert_clear(&error, &what);
                    assert!(found == std::fs::read(&damaged).unwrap(), "{what}: changed");
                    refused += 1;
                }
            }
        }
        println!("schema {version}: {right} right, {refused} refused");
        assert!(right > 0 && refused > 0);
    }
}
