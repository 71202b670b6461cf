//! `sk-tracedb migrate`.

use std::path::PathBuf;

use clap::Args;

use crate::store::{OpenOptions, SCHEMA_VERSION, Store};

/// Arguments of `migrate`.
#[derive(Args, Debug)]
pub(super) struct MigrateArgs {
    /// The store. It is changed in place, step by step; each step happens whole or not at all.
    #[arg(long, value_name = "FILE", env = "SK_TRACEDB_DB")]
    db: PathBuf,
}

/// Runs `migrate`.
pub(super) fn run(args: &MigrateArgs) -> anyhow::Result<()> {
    Store::open_with(
        &args.db,
        OpenOptions {
            create: false,
            ..OpenOptions::default()
        },
    )?
    .close()?;
    eprintln!("{} has schema version {SCHEMA_VERSION}", args.db.display());
    Ok(())
}
