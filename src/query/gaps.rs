//! When the record was blind (R10), and which config was in force.

use crate::store::tables::ReadableTable;

use crate::config::TracerConfig;
use crate::model::{TimeRange, Timestamp};
use crate::store::rows::{GapRow, RunRow};
use crate::store::tables::row;
use crate::store::{Snapshot, StoreError};

/// A time in which nothing was seen of one kind.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Gap {
    /// The watched kind, `group/version.Kind`.
    pub kind: String,
    /// Last contact before.
    pub start: Timestamp,
    /// When the record could see again; `None`: not yet.
    pub end: Option<Timestamp>,
    /// Why.
    pub reason: String,
}

impl From<GapRow> for Gap {
    fn from(row: GapRow) -> Self {
        Self {
            kind: row.watch,
            start: Timestamp::from_micros(row.start_us),
            end: row.end_us.map(Timestamp::from_micros),
            reason: row.reason,
        }
    }
}

impl Snapshot {
    /// The gaps that share an instant with a window, in the order in which they began to be known.
    ///
    /// # Errors
    /// What the file system says; [`StoreError::Damaged`] for a damaged row.
    pub fn gaps(
        &self,
        window: TimeRange,
    ) -> Result<impl Iterator<Item = Result<Gap, StoreError>> + '_, StoreError> {
        let range = self.tables().gaps.iter()?;
        Ok(range.filter_map(move |entry| {
            let read = || -> Result<Gap, StoreError> {
                let (number, value) = entry?;
                Ok(row::<u64, GapRow>(number.value(), value.value())?.into())
            };
            match read() {
                Ok(gap) if !window.touches(gap.start, gap.end.unwrap_or(Timestamp::MAX)) => None,
                result => Some(result),
            }
        }))
    }

    /// The config in force at the end of a window: that of the last run which began before it; of the first run where
    /// none did (R17).
    ///
    /// # Errors
    /// What the file system says; [`StoreError::Damaged`] for a damaged row.
    pub fn config_before(&self, end: Timestamp) -> Result<TracerConfig, StoreError> {
        let mut found: Option<RunRow> = None;
        for entry in self.tables().runs.iter()?.rev() {
            let (number, value) = entry?;
            let run: RunRow = row::<u64, _>(number.value(), value.value())?;
            let began = run.start_us;
            found = Some(run);
            if began < end.as_micros() {
                break;
            }
        }
        let Some(run) = found else {
            return Ok(TracerConfig::default());
        };
        TracerConfig::from_json(&run.config).map_err(|error| StoreError::Damaged {
            table: "run_to_row",
            key: format!("run that began at {}", Timestamp::from_micros(run.start_us)),
            reason: error.to_string(),
        })
    }
}
