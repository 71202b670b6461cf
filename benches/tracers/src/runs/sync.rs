//! The initial sync of a large cluster: time, memory, and the limit of merely reading the lists.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, ensure};
use tokio::process::Command;

use super::{in_order, listed_once};
use crate::api::ApiServer;
use crate::content::Content;
use crate::lean::Read;
use crate::limits::{POLL, SETTLE, SYNC_MAX};
use crate::results::{Results, Setting};
use crate::subject::{Kind, Program, Subject};

/// Starts each subject on the content, and reads the same lists lean, in turn.
pub async fn sync(
    programs: &[Program],
    content: Arc<Content>,
    pods: u64,
    rounds: usize,
    results: &mut Results,
) -> anyhow::Result<()> {
    let setting = Setting {
        benchmark: "initial-sync",
        workload: "running pods of Deployments".to_owned(),
        changes: 0,
        objects: content.expected.objects,
        pods,
    };
    for round in 0..rounds {
        eprintln!(
            "initial sync of {pods} pods, round {} of {rounds}: lean-read",
            round + 1
        );
        lean(&content, &setting, results).await?;
        for program in in_order(programs, round) {
            eprintln!(
                "initial sync of {pods} pods, round {} of {rounds}: {}",
                round + 1,
                program.kind.name()
            );
            one(program, &content, &setting, results).await?;
        }
    }
    Ok(())
}

async fn one(
    program: &Program,
    content: &Arc<Content>,
    setting: &Setting,
    results: &mut Results,
) -> anyhow::Result<()> {
    let mut add = |metric, value| results.add(setting, program.kind.name(), metric, value);
    let server = ApiServer::start(Arc::clone(content)).await?;
    let mut subject = Subject::start(program, &server)?;
    let watched: Vec<_> = content.watched().collect();
    let read = subject
        .wait("read all lists", POLL, SYNC_MAX, async |_| {
            Ok(server.seen().watched(watched.iter().copied()))
        })
        .await?;
    add(
        ("lists_read_seconds", "s"),
        (read - subject.started).as_secs_f64(),
    );
    if program.kind == Kind::SkTracedb {
        subject
            .wait("become ready", POLL, SYNC_MAX, async |subject| {
                Ok(subject.is_ready().await.then_some(()))
            })
            .await?;
        add(
            ("ready_seconds", "s"),
            subject.started.elapsed().as_secs_f64(),
        );
        let stat = subject.check()?;
        add(("ready_cpu_seconds", "s"), stat.cpu_seconds);
        add(("ready_peak_rss", "bytes"), stat.peak as f64);
    } else {
        // It says nothing; until then it has only buffered.
        add(
            ("lists_read_cpu_seconds", "s"),
            subject.check()?.cpu_seconds,
        );
    }
    let (rest, cpu_seconds) = subject.quiet(&server, SYNC_MAX).await?;
    add(
        ("settled_seconds", "s"),
        (rest - subject.started).as_secs_f64(),
    );
    add(("settled_cpu_seconds", "s"), cpu_seconds);
    tokio::time::sleep(SETTLE).await;
    let stat = subject.check()?;
    add(("peak_rss", "bytes"), stat.peak as f64);
    add(("rss_afterwards", "bytes"), stat.rss as f64);
    add(
        ("owner_lookups", "requests"),
        server.seen().lookups() as f64,
    );
    listed_once(&server)?;
    if program.kind == Kind::SkTracedb {
        let recorded = subject.metric("sk_tracedb_changes_total").await? as u64;
        let pods = subject.metric("sk_tracedb_record_pods").await? as u64;
        let wanted = (content.expected.objects, setting.pods);
        ensure!(
            (recorded, pods) == wanted,
            "{recorded} objects and {pods} pods are recorded, and not {wanted:?}"
        );
    }
    subject.stop().await
}

async fn lean(
    content: &Arc<Content>,
    setting: &Setting,
    results: &mut Results,
) -> anyhow::Result<()> {
    let server = ApiServer::start(Arc::clone(content)).await?;
    let this = std::env::current_exe().context("this program cannot be found")?;
    let began = Instant::now();
    let reading = Command::new(this)
        .args(["read-lists", server.url()])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(SYNC_MAX, reading)
        .await
        .context("the lean reader takes too long")??;
    let seconds = began.elapsed().as_secs_f64();
    ensure!(
        output.status.success(),
        "the lean reader failed: {}",
        output.status
    );
    let read: Read =
        serde_json::from_slice(&output.stdout).context("the lean reader says something unknown")?;
    let all: usize = ["pods", "deployments", "replicasets"]
        .iter()
        .filter_map(|plural| {
            let mut all = content.collections.iter();
            all.find(|found| found.served.plural == *plural)
        })
        .map(|found| found.items.len())
        .sum();
    ensure!(
        read.items == all as u64,
        "the lean reader found {} of {all} objects",
        read.items
    );
    let mut add = |metric, value| results.add(setting, "lean-read", metric, value);
    add(("lists_read_seconds", "s"), seconds);
    add(("lists_read_cpu_seconds", "s"), read.cpu_seconds);
    add(("peak_rss", "bytes"), read.peak_rss as f64);
    add(("list_bytes", "bytes"), read.bytes as f64);
    Ok(())
}
