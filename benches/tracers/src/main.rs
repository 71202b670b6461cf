//! `tracers`: measures sk-tracedb beside sk-tracer.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use sk_tracedb_tracers::api::ApiServer;
use sk_tracedb_tracers::results::Results;
use sk_tracedb_tracers::runs::{self, Load};
use sk_tracedb_tracers::subject::{Kind, Program};
use sk_tracedb_tracers::{content, lean};
use tokio::signal::unix::{SignalKind, signal};

/// Measures sk-tracedb beside SimKube's sk-tracer, both fed by one scripted API server. Timings on a busy machine are
/// noisy: compare subjects of one run, not runs.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything below, one after the other.
    All {
        #[command(flatten)]
        common: Common,
        /// Small sizes and one round: whether it works, not how fast.
        #[arg(long)]
        quick: bool,
        /// Above so many pods sk-tracer is left out of the initial sync: it buffers all of them (7.7 GB at 150,000).
        #[arg(long, default_value_t = 30_000)]
        sk_tracer_pods_max: usize,
    },
    /// Record changes as fast as they come, then export them.
    Export {
        #[command(flatten)]
        common: Common,
        /// Changes. Repeatable.
        #[arg(long, default_values_t = [21_200, 100_000])]
        changes: Vec<usize>,
        /// Changes of each Deployment, about.
        #[arg(long, default_value_t = 20)]
        changes_per_object: usize,
    },
    /// The initial sync of a large cluster.
    Sync {
        #[command(flatten)]
        common: Common,
        #[arg(long, default_value_t = 20_000)]
        objects: usize,
        /// Live pods. Repeatable.
        #[arg(long, default_values_t = [30_000, 150_000])]
        pods: Vec<usize>,
        /// Above so many pods sk-tracer is left out: it buffers all of them (7.7 GB at 150,000).
        #[arg(long, default_value_t = 30_000)]
        sk_tracer_pods_max: usize,
    },
    /// From the start until it records, on an empty cluster.
    Start {
        #[command(flatten)]
        common: Common,
    },
    /// CPU at rest and at a steady rate.
    Load {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        load: LoadArgs,
    },
    /// Reads the lists of an API server with a lean type: what an initial sync costs at least.
    ReadLists { url: String },
    /// Serves the scripted cluster for an hour, for a look at it.
    Serve {
        #[arg(long, default_value_t = 1_000)]
        objects: usize,
        #[arg(long, default_value_t = 0)]
        pods: usize,
        /// Where to write a kubeconfig.
        #[arg(long)]
        folder: PathBuf,
    },
}

#[derive(Args, Clone)]
struct Common {
    /// The binary of sk-tracedb; left out where none is given.
    #[arg(long)]
    sk_tracedb: Option<PathBuf>,
    /// The binary of sk-tracer (`cargo install --locked sk-tracer`); left out where none is given.
    #[arg(long)]
    sk_tracer: Option<PathBuf>,
    /// Rounds; the medians count.
    #[arg(long, default_value_t = 3, value_parser = at_least_one)]
    rounds: usize,
    /// JSON lines on stdout in place of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Args, Clone, Copy)]
struct LoadArgs {
    /// Changes a second.
    #[arg(long, default_value_t = 100.0, value_parser = a_rate)]
    rate: f64,
    /// For how long, seconds.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// How long it is left alone before, seconds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    idle_seconds: u64,
    #[arg(long, default_value_t = 2_000)]
    objects: usize,
}

/// A number of which none is no use.
fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("{error}")),
    }
}

/// Changes a second: what a script can hold.
fn a_rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if (0.1..=100_000.0).contains(&rate) {
        Ok(rate)
    } else {
        Err("must be between 0.1 and 100000".to_owned())
    }
}

impl Common {
    fn programs(&self) -> anyhow::Result<Vec<Program>> {
        let named = [
            (Kind::SkTracedb, &self.sk_tracedb),
            (Kind::SkTracer, &self.sk_tracer),
        ];
        let mut programs = Vec::new();
        for (kind, path) in named {
            match path {
                None => eprintln!("{} is left out: no binary is given", kind.name()),
                Some(path) => {
                    let path = path
                        .canonicalize()
                        .with_context(|| format!("{} cannot be found", path.display()))?;
                    programs.push(Program { kind, path });
                }
            }
        }
        anyhow::ensure!(!programs.is_empty(), "there is nothing to measure");
        Ok(programs)
    }

    fn print(&self, results: &Results) {
        if self.json {
            print!("{}", results.json());
        } else {
            print!("{}", results.table());
        }
    }
}

/// Exit codes of a run that was stopped by SIGINT and by SIGTERM.
const INTERRUPTED: u8 = 130;
const TERMINATED: u8 = 143;

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            outcome = run(options.command) => outcome.map(|()| ExitCode::SUCCESS),
            // Dropping what is under way kills the subjects.
            _ = tokio::signal::ctrl_c() => Ok(ExitCode::from(INTERRUPTED)),
            _ = terminate.recv() => Ok(ExitCode::from(TERMINATED)),
        }
    })
}

async fn run(command: Command) -> anyhow::Result<()> {
    let mut results = Results::default();
    let common = match command {
        Command::All {
            common,
            quick,
            sk_tracer_pods_max,
        } => {
            let outcome = all(&common, quick, sk_tracer_pods_max, &mut results).await;
            // What was measured before something failed is shown all the same.
            common.print(&results);
            return outcome;
        }
        Command::Export {
            common,
            changes,
            changes_per_object,
        } => {
            for changes in changes {
                export(&common, changes, changes_per_object, &mut results).await?;
            }
            common
        }
        Command::Sync {
            common,
            objects,
            pods,
            sk_tracer_pods_max,
        } => {
            for pods in pods {
                sync(&common, objects, pods, sk_tracer_pods_max, &mut results).await?;
            }
            common
        }
        Command::Start { common } => {
            runs::start(&common.programs()?, common.rounds, &mut results).await?;
            common
        }
        Command::Load { common, load } => {
            steady(&common, load, &mut results).await?;
            common
        }
        Command::ReadLists { url } => {
            let read = lean::read(&url).await?;
            println!("{}", serde_json::to_string(&read)?);
            return Ok(());
        }
        Command::Serve {
            objects,
            pods,
            folder,
        } => {
            let server = ApiServer::start(Arc::new(content::fleet(objects, pods))).await?;
            let path = server.kubeconfig(&folder)?;
            eprintln!("{}: KUBECONFIG={}", server.url(), path.display());
            tokio::time::sleep(Duration::from_secs(3_600)).await;
            return Ok(());
        }
    };
    common.print(&results);
    Ok(())
}

async fn all(
    common: &Common,
    quick: bool,
    sk_tracer_pods_max: usize,
    results: &mut Results,
) -> anyhow::Result<()> {
    let common = Common {
        rounds: if quick { 1 } else { common.rounds },
        ..common.clone()
    };
    runs::start(&common.programs()?, common.rounds.max(3), results).await?;
    if quick {
        export(&common, 2_000, 20, results).await?;
        let load = LoadArgs {
            rate: 100.0,
            seconds: 3,
            idle_seconds: 2,
            objects: 200,
        };
        steady(&common, load, results).await?;
        return sync(&common, 500, 3_000, sk_tracer_pods_max, results).await;
    }
    for changes in [21_200, 100_000] {
        export(&common, changes, 20, results).await?;
    }
    let load = LoadArgs {
        rate: 100.0,
        seconds: 30,
        idle_seconds: 10,
        objects: 2_000,
    };
    steady(&common, load, results).await?;
    sync(&common, 20_000, 30_000, sk_tracer_pods_max, results).await?;
    sync(&common, 20_000, 150_000, sk_tracer_pods_max, results).await
}

async fn export(
    common: &Common,
    changes: usize,
    changes_per_object: usize,
    results: &mut Results,
) -> anyhow::Result<()> {
    let objects = changes / changes_per_object.max(1);
    let content = Arc::new(content::deployments(objects.max(50), changes));
    runs::export(&common.programs()?, content, common.rounds, results).await
}

async fn sync(
    common: &Common,
    objects: usize,
    pods: usize,
    sk_tracer_pods_max: usize,
    results: &mut Results,
) -> anyhow::Result<()> {
    let mut programs = common.programs()?;
    if pods > sk_tracer_pods_max {
        eprintln!("sk-tracer is left out of the initial sync of {pods} pods: it would buffer all");
        programs.retain(|program| program.kind != Kind::SkTracer);
    }
    let content = Arc::new(content::fleet(objects, pods));
    runs::sync(&programs, content, pods as u64, common.rounds, results).await
}

async fn steady(common: &Common, args: LoadArgs, results: &mut Results) -> anyhow::Result<()> {
    let changes = (args.rate * args.seconds as f64) as usize + 100;
    let content = Arc::new(content::deployments(args.objects, changes));
    let load = Load {
        rate: args.rate,
        time: Duration::from_secs(args.seconds),
        idle: Duration::from_secs(args.idle_seconds),
    };
    runs::load(&common.programs()?, content, load, common.rounds, results).await
}
