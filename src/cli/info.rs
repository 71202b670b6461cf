//! `sk-tracedb info`.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::copies;
use super::gaps;
use super::output::bytes;
use super::table::Table;
use crate::query::Info;
use crate::store::{Provenance, Reader, SizeOnDisk, Snapshot, StoreError};

/// Gaps and runs shown to people; `--json` shows all.
const LINES_MAX: usize = 20;

/// Arguments of `info`.
#[derive(Args, Debug)]
pub(super) struct InfoArgs {
    /// The store: a recorder's own file (it may be running) or a copy.
    #[arg(long, value_name = "FILE", env = "SK_TRACEDB_DB")]
    db: PathBuf,

    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    info: Info,
    /// Where the store comes from, if it is a backup or was one.
    backup: Option<Provenance>,
    size: SizeOnDisk,
}

impl Report {
    fn of(snapshot: &Snapshot) -> Result<Self, StoreError> {
        Ok(Self {
            info: snapshot.info()?,
            backup: snapshot.provenance()?,
            size: snapshot.size_on_disk()?,
        })
    }
}

/// Runs `info`.
pub(super) fn run(args: &InfoArgs) -> anyhow::Result<()> {
    let snapshot = copies::open(&args.db)?.snapshot()?;
    let report = Report::of(&snapshot)?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        print(&mut out, &report)?;
    }
    Ok(())
}

/// Prints the report for people.
pub(super) fn print_store(out: &mut impl Write, reader: &Reader) -> anyhow::Result<()> {
    print(out, &Report::of(&reader.snapshot()?)?)
}

fn print(out: &mut impl Write, report: &Report) -> anyhow::Result<()> {
    let Report { info, backup, size } = report;
    let time =
        |at: Option<crate::model::Timestamp>| at.map_or("none".to_owned(), |at| at.to_string());
    writeln!(out, "Record:   {} to {}", time(info.start), time(info.end))?;
    if let Some(horizon) = info.horizon {
        writeln!(
            out,
            "Horizon:  {horizon}; what was recorded before has been dropped by retention"
        )?;
    }
    writeln!(
        out,
        "Cluster:  {}",
        info.cluster_id.as_deref().unwrap_or("none")
    )?;
    writeln!(
        out,
        "Store:    {} (schema version {})",
        info.store_id, info.schema_version
    )?;
    if let Some(backup) = backup {
        let horizon = backup.horizon.map_or("no horizon".to_owned(), |horizon| {
            format!("horizon {horizon}")
        });
        writeln!(
            out,
            "Backup:   of store {}, taken {}: {} to {}, {horizon}, {} changes",
            backup.store_id, backup.at, backup.start, backup.end, backup.changes
        )?;
    }
    writeln!(out, "Changes:  {}", info.changes)?;
    writeln!(out, "Pods:     {}", info.pods)?;
    if info.wanted_owners > 0 {
        writeln!(
            out,
            "Owners:   {} referred to and not known yet",
            info.wanted_owners
        )?;
    }
    let stored: u64 = size.tables.iter().map(|table| table.stored_bytes).sum();
    writeln!(
        out,
        "Size:     {} of objects, {} stored with indexes, {} on disk",
        bytes(info.raw_bytes),
        bytes(stored),
        bytes(size.allocated_bytes)
    )?;
    writeln!(out)?;
    let mut table = Table::new(
        &mut *out,
        &["KIND", "OBJECTS", "APPLIED", "DELETED", "SIZE"],
    );
    for kind in &info.kinds {
        table.row(vec![
            kind.kind.clone(),
            kind.objects.to_string(),
            kind.applied.to_string(),
            kind.deleted.to_string(),
            bytes(kind.raw_bytes),
        ])?;
    }
    table.flush()?;
    writeln!(out)?;
    let mut table = Table::new(
        &mut *out,
        &["RUN", "START", "LAST COMMIT", "SOURCE", "ENDED"],
    );
    let hidden = info.runs.len().saturating_sub(LINES_MAX);
    for (number, run) in info.runs.iter().enumerate().skip(hidden) {
        let ended = if run.closed {
            "in order"
        } else {
            "running or killed"
        };
        table.row(vec![
            (number + 1).to_string(),
            run.start.to_string(),
            run.end.to_string(),
            run.source.clone(),
            ended.to_owned(),
        ])?;
    }
    table.flush()?;
    writeln!(out)?;
    if info.gaps.is_empty() {
        writeln!(out, "No gaps.")?;
        return Ok(());
    }
    let lines = gaps::together(&info.gaps);
    let mut table = Table::new(&mut *out, &["BLIND FROM", "TO", "REASON", "KINDS"]);
    let hidden = lines.len().saturating_sub(LINES_MAX);
    for line in lines.iter().skip(hidden) {
        table.row(vec![
            line.gap.start.to_string(),
            line.end(),
            line.gap.reason.clone(),
            line.kinds.join(", "),
        ])?;
    }
    table.flush()?;
    if hidden > 0 {
        writeln!(out, "({hidden} earlier gaps: --json shows all)")?;
    }
    Ok(())
}
