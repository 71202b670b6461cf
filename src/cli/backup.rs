//! `sk-tracedb backup`.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::copies;
use super::interrupt::Interrupt;
use super::output::bytes;
use super::progress::Bar;
use crate::clock::{Clock, WallClock};
use crate::store::{Backup, BackupSummary};

/// Arguments of `backup`.
#[derive(Args, Debug)]
pub(super) struct BackupArgs {
    /// The store. Its recorder may be running.
    #[arg(long, value_name = "FILE", env = "SK_TRACEDB_DB")]
    db: PathBuf,

    /// The copy to write; `-` for stdout. A file of that name is replaced when the copy is complete and checked.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    /// Where the copy is made before it goes to stdout: it takes as much room as the data [default: the system's folder
    /// for temporary files]. A copy that becomes a file is made beside it.
    #[arg(long, value_name = "FOLDER")]
    temp_dir: Option<PathBuf>,
}

/// Runs `backup`.
pub(super) fn run(args: &BackupArgs) -> anyhow::Result<()> {
    let interrupt = Interrupt::listen()?;
    let reader = copies::open(&args.db)?;
    let mut bar = Bar::new(&interrupt);
    let now = WallClock.now();
    if args.output == Path::new("-") {
        let folder = args.temp_dir.clone().unwrap_or_else(std::env::temp_dir);
        eprintln!("making the copy in {}", folder.display());
        let made = Backup::make(&reader, &folder, now, &mut |progress| bar.update(progress));
        let backup = bar
            .finish(made)
            .context("hint: --temp-dir names another folder for the copy")?;
        drop(reader);
        let summary = backup.summary().clone();
        let mut out = interrupt.guard(std::io::stdout().lock());
        let copied = std::io::copy(&mut backup.into_file()?, &mut out)
            .and_then(|_| out.flush())
            .context("cannot write the copy to stdout");
        interrupt.check()?;
        copied?;
        report(&summary);
    } else {
        let made = Backup::to_file(&reader, &args.output, now, &mut |progress| {
            bar.update(progress)
        });
        report(&bar.finish(made)?);
    }
    Ok(())
}

fn report(summary: &BackupSummary) {
    let BackupSummary {
        provenance,
        rows,
        bytes: length,
        pinned_for,
    } = summary;
    eprintln!(
        "copied and checked {rows} rows of store {} in {}: {} to {}, {} changes; the live file's pages were kept for {:.1} s",
        provenance.store_id,
        bytes(*length),
        provenance.start,
        provenance.end,
        provenance.last_seq,
        pinned_for.as_secs_f64()
    );
}
