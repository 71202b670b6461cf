//! What a recorder costs while nothing happens, and while changes come at a steady rate.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::{in_order, listed_once, watching};
use crate::content::Content;
use crate::limits::{RECORD_MAX, SETTLE};
use crate::results::{Results, Setting};
use crate::subject::{Kind, Program, Subject};

/// How a load is offered.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Changes a second.
    pub rate: f64,
    pub time: Duration,
    /// How long nothing is offered before.
    pub idle: Duration,
}

pub async fn load(
    programs: &[Program],
    content: Arc<Content>,
    load: Load,
    rounds: usize,
    results: &mut Results,
) -> anyhow::Result<()> {
    for round in 0..rounds {
        for program in in_order(programs, round) {
            eprintln!(
                "{} changes/s, round {} of {rounds}: {}",
                load.rate,
                round + 1,
                program.kind.name()
            );
            one(program, &content, load, results).await?;
        }
    }
    Ok(())
}

async fn one(
    program: &Program,
    content: &Arc<Content>,
    load: Load,
    results: &mut Results,
) -> anyhow::Result<()> {
    let (server, mut subject) = watching(program, content).await?;
    subject.quiet(&server, RECORD_MAX).await?;
    tokio::time::sleep(SETTLE).await;

    let objects = content.expected.objects;
    let idle = Setting {
        benchmark: "idle",
        workload: "deployments".to_owned(),
        changes: 0,
        objects,
        pods: 0,
    };
    let commits = commits(&subject).await?;
    let before = subject.check()?;
    let began = Instant::now();
    tokio::time::sleep(load.idle).await;
    let after = subject.check()?;
    let seconds = began.elapsed().as_secs_f64();
    let name = program.kind.name();
    let cpu = after.cpu_seconds - before.cpu_seconds;
    results.add(
        &idle,
        name,
        ("cpu_percent", "% of a core"),
        cpu / seconds * 100.0,
    );
    let switches = after.switches.saturating_sub(before.switches);
    results.add(
        &idle,
        name,
        ("context_switches", "1/s"),
        switches as f64 / seconds,
    );
    results.add(&idle, name, ("threads", "threads"), after.threads as f64);
    if let (Some(before), Some(after)) = (commits, self::commits(&subject).await?) {
        results.add(&idle, name, ("commits", "1/s"), (after - before) / seconds);
    }

    let before = subject.check()?;
    let commits = self::commits(&subject).await?;
    let began = Instant::now();
    let offered = server.offer(load.rate, load.time).await;
    let seconds = began.elapsed().as_secs_f64();
    let after = subject.check()?;
    listed_once(&server)?;
    ensure!(
        offered as f64 >= load.rate * load.time.as_secs_f64() - 1.0,
        "only {offered} changes could be offered: the script is too short"
    );
    let steady = Setting {
        benchmark: "steady-load",
        workload: format!("deployments, {} changes/s", load.rate),
        changes: offered as u64,
        objects,
        pods: 0,
    };
    let cpu = after.cpu_seconds - before.cpu_seconds;
    results.add(
        &steady,
        name,
        ("cpu_percent", "% of a core"),
        cpu / seconds * 100.0,
    );
    results.add(
        &steady,
        name,
        ("cpu_us_per_change", "us"),
        cpu * 1e6 / offered as f64,
    );
    if let (Some(before), Some(after)) = (commits, self::commits(&subject).await?) {
        results.add(
            &steady,
            name,
            ("commits", "1/s"),
            (after - before) / seconds,
        );
    }
    if program.kind == Kind::SkTracedb {
        // Everything that was offered is recorded, a batch at most excepted.
        subject.quiet(&server, RECORD_MAX).await?;
        let recorded = subject.metric("sk_tracedb_changes_total").await? as u64;
        ensure!(
            recorded == objects + offered as u64,
            "{recorded} changes are recorded, and not {objects} + {offered}"
        );
    }
    subject.stop().await
}

async fn commits(subject: &Subject) -> anyhow::Result<Option<f64>> {
    match subject.kind {
        Kind::SkTracer => Ok(None),
        Kind::SkTracedb => Ok(Some(subject.metric("sk_tracedb_commits_total").await?)),
    }
}
