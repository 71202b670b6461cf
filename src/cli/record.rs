//! `sk-tracedb record`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use url::Url;

use super::exit::usage;
use super::log;
use super::retention::RetentionArgs;
use crate::clock::{Clock, WallClock};
use crate::config::TracerConfig;
use crate::ingest::RetentionPolicy;
use crate::limits::COPY_GRACE_SECONDS_MAX;
use crate::recorder::{Recorder, RecorderStart, Report, wait_for_cluster};
use crate::serve::{ServeOptions, Server};
use crate::store::{CopyGraceOptions, Store};
use crate::watch::{Client, WatchStatus, connect};

/// Arguments of `record`. sk-tracer's own are among them.
#[derive(Args, Debug)]
pub(super) struct RecordArgs {
    /// The tracer config: which kinds to keep. SimKube's format.
    #[arg(short, long, value_name = "FILE", env = "SK_TRACEDB_CONFIG")]
    config_file: Option<PathBuf>,

    /// The store. Made if it does not exist.
    #[arg(
        long,
        value_name = "FILE",
        env = "SK_TRACEDB_DB",
        default_value = "trace.redb"
    )]
    db: PathBuf,

    #[command(flatten)]
    retention: RetentionArgs,

    /// Port of the HTTP server; 0: any that is free.
    #[arg(long, value_name = "PORT", default_value_t = 7777)]
    server_port: u16,

    /// Address of the HTTP server. 127.0.0.1 is enough for `kubectl port-forward`; probes and Services need 0.0.0.0.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    bind: IpAddr,

    /// What to log, on stderr: a level (info) or a filter (info,sk_tracedb::watch=debug).
    #[arg(short, long, value_name = "LEVEL", default_value = "info")]
    verbosity: String,

    /// A file with a token that HTTP clients must send (`Authorization: Bearer ...`), except for health probes.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// A place in an object store that exports may be written to, such as s3://bucket/traces. Repeatable.
    #[arg(long, value_name = "URL")]
    allow_export_to: Vec<Url>,

    /// How long a plain copy of the live file (cp, kubectl cp) may take and still be whole: the pages that it needs are
    /// kept so long. 60s, 5m; 0: no pages are kept, and only `backup` makes good copies.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = copy_grace)]
    copy_grace: Duration,

    /// Where GET /backup makes its copy: it takes as much room as the data [default: the system's folder for temporary
    /// files].
    #[arg(long, value_name = "FOLDER")]
    temp_dir: Option<PathBuf>,

    /// Store literal values of environment variables as keyed digests, as the data of Secrets always is (unless the entry of
    /// v1.Secret in the config has `storeSecretData: true`).
    #[arg(long)]
    redact_env: bool,

    /// How long exports under way may take when the recorder is told to stop, seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    grace_seconds: u64,
}

/// Runs `record` until SIGTERM or SIGINT.
pub(super) fn run(args: RecordArgs) -> anyhow::Result<()> {
    log::start(&args.verbosity)?;
    let path = args.config_file.as_ref().ok_or_else(|| {
        usage("no config file\nhint: give one with -c; `sk-tracedb help` shows the other commands")
    })?;
    let (mut config, warnings) = TracerConfig::load(path).map_err(usage_of)?;
    config.redact_env = args.redact_env;
    for warning in warnings {
        tracing::warn!("{}: {warning}", path.display());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(record(args, config))
}

/// Seconds, or a duration with its unit.
fn copy_grace(text: &str) -> Result<Duration, String> {
    let grace = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => text
            .parse::<jiff::SignedDuration>()
            .ok()
            .and_then(|duration| Duration::try_from(duration).ok())
            .ok_or("expected a duration: 60s, 5m, 0")?,
    };
    if grace > Duration::from_secs(COPY_GRACE_SECONDS_MAX) {
        return Err(format!(
            "at most {COPY_GRACE_SECONDS_MAX}s: the file grows by what is rewritten meanwhile"
        ));
    }
    Ok(grace)
}

/// An error of the input, with its causes in one text.
fn usage_of(error: impl std::error::Error + Send + Sync + 'static) -> anyhow::Error {
    let error = anyhow::Error::new(error);
    usage(format!("{error:#}"))
}

async fn record(args: RecordArgs, config: TracerConfig) -> anyhow::Result<()> {
    let (stop_sender, stop) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop_sender = Arc::new(stop_sender);
    let stopper = Arc::clone(&stop_sender);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
            _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
        }
        stopper.send_replace(true);
    });

    // What can be wrong with the arguments is found before anything happens.
    let server = Server::bind(serve_options(&args)?).await?;
    let retention = args.retention.policy(&args.db)?;
    let client = connect().await?;
    let store = Store::open(&args.db)?;
    tracing::info!(db = %args.db.display(), "opened the store");

    let clock: Arc<dyn Clock> = Arc::new(WallClock);
    let report = Arc::new(Report::new(Arc::new(WatchStatus::new(Arc::clone(&clock)))));
    // What was recorded before can be asked for while the cluster is out of reach.
    let serving = tokio::spawn(server.run(store.reader(), report.clone(), stop.clone()));
    let grace = CopyGraceOptions {
        grace: args.copy_grace,
        allocated_bytes_max: retention.copies_bytes_max(),
        full_bytes: retention.full_bytes(),
        ..CopyGraceOptions::default()
    };
    let keeping = Keeping { retention, grace };
    let outcome = watch_cluster(store, client, config, keeping, clock, report, stop).await;
    stop_sender.send_replace(true);
    serving.await.context("the HTTP server crashed")?;
    outcome
}

/// What is kept, and for how long.
struct Keeping {
    /// Of the record.
    retention: RetentionPolicy,
    /// Of the file's pages, for copies.
    grace: CopyGraceOptions,
}

async fn watch_cluster(
    store: Store,
    client: Client,
    config: TracerConfig,
    keeping: Keeping,
    clock: Arc<dyn Clock>,
    report: Arc<Report>,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let Some(cluster) = wait_for_cluster(&client, stop.clone()).await else {
        return Ok(());
    };
    tracing::info!(%cluster, "recording");
    let recorder = Recorder::start(RecorderStart {
        store,
        client,
        cluster,
        config,
        retention: keeping.retention,
        clock,
        report,
        stop: stop.clone(),
    });
    let recorder = recorder.await?.with_copy_grace(keeping.grace);
    recorder.run(stop).await?;
    tracing::info!("everything is committed");
    Ok(())
}

fn serve_options(args: &RecordArgs) -> anyhow::Result<ServeOptions> {
    let token = match &args.token_file {
        None => None,
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("{}: cannot be read", path.display()))?;
            Some(text.trim().to_owned())
        }
    };
    Ok(ServeOptions {
        token,
        allowed_export_locations: args.allow_export_to.clone(),
        temp_dir: args.temp_dir.clone().unwrap_or_else(std::env::temp_dir),
        grace: Duration::from_secs(args.grace_seconds),
        ..ServeOptions::new(SocketAddr::new(args.bind, args.server_port))
    })
}
