//! Errors as text and exit codes.

use std::path::Path;
use std::process::ExitCode;

use super::interrupt::Interrupted;
use crate::store::{StorageFailure, StoreError};

/// Something the caller gave is wrong: exit code 2, as clap's.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Usage(pub(super) String);

/// Marks an error as caused by what the caller gave.
pub(super) fn usage(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow::Error::new(Usage(error.to_string()))
}

/// What a person can do about a store that is damaged.
const DAMAGED_HINT: &str = "hint: `sk-tracedb verify --db FILE` tells what is wrong with it; go on with a backup, or save what \
                            is readable with `sk-tracedb salvage --db FILE -o RESCUED`";

/// What a person can do about a full disk, where nothing more is known.
const FULL_HINT: &str = "hint: make room there, and try again";

/// Prints an error with its causes and says how the process shall end. `db` is the store that was worked on, where there
/// is one: errors of rows and of the database do not name it.
pub(super) fn code(result: anyhow::Result<()>, db: Option<&Path>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    if let Some(interrupted) = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Interrupted>())
    {
        eprintln!("stopped by {}", interrupted.name());
        return ExitCode::from(interrupted.exit_code());
    }
    if is_broken_pipe(&error) {
        // `sk-tracedb export -o - | head`: the reader has what it wanted; the writer has not succeeded.
        return ExitCode::from(1);
    }
    let mut causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    let stored = || {
        error
            .chain()
            .filter_map(|cause| cause.downcast_ref::<StoreError>())
    };
    let is_damage = stored().any(StoreError::is_unnamed_damage);
    if let Some(db) = db
        && (is_damage || stored().any(StoreError::is_unnamed_failure))
    {
        let name = db.display().to_string();
        if !causes.iter().any(|cause| cause.contains(&name)) {
            causes.insert(0, name);
        }
    }
    let is_aftermath = stored().any(StoreError::is_aftermath);
    let (mut hints, text): (Vec<String>, Vec<String>) = causes
        .iter()
        .flat_map(|cause| cause.split('\n'))
        .map(str::to_owned)
        .partition(|line| line.starts_with("hint:"));
    if is_damage || (is_aftermath && hints.is_empty()) {
        hints.push(DAMAGED_HINT.to_owned());
    } else if hints.is_empty() && is_for_want_of_room(&error) {
        hints.push(FULL_HINT.to_owned());
    }
    eprintln!("error: {}", text.join(": "));
    for hint in hints {
        eprintln!("{hint}");
    }
    let wrong_input = error.chain().any(|cause| cause.is::<Usage>());
    ExitCode::from(if wrong_input { 2 } else { 1 })
}

fn is_for_want_of_room(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let failure = match cause.downcast_ref::<StoreError>() {
            Some(error) => error.storage_failure(),
            None => cause.downcast_ref().map(StorageFailure::of),
        };
        failure == Some(StorageFailure::NoSpace)
    })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}
