//! What a store shall keep, as arguments.

use std::path::Path;
use std::str::FromStr;

use clap::Args;

use super::exit::usage;
use crate::ingest::RetentionPolicy;
use crate::limits::RETENTION_SIZE_BYTES_MIN;
use crate::model::quantity::InvalidByteSize;
use crate::model::{Age, ByteSize};
use crate::store::Room;

/// A size limit, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SizeLimit {
    None,
    Bytes(ByteSize),
}

impl FromStr for SizeLimit {
    type Err = InvalidByteSize;

    fn from_str(text: &str) -> Result<Self, InvalidByteSize> {
        if text == "none" {
            Ok(Self::None)
        } else {
            text.parse().map(Self::Bytes)
        }
    }
}

/// What `record` keeps.
#[derive(Args, Debug)]
pub(super) struct RetentionArgs {
    /// Keep changes for so long (30d, 12h), or `none`: however old they are.
    #[arg(
        long,
        value_name = "AGE",
        env = "SK_TRACEDB_RETENTION_AGE",
        default_value = "none"
    )]
    retention_age: Age,

    /// Drop the oldest changes before the file takes more than this (10GiB, 500MB, 10Gi), or `none` [default: 80 % of what
    /// the volume has for it].
    #[arg(long, value_name = "SIZE", env = "SK_TRACEDB_RETENTION_SIZE")]
    retention_size: Option<SizeLimit>,
}

impl RetentionArgs {
    /// The policy for a store, which need not exist yet. Tells what it is.
    pub(super) fn policy(&self, db: &Path) -> anyhow::Result<RetentionPolicy> {
        let size_bytes = match self.retention_size {
            Some(SizeLimit::None) => None,
            Some(SizeLimit::Bytes(size)) => Some(checked(size)?),
            None => Some(RetentionPolicy::size_for(Room::of(db)?)),
        };
        let size = size_bytes.map_or("none".to_owned(), |bytes| ByteSize(bytes).to_string());
        let given = if self.retention_size.is_some() {
            "as given"
        } else {
            "80 % of what the volume has for it"
        };
        let age = self.retention_age.micros();
        let days = age.map_or("none".to_owned(), |us| {
            format!("{:.1} days", us as f64 / 86_400e6)
        });
        tracing::info!(age = %days, %size, size_is = given, "retention");
        Ok(RetentionPolicy {
            age_us: age,
            size_bytes,
        })
    }
}

/// A limit that a store can be kept below.
pub(super) fn checked(size: ByteSize) -> anyhow::Result<u64> {
    if size.0 < RETENTION_SIZE_BYTES_MIN {
        let least = ByteSize(RETENTION_SIZE_BYTES_MIN);
        return Err(usage(format!(
            "--retention-size {size} is too small: a store needs {least} at least"
        )));
    }
    Ok(size.0)
}
