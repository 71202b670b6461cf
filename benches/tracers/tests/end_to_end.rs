//! Every measurement, small, with the sk-tracedb that `SK_TRACEDB_BIN` names. Guards against a benchmark that has rotted
//! when it is needed. It also is a test of the recorder: each run fails unless everything offered is recorded.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sk_tracedb_tracers::content;
use sk_tracedb_tracers::results::Results;
use sk_tracedb_tracers::runs::{self, Load};
use sk_tracedb_tracers::subject::{Kind, Program};

/// The binary; `None`, and why, where there is none.
fn programs() -> Option<Vec<Program>> {
    let Some(path) = std::env::var_os("SK_TRACEDB_BIN").map(PathBuf::from) else {
        eprintln!("skipped: SK_TRACEDB_BIN names no sk-tracedb");
        return None;
    };
    assert!(
        path.is_file(),
        "SK_TRACEDB_BIN names {}, which is no file",
        path.display()
    );
    Some(vec![Program {
        kind: Kind::SkTracedb,
        path,
    }])
}

fn value(results: &Results, metric: &str) -> f64 {
    let mut lines = results.lines().iter();
    let line = lines.find(|line| line.metric == metric);
    line.unwrap_or_else(|| panic!("nothing says {metric}"))
        .median()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_recorded_and_exported() {
    let Some(programs) = programs() else { return };
    let mut results = Results::default();
    let content = Arc::new(content::deployments(50, 1_000));
    runs::export(&programs, content, 1, &mut results)
        .await
        .unwrap();
    assert!(value(&results, "trace_bytes") > 500_000.0);
    assert!(value(&results, "rss_before_export") > 1e6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_listed_and_the_start_is_timed() {
    let Some(programs) = programs() else { return };
    let mut results = Results::default();
    runs::start(&programs, 1, &mut results).await.unwrap();
    assert!(value(&results, "ready_ms") > 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_steady_load_is_recorded() {
    let Some(programs) = programs() else { return };
    let mut results = Results::default();
    let load = Load {
        rate: 100.0,
        time: Duration::from_secs(2),
        idle: Duration::from_secs(1),
    };
    let content = Arc::new(content::deployments(50, 300));
    runs::load(&programs, content, load, 1, &mut results)
        .await
        .unwrap();
    assert!(value(&results, "cpu_percent") < 100.0);
}
