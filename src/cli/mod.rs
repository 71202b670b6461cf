//! The command line: a thin edge. Arguments in, library calls, text out. stdout carries data only; everything a person is
//! told goes to stderr.
//!
//! Exit codes: 0 done; 1 failed; 2 the arguments or the input are wrong; 130 and 143 stopped by SIGINT and SIGTERM
//! before the work was done (a recorder that is told to stop has done its work: 0).

mod backup;
mod bench;
mod compact;
mod copies;
mod count;
mod demo;
mod exit;
mod export;
mod filters;
mod gaps;
mod gc;
mod history;
mod import;
mod info;
mod interrupt;
mod log;
mod migrate;
mod output;
mod progress;
mod record;
mod retention;
mod room;
mod salvage;
mod state;
mod table;
mod verify;
mod window;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::store::{guarded_run, hush_guarded_panics};

/// Records a Kubernetes cluster into one file, and exports windows of it as SimKube traces.
///
/// Without a subcommand it records, with sk-tracer's own flags.
#[derive(Debug, Parser)]
#[command(name = "sk-tracedb", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    record: record::RecordArgs,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch a cluster and keep every change of the configured objects.
    #[command(visible_alias = "serve")]
    Record(record::RecordArgs),
    /// Write a window of the record as a SimKube trace.
    Export(export::ExportArgs),
    /// Make a store from a SimKube trace.
    Import(import::ImportArgs),
    /// Show what a store holds.
    Info(info::InfoArgs),
    /// Show the objects that existed at a time.
    State(state::StateArgs),
    /// Show what happened to one object.
    History(history::HistoryArgs),
    /// Copy a store, while its recorder runs, and check the copy.
    Backup(backup::BackupArgs),
    /// Check everything in a store, and say what is wrong and where.
    Verify(verify::VerifyArgs),
    /// Save what is readable of a broken store into a new one, and say what is lost.
    Salvage(salvage::SalvageArgs),
    /// Bring a store to this release's schema version.
    Migrate(migrate::MigrateArgs),
    /// Drop the oldest part of a record.
    Gc(gc::GcArgs),
    /// Give free room in a store's file back to the volume.
    Compact(compact::CompactArgs),
    /// Record a synthetic cluster, restart in the middle, export, and show what was found. Needs no cluster.
    Demo(demo::DemoArgs),
    /// Measure recording, exporting and asking on this machine, with a synthetic cluster. Needs no cluster.
    Bench(bench::BenchArgs),
    /// One measurement of `bench`, in a process of its own.
    #[command(name = bench::WORKER, hide = true)]
    BenchWorker(bench::WorkerArgs),
}

/// Runs the program.
pub fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    hush_guarded_panics();
    match store_of(&matches) {
        Some(db) => exit::code(guarded_run(&db, || run(cli)), Some(&db)),
        None => exit::code(run(cli), None),
    }
}

/// The store that the arguments name, for errors that do not name it themselves.
fn store_of(matches: &ArgMatches) -> Option<PathBuf> {
    let matches = matches.subcommand().map_or(matches, |(_, matches)| matches);
    matches.try_get_one("db").ok().flatten().cloned()
}

fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        None => record::run(cli.record),
        Some(Command::Record(args)) => record::run(args),
        Some(Command::Export(args)) => export::run(&args),
        Some(Command::Import(args)) => import::run(&args),
        Some(Command::Info(args)) => info::run(&args),
        Some(Command::State(args)) => state::run(&args),
        Some(Command::History(args)) => history::run(&args),
        Some(Command::Backup(args)) => backup::run(&args),
        Some(Command::Verify(args)) => verify::run(&args),
        Some(Command::Salvage(args)) => salvage::run(&args),
        Some(Command::Migrate(args)) => migrate::run(&args),
        Some(Command::Gc(args)) => gc::run(&args),
        Some(Command::Compact(args)) => compact::run(&args),
        Some(Command::Demo(args)) => demo::run(&args),
        Some(Command::Bench(args)) => bench::run(&args),
        Some(Command::BenchWorker(args)) => bench::run_worker(&args),
    }
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::{CommandFactory, Parser};

    #[test]
    fn the_arguments_are_well_defined() {
        Cli::command().debug_assert();
    }

    #[test]
    fn environment_values_are_redacted_on_demand() {
        let cli = Cli::try_parse_from(["sk-tracedb", "record", "-c", "c.yml", "--redact-env"]);
        assert!(cli.is_ok());
        let cli = Cli::try_parse_from(["sk-tracedb", "-c", "c.yml", "--redact-env"]);
        assert!(cli.is_ok());
    }

    #[test]
    fn sk_tracers_own_command_line_records() {
        let cli = Cli::try_parse_from([
            "sk-tracedb",
            "-c",
            "/config.yml",
            "--server-port",
            "7777",
            "-v",
            "debug",
        ]);
        assert!(cli.is_ok_and(|cli| cli.command.is_none()));
    }
}
