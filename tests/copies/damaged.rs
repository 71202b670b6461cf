//! Files with one flipped bit, one truncation or one zeroed page: right answers or a clear error, never wrong rows, never
//! a panic.

use std::cell::Cell;
use std::path::Path;

use sk_tracedb::{Reader, StoreError};

use crate::copies;
use crate::damage::{Random, damage};
use crate::load::{Load, closed, commits_of, trace};

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
            let text = error.to_string();
            assert!(
                matches!(
                    error,
                    StoreError::DamagedFile { .. } | StoreError::NotAStore { .. }
                ),
                "{what}: {error:?}"
            );
            let clear = text.contains("hint:") || text.contains("not a trace store");
            assert!(clear && text.contains("damaged.redb"), "{what}: {text}");
            false
        }
    }
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
