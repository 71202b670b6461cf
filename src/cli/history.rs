//! `sk-tracedb history`.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::copies;
use super::exit::usage;
use super::gaps;
use super::output::{Format, print_item};
use super::table::Table;
use super::window::WindowArgs;
use crate::limits::GAPS_REPORTED_MAX;
use crate::model::{Action, Gvk, ObjectKey, TimeRange};
use crate::query::diff::{Difference, diff};
use crate::query::{Gap, HistoryEntry, KindMatch};
use crate::store::Snapshot;

/// Changed paths shown in one line of the table.
const PATHS_MAX: usize = 4;

/// Arguments of `history`.
#[derive(Args, Debug)]
pub(super) struct HistoryArgs {
    /// The store: a recorder's own file (it may be running) or a copy.
    #[arg(long, value_name = "FILE", env = "SK_TRACEDB_DB")]
    db: PathBuf,

    /// Kind: Deployment, deployments.apps or apps/v1.Deployment.
    kind: KindMatch,

    /// NAMESPACE/NAME, or the bare name of a cluster-scoped object.
    name: String,

    #[command(flatten)]
    window: WindowArgs,

    /// How to print the changes.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// A change as it is printed for machines.
#[derive(Serialize)]
struct Entry<'a> {
    at: String,
    sequence: u64,
    action: &'a str,
    kind: String,
    uid: String,
    inferred_since: Option<String>,
    initial: bool,
    differences: Vec<Difference>,
    object: Option<&'a Value>,
}

/// Runs `history`.
pub(super) fn run(args: &HistoryArgs) -> anyhow::Result<()> {
    let (namespace, name) = args.name.split_once('/').unwrap_or(("", &args.name));
    if name.is_empty() || name.contains('/') {
        return Err(usage(format!(
            "{:?} is no name: expected NAMESPACE/NAME, or NAME for a cluster-scoped object",
            args.name
        )));
    }
    let snapshot = copies::open(&args.db)?.snapshot()?;
    let key = find(&snapshot, &args.kind, namespace, name)?;
    let window = args.window.resolve(&snapshot)?;
    let out = BufWriter::new(std::io::stdout().lock());
    match args.output {
        Format::Table => print_table(&snapshot, &key, window, out)?,
        format => print_entries(&snapshot, &key, window, format, out)?,
    }
    if !snapshot.horizon().allows(window.start) {
        eprintln!(
            "note: what was recorded before {} has been dropped by retention, except the versions that existed then",
            snapshot.horizon()
        );
    }
    let of_kind = |gap: &Gap| {
        gap.kind
            .parse::<Gvk>()
            .is_ok_and(|gvk| gvk.group == key.group && gvk.kind == key.kind)
    };
    let gaps: Vec<Gap> = snapshot
        .gaps(window)?
        .filter(|gap| gap.as_ref().map_or(true, of_kind))
        .take(GAPS_REPORTED_MAX)
        .collect::<Result<_, _>>()?;
    gaps::warn(&gaps);
    Ok(())
}

/// The recorded object that is meant.
fn find(
    snapshot: &Snapshot,
    kind: &KindMatch,
    namespace: &str,
    name: &str,
) -> anyhow::Result<ObjectKey> {
    let mut found: Vec<ObjectKey> = Vec::new();
    for gvk in snapshot
        .info()?
        .kinds
        .into_iter()
        .filter_map(|kind| kind.kind.parse::<Gvk>().ok())
    {
        let key = ObjectKey::new(&*gvk.group, &*gvk.kind, namespace, name);
        if kind.matches(&gvk.group, &gvk.kind)
            && !found.contains(&key)
            && snapshot.is_recorded(&key)?
        {
            found.push(key);
        }
    }
    match found.len() {
        1 => found.pop().ok_or_else(|| usage("no such object")),
        0 => Err(usage(format!(
            "nothing is recorded of {} {namespace}/{name}\nhint: `sk-tracedb info` shows the kinds of this store, \
             `sk-tracedb state --at TIME` its objects",
            kind.as_str()
        ))),
        _ => Err(usage(format!(
            "{} means several kinds\nhint: name one as in the config: apps/v1.Deployment",
            kind.as_str()
        ))),
    }
}

fn print_table(
    snapshot: &Snapshot,
    key: &ObjectKey,
    window: TimeRange,
    out: impl Write,
) -> anyhow::Result<()> {
    let mut table = Table::new(out, &["TIME", "ACTION", "UID", "CHANGED"]);
    each(snapshot, key, window, |entry, differences, _| {
        let mut paths: Vec<String> = differences
            .iter()
            .map(|difference| difference.path.clone())
            .collect();
        if paths.len() > PATHS_MAX {
            let more = paths.len() - PATHS_MAX;
            paths.truncate(PATHS_MAX);
            paths.push(format!("and {more} more"));
        }
        let mut changed = paths.join(" ");
        if let Some(since) = entry.since {
            changed = format!("(inferred: after {since}) {changed}");
        }
        table.row(vec![
            entry.event.at.to_string(),
            action(entry, &differences).to_owned(),
            entry.uid.to_string(),
            changed,
        ])?;
        Ok(())
    })?;
    table.flush()?;
    Ok(())
}

fn print_entries(
    snapshot: &Snapshot,
    key: &ObjectKey,
    window: TimeRange,
    format: Format,
    mut out: impl Write,
) -> anyhow::Result<()> {
    each(snapshot, key, window, |entry, differences, object| {
        let action = action(entry, &differences);
        print_item(
            &mut out,
            format,
            &Entry {
                at: entry.event.at.to_string(),
                sequence: entry.event.seq,
                action,
                kind: entry.gvk.to_string(),
                uid: entry.uid.to_string(),
                inferred_since: entry.since.map(|since| since.to_string()),
                initial: entry.initial,
                differences,
                object,
            },
        )
    })?;
    out.flush()?;
    Ok(())
}

/// Calls `print` with every change, what it changed, and the object after it.
fn each(
    snapshot: &Snapshot,
    key: &ObjectKey,
    window: TimeRange,
    mut print: impl FnMut(&HistoryEntry, Vec<Difference>, Option<&Value>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    // Before the horizon, what a change was a change of is gone.
    let before = if snapshot.horizon().allows(window.start) {
        snapshot.object_at(key, window.start.plus_micros(-1))?
    } else {
        None
    };
    let mut previous = before.map(|version| version.object()).transpose()?;
    for entry in snapshot.history(key, window)? {
        let entry = entry?;
        let object = entry.object()?;
        let differences = match (&previous, &object) {
            (Some(before), Some(after)) => diff(before, after),
            _ => Vec::new(),
        };
        print(&entry, differences, object.as_ref())?;
        previous = object;
    }
    Ok(())
}

fn action(entry: &HistoryEntry, differences: &[Difference]) -> &'static str {
    match entry.action {
        Action::Delete => "deleted",
        Action::Apply if entry.initial => "found",
        Action::Apply if differences.is_empty() => "created",
        Action::Apply => "changed",
    }
}
