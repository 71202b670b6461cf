//! Stopping.

use std::time::Duration;

use sk_tracedb::export::ExportFilters;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::record::Record;
use super::running::{DEADLINE, everything, options, run, run_with};

#[tokio::test]
async fn an_export_under_way_is_finished_and_nothing_new_is_begun() {
    let server = run(Record::large()).await;
    let mut response = server.export(&everything("x")).await;
    let mut trace = response.chunk().await.unwrap().unwrap().to_vec();
    server.stop.send(true).unwrap();
    // The listener is gone as soon as the stop is seen; until then, connections are only queued.
    let refused = async { while TcpStream::connect(server.address).await.is_ok() {} };
    timeout(DEADLINE, refused).await.unwrap();
    assert!(!server.task.is_finished());
    while let Some(chunk) = response.chunk().await.unwrap() {
        trace.extend_from_slice(&chunk);
    }
    timeout(DEADLINE, server.task).await.unwrap().unwrap();
    let (start, end) = server.record.window();
    assert!(trace == server.record.trace(start, end, ExportFilters::default()));
}

#[tokio::test]
async fn an_export_that_outlasts_the_grace_is_cut_and_seen_as_broken() {
    let mut options = options();
    options.grace = Duration::from_millis(100);
    let server = run_with(Record::large(), options).await;
    let mut response = server.export(&everything("x")).await;
    server.stop.send(true).unwrap();
    timeout(DEADLINE, server.task).await.unwrap().unwrap();
    let broken = loop {
        match response.chunk().await {
            Ok(Some(_)) => {}
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broken, "the response ended as if the trace were whole");
}

#[tokio::test]
async fn idle_connections_do_not_delay_the_stop() {
    let server = run(Record::of_config_maps(1, 10)).await;
    // The client keeps the connection.
    assert_eq!(server.get("/healthz").await.status(), 200);
    let _silent = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(server.get("/healthz").await.status(), 200);
    drop(server.stop);
    timeout(Duration::from_secs(5), server.task)
        .await
        .unwrap()
        .unwrap();
}
