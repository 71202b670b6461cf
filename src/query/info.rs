//! What a store holds, in numbers. Reads counters, not the record.

use crate::store::tables::{ReadableTable, ReadableTableMetadata};

use super::Gap;
use crate::model::{TimeRange, Timestamp};
use crate::store::rows::RunRow;
use crate::store::tables::row;
use crate::store::{SCHEMA_VERSION, Snapshot, StoreError, cluster_id, store_id};

/// What a store holds.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Info {
    /// Schema version of the file.
    pub schema_version: u32,
    /// Random id given to the store when it was made.
    pub store_id: String,
    /// UID of the recorded cluster's kube-system namespace, where one was recorded.
    pub cluster_id: Option<String>,
    /// When the record begins; `None` while nothing has been recorded. What retention has dropped is not part of it.
    pub start: Option<Timestamp>,
    /// Where retention has ended the record's past: what was recorded before is gone. `None`: nothing was dropped.
    pub horizon: Option<Timestamp>,
    /// Where the record ends: the time of the last commit, or the horizon where that lies behind it.
    pub end: Option<Timestamp>,
    /// Recorded changes.
    pub changes: u64,
    /// Bytes of all recorded objects as MessagePack.
    pub raw_bytes: u64,
    /// Pods recorded.
    pub pods: u64,
    /// Owners that are referred to and still unknown.
    pub wanted_owners: u64,
    /// Kinds, ordered by group, kind, version.
    pub kinds: Vec<KindInfo>,
    /// Runs, oldest first.
    pub runs: Vec<Run>,
    /// Gaps, oldest first.
    pub gaps: Vec<Gap>,
}

/// What a store holds of one kind.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct KindInfo {
    /// `group/version.Kind`.
    pub kind: String,
    /// Objects that exist at the end of the record.
    pub objects: u64,
    /// Creations and changes recorded.
    pub applied: u64,
    /// Deletions recorded.
    pub deleted: u64,
    /// Bytes of its objects as MessagePack.
    pub raw_bytes: u64,
}

/// One run of a recorder.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Run {
    /// When it began.
    pub start: Timestamp,
    /// Its last commit.
    pub end: Timestamp,
    /// Whether it ended in good order; false for one that is running, too.
    pub closed: bool,
    /// `record`, `import` or `demo`.
    pub source: String,
    /// Release of the program.
    pub program: String,
}

impl Snapshot {
    /// What the store holds.
    ///
    /// # Errors
    /// What the file system says; [`StoreError::Damaged`] for a damaged row.
    pub fn info(&self) -> Result<Info, StoreError> {
        let tables = self.tables();
        let mut kinds: Vec<_> = self.kinds().values().collect();
        kinds.sort_by_key(|row| row.gvk());
        Ok(Info {
            schema_version: SCHEMA_VERSION,
            store_id: store_id(&tables.meta)?,
            cluster_id: cluster_id(&tables.meta)?,
            start: self.extent().map(|(start, _)| start),
            end: self.extent().map(|(_, end)| end),
            horizon: self.reached_horizon(),
            changes: self.writer().changes,
            raw_bytes: kinds.iter().map(|row| row.body_bytes).sum(),
            pods: self.writer().pods,
            wanted_owners: tables.wanted.len()?,
            kinds: kinds
                .iter()
                .map(|row| KindInfo {
                    kind: row.gvk().to_string(),
                    objects: row.live,
                    applied: row.applies,
                    deleted: row.deletes,
                    raw_bytes: row.body_bytes,
                })
                .collect(),
            runs: self.runs()?,
            gaps: self.gaps(TimeRange::ALL)?.collect::<Result<_, _>>()?,
        })
    }

    /// Every run, oldest first.
    ///
    /// # Errors
    /// As [`Snapshot::info`].
    pub fn runs(&self) -> Result<Vec<Run>, StoreError> {
        let writer = self.writer();
        let mut runs = Vec::new();
        for entry in self.tables().runs.iter()? {
            let (number, value) = entry?;
            let run: RunRow = row::<u64, _>(number.value(), value.value())?;
            let goes_on = number.value() == writer.run && !run.closed;
            let last_us = if goes_on { writer.last_us } else { run.last_us };
            runs.push(Run {
                start: Timestamp::from_micros(run.start_us),
                end: Timestamp::from_micros(last_us),
                closed: run.closed,
                source: run.source,
                program: run.program,
            });
        }
        Ok(runs)
    }

    /// Where retention has ended the record's past. A young record may begin behind the horizon: it has not reached anything
    /// yet.
    fn reached_horizon(&self) -> Option<Timestamp> {
        let first = Timestamp::from_micros(self.writer().first_us);
        let horizon = self.horizon().first_start();
        (!self.horizon().is_none() && horizon > first).then_some(horizon)
    }

    /// When the record begins (where retention has dropped something: its horizon) and when it ends; `None` while nothing
    /// has been recorded. Where everything has been dropped but what exists, both are the horizon.
    pub fn extent(&self) -> Option<(Timestamp, Timestamp)> {
        let writer = self.writer();
        let start = Timestamp::from_micros(writer.first_us).max(self.horizon().first_start());
        let end = Timestamp::from_micros(writer.last_us).max(start);
        (writer.run > 0).then_some((start, end))
    }
}
