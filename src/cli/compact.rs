//! `sk-tracedb compact`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;

use super::migrate::open_for_writing;
use super::room;
use crate::ingest::Writer;
use crate::model::ByteSize;
use crate::store::{Store, StoreError, allocated_bytes};

/// Arguments of `compact`.
#[derive(Args, Debug)]
pub(super) struct CompactArgs {
    /// The store. Nobody may have it open, neither a recorder nor a reader.
    #[arg(long, value_name = "FILE", env = "SK_TRACEDB_DB")]
    db: PathBuf,
}

/// Runs `compact`.
pub(super) fn run(args: &CompactArgs) -> anyhow::Result<()> {
    let store = open_for_writing(&args.db)?;
    let before = allocated_bytes(&args.db)?;
    eprintln!(
        "compacting {} ({}); do not stop it: the next open would have to check the whole file",
        args.db.display(),
        ByteSize(before)
    );
    let began = Instant::now();
    compact(store).map_err(|error| room::told(error, &args.db))?;
    let after = allocated_bytes(&args.db)?;
    eprintln!(
        "{} before, {} after, {:.1} s",
        ByteSize(before),
        ByteSize(after),
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Packs a store and gives its free room back.
pub(super) fn compact(store: Store) -> Result<(), StoreError> {
    // Without a run nothing is recorded; what is over is packed.
    let mut writer = Writer::new(store)?;
    writer.pack_all(Duration::MAX)?;
    let mut store = writer.into_store();
    store.compact()?;
    store.close()
}
