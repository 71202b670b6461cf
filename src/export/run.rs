//! One export, from request to bytes.

use std::io::{self, Write};

use bytes::Bytes;

use super::encode::sktrace::EncodeError;
use super::error::ExportError;
use super::filter::ExportFilters;
use super::plan::Plan;
use super::reading::{Effort, Piece};
use super::stream::make_trace;
use crate::limits::GAPS_REPORTED_MAX;
use crate::model::{Horizon, TimeRange, Timestamp};
use crate::query::Gap;
use crate::store::{Pin, Reader, Snapshot};

/// What to export.
#[derive(Clone, Debug)]
pub struct ExportRequest {
    /// The window, [start, end). A trace counts whole seconds: give whole seconds, or the first and last one are cut.
    pub window: TimeRange,
    /// What is wanted of it.
    pub filters: ExportFilters,
}

/// What an export held, and what its reader should know.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ExportSummary {
    /// Events of the trace, the start state included.
    pub events: u64,
    /// Objects of the start state.
    pub start_objects: u64,
    /// Objects applied after it.
    pub applied: u64,
    /// Objects deleted after it.
    pub deleted: u64,
    /// Pod lifecycles.
    pub lifecycles: u64,
    /// Cluster-scoped objects that were left out (see [`ExportFilters::include_cluster_scoped`]).
    pub cluster_scoped_left_out: u64,
    /// Where the record begins, when that is after the window's start: what existed before is unknown.
    pub record_starts: Option<Timestamp>,
    /// Where the window begins instead, when what was asked for begins before what retention has kept.
    pub clamped_to: Option<Timestamp>,
    /// Gaps that touch the window (R10); at most [`GAPS_REPORTED_MAX`] of them.
    pub gaps: Vec<Gap>,
}

/// Writes the trace of a window to `out`. Memory is bounded; the bytes depend on the record, the window and the filters
/// only (X4, X8). Recording goes on meanwhile and does not change the result (X2).
///
/// Give it a buffered output. What has been written when it fails is no trace: see [`super::sink`] for outputs that
/// appear whole or not at all.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("trace.redb");
/// use sk_tracedb::config::TracerConfig;
/// use sk_tracedb::export::{ExportFilters, ExportRequest, export};
/// use sk_tracedb::ingest::Writer;
/// use sk_tracedb::model::{TimeRange, Timestamp};
/// use sk_tracedb::{Reader, Store};
///
/// let mut writer = Writer::new(Store::open(&path)?)?;
/// writer.begin_run(Timestamp::from_seconds(100), &TracerConfig::default(), "record", None)?;
///
/// let reader = Reader::open(&path)?; // works while the store is being written
/// let window = TimeRange::new(Timestamp::from_seconds(100), Timestamp::from_seconds(200))?;
/// let mut trace = Vec::new();
/// let summary = export(&reader, &ExportRequest { window, filters: ExportFilters::default() }, &mut trace)?;
/// assert_eq!(summary.events, 1); // the start state, empty
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ExportError`]: an empty store, a window before the record or before what retention has kept, a store that cannot be
/// read, an output that fails.
pub fn export<W: Write>(
    reader: &Reader,
    request: &ExportRequest,
    out: W,
) -> Result<ExportSummary, ExportError> {
    PreparedExport::prepare(reader, request)?.write(out)
}

/// An export that has been planned and not written: what it will hold is known, so that a caller can say so, or refuse
/// it, before the first byte.
///
/// It keeps no old pages of the store alive (X2), but while it lives, retention in this process keeps the rows of its
/// window. Another process's retention cannot know of it: if that drops rows that are still needed, the export fails
/// ([`ExportError::Dropped`]); see [`PreparedExport::write_file`].
pub struct PreparedExport {
    reader: Reader,
    plan: Plan,
    summary: ExportSummary,
    effort: Effort,
    /// The snapshot of the plan, where another process may be writing.
    held: Option<Snapshot>,
    _pin: Option<Pin>,
}

impl PreparedExport {
    /// Plans the export of a window: reads headers, decides and counts.
    ///
    /// # Errors
    /// [`ExportError`]: an empty store, a window before the record or before what retention has kept, too large a window,
    /// a store that cannot be read.
    pub fn prepare(reader: &Reader, request: &ExportRequest) -> Result<Self, ExportError> {
        let TimeRange { start, end } = request.window;
        let refused = |horizon: Horizon| {
            let horizon = horizon.first_second();
            if horizon > end {
                ExportError::NothingLeft { end, horizon }
            } else {
                ExportError::BeforeHorizon { start, horizon }
            }
        };
        // First the pin, then the snapshot: what it shows is kept.
        let pin = reader.pin(start).map_err(refused)?;
        let snapshot = reader.snapshot()?;
        if !snapshot.horizon().allows(start) {
            return Err(refused(snapshot.horizon()));
        }
        Self::plan(reader, request, snapshot, pin)
    }

    /// Plans the export of as much of a window as retention has kept: [`ExportSummary::clamped_to`] tells where it begins
    /// if that is later than was asked for.
    ///
    /// # Errors
    /// As [`PreparedExport::prepare`], but for [`ExportError::BeforeHorizon`].
    pub fn prepare_clamped(reader: &Reader, request: &ExportRequest) -> Result<Self, ExportError> {
        let mut request = request.clone();
        let asked = request.window.start;
        loop {
            match Self::prepare(reader, &request) {
                // The horizon may move on meanwhile; each turn begins later, and none after the window's end.
                Err(ExportError::BeforeHorizon { horizon, .. })
                    if horizon > request.window.start =>
                {
                    request.window.start = horizon;
                }
                Ok(mut prepared) => {
                    let start = request.window.start;
                    prepared.summary.clamped_to = (start > asked).then_some(start);
                    return Ok(prepared);
                }
                refused => return refused,
            }
        }
    }

    fn plan(
        reader: &Reader,
        request: &ExportRequest,
        snapshot: Snapshot,
        pin: Option<Pin>,
    ) -> Result<Self, ExportError> {
        let plan = plan_aside(&snapshot, request)?;
        let record_starts = snapshot
            .extent()
            .map(|(start, _)| start)
            .filter(|start| *start > request.window.start);
        let gaps = snapshot
            .gaps(request.window)?
            .take(GAPS_REPORTED_MAX)
            .collect::<Result<Vec<_>, _>>()?;
        let summary = ExportSummary {
            events: u64::from(plan.events),
            start_objects: u64::from(plan.start_objects),
            applied: plan.applied,
            deleted: plan.deleted,
            lifecycles: plan.lifecycles.total,
            cluster_scoped_left_out: plan.cluster_scoped_left_out,
            record_starts,
            clamped_to: None,
            gaps,
        };
        // The plan knows all that the stream pass needs: the snapshot ends here, and no old page is kept alive. Only where
        // no pin keeps the rows, the snapshot has to.
        Ok(Self {
            reader: reader.clone(),
            plan,
            summary,
            effort: Effort::BESIDE,
            held: reader.is_of_another_process().then_some(snapshot),
            _pin: pin,
        })
    }

    /// What it will hold.
    pub fn summary(&self) -> &ExportSummary {
        &self.summary
    }

    /// Lets it take more memory, 20 MiB: for a process that does nothing else. Of a window in which many objects change, it is
    /// quicker then. (It took 100 MiB in all for a million changes of 50,000 objects, and 109 for ten million; 148 of a store
    /// that ends with a long journal, because its recorder was killed.)
    #[must_use]
    pub fn alone(self) -> Self {
        Self {
            effort: Effort::ALONE,
            ..self
        }
    }

    /// Lets it take 20 MiB more memory: for one export at a time in a process that has more to do. Of a window in which many
    /// objects change, it is quicker then.
    #[must_use]
    pub fn first_of_several(self) -> Self {
        Self {
            effort: Effort::FIRST,
            ..self
        }
    }

    /// Writes the trace. Give it a buffered output.
    ///
    /// # Errors
    /// [`ExportError`]: a store that cannot be read, an output that fails. What was written then is no trace.
    pub fn write<W: Write>(mut self, out: W) -> Result<ExportSummary, ExportError> {
        self.held = None;
        self.write_planned(out)
    }

    /// Writes the trace to an output that never makes it wait, such as a file. Where another process may be writing the
    /// store, the snapshot is kept for a while
    /// ([`EXPORT_SNAPSHOT_SECONDS_MAX`](crate::limits::EXPORT_SNAPSHOT_SECONDS_MAX)), and with it the rows that the other's
    /// retention drops.
    ///
    /// # Errors
    /// As [`PreparedExport::write`].
    pub fn write_file<W: Write>(self, out: W) -> Result<ExportSummary, ExportError> {
        self.alone().write_planned(out)
    }

    /// Hands the trace over in pieces, which may be kept for a while: it is written by somebody else, and not copied before.
    /// The memory of a piece is used again when it is dropped, and there are
    /// [`EXPORT_SHEETS`](crate::limits::EXPORT_SHEETS): who keeps them all gets no other.
    ///
    /// # Errors
    /// As [`PreparedExport::write`]; the output fails when `each` does.
    pub fn write_pieces(
        mut self,
        mut each: impl FnMut(Bytes) -> io::Result<()>,
    ) -> Result<ExportSummary, ExportError> {
        self.held = None;
        self.make(|piece| each(Bytes::from_owner(piece)))
    }

    fn write_planned<W: Write>(self, mut out: W) -> Result<ExportSummary, ExportError> {
        let summary = self.make(|piece| out.write_all(piece.as_ref()))?;
        out.flush().map_err(EncodeError::Write)?;
        Ok(summary)
    }

    fn make(
        mut self,
        out: impl FnMut(Piece) -> io::Result<()>,
    ) -> Result<ExportSummary, ExportError> {
        let held = self.held.take();
        make_trace(&self.reader, held, &mut self.plan, self.effort, out)?;
        Ok(self.summary)
    }
}

/// Makes the plan on a thread of its own. It takes memory that nobody needs afterwards, which the allocators of most systems
/// keep for the threads that come after this one: those that read the bodies.
fn plan_aside(snapshot: &Snapshot, request: &ExportRequest) -> Result<Plan, ExportError> {
    let make = || Plan::make(snapshot, request, &std::env::temp_dir());
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("export plan".to_owned())
            .spawn_scoped(scope, make)
            .map_err(ExportError::Thread)?
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
