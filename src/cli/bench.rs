//! `sk-tracedb bench`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::count::count;
use super::exit::usage;
use super::interrupt::Interrupt;
use super::output;
use super::progress::Bar;
use super::table::Table;
use crate::bench::{
    Audience, BenchError, BenchOptions, Measurement, Phase, Worker, run as bench, work,
};
use crate::store::Progress;
use crate::workload::Mix;

/// The command under which this program is called for one measurement.
pub(super) const WORKER: &str = "bench-worker";

/// Arguments of `bench`.
#[derive(Args, Debug)]
pub(super) struct BenchArgs {
    /// Changes to record, those of the first list included: 10k, 1M, 1_000_000.
    #[arg(long, value_name = "COUNT", default_value = "100k", value_parser = count)]
    changes: u64,

    /// About how many objects exist at a time.
    #[arg(long, value_name = "COUNT", default_value = "5k", value_parser = count)]
    objects: u64,

    /// What mostly happens: mixed, update-heavy or pod-churn.
    #[arg(long, default_value_t = Mix::UpdateHeavy)]
    mix: Mix,

    /// Chooses one of the possible histories: the same seed gives the same record.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Observations in one commit.
    #[arg(long, value_name = "COUNT", default_value = "256", value_parser = count)]
    batch: u64,

    /// Where to make the store, which then stays [default: in a temporary folder, which goes]. Without the phase ingest:
    /// the store to read, which says itself what --changes, --objects, --mix and --seed would.
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,

    /// Keep the temporary store, and say where it is.
    #[arg(long)]
    keep: bool,

    /// What to run.
    #[arg(long, alias = "only", value_name = "PHASES", value_delimiter = ',', default_values_t = Phase::DEFAULT)]
    phases: Vec<Phase>,

    /// How often each reading phase runs.
    #[arg(long, value_name = "COUNT", default_value = "3", value_parser = count)]
    runs: u64,

    /// Changes a second for which the bytes of a day are told.
    #[arg(long, value_name = "COUNT", default_value = "100", value_parser = count)]
    rate: u64,

    /// How long the phase offered offers each load, seconds.
    #[arg(long, value_name = "COUNT", default_value = "10", value_parser = count)]
    seconds: u64,

    /// Print results as JSON, one a line.
    #[arg(long)]
    json: bool,
}

/// Arguments of the process that does one measurement.
#[derive(Args, Debug)]
pub(super) struct WorkerArgs {
    /// What to do, as JSON.
    job: String,
}

/// Does one measurement for [`run`].
pub(super) fn run_worker(args: &WorkerArgs) -> anyhow::Result<()> {
    let report = work(&args.job)?;
    writeln!(io::stdout(), "{report}")?;
    Ok(())
}

/// Runs `bench`.
pub(super) fn run(args: &BenchArgs) -> anyhow::Result<()> {
    let small = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let options = BenchOptions {
        changes: args.changes,
        objects: small(args.objects),
        mix: args.mix,
        seed: args.seed,
        batch: small(args.batch),
        db: args.db.clone(),
        keep: args.keep,
        phases: args.phases.clone(),
        runs: small(args.runs),
        rate: args.rate as f64,
        offered_seconds: args.seconds,
    };
    let worker = Worker {
        program: std::env::current_exe().context("cannot find this program")?,
        arguments: vec![WORKER.to_owned()],
    };
    let interrupt = Interrupt::listen()?;
    let mut listener = Listener {
        bar: Bar::new(&interrupt),
        json: args.json,
        found: Vec::new(),
        failed: Ok(()),
    };
    let result = bench(&options, &worker, &mut listener);
    let Listener {
        bar, found, failed, ..
    } = listener;
    bar.clear();
    interrupt.check()?;
    failed.context("cannot print a result")?;
    if !args.json {
        print(&found, args.rate)?;
    }
    result.map_err(|error| match error {
        BenchError::Options(text) => usage(text),
        other => other.into(),
    })
}

/// Prints results as they come, or keeps them for the table.
struct Listener {
    bar: Bar,
    json: bool,
    found: Vec<Measurement>,
    failed: io::Result<()>,
}

impl Audience for Listener {
    fn progress(&mut self, progress: Progress) -> bool {
        self.bar.update(progress) && self.failed.is_ok()
    }

    fn measured(&mut self, measurement: Measurement) {
        if self.json && self.failed.is_ok() {
            let mut out = io::stdout().lock();
            self.failed = serde_json::to_string(&measurement)
                .map_err(io::Error::from)
                .and_then(|line| writeln!(out, "{line}"));
        }
        self.found.push(measurement);
    }

    fn left_out(&mut self, reason: &str) {
        self.bar.println(reason);
    }

    fn kept(&mut self, path: &Path) {
        self.bar
            .println(&format!("the store stays: {}", path.display()));
    }
}

fn print(found: &[Measurement], rate: u64) -> anyhow::Result<()> {
    let Some(first) = found.first() else {
        return Ok(());
    };
    let scope = &first.scope;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{}: {} changes, about {} objects\n",
        scope.workload, scope.changes, scope.objects
    )?;
    let mut table = Table::new(
        &mut out,
        &["BENCHMARK", "SUBJECT", "METRIC", "MEDIAN", "RUNS"],
    );
    for measurement in found {
        let spread = match measurement.runs.as_slice() {
            [_] => String::new(),
            runs => format!(
                "{}: {} to {}",
                runs.len(),
                number(
                    runs.iter().copied().fold(f64::NAN, f64::min),
                    measurement.unit
                ),
                number(
                    runs.iter().copied().fold(f64::NAN, f64::max),
                    measurement.unit
                ),
            ),
        };
        table.row(vec![
            measurement.benchmark.to_owned(),
            measurement.subject.to_owned(),
            measurement.metric.to_owned(),
            number(measurement.median(), measurement.unit),
            spread,
        ])?;
    }
    table.flush()?;
    let of = |metric: &str| found.iter().find(|found| found.metric == metric);
    if let (Some(change), Some(day)) = (of("bytes_per_change"), of("bytes_per_day")) {
        writeln!(
            out,
            "\nWhile it is recorded, this workload takes {:.0} bytes of disk a change: at {rate} changes a second, {} a day.",
            change.median(),
            output::bytes(day.median() as u64)
        )?;
    }
    Ok(())
}

/// A number for people, with its unit.
fn number(value: f64, unit: &str) -> String {
    match unit {
        "bytes" => return output::bytes(value as u64),
        "bytes/day" => return format!("{} a day", output::bytes(value as u64)),
        _ => {}
    }
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 4,
    };
    let text = format!("{value:.digits$}");
    match unit {
        "ratio" => text,
        unit => format!("{text} {unit}"),
    }
}
