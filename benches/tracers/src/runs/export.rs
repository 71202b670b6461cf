//! Recording changes as fast as they come, and exporting all of them.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{bail, ensure};

use super::{in_order, listed_once, watching};
use crate::content::Content;
use crate::limits::{OBJECT_BYTES_ABOUT, POLL, POLL_METRICS, RECORD_MAX, SETTLE};
use crate::proc_stat::reset_peak;
use crate::results::{Results, Setting};
use crate::subject::{Kind, Program, Subject, allocated};
use crate::trace::count;

/// Offers the content's events at once, waits until they are recorded, exports everything, and checks what is in the
/// trace.
pub async fn export(
    programs: &[Program],
    content: Arc<Content>,
    rounds: usize,
    results: &mut Results,
) -> anyhow::Result<()> {
    let mut first: Option<(Kind, u64)> = None;
    for round in 0..rounds {
        for program in in_order(programs, round) {
            eprintln!(
                "export of {} changes, round {} of {rounds}: {}",
                content.events.len(),
                round + 1,
                program.kind.name()
            );
            let objects = one(program, &content, results).await?;
            let (other, expected) = *first.get_or_insert((program.kind, objects));
            ensure!(
                objects == expected,
                "the traces of {} and {} hold different objects",
                other.name(),
                program.kind.name()
            );
        }
    }
    Ok(())
}

async fn one(
    program: &Program,
    content: &Arc<Content>,
    results: &mut Results,
) -> anyhow::Result<u64> {
    let expected = content.expected;
    let setting = Setting {
        benchmark: "tracer-export",
        workload: "deployments".to_owned(),
        changes: expected.changes(),
        objects: expected.objects,
        pods: 0,
    };
    let mut add = |metric, value| results.add(&setting, program.kind.name(), metric, value);
    let (server, mut subject) = watching(program, content).await?;
    subject.quiet(&server, RECORD_MAX).await?;

    let before = subject.stat()?;
    let began = Instant::now();
    server.offer_all();
    let recorded = recorded(&mut subject, &server, expected.objects + expected.changes()).await?;
    listed_once(&server)?;
    let after = subject.stat()?;
    add(("record_seconds", "s"), (recorded - began).as_secs_f64());
    add(
        ("record_cpu_seconds", "s"),
        after.cpu_seconds - before.cpu_seconds,
    );
    tokio::time::sleep(SETTLE).await;
    let rested = subject.check()?;
    add(("rss_before_export", "bytes"), rested.rss as f64);
    add(("peak_rss_recording", "bytes"), rested.peak as f64);

    reset_peak(subject.pid())?;
    let answer = subject
        .export(usize::try_from(expected.applied + expected.objects)? * OBJECT_BYTES_ABOUT)
        .await?;
    let seconds = answer.took.as_secs_f64();
    let exported = subject.check()?;
    add(("export_seconds", "s"), seconds);
    add(
        ("export_cpu_seconds", "s"),
        exported.cpu_seconds - rested.cpu_seconds,
    );
    add(("trace_bytes", "bytes"), answer.bytes() as f64);
    add(
        ("export_mb_per_second", "MB/s"),
        answer.bytes() as f64 / 1e6 / seconds,
    );
    add(("peak_rss_exporting", "bytes"), exported.peak as f64);
    tokio::time::sleep(SETTLE).await;
    add(("rss_after_export", "bytes"), subject.check()?.rss as f64);
    if program.kind == Kind::SkTracedb {
        add(
            ("store_allocated", "bytes"),
            allocated(&subject.store())? as f64,
        );
    }

    let found = count(answer.body.as_slice())?;
    let wanted = (expected.objects + expected.applied, expected.deleted);
    ensure!(
        (found.applied, found.deleted) == wanted,
        "the trace of {} holds {found:?}, and not {wanted:?} (applied, deleted)",
        program.kind.name()
    );
    subject.stop().await?;
    Ok(found.objects)
}

/// Waits until all is recorded that was offered; when that was. sk-tracedb says so. sk-tracer does not: it is done when all
/// was delivered to it and it has come to rest; its trace is checked later.
async fn recorded(
    subject: &mut Subject,
    server: &crate::api::ApiServer,
    changes: u64,
) -> anyhow::Result<Instant> {
    let offered = server.content().events.len() as u64;
    let kinds = 0..server.content().collections.len();
    let delivered = || -> u64 {
        kinds
            .clone()
            .map(|kind| server.seen().kind(kind).delivered)
            .sum()
    };
    subject
        .wait("taken all events", POLL, RECORD_MAX, async |_| {
            Ok((delivered() >= offered).then_some(()))
        })
        .await?;
    match subject.kind {
        Kind::SkTracer => Ok(subject.quiet(server, RECORD_MAX).await?.0),
        Kind::SkTracedb => {
            subject
                .wait("recorded all", POLL_METRICS, RECORD_MAX, async |subject| {
                    let recorded = subject.metric("sk_tracedb_changes_total").await? as u64;
                    if recorded > changes {
                        bail!("{recorded} changes are recorded, and only {changes} were offered");
                    }
                    Ok((recorded == changes).then(Instant::now))
                })
                .await
        }
    }
}
