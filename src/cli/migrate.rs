//! `sk-tracedb migrate`, and the migration that other commands make on their way.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::store::{OpenOptions, Reader, SCHEMA_VERSION, Store, StoreError, schema_version};

/// Arguments of `migrate`.
#[derive(Args, Debug)]
pub(super) struct MigrateArgs {
    /// The store. It is changed in place, step by step; each step happens whole or not at all.
    #[arg(long, value_name = "FILE", env = "SK_TRACEDB_DB")]
    db: PathBuf,
}

/// Runs `migrate`.
pub(super) fn run(args: &MigrateArgs) -> anyhow::Result<()> {
    if schema_version(&args.db)? == SCHEMA_VERSION {
        // Opened for writing, its bytes would change. A file that is not the recorder's own is checked all the same.
        Reader::open(&args.db)?;
        eprintln!(
            "{} has schema version {SCHEMA_VERSION} already; nothing to do",
            args.db.display()
        );
        return Ok(());
    }
    open_for_writing(&args.db)?.close()?;
    Ok(())
}

/// Opens a store that exists for writing. Says so where it was migrated.
pub(super) fn open_for_writing(path: &Path) -> Result<Store, StoreError> {
    let found = schema_version(path)?;
    let options = OpenOptions {
        create: false,
        ..OpenOptions::default()
    };
    let store = Store::open_with(path, options)?;
    if found < SCHEMA_VERSION {
        eprintln!(
            "{}: migrated from schema version {found} to {SCHEMA_VERSION}",
            path.display()
        );
    }
    Ok(store)
}
