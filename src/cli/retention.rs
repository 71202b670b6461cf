//! What a store shall keep, as arguments.

use std::path::Path;
use std::str::FromStr;

use clap::Args;

use super::exit::usage;
use crate::ingest::RetentionPolicy;
use crate::limits::{RETENTION_SIZE_BYTES_MIN, VOLUME_SHARE_PERCENT_MAX};
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
    /// the volume has for it, at least 16MiB]. Changes of the last 60 s are kept as long as there is room for them, those of
    /// the last 10 s whatever they take.
    #[arg(long, value_name = "SIZE", env = "SK_TRACEDB_RETENTION_SIZE")]
    retention_size: Option<SizeLimit>,
}

impl RetentionArgs {
    /// The policy for a store, which need not exist yet. Tells what it is.
    pub(super) fn policy(&self, db: &Path) -> anyhow::Result<RetentionPolicy> {
        let (size_bytes, given) = match self.retention_size {
            Some(SizeLimit::None) => (None, "as given"),
            Some(SizeLimit::Bytes(size)) => (Some(checked(size)?), "as given"),
            None => {
                let room = Room::of(db)?;
                (Some(RetentionPolicy::size_for(room)), basis(room))
            }
        };
        let size = size_bytes.map_or("none".to_owned(), |bytes| ByteSize(bytes).to_string());
        tracing::info!(age = %self.retention_age, %size, size_is = given, "retention");
        Ok(RetentionPolicy {
            age_us: self.retention_age.micros(),
            size_bytes,
        })
    }
}

/// What the default size is.
fn basis(room: Room) -> &'static str {
    let whole = u128::from(room.available_bytes) + u128::from(room.allocated_bytes);
    let share = whole * u128::from(VOLUME_SHARE_PERCENT_MAX) / 100;
    if share >= u128::from(RETENTION_SIZE_BYTES_MIN) {
        "80 % of what the volume has for it"
    } else {
        "the least that a store needs, which is more than 80 % of what the volume has for it"
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::limits::{SIZE_KEEPS_SECONDS_MIN, SIZE_KEEPS_SECONDS_PRESSED};

    #[test]
    fn a_volume_of_which_the_share_is_too_little_is_not_said_to_be_shared() {
        let room = |mib: u64| Room {
            allocated_bytes: 0,
            available_bytes: mib << 20,
        };
        assert!(basis(room(21)).starts_with("80 % of"));
        assert!(basis(room(19)).starts_with("the least that a store needs"));
        assert!(basis(room(0)).starts_with("the least that a store needs"));
    }

    #[test]
    fn the_help_names_the_bounds_that_hold() {
        #[derive(clap::Parser)]
        struct Arguments {
            #[command(flatten)]
            retention: RetentionArgs,
        }
        let help = Arguments::command().render_long_help().to_string();
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        let least = RETENTION_SIZE_BYTES_MIN >> 20;
        for bound in [
            format!("{VOLUME_SHARE_PERCENT_MAX} % of what the volume has for it"),
            format!("at least {least}MiB"),
            format!("Changes of the last {SIZE_KEEPS_SECONDS_MIN} s are kept"),
            format!("those of the last {SIZE_KEEPS_SECONDS_PRESSED} s whatever they take"),
        ] {
            assert!(help.contains(&bound), "{bound}: {help}");
        }
    }
}
