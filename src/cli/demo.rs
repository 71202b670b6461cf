//! `sk-tracedb demo`.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;

use super::export::{prepare, report, to_file};
use super::info::print_store;
use super::interrupt::Interrupt;
use crate::export::{ExportFilters, ExportRequest};
use crate::model::{RedactionKey, TimeRange, Timestamp};
use crate::normalize::{Redaction, normalize};
use crate::recorder::{SimulatedRecorder, SimulationError};
use crate::store::{Reader, Store, StoreError, refuse_itself};
use crate::workload::{Mix, Workload, WorkloadOptions};

/// Of the changes, this share happens while the recorder is down.
const MISSED_SHARE: u64 = 20;

/// Arguments of `demo`.
#[derive(Args, Debug)]
pub(super) struct DemoArgs {
    /// Chooses one of the possible histories: the same seed gives the same record.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// About how many objects exist at a time.
    #[arg(long, default_value_t = 300)]
    objects: usize,

    /// How many things happen.
    #[arg(long, default_value_t = 20_000)]
    changes: u64,

    /// What mostly happens: mixed, update-heavy or pod-churn.
    #[arg(long, default_value_t)]
    mix: Mix,

    /// The store to make. An earlier demo's store is replaced, any other file is refused.
    #[arg(long, value_name = "FILE", default_value = "demo.redb")]
    db: PathBuf,

    /// The trace file to write.
    #[arg(long, value_name = "FILE", default_value = "demo.sktrace")]
    out: PathBuf,
}

/// Runs `demo`.
pub(super) fn run(args: &DemoArgs) -> anyhow::Result<()> {
    let interrupt = Interrupt::listen()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    refuse_itself(&args.db, &args.out)?;
    remove_earlier_demo(args)?;
    let mut workload = Workload::new(WorkloadOptions {
        seed: args.seed,
        objects: args.objects,
        changes: args.changes,
        mix: args.mix,
        warm_start: true,
        ..WorkloadOptions::default()
    });
    let began = workload.now();
    let cluster = format!("synthetic-{}", args.seed);
    let store = runtime.block_on(record(args, &interrupt, &mut workload, &cluster))?;
    let reader = store.reader();
    println!("\n{}", args.db.display());
    print_store(&mut std::io::stdout().lock(), &reader)?;
    compare(&reader, &workload)?;

    let last = reader.snapshot()?.extent().map_or(began, |(_, last)| last);
    let window = TimeRange {
        start: Timestamp::from_seconds(began.as_seconds()),
        end: Timestamp::from_seconds(last.as_seconds() + 1),
    };
    let request = ExportRequest {
        window,
        filters: ExportFilters::default(),
    };
    let summary = to_file(prepare(&reader, &request, false)?, &args.out, &interrupt)?;
    println!("\n{}", args.out.display());
    std::io::stdout().flush()?;
    report(window, &summary);
    drop(reader);
    Ok(store.close()?)
}

/// Records the workload, with a pause in the middle.
async fn record(
    args: &DemoArgs,
    interrupt: &Interrupt,
    workload: &mut Workload,
    cluster: &str,
) -> anyhow::Result<Store> {
    let missed = args.changes / MISSED_SHARE;
    let before = (args.changes - missed) / 2;
    eprintln!(
        "recording {before} changes of a synthetic cluster of {} objects (seed {})",
        args.objects, args.seed
    );
    let store = Store::create(&args.db)?;
    let store = record_steps(store, interrupt, workload, cluster, before).await?;
    store.close()?;
    eprintln!("the recorder is down for {missed} changes");
    workload.skip_steps(missed);
    eprintln!("recording the rest");
    record_steps(
        Store::open(&args.db)?,
        interrupt,
        workload,
        cluster,
        u64::MAX,
    )
    .await
}

async fn record_steps(
    store: Store,
    interrupt: &Interrupt,
    workload: &mut Workload,
    cluster: &str,
    steps: u64,
) -> anyhow::Result<Store> {
    let recorder = SimulatedRecorder::start(store, workload, cluster).await?;
    let mut outcome = Ok(());
    for _ in 0..steps {
        interrupt.check()?;
        let Some(step) = workload.next() else { break };
        outcome = recorder.step(step, workload).await;
        if outcome.is_err() {
            break;
        }
    }
    // Where the writer failed, stopping it says why.
    let store = recorder.stop().await?;
    outcome.map_err(|error: SimulationError| anyhow::Error::new(error))?;
    Ok(store)
}

/// Checks that the record's last state is the cluster's: every tracked object, and nothing else.
fn compare(reader: &Reader, workload: &Workload) -> anyhow::Result<()> {
    let (config, _) = crate::config::TracerConfig::parse(workload.config())?;
    // Only names and UIDs are compared: any key will do.
    let redaction = Redaction::new(RedactionKey::from_bytes([0; RedactionKey::BYTES]), &config);
    let mut real = BTreeSet::new();
    for (gvk, object) in workload.live() {
        if let Some(tracked) = config.tracked.get(&gvk) {
            let item = normalize(&gvk, Some(tracked), &redaction, object)?;
            real.extend(item.object.map(|object| (object.key, object.uid)));
        }
    }
    let snapshot = reader.snapshot()?;
    let recorded = snapshot
        .state_at(Timestamp::MAX.plus_micros(-1))?
        .map(|version| version.map(|version| (version.key, version.uid)))
        .collect::<Result<BTreeSet<_>, StoreError>>()?;
    if real != recorded {
        let wrong: Vec<_> = real
            .symmetric_difference(&recorded)
            .take(5)
            .map(|(key, _)| key.to_string())
            .collect();
        bail!("the record differs from the cluster: {}", wrong.join(", "));
    }
    println!(
        "\nThe record ends with the {} objects that the cluster has.",
        real.len()
    );
    Ok(())
}

/// Removes the files of an earlier demo; refuses everything else that stands in the way.
fn remove_earlier_demo(args: &DemoArgs) -> anyhow::Result<()> {
    if !args.db.try_exists()? {
        return Ok(());
    }
    let runs = Reader::open(&args.db)
        .and_then(|reader| reader.snapshot()?.runs())
        .with_context(|| format!("{} stands in the way", args.db.display()))?;
    if runs.is_empty() || runs.iter().any(|run| run.source != "demo") {
        return Err(StoreError::Exists {
            path: args.db.clone(),
        }
        .into());
    }
    std::fs::remove_file(&args.db)
        .with_context(|| format!("{}: cannot be removed", args.db.display()))
}
