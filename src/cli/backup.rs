//! `sk-tracedb backup`.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::copies;
use super::interrupt::Interrupt;
use super::output::{bytes, refuse_terminal};
use super::progress::Bar;
use crate::clock::{Clock, WallClock};
use crate::export::sink::FileSink;
use crate::store::{Backup, BackupSummary, refuse_itself};

/// Arguments of `backup`.
#[derive(Args, Debug)]
pub(super) struct BackupArgs {
    /// The store. Its recorder may be running.
    #[arg(long, value_name = "FILE", env = "SK_TRACEDB_DB")]
    db: PathBuf,

    /// The copy to write; `-` for stdout. A file of that name is replaced when the copy is complete and checked; a FIFO or
    /// device is written through.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    /// Where the copy is made before it goes to stdout, a FIFO or a device: it takes as much room as the data [default: the system's folder
    /// for temporary files]. A copy that becomes a file is made beside it.
    #[arg(long, value_name = "FOLDER")]
    temp_dir: Option<PathBuf>,
}

/// Runs `backup`.
pub(super) fn run(args: &BackupArgs) -> anyhow::Result<()> {
    let interrupt = Interrupt::listen()?;
    let to_stdout = args.output == Path::new("-");
    // What is wrong with the output is said before the work, not after it.
    let through = if to_stdout {
        refuse_terminal()?;
        None
    } else {
        refuse_itself(&args.db, &args.output)?;
        let sink = FileSink::create(&args.output)?;
        sink.may_wait().then_some(sink)
    };
    let reader = copies::open(&args.db)?;
    let mut bar = Bar::new(&interrupt);
    let now = WallClock.now();
    if !to_stdout && through.is_none() {
        let made = Backup::to_file(&reader, &args.output, now, &mut |progress| {
            bar.update(progress)
        });
        report(&bar.finish(made)?);
        return Ok(());
    }
    let folder = args.temp_dir.clone().unwrap_or_else(std::env::temp_dir);
    eprintln!("making the copy in {}", folder.display());
    let made = Backup::make(&reader, &folder, now, &mut |progress| bar.update(progress));
    let backup = bar
        .finish(made)
        .context("hint: --temp-dir names another folder for the copy")?;
    drop(reader);
    let summary = backup.summary().clone();
    let mut copy = backup.into_file()?;
    let copied = match through {
        None => {
            let mut out = interrupt.guard(std::io::stdout().lock());
            std::io::copy(&mut copy, &mut out)
                .and_then(|_| out.flush())
                .context("cannot write the copy to stdout")
        }
        Some(sink) => {
            let mut out = interrupt.guard(sink);
            std::io::copy(&mut copy, &mut out)
                .with_context(|| format!("{}: cannot be written", args.output.display()))
                .and_then(|_| Ok(out.into_inner().commit().map(drop)?))
        }
    };
    interrupt.check()?;
    copied?;
    report(&summary);
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
        provenance.changes,
        pinned_for.as_secs_f64()
    );
    if let Some(horizon) = provenance.horizon {
        eprintln!("what was recorded before {horizon} had been dropped by retention");
    }
}
