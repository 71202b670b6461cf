//! `sk-tracedb export`.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::copies;
use super::filters::FilterArgs;
use super::gaps;
use super::interrupt::Interrupt;
use super::output::refuse_terminal;
use super::window::WindowArgs;
use crate::export::sink::FileSink;
use crate::export::{ExportError, ExportRequest, ExportSummary, PreparedExport};
use crate::model::TimeRange;
use crate::store::{Reader, refuse_itself};

/// Arguments of `export`.
#[derive(Args, Debug)]
pub(super) struct ExportArgs {
    /// The store: a recorder's own file (it may be running) or a copy.
    #[arg(long, value_name = "FILE", env = "SK_TRACEDB_DB")]
    db: PathBuf,

    #[command(flatten)]
    window: WindowArgs,

    /// The trace file to write; `-` for stdout. It appears when it is complete; a FIFO or device is written through.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    /// Where the window begins before what retention has kept, begin later instead of failing.
    #[arg(long)]
    clamp: bool,

    #[command(flatten)]
    filters: FilterArgs,
}

/// Runs `export`.
pub(super) fn run(args: &ExportArgs) -> anyhow::Result<()> {
    let filters = args.filters.filters()?;
    let to_stdout = args.output == Path::new("-");
    if to_stdout {
        refuse_terminal()?;
    }
    refuse_itself(&args.db, &args.output)?;
    let reader = copies::open(&args.db)?;
    let snapshot = reader.snapshot()?;
    let window = args.window.in_seconds(&snapshot)?;
    let extent = snapshot.extent();
    drop(snapshot);
    let request = ExportRequest { window, filters };
    let interrupt = Interrupt::listen()?;
    // Without a start, all that there is is meant.
    let clamp = args.clamp || !args.window.has_start();
    let prepared = match prepare(&reader, &request, clamp) {
        Err(error @ ExportError::BeforeHorizon { .. }) => {
            return Err(anyhow::Error::new(error).context("hint: --clamp begins there"));
        }
        prepared => prepared?,
    };
    let summary = if to_stdout {
        let mut out = interrupt.guard(BufWriter::with_capacity(1 << 20, std::io::stdout().lock()));
        let summary = prepared.alone().write(&mut out)?;
        out.flush()?;
        summary
    } else {
        to_file(prepared, &args.output, &interrupt)?
    };
    report(window, &summary);
    if let Some((_, end)) = extent.filter(|(_, end)| window.start > *end) {
        eprintln!("note: the record ends at {end}; the trace shows the state it ended with");
    }
    Ok(())
}

/// Plans an export.
pub(super) fn prepare(
    reader: &Reader,
    request: &ExportRequest,
    clamp: bool,
) -> Result<PreparedExport, ExportError> {
    if clamp {
        PreparedExport::prepare_clamped(reader, request)
    } else {
        PreparedExport::prepare(reader, request)
    }
}

/// Writes a trace file, whole or not at all.
pub(super) fn to_file(
    prepared: PreparedExport,
    path: &Path,
    interrupt: &Interrupt,
) -> anyhow::Result<ExportSummary> {
    let sink = FileSink::create(path)?;
    let may_wait = sink.may_wait();
    let mut out = interrupt.guard(sink);
    let written = if may_wait {
        prepared.alone().write(&mut out)
    } else {
        prepared.write_file(&mut out)
    };
    interrupt.check()?;
    let summary = written?;
    out.into_inner().commit()?;
    Ok(summary)
}

/// Tells what was exported, and what its reader should know.
pub(super) fn report(window: TimeRange, summary: &ExportSummary) {
    let start = summary.clamped_to.unwrap_or(window.start);
    eprintln!(
        "exported {} to {}: {} objects at the start, {} applied, {} deleted, {} pod lifecycles, {} events",
        start,
        window.end,
        summary.start_objects,
        summary.applied,
        summary.deleted,
        summary.lifecycles,
        summary.events
    );
    if let Some(start) = summary.clamped_to {
        eprintln!(
            "warning: the window begins at {start}: what was recorded before has been dropped by retention"
        );
    }
    if let Some(start) = summary.record_starts {
        eprintln!("warning: the record begins at {start}; what existed before is unknown");
    }
    gaps::warn(&summary.gaps);
    if summary.cluster_scoped_left_out > 0 {
        eprintln!(
            "note: {} cluster-scoped objects were left out, because sk-driver crashes on them\nhint: \
             --include-cluster-scoped keeps them",
            summary.cluster_scoped_left_out
        );
    }
}
