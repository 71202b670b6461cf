//! `sk-tracedb verify`.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::interrupt::Interrupt;
use super::progress::Bar;
use crate::store::{Verification, verify};

/// Findings shown to people; `--json` shows more.
const LINES_MAX: usize = 50;

/// Arguments of `verify`.
#[derive(Args, Debug)]
pub(super) struct VerifyArgs {
    /// The store: a recorder's own file (it may be running) or a copy. It is not changed.
    #[arg(long, value_name = "FILE", env = "SK_TRACEDB_DB")]
    db: PathBuf,

    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// The store is damaged; what is wrong has been said.
#[derive(Debug, thiserror::Error)]
#[error("{path}: not intact; findings: {findings}\nhint: {hint}")]
struct NotIntact {
    path: String,
    findings: u64,
    hint: &'static str,
}

/// Runs `verify`.
pub(super) fn run(args: &VerifyArgs) -> anyhow::Result<()> {
    let interrupt = Interrupt::listen()?;
    let mut bar = Bar::new(&interrupt);
    let verified = verify(&args.db, &mut |progress| bar.update(progress));
    let verification = bar.finish(verified)?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&verification)?)?;
    } else {
        print(&mut out, &verification)?;
    }
    if verification.intact {
        return Ok(());
    }
    let listed = u64::try_from(verification.findings.len()).unwrap_or(u64::MAX);
    Err(NotIntact {
        path: verification.path.display().to_string(),
        findings: listed.saturating_add(verification.findings_left_out),
        hint: "restore a backup, copy it again if it is a copy, or save what is readable: `sk-tracedb salvage --db FILE -o \
               RESCUED`",
    }
    .into())
}

fn print(out: &mut impl Write, verification: &Verification) -> anyhow::Result<()> {
    for finding in verification.findings.iter().take(LINES_MAX) {
        match (finding.table.as_str(), finding.key.as_str()) {
            ("", _) => writeln!(out, "file: {}", finding.what)?,
            (table, "") => writeln!(out, "{table}: {}", finding.what)?,
            (table, key) => writeln!(out, "{table} at {key}: {}", finding.what)?,
        }
    }
    if verification.findings.len() > LINES_MAX {
        writeln!(out, "(more findings: --json shows them)")?;
    }
    if verification.intact {
        let pages = if verification.pages_checked {
            "every page, "
        } else {
            "(not its pages: a recorder is writing it) "
        };
        writeln!(
            out,
            "{}: intact: {pages}{} rows and what they promise each other",
            verification.path.display(),
            verification.rows
        )?;
    }
    Ok(())
}
