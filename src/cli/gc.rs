//! `sk-tracedb gc`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::exit::usage;
use super::interrupt::Interrupt;
use super::migrate::open_for_writing;
use super::retention::checked;
use super::room;
use crate::clock::{Clock, WallClock};
use crate::ingest::{Collected, RetentionPolicy, Writer, collect};
use crate::model::timestamp::TimeSpec;
use crate::model::{Age, ByteSize, Horizon, Timestamp};
use crate::store::{Reader, SizeOnDisk, Store, StoreError};

/// Arguments of `gc`.
#[derive(Args, Debug)]
pub(super) struct GcArgs {
    /// The store. No recorder may have it open: a running one has retention of its own.
    #[arg(long, value_name = "FILE", env = "SK_TRACEDB_DB")]
    db: PathBuf,

    /// Drop what is older than this at the end of the record: 30d, 12h. (Not now: all of an old file would be.)
    #[arg(long, value_name = "AGE")]
    retention_age: Option<Age>,

    /// Drop the oldest changes until the tables take no more than this: 10GiB, 500MB, 10Gi.
    #[arg(long, value_name = "SIZE")]
    retention_size: Option<ByteSize>,

    /// Drop what was recorded before this time: RFC 3339, Unix seconds, or a duration before now (-30d).
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    before: Option<TimeSpec>,
}

/// Runs `gc`.
pub(super) fn run(args: &GcArgs) -> anyhow::Result<()> {
    let now = WallClock.now();
    let policy = RetentionPolicy {
        age_us: args.retention_age.and_then(Age::micros),
        size_bytes: args.retention_size.map(checked).transpose()?,
    };
    let before = args.before.map(|before| before.resolve(now, now));
    if policy == RetentionPolicy::default() && before.is_none() {
        return Err(usage(
            "nothing says what to drop\nhint: give --retention-age, --retention-size or --before",
        ));
    }
    let interrupt = Interrupt::listen()?;
    let store = open_for_writing(&args.db)?;
    let Dropped {
        collected,
        horizon,
        size,
    } = drop_rows(store, policy, before, now, &interrupt)
        .map_err(|error| room::told(error, &args.db))?;
    if collected.changes + collected.rows == 0 {
        eprintln!("nothing to drop");
    } else {
        eprintln!(
            "dropped {} changes and {} other rows; the record begins at {horizon}",
            collected.changes, collected.rows
        );
    }
    eprintln!(
        "{} of tables in a file of {}",
        ByteSize(size.used_bytes()),
        ByteSize(size.allocated_bytes)
    );
    if compact_helps(size.used_bytes(), size.allocated_bytes) {
        eprintln!("hint: `sk-tracedb compact` gives free room in the file back to the volume");
    }
    if collected.too_large {
        eprintln!("warning: what exists at the end of the record needs more than that size");
    }
    if interrupt.check().is_err() {
        eprintln!(
            "note: what was dropped until then stays dropped; the same command goes on from there"
        );
    }
    interrupt.check()?;
    Ok(())
}

/// What was dropped, where the record begins, and what is left.
struct Dropped {
    collected: Collected,
    horizon: Horizon,
    size: SizeOnDisk,
}

/// The part of a file that has to be free for `compact` to be worth a hint: one in so many.
const FREE_PARTS: u64 = 4;

/// Whether so much of a file is free that it is worth giving back.
fn compact_helps(used_bytes: u64, allocated_bytes: u64) -> bool {
    allocated_bytes.saturating_sub(used_bytes) > allocated_bytes / FREE_PARTS
}

/// Drops rows and closes the store.
fn drop_rows(
    store: Store,
    policy: RetentionPolicy,
    before: Option<Timestamp>,
    now: Timestamp,
    interrupt: &Interrupt,
) -> Result<Dropped, StoreError> {
    let mut writer = Writer::new(store)?;
    let end = writer.last_time().min(now);
    let collected = collect(&mut writer, policy, before, end, |_| {
        interrupt.check().is_ok()
    })?;
    let horizon = writer.horizon();
    // What was dropped of packed rows gives its room back when its chunks are made anew.
    // In small pieces, so that little room is needed for it.
    writer.pack_within(Duration::MAX, u64::MAX)?;
    let store = writer.into_store();
    let path = store.path().to_owned();
    store.close()?;
    // Closing may have made it smaller.
    let size = Reader::open(&path)?.snapshot()?.size_on_disk()?;
    Ok(Dropped {
        collected,
        horizon,
        size,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compact_is_hinted_at_where_it_gives_much_back() {
        assert!(compact_helps(70, 100));
        assert!(!compact_helps(75, 100));
        assert!(!compact_helps(100, 90));
    }
}
