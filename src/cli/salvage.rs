//! `sk-tracedb salvage`.

use std::path::PathBuf;

use clap::Args;

use super::compact::compact;
use super::exit::usage;
use super::interrupt::Interrupt;
use super::progress::Bar;
use crate::model::Timestamp;
use crate::store::{OpenOptions, Salvage, Store, salvage};

/// Lost stretches shown to people; `--json` shows more.
const LINES_MAX: usize = 50;

/// Arguments of `salvage`.
#[derive(Args, Debug)]
pub(super) struct SalvageArgs {
    /// The broken file. It is only read.
    #[arg(long, value_name = "FILE", env = "SK_TRACEDB_DB")]
    db: PathBuf,

    /// The store to make of what is readable.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    /// Print one JSON document on stdout instead of lines.
    #[arg(long)]
    json: bool,
}

/// Runs `salvage`.
pub(super) fn run(args: &SalvageArgs) -> anyhow::Result<()> {
    if args.output.as_os_str() == "-" {
        return Err(usage(
            "a store is made by writing it in many places, so it cannot go to stdout\nhint: give the path of a file (./- if it \
             shall be called so)",
        ));
    }
    let interrupt = Interrupt::listen()?;
    let mut bar = Bar::new(&interrupt);
    let saved = salvage(&args.db, &args.output, &mut |progress| bar.update(progress));
    let saved = bar.finish(saved)?;
    // Rows are found one by one, and not packed: it takes several times what the broken file did.
    let open = OpenOptions {
        create: false,
        ..OpenOptions::default()
    };
    if let Err(error) = Store::open_with(&args.output, open).and_then(compact) {
        let error = error.with_causes();
        eprintln!(
            "note: {} is larger than it need be ({error})",
            args.output.display()
        );
        eprintln!("hint: `sk-tracedb compact --db FILE` makes it smaller");
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&saved)?);
    } else {
        report(&saved);
    }
    Ok(())
}

fn report(saved: &Salvage) {
    println!(
        "saved {} changes of {} objects and {} pod lifecycles in {}",
        saved.changes,
        saved.objects,
        saved.pods,
        saved.path.display()
    );
    if saved.changes_lost == 0 {
        println!("No change is missing.");
    } else {
        println!("{} changes are lost:", saved.changes_lost);
    }
    let time = |at: Option<Timestamp>, open: &str| at.map_or(open.to_owned(), |at| at.to_string());
    for lost in saved.lost.iter().take(LINES_MAX) {
        println!(
            "  {} to {} ({} to {})",
            time(lost.after, "the beginning"),
            time(lost.before, "the end"),
            lost.first_seq,
            lost.last_seq
        );
    }
    if saved.lost.len() > LINES_MAX {
        println!("  (more stretches: --json shows them)");
    }
    for (lost, what) in [
        (saved.pods_lost, "pod lifecycles are lost"),
        (
            saved.owners_lost,
            "owners that others refer to are lost, or were never known",
        ),
        (saved.runs_lost, "runs of a recorder are lost"),
        (saved.gaps_lost_max, "gaps are lost, at most"),
    ] {
        if lost > 0 {
            println!("{lost} {what}.");
        }
    }
    for note in &saved.notes {
        println!("note: {note}");
    }
}
