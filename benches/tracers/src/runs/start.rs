//! From the start of the program until it records, on an empty cluster.

use std::sync::Arc;

use super::in_order;
use crate::api::ApiServer;
use crate::content;
use crate::limits::{POLL_START, SYNC_MAX};
use crate::results::{Results, Setting};
use crate::subject::{Kind, Program, Subject};

pub async fn start(
    programs: &[Program],
    rounds: usize,
    results: &mut Results,
) -> anyhow::Result<()> {
    let content = Arc::new(content::nothing());
    let setting = Setting {
        benchmark: "start",
        workload: "empty cluster".to_owned(),
        changes: 0,
        objects: 0,
        pods: 0,
    };
    eprintln!("start on an empty cluster, {rounds} rounds");
    for round in 0..rounds {
        for program in in_order(programs, round) {
            let server = ApiServer::start(Arc::clone(&content)).await?;
            let mut subject = Subject::start(program, &server)?;
            let watched: Vec<_> = content.watched().collect();
            let mut add = |metric, value| results.add(&setting, program.kind.name(), metric, value);
            if program.kind == Kind::SkTracedb {
                subject
                    .wait("become ready", POLL_START, SYNC_MAX, async |subject| {
                        Ok(subject.is_ready().await.then_some(()))
                    })
                    .await?;
                add(
                    ("ready_ms", "ms"),
                    subject.started.elapsed().as_secs_f64() * 1e3,
                );
            }
            let watching = subject
                .wait("read all lists", POLL_START, SYNC_MAX, async |_| {
                    Ok(server.seen().watched(watched.iter().copied()))
                })
                .await?;
            let watching = watching - subject.started;
            add(("watching_ms", "ms"), watching.as_secs_f64() * 1e3);
            add(("rss", "bytes"), subject.check()?.rss as f64);
            subject.stop().await?;
        }
    }
    Ok(())
}
