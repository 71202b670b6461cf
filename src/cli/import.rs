//! `sk-tracedb import`.

use std::path::PathBuf;

use clap::Args;

use super::interrupt::Interrupt;
use crate::import::{ImportOptions, import};

/// Arguments of `import`.
#[derive(Args, Debug)]
pub(super) struct ImportArgs {
    /// The trace: a SimKube trace file of version 2.
    #[arg(value_name = "TRACE")]
    trace: PathBuf,

    /// The store to make. It must not exist.
    #[arg(long, value_name = "FILE", env = "SK_TRACEDB_DB")]
    db: PathBuf,

    /// Store literal values of environment variables as keyed digests. A replay then does not find the lifecycles of pods
    /// that have such values, because their hashes in the trace are of the values.
    #[arg(long)]
    redact_env: bool,

    /// Store the data of Secrets as it stands in the trace, instead of as keyed digests.
    #[arg(long)]
    store_secret_data: bool,
}

/// Runs `import`.
pub(super) fn run(args: &ImportArgs) -> anyhow::Result<()> {
    let interrupt = Interrupt::listen()?;
    let options = ImportOptions {
        store_secret_data: args.store_secret_data,
        redact_env: args.redact_env,
    };
    let summary = import(&args.trace, &args.db, options, || Ok(interrupt.check()?))?;
    eprintln!(
        "imported {} events: {} applied, {} deleted, {} pod lifecycles",
        summary.events, summary.applied, summary.deleted, summary.lifecycles
    );
    Ok(())
}
