//! Health, readiness and metrics.

use std::sync::atomic::Ordering;
use std::time::Duration;

use sk_tracedb::model::{Gvk, Timestamp};
use sk_tracedb::serve::Readiness;
use sk_tracedb::watch::{WatchCounters, WatchReport, WatchState};

use super::record::{Record, kind};
use super::running::run;

fn watching() -> WatchReport {
    WatchReport {
        state: WatchState::Watching,
        synced: true,
        ..WatchReport::default()
    }
}

#[tokio::test]
async fn readiness_follows_the_recorder_and_names_every_kind() {
    let server = run(Record::of_config_maps(1, 10)).await;
    let set = |ready: bool, notes: &[&str], pods: WatchReport| {
        *server.recorder.readiness.lock().unwrap() = Readiness {
            ready,
            notes: notes.iter().map(|note| (*note).to_owned()).collect(),
        };
        let mut watches = server.recorder.watches.lock().unwrap();
        watches.insert(kind(), watching());
        watches.insert(Gvk::pod(), pods);
    };
    let ask = async || {
        let response = server.get("/readyz").await;
        (response.status().as_u16(), response.text().await.unwrap())
    };

    let listing = WatchReport {
        state: WatchState::Listing,
        ..WatchReport::default()
    };
    set(false, &["the first lists are not durable yet"], listing);
    let text = "[+]v1.ConfigMap watching\n[-]v1.Pod listing\n[-]the first lists are not durable yet\nreadyz check failed\n";
    assert_eq!(ask().await, (503, text.to_owned()));
    // The process is alive all the same.
    assert_eq!(server.get("/healthz").await.status(), 200);
    assert_eq!(server.get("/livez").await.text().await.unwrap(), "ok");

    set(true, &[], watching());
    let text = "[+]v1.ConfigMap watching\n[+]v1.Pod watching\nreadyz check passed\n";
    assert_eq!(ask().await, (200, text.to_owned()));

    let failing = WatchReport {
        state: WatchState::Failing {
            reason: "403:\nforbidden".to_owned(),
            since: Timestamp::from_seconds(5),
        },
        excused: true,
        ..WatchReport::default()
    };
    set(true, &["the disk is nearly full"], failing);
    let text = "[+]v1.ConfigMap watching\n[!]v1.Pod failing since 1970-01-01T00:00:05Z: 403: forbidden\n\
                [!]the disk is nearly full\nreadyz check passed\n";
    assert_eq!(ask().await, (200, text.to_owned()));
}

#[tokio::test]
async fn metrics_are_open_metrics_and_tell_what_the_recorder_does() {
    let server = run(Record::of_config_maps(4, 10).with_gap()).await;
    server.recorder.readiness.lock().unwrap().ready = true;
    for _ in 0..5 {
        let took = Duration::from_millis(300);
        server.recorder.writer.batches.add(took);
    }
    server
        .recorder
        .writer
        .last_commit_us
        .store(1_700_000_000_250_000, Ordering::Relaxed);
    let report = WatchReport {
        counters: WatchCounters {
            events: 11,
            expired: 2,
            ..WatchCounters::default()
        },
        ..watching()
    };
    server
        .recorder
        .watches
        .lock()
        .unwrap()
        .insert(Gvk::new("apps", "v1", "Deployment"), report);

    let response = server.get("/metrics").await;
    assert_eq!(
        response.headers()["content-type"],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let text = response.text().await.unwrap();
    assert!(text.ends_with("# EOF\n"));
    for line in text.lines() {
        let name = line
            .strip_prefix("# HELP ")
            .or_else(|| line.strip_prefix("# TYPE "))
            .or_else(|| line.strip_prefix("# UNIT "))
            .unwrap_or(line);
        assert!(name.starts_with("sk_tracedb_") || line == "# EOF", "{line}");
    }

    let metrics = server.metrics().await;
    for (name, value) in [
        ("sk_tracedb_ready", 1.0),
        ("sk_tracedb_commits_total", 5.0),
        ("sk_tracedb_commit_seconds_total", 1.5),
        ("sk_tracedb_last_commit_timestamp_seconds", 1_700_000_000.25),
        ("sk_tracedb_queue_observations", 3.0),
        ("sk_tracedb_owner_lookups_total", 7.0),
        (
            "sk_tracedb_watch_state{kind=\"apps/v1.Deployment\",state=\"watching\"}",
            1.0,
        ),
        (
            "sk_tracedb_watch_events_total{kind=\"apps/v1.Deployment\"}",
            11.0,
        ),
        (
            "sk_tracedb_watch_expired_total{kind=\"apps/v1.Deployment\"}",
            2.0,
        ),
        ("sk_tracedb_store_readable", 1.0),
        ("sk_tracedb_record_changes", 4.0),
        ("sk_tracedb_objects{kind=\"v1.ConfigMap\"}", 4.0),
        ("sk_tracedb_gaps_open", 1.0),
        ("sk_tracedb_runs", 2.0),
        ("sk_tracedb_record_start_timestamp_seconds", 1_000.0),
        ("sk_tracedb_exports_in_progress", 0.0),
        ("sk_tracedb_exports_total{outcome=\"completed\"}", 0.0),
    ] {
        assert_eq!(metrics.get(name), Some(&value), "{name} in {metrics:#?}");
    }
    assert!(metrics["sk_tracedb_store_allocated_bytes"] > 0.0);
    assert!(metrics["sk_tracedb_process_resident_memory_bytes"] > 1e6);
}
