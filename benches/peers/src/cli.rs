//! The command line.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use sk_tracedb::bench::Phase;
use sk_tracedb::workload::Mix;

use crate::everything::{self, Plan};
use crate::generate::Wanted;
use crate::line::Line;
use crate::report::{Results, tables};
use crate::steady::{self, Times};
use crate::{codec, interrupt, rates, stores};

/// Benchmarks of sk-tracedb beside its peers. The machine's noise is in every figure: compare subjects of one run, not runs.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Ingest and scan of the same rows by sk-tracedb, SQLite, fjall and a plain file, and what they take on disk.
    Stores {
        #[command(flatten)]
        sizes: Sizes,
    },
    /// sk-tracedb's writer at 2,000 and 100 changes a second, and idle.
    Rates {
        #[command(flatten)]
        sizes: Sizes,
        #[command(flatten)]
        times: RateTimes,
    },
    /// The codec of bodies alone, without any store, beside zstd and copying in memory.
    Codec {
        #[command(flatten)]
        sizes: Sizes,
    },
    /// Renders result lines as a document.
    Report {
        /// Files of result lines; `-` is stdin.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Where to write it; stdout without.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Runs all benchmarks of the project and renders the report.
    All(All),
    /// One run of one store: a child process of `stores`.
    #[command(hide = true)]
    One { task: String },
    /// One run at one rate: a child process of `rates`.
    #[command(hide = true)]
    OneRate { task: String },
}

/// How much of what is measured, and how often.
#[derive(Args)]
struct Sizes {
    /// Recorded changes.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    changes: u64,
    /// Objects that exist at a time, about.
    #[arg(long, default_value_t = 5_000, value_parser = at_least_one)]
    objects: usize,
    /// What mostly happens: mixed, update-heavy or pod-churn.
    #[arg(long, value_delimiter = ',', default_values_t = [Mix::UpdateHeavy])]
    mix: Vec<Mix>,
    /// Changes in one transaction.
    #[arg(long, default_value_t = 256, value_parser = at_least_one)]
    batch: usize,
    /// How often everything is run, in turns.
    #[arg(long, default_value_t = 3, value_parser = at_least_one)]
    runs: usize,
    /// Where temporary files go: several times the size of the changes, and not in memory.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    folder: PathBuf,
    /// Print result lines, one JSON object a line, instead of tables.
    #[arg(long)]
    json: bool,
}

/// For how long rates are offered.
#[derive(Args)]
struct RateTimes {
    /// Seconds at each rate.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Seconds idle; 0: idleness is not measured.
    #[arg(long, default_value_t = 5)]
    idle_seconds: u32,
}

/// Phases of `sk-tracedb bench` that a whole run has: all but `offered`, as `rates` offers the same loads.
const BENCH_PHASES: [Phase; 7] = [
    Phase::Ingest,
    Phase::Export,
    Phase::Window,
    Phase::State,
    Phase::History,
    Phase::Open,
    Phase::Killed,
];

/// A number of which none is no use.
fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("{error}")),
    }
}

/// Sizes of a whole run. The defaults are those of the goals, and take hours on two cores.
#[derive(Args)]
struct All {
    /// The document; the result lines go beside it, to a file of the same name that ends with `.jsonl`.
    #[arg(long)]
    out: PathBuf,
    /// The release binary of sk-tracedb; built where none is given.
    #[arg(long)]
    sk_tracedb: Option<PathBuf>,
    /// The binary of sk-tracer; looked for on the PATH where none is given.
    #[arg(long)]
    sk_tracer: Option<PathBuf>,
    /// Recorded changes of the stores.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    changes: u64,
    /// Objects that exist at a time, about.
    #[arg(long, default_value_t = 50_000, value_parser = at_least_one)]
    objects: usize,
    /// Workloads.
    #[arg(long, value_delimiter = ',', default_values_t = [Mix::UpdateHeavy, Mix::PodChurn])]
    mix: Vec<Mix>,
    /// How often everything is run.
    #[arg(long, default_value_t = 3, value_parser = at_least_one)]
    runs: usize,
    /// Records that `sk-tracedb bench` makes: one for each size. That of 10,000,000 changes takes 40 GB of the folder for
    /// temporary files.
    #[arg(
        long, value_delimiter = ',', default_values_t = [100_000, 1_000_000, 10_000_000],
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    bench_changes: Vec<u64>,
    /// Above so many changes no record of pod-churn is made: that of 10,000,000 takes most of an hour.
    #[arg(long, default_value_t = 10_000_000)]
    churn_changes_max: u64,
    /// Objects of these records, so that what grows with the changes is told from what grows with the objects. Where none is
    /// given, every object has as many changes as in a record of the full size.
    #[arg(long, value_parser = at_least_one)]
    bench_objects: Option<usize>,
    /// Above so many changes no recorder is killed: that takes a second record of them.
    #[arg(long, default_value_t = 10_000_000)]
    killed_changes_max: u64,
    /// Phases of `sk-tracedb bench`.
    #[arg(long, value_delimiter = ',', default_values_t = BENCH_PHASES)]
    bench_phases: Vec<Phase>,
    /// Changes that are in the store, or offered, where rates are measured; and those that the codec gets alone.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    rate_changes: u64,
    #[command(flatten)]
    times: RateTimes,
    /// Small sizes for the tracers: whether it works, not how fast.
    #[arg(long)]
    quick_tracers: bool,
    /// Above so many pods the initial sync is not measured of sk-tracer, which buffers all of them: 7.7 GB at 150,000.
    #[arg(long, default_value_t = 30_000)]
    sk_tracer_pods_max: usize,
    /// Measure these parts only. The other figures of the document stay as they are.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Where temporary files go.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    folder: PathBuf,
}

/// A part of all benchmarks: what one program measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// `sk-tracedb bench`.
    Bench,
    /// Stores beside each other.
    Stores,
    /// Recorders at steady rates.
    Rates,
    /// Bodies encoded and decoded.
    Codec,
    /// Tracers beside each other.
    Tracers,
}

impl Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

impl Sizes {
    fn wanted(&self, mix: Mix) -> Wanted {
        Wanted {
            changes: self.changes,
            objects: self.objects,
            mix,
            batch: self.batch,
        }
    }

    fn print(&self, lines: &[Line]) -> Result<()> {
        let mut out = io::stdout().lock();
        if !self.json {
            write!(out, "{}", tables(lines))?;
            return Ok(());
        }
        for line in lines {
            writeln!(out, "{}", serde_json::to_string(line)?)?;
        }
        Ok(())
    }
}

impl All {
    /// As many objects as give every object as many changes as in a record of the full size.
    fn objects_of(&self, changes: u64) -> u64 {
        let objects = changes.saturating_mul(self.objects as u64) / self.changes.max(1);
        objects.max(1)
    }

    /// Finds out at once what would otherwise fail after hours.
    fn check(&self) -> Result<()> {
        ensure_differ("--mix", &self.mix)?;
        ensure_differ("--bench-changes", &self.bench_changes)?;
        ensure_differ("--bench-phases", &self.bench_phases)?;
        ensure_differ("--only", &self.only)?;
        let times = steady::Times {
            offered: self.times.seconds,
            idle: self.times.idle_seconds,
        };
        times.ensure_enough(self.rate_changes)
    }

    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    fn plan(&self) -> Plan {
        let text = |name: &str, value: &dyn ToString| [format!("--{name}"), value.to_string()];
        let folder = self.folder.display().to_string();
        let mut bench = Vec::new();
        let mut peers = Vec::new();
        for mix in &self.mix {
            for changes in &self.bench_changes {
                let too_many = *mix == Mix::PodChurn && *changes > self.churn_changes_max;
                if too_many || !self.wants(Part::Bench) {
                    continue;
                }
                let mut arguments = Vec::new();
                arguments.extend(text("changes", changes));
                let objects = match self.bench_objects {
                    Some(objects) => objects as u64,
                    None => self.objects_of(*changes),
                };
                arguments.extend(text("objects", &objects));
                arguments.extend(text("mix", mix));
                arguments.extend(text("runs", &self.runs));
                let kills = *changes <= self.killed_changes_max;
                let phases = self.bench_phases.iter();
                let phases = phases.filter(|phase| kills || !matches!(phase, Phase::Killed));
                let phases: Vec<_> = phases.map(Phase::to_string).collect();
                arguments.extend(text("phases", &phases.join(",")));
                bench.push(arguments);
            }
            let common = [
                text("mix", mix),
                text("runs", &self.runs),
                text("folder", &folder),
            ];
            let mut stores = vec!["stores".to_owned()];
            stores.extend(text("changes", &self.changes));
            stores.extend(common.concat());
            stores.extend(text("objects", &self.objects));
            if self.wants(Part::Stores) {
                peers.push(stores);
            }
            let mut rates = vec!["rates".to_owned()];
            rates.extend(text("changes", &self.rate_changes));
            rates.extend(text("seconds", &self.times.seconds));
            rates.extend(text("idle-seconds", &self.times.idle_seconds));
            rates.extend(common.concat());
            rates.extend(text("objects", &self.objects_of(self.rate_changes)));
            if self.wants(Part::Rates) {
                peers.push(rates);
            }
            let mut codec = vec!["codec".to_owned()];
            codec.extend(text("changes", &self.rate_changes));
            codec.extend(common.concat());
            codec.extend(text("objects", &self.objects_of(self.rate_changes)));
            if self.wants(Part::Codec) {
                peers.push(codec);
            }
        }
        let mut tracers = Vec::new();
        tracers.extend(text("rounds", &self.runs));
        tracers.extend(text("sk-tracer-pods-max", &self.sk_tracer_pods_max));
        if self.quick_tracers {
            tracers.push("--quick".to_owned());
        }
        Plan {
            out: self.out.clone(),
            folder: self.folder.clone(),
            sk_tracedb: self.sk_tracedb.clone(),
            sk_tracer: self.sk_tracer.clone(),
            bench,
            peers,
            tracers: self.wants(Part::Tracers).then_some(tracers),
            is_all: self.only.is_empty(),
        }
    }
}

/// Fails where the same would be measured twice.
fn ensure_differ<T: PartialEq + Display>(option: &str, values: &[T]) -> Result<()> {
    let twice = (1..)
        .zip(values)
        .find(|(after, value)| values.iter().skip(*after).any(|other| other == *value));
    match twice {
        None => Ok(()),
        Some((_, value)) => bail!("{option} names {value} twice"),
    }
}

/// Does what the command line says.
pub fn main() -> Result<()> {
    let command = Cli::parse().command;
    // A child just ends.
    if !matches!(command, Command::One { .. } | Command::OneRate { .. }) {
        interrupt::listen()?;
    }
    match command {
        Command::Stores { sizes } => {
            let mut lines = Vec::new();
            for mix in &sizes.mix {
                let wanted = sizes.wanted(*mix);
                lines.extend(stores::compare(wanted, sizes.runs, &sizes.folder)?);
            }
            sizes.print(&lines)
        }
        Command::Rates { sizes, times } => {
            let times = Times {
                offered: times.seconds,
                idle: times.idle_seconds,
            };
            let mut lines = Vec::new();
            for mix in &sizes.mix {
                let wanted = sizes.wanted(*mix);
                lines.extend(steady::measure(wanted, times, sizes.runs, &sizes.folder)?);
            }
            sizes.print(&lines)
        }
        Command::Codec { sizes } => {
            let mut lines = Vec::new();
            for mix in &sizes.mix {
                lines.extend(codec::measure(
                    sizes.wanted(*mix),
                    sizes.runs,
                    &sizes.folder,
                )?);
            }
            sizes.print(&lines)
        }
        Command::Report { files, out } => {
            let document = Results::read(&files)?.render();
            match out {
                Some(path) => everything::replace(&path, &document),
                None => Ok(write!(io::stdout(), "{document}")?),
            }
        }
        Command::All(all) => {
            all.check()?;
            everything::run(&all.plan())
        }
        Command::One { task } => {
            let figures = stores::run_task(&serde_json::from_str(&task)?)?;
            Ok(writeln!(
                io::stdout(),
                "{}",
                serde_json::to_string(&figures)?
            )?)
        }
        Command::OneRate { task } => {
            let figures = rates::run_task(&serde_json::from_str(&task)?)?;
            Ok(writeln!(
                io::stdout(),
                "{}",
                serde_json::to_string(&figures)?
            )?)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        all: All,
    }

    #[test]
    fn records_of_pod_churn_may_be_bounded() {
        let arguments = ["", "--out", "x.md", "--bench-changes", "5,6,7"];
        let records = |more: &[&str]| {
            let command = Command::try_parse_from(arguments.iter().chain(more)).unwrap();
            let bench = command.all.plan().bench;
            let churn = bench
                .iter()
                .filter(|call| call.contains(&"pod-churn".to_owned()));
            (bench.len(), churn.count())
        };
        assert_eq!(records(&[]), (6, 3));
        assert_eq!(records(&["--churn-changes-max", "6"]), (5, 2));
    }

    fn calls(more: &[&str]) -> Vec<Vec<String>> {
        let arguments = ["", "--out", "x.md", "--bench-changes", "5,600000"];
        let command = Command::try_parse_from(arguments.iter().chain(more)).unwrap();
        command.all.plan().bench
    }

    #[test]
    fn of_large_records_nothing_need_be_killed() {
        let phases = |call: &Vec<String>| call.last().unwrap().clone();
        let found: Vec<_> = calls(&["--killed-changes-max", "5"])
            .iter()
            .map(phases)
            .collect();
        let few = "ingest,export,window,state,history,open";
        let all = format!("{few},killed");
        assert_eq!(found, [&all, few, &all, few]);
    }

    #[test]
    fn records_have_as_many_objects_as_is_said_or_as_many_as_fit_their_changes() {
        let objects = |more: &[&str]| -> Vec<String> {
            let calls = calls(more);
            let of = |call: &Vec<String>| {
                let at = call.iter().position(|text| text == "--objects").unwrap();
                call[at + 1].clone()
            };
            calls.iter().map(of).collect()
        };
        assert_eq!(objects(&[]), ["1", "30000", "1", "30000"]);
        assert_eq!(objects(&["--bench-objects", "7"]), ["7"; 4]);
    }
}
