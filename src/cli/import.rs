//! `sk-tracedb import`.

use std::path::PathBuf;

use clap::Args;

use super::interrupt::Interrupt;
use crate::import::import;

/// Arguments of `import`.
#[derive(Args, Debug)]
pub(super) struct ImportArgs {
    /// The trace: a SimKube trace file of version 2.
    #[arg(value_name = "TRACE")]
    trace: PathBuf,

    /// The store to make. It must not exist.
    #[arg(long, value_name = "FILE", env = "SK_TRACEDB_DB")]
    db: PathBuf,
}

/// Runs `import`.
pub(super) fn run(args: &ImportArgs) -> anyhow::Result<()> {
    let interrupt = Interrupt::listen()?;
    let summary = import(&args.trace, &args.db, || Ok(interrupt.check()?))?;
    eprintln!(
        "imported {} events: {} applied, {} deleted, {} pod lifecycles",
        summary.events, summary.applied, summary.deleted, summary.lifecycles
    );
    Ok(())
}
