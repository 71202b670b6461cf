//! Verifying a store: redb's own integrity, every row's checksum and contents (`rows`), and what the tables promise each
//! other (`invariants`, see docs/format.md).
//!
//! A file that another process is writing is verified as one snapshot of it, without redb's own check, which needs the
//! file to itself.

mod findings;
mod invariants;
mod rows;

use std::path::{Path, PathBuf};

use super::progress::{Counter, Progress};
use super::{Reader, StoreError, check, recognize};

pub use findings::Finding;
use findings::Findings;

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Verification {
    /// The file.
    pub path: PathBuf,
    /// Nothing is wrong.
    pub intact: bool,
    /// Whether redb's own check was made; not for a file that is being written.
    pub pages_checked: bool,
    /// Rows read.
    pub rows: u64,
    /// What is wrong, as far as it is listed.
    pub findings: Vec<Finding>,
    /// Further findings.
    pub findings_left_out: u64,
}

/// Verifies a file, without changing it.
///
/// # Errors
/// When it cannot be read at all: [`StoreError::Missing`], [`StoreError::NotAStore`], [`StoreError::NewerSchema`],
/// [`StoreError::OlderSchema`], [`StoreError::Stopped`] when `go_on` says so, or what the file system says. Damage is not
/// an error but a finding.
pub fn verify(
    path: &Path,
    go_on: &mut dyn FnMut(Progress) -> bool,
) -> Result<Verification, StoreError> {
    recognize::check_magic(path)?;
    let mut findings = Findings::default();
    let mut counter = Counter::new(go_on);
    let mut pages_checked = false;
    match check::guarded(path, || check::open_read_only(path)) {
        Ok(check::Found::BeingWritten(_)) => {}
        Ok(check::Found::Closed(..) | check::Found::NotClosed)
        | Err(StoreError::DamagedFile { .. }) => {
            counter.begin("checking pages", 0)?;
            pages_checked = true;
            match check::open_checked(path) {
                Ok(database) => drop(database),
                Err(StoreError::DamagedFile { reason, .. }) => findings.add("", "", reason),
                Err(error) => return Err(error),
            }
        }
        Err(error) => return Err(error),
    }
    // Where pages are damaged, what can be read is read all the same, to say where the damage is.
    let whole = findings.is_empty();
    let read = check::guarded(path, || {
        let reader = if whole {
            Reader::open_after_check(path)?
        } else {
            Reader::open_damaged(path)?
        };
        let snapshot = reader.snapshot()?;
        counter.begin("checking rows", super::backup::rows_of(&snapshot)?)?;
        rows::check(&snapshot, &mut counter, &mut findings)?;
        let rows = counter.done();
        if whole {
            invariants::check(&snapshot, &mut counter, &mut findings)?;
        }
        Ok(rows)
    });
    let rows = match read {
        Ok(rows) => rows,
        Err(error @ (StoreError::Stopped | StoreError::Io { .. })) => return Err(error),
        Err(
            error @ (StoreError::NotAStore { .. }
            | StoreError::NewerSchema { .. }
            | StoreError::OlderSchema { .. }),
        ) if whole => return Err(error),
        // What is wrong with the pages has been said; they do not tell whose they are.
        Err(StoreError::NotAStore { .. }) => 0,
        Err(error) => {
            findings.error(&error);
            0
        }
    };
    let (findings, findings_left_out) = findings.into_parts();
    Ok(Verification {
        path: path.to_owned(),
        intact: findings.is_empty(),
        pages_checked,
        rows,
        findings,
        findings_left_out,
    })
}
