//! `sk-tracedb state`.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::Args;

use super::copies;
use super::gaps;
use super::output::{Format, print_item};
use super::table::Table;
use crate::clock::{Clock, WallClock};
use crate::limits::GAPS_REPORTED_MAX;
use crate::model::timestamp::TimeSpec;
use crate::model::{ObjectKey, TimeRange, Timestamp};
use crate::query::{KindMatch, ObjectVersion};
use crate::store::Snapshot;

/// Arguments of `state`.
#[derive(Args, Debug)]
pub(super) struct StateArgs {
    /// The store: a recorder's own file (it may be running) or a copy.
    #[arg(long, value_name = "FILE", env = "SK_TRACEDB_DB")]
    db: PathBuf,

    /// The time: RFC 3339, Unix seconds, `now`, or a duration before now (-30m).
    #[arg(
        long,
        value_name = "TIME",
        default_value = "now",
        allow_hyphen_values = true
    )]
    at: TimeSpec,

    /// Show only these namespaces.
    #[arg(short, long, value_name = "NAMESPACE", value_delimiter = ',')]
    namespace: Vec<String>,

    /// Show only these kinds: Deployment, deployments.apps or apps/v1.Deployment.
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    kind: Vec<KindMatch>,

    /// How to print the objects.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// Runs `state`.
pub(super) fn run(args: &StateArgs) -> anyhow::Result<()> {
    let now = WallClock.now();
    let at = args.at.resolve(now, now);
    let snapshot = copies::open(&args.db)?.snapshot()?;
    warn_about(&snapshot, at)?;
    let out = BufWriter::new(std::io::stdout().lock());
    match args.output {
        Format::Table => print_table(&snapshot, args, at, out),
        format => print_objects(&snapshot, args, at, format, out),
    }
}

fn wanted(args: &StateArgs, key: &ObjectKey) -> bool {
    (args.namespace.is_empty() || args.namespace.contains(&key.namespace))
        && (args.kind.is_empty()
            || args
                .kind
                .iter()
                .any(|kind| kind.matches(&key.group, &key.kind)))
}

fn print_table(
    snapshot: &Snapshot,
    args: &StateArgs,
    at: Timestamp,
    out: impl Write,
) -> anyhow::Result<()> {
    let mut table = Table::new(out, &["NAMESPACE", "KIND", "NAME", "SINCE"]);
    for version in snapshot.headers_of(at, |key| wanted(args, key))? {
        let ObjectVersion {
            gvk, key, event, ..
        } = version?;
        table.row(vec![
            key.namespace,
            gvk.to_string(),
            key.name,
            event.at.to_string(),
        ])?;
    }
    table.flush()?;
    Ok(())
}

fn print_objects(
    snapshot: &Snapshot,
    args: &StateArgs,
    at: Timestamp,
    format: Format,
    mut out: impl Write,
) -> anyhow::Result<()> {
    let is_wanted = |key: &ObjectKey| wanted(args, key);
    if format == Format::Json {
        // The text is made by the threads that read.
        for line in snapshot.state_made(at, is_wanted, |version| version.json())? {
            out.write_all(&line?)?;
            out.write_all(b"\n")?;
        }
    } else {
        for version in snapshot.state_of(at, is_wanted)? {
            print_item(&mut out, format, &version?.object()?)?;
        }
    }
    out.flush()?;
    Ok(())
}

/// Says where the answer may be wrong: outside the record, or inside a gap (R10).
fn warn_about(snapshot: &Snapshot, at: Timestamp) -> anyhow::Result<()> {
    match snapshot.extent() {
        None => eprintln!("warning: the store holds no record yet"),
        Some((start, _)) if at < start => {
            eprintln!("warning: the record begins at {start}, after {at}")
        }
        Some((_, end)) if at > end => {
            eprintln!("note: the record ends at {end}; this is the state it ended with")
        }
        Some(_) => {}
    }
    let gaps: Vec<_> = snapshot
        .gaps(TimeRange {
            start: at,
            end: at.plus_micros(1),
        })?
        .take(GAPS_REPORTED_MAX)
        .collect::<Result<_, _>>()?;
    gaps::warn(&gaps);
    Ok(())
}
