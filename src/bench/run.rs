//! The phases, one after the other, in a folder that goes when they are done.

use std::path::{Path, PathBuf};

use super::measurement::{Results, Scope};
use super::options::{BenchOptions, Phase};
use super::worker::Worker;
use super::{Audience, BenchError, export, ingest, offered, open, questions, window};
use crate::limits::BENCH_RUNS_MAX;
use crate::store::{Reader, StoreError, folder_of, sync_folder_of};

/// Runs the phases that the options name and tells what they find.
///
/// # Errors
/// [`BenchError`]. Nothing is left behind, unless the store was complete and was to stay.
pub fn run(
    options: &BenchOptions,
    worker: &Worker,
    audience: &mut dyn Audience,
) -> Result<(), BenchError> {
    let wants = |phase| options.phases.contains(&phase);
    let reads = options.phases.iter().any(|phase| phase.reads());
    check(options, wants(Phase::Ingest), reads)?;
    let beside = options.db.as_deref().map(folder_of).map(Path::to_owned);
    let folder = tempfile::Builder::new()
        .prefix(".sk-tracedb-bench-")
        .tempdir_in(beside.unwrap_or_else(std::env::temp_dir))
        .map_err(BenchError::io("cannot make a temporary folder"))?;
    let mut db = folder.path().join("bench.redb");
    let (scope, tally) = if wants(Phase::Ingest) {
        let scope = scope_of_options(options);
        let mut results = Results {
            benchmark: Phase::Ingest.name(),
            scope: &scope,
            audience,
        };
        let tally = ingest::ingest(options, &db, &mut results)?;
        if let Some(kept) = &options.db {
            link(&db, kept)?;
            audience.kept(kept);
        }
        (scope, Some(tally))
    } else if let Some(existing) = options.db.as_ref().filter(|_| reads) {
        db = existing.clone();
        (scope_of(&db)?, None)
    } else {
        (scope_of_options(options), None)
    };
    let tally = tally.as_ref();
    let mut object = None;
    for phase in Phase::ALL.into_iter().filter(|phase| wants(*phase)) {
        let results = &mut Results {
            benchmark: phase.name(),
            scope: &scope,
            audience,
        };
        let (runs, folder) = (options.runs, folder.path());
        match phase {
            Phase::Ingest => {}
            Phase::Export => export::export(runs, &db, folder, tally, worker, results)?,
            Phase::Window => {
                window::window(options, &db, folder, tally.is_some(), worker, results)?;
            }
            Phase::State => object = questions::state(runs, &db, tally, worker, results)?,
            Phase::History => {
                if object.is_none() {
                    object = questions::some_object(&db, worker, results.audience)?;
                }
                if let Some(object) = &object {
                    questions::history(runs, &db, object, worker, results)?;
                }
            }
            Phase::Open => open::open(runs, &db, worker, results)?,
            Phase::Offered => offered::offered(options, folder, worker, results)?,
            Phase::Killed => open::killed(options, folder, worker, results)?,
        }
    }
    if options.keep && options.db.is_none() {
        let folder = folder.keep();
        audience.kept(&folder.join("bench.redb"));
    }
    Ok(())
}

fn check(options: &BenchOptions, records: bool, reads: bool) -> Result<(), BenchError> {
    let refuse = |text: &str| Err(BenchError::Options(text.to_owned()));
    if options.phases.is_empty() {
        return refuse("there is no phase to run");
    }
    if options.changes == 0 || options.objects == 0 || options.batch == 0 {
        return refuse("changes, objects and the size of a batch must be at least 1");
    }
    if !(1..=BENCH_RUNS_MAX).contains(&options.runs) {
        return refuse("the number of runs must be between 1 and 1000");
    }
    if options.keep && !records {
        return refuse(
            "without the phase ingest there is no store to keep\nhint: leave out --keep, or name the phase ingest",
        );
    }
    match &options.db {
        Some(_) if !records && !reads => refuse(
            "no phase that is to run makes or reads the store that is named\nhint: leave out --db, or name the phase \
             ingest or one that reads",
        ),
        Some(db) if records && db.exists() => Err(StoreError::Exists { path: db.clone() }.into()),
        None if reads && !records => refuse(
            "without the phase ingest there is nothing to read\nhint: name a store with --db FILE",
        ),
        _ => Ok(()),
    }
}

/// Gives the finished store its name. A link, unlike a rename, never replaces a file that somebody else has put there
/// meanwhile.
fn link(from: &Path, to: &PathBuf) -> Result<(), BenchError> {
    std::fs::hard_link(from, to).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => StoreError::Exists { path: to.clone() },
        _ => StoreError::io(to, "cannot be written")(error),
    })?;
    Ok(sync_folder_of(to)?)
}

/// What a store holds that is made by these options.
fn scope_of_options(options: &BenchOptions) -> Scope {
    Scope {
        workload: options.mix.to_string(),
        changes: options.changes,
        objects: options.objects as u64,
    }
}

/// What is in a store that was there before: it says of itself which workload it holds, if it is one of ours.
fn scope_of(db: &Path) -> Result<Scope, BenchError> {
    let info = Reader::open(db)?.snapshot()?.info()?;
    let cluster = info.cluster_id.unwrap_or_default();
    let mut parts = cluster.split('/');
    let ours = match (parts.next(), parts.next(), parts.next()) {
        (Some("bench"), Some(mix), Some(objects)) => {
            objects.parse().ok().map(|objects| (mix, objects))
        }
        _ => None,
    };
    let (workload, objects) =
        ours.unwrap_or_else(|| ("recorded", info.kinds.iter().map(|kind| kind.objects).sum()));
    Ok(Scope {
        workload: workload.to_owned(),
        changes: info.changes,
        objects,
    })
}
