//! What is measured. Every run starts its subjects anew, one after the other, in an order that changes with each round.

mod export;
mod load;
mod start;
mod sync;

use std::sync::Arc;

use anyhow::bail;

pub use export::export;
pub use load::{Load, load};
pub use start::start;
pub use sync::sync;

use crate::api::ApiServer;
use crate::content::Content;
use crate::limits::{POLL, SYNC_MAX};
use crate::subject::{Kind, Program, Subject};

/// The subjects of a round, in this round's order.
fn in_order(programs: &[Program], round: usize) -> Vec<&Program> {
    let mut programs: Vec<_> = programs.iter().collect();
    if !programs.is_empty() {
        let places = round % programs.len();
        programs.rotate_left(places);
    }
    programs
}

/// Starts a subject on a server of its own and waits until it has listed and watches everything.
async fn watching(
    program: &Program,
    content: &Arc<Content>,
) -> anyhow::Result<(ApiServer, Subject)> {
    let server = ApiServer::start(Arc::clone(content)).await?;
    let mut subject = Subject::start(program, &server)?;
    synced(&mut subject, &server).await?;
    Ok((server, subject))
}

async fn synced(subject: &mut Subject, server: &ApiServer) -> anyhow::Result<()> {
    let watched: Vec<_> = server.content().watched().collect();
    subject
        .wait("listed everything", POLL, SYNC_MAX, async |subject| {
            let watched = server.seen().watched(watched.iter().copied());
            let ready = match subject.kind {
                Kind::SkTracedb => subject.is_ready().await,
                Kind::SkTracer => true,
            };
            Ok((watched.is_some() && ready).then_some(()))
        })
        .await
}

/// Fails when something was listed a second time: lists show only the start, so that what came of it is worthless.
fn listed_once(server: &ApiServer) -> anyhow::Result<()> {
    for kind in server.content().watched() {
        let seen = server.seen().kind(kind);
        if seen.lists != 1 {
            let plural = server.content().collections[kind].served.plural;
            bail!("{plural} were listed {} times", seen.lists);
        }
    }
    Ok(())
}
