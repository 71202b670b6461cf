//! Exports into the response.

use serde_json::{Value, json};
use sk_tracedb::export::ExportFilters;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::record::{Record, START};
use super::running::{everything, options, run, run_with};

const IN_PROGRESS: &str = "sk_tracedb_exports_in_progress";

fn outcome(name: &str) -> String {
    format!("sk_tracedb_exports_total{{outcome=\"{name}\"}}")
}

#[tokio::test]
async fn an_export_over_http_has_the_bytes_of_the_same_export_offline() {
    let server = run(Record::of_config_maps(20, 100)).await;
    for (filters, excluded) in [
        (json!({}), vec![]),
        (
            json!({"excluded_namespaces": ["odd"]}),
            vec!["odd".to_owned()],
        ),
    ] {
        let response = server
            .export(&json!({"start_ts": START, "end_ts": START + 12, "export_path": "out.sktrace", "filters": filters}))
            .await;
        assert_eq!(response.status(), 200);
        assert_eq!(
            response.headers()["content-type"],
            "application/octet-stream"
        );
        assert_eq!(response.headers()["x-sk-tracedb-gaps"], "0");
        let offline = ExportFilters {
            excluded_namespaces: excluded,
            ..ExportFilters::default()
        };
        let expected = server.record.trace(START, START + 12, offline);
        assert!(response.bytes().await.unwrap() == expected);
    }
    server.wait_for(&outcome("completed"), 2.0).await;
    assert!(server.metrics().await["sk_tracedb_export_bytes_total"] > 2_000.0);
}

#[tokio::test]
async fn a_window_that_touches_a_gap_or_begins_before_the_record_says_so() {
    let server = run(Record::of_config_maps(2, 10).with_gap()).await;
    let response = server
        .export(&json!({"start_ts": START - 5, "end_ts": START + 1_000, "export_path": "x", "filters": {}}))
        .await;
    assert_eq!(response.status(), 200);
    // One is over: the pods were first seen by the second run. One is open: the ConfigMaps.
    assert_eq!(response.headers()["x-sk-tracedb-gaps"], "2");
    let warnings: Vec<_> = response
        .headers()
        .get_all("x-sk-tracedb-warning")
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect();
    assert!(
        warnings[0].contains("the record begins at 1970-01-01T00:16:40Z"),
        "{warnings:?}"
    );
    assert!(
        warnings
            .iter()
            .any(|text| text.contains("v1.ConfigMap was not seen from")),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn a_client_that_pauses_gets_everything_in_the_end() {
    let server = run(Record::large()).await;
    let mut response = server.export(&everything("x")).await;
    let mut trace = response.chunk().await.unwrap().unwrap().to_vec();
    // It cannot be over: nobody could have taken the rest.
    assert_eq!(server.metrics().await[IN_PROGRESS], 1.0);
    while let Some(chunk) = response.chunk().await.unwrap() {
        trace.extend_from_slice(&chunk);
    }
    let (start, end) = server.record.window();
    assert!(trace == server.record.trace(start, end, ExportFilters::default()));
    server.wait_for(IN_PROGRESS, 0.0).await;
}

#[tokio::test]
async fn an_export_stops_when_its_client_goes_away() {
    let server = run(Record::large()).await;
    let mut response = server.export(&everything("x")).await;
    response.chunk().await.unwrap().unwrap();
    drop(response);
    server.wait_for(IN_PROGRESS, 0.0).await;
    assert_eq!(server.metrics().await[&outcome("cancelled")], 1.0);
}

#[tokio::test]
async fn a_client_that_takes_nothing_loses_its_place() {
    let mut options = options();
    options.stall_timeout = std::time::Duration::from_millis(300);
    let server = run_with(Record::large(), options).await;
    let _stalled = ask_and_do_not_read(server.address).await;
    server.wait_for(&outcome("cancelled"), 1.0).await;
    server.wait_for(IN_PROGRESS, 0.0).await;
}

/// A connection on which an export was asked for that nobody reads.
async fn ask_and_do_not_read(address: std::net::SocketAddr) -> TcpStream {
    let body = everything("x").to_string();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /export HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_failure_half_way_breaks_the_connection() {
    let server = run(Record::of_config_maps(16, 100_000).with_damaged_last_body()).await;
    let mut response = server.export(&everything("x")).await;
    assert_eq!(response.status(), 200);
    let error = loop {
        match response.chunk().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the response ended as if the trace were whole"),
            Err(error) => break error,
        }
    };
    assert!(error.is_body() || error.is_decode(), "{error:?}");
    server.wait_for(&outcome("failed"), 1.0).await;
    assert_eq!(server.metrics().await[IN_PROGRESS], 0.0);
}

#[tokio::test]
async fn a_store_that_cannot_be_planned_from_is_a_server_error() {
    let server = run(Record::of_config_maps(2, 10).with_damaged_last_header()).await;
    let response = server.export(&everything("x")).await;
    assert_eq!(response.status(), 500);
    let text = response.text().await.unwrap();
    assert!(
        text.contains("cannot read the store: damaged row in table event_to_headers"),
        "{text}"
    );
    server.wait_for(&outcome("failed"), 1.0).await;
}

#[tokio::test]
async fn what_cannot_be_exported_is_refused_with_a_text_for_people() {
    let server = run(Record::of_config_maps(2, 10)).await;
    let request = |change: fn(&mut Value)| {
        let mut body = everything("x");
        change(&mut body);
        body
    };
    for (body, status, named) in [
        (
            request(|body| body["start_ts"] = json!("now")),
            400,
            "invalid type: string \"now\"",
        ),
        (
            request(|body| body["start_ts"] = json!(START + 1_001)),
            400,
            "after its end",
        ),
        (
            request(|body| body["filters"]["excluded_label"] = json!([])),
            400,
            "`excluded_label`",
        ),
        (
            request(|body| {
                body["filters"]["excluded_labels"] =
                    json!([{"matchExpressions": [{"key": "a", "operator": "In"}]}])
            }),
            400,
            "In on \"a\" needs at least one value",
        ),
        (
            request(|body| {
                body["start_ts"] = json!(1);
                body["end_ts"] = json!(2);
            }),
            400,
            "the record begins at 1970-01-01T00:16:40Z",
        ),
        (
            request(|body| body["transform"] = json!("remove(x);")),
            501,
            "skctl transform",
        ),
        (
            request(|body| body["export_path"] = json!("s3://bucket/a")),
            403,
            "--allow-export-to",
        ),
        (
            request(|body| body["export_path"] = json!("s3://bucket")),
            400,
            "no object in it",
        ),
    ] {
        let response = server.export(&body).await;
        assert_eq!(response.status().as_u16(), status, "{body}");
        assert_eq!(
            response.headers()["content-type"],
            "text/plain; charset=utf-8"
        );
        let text = response.text().await.unwrap();
        assert!(text.contains(named), "{body}: {text}");
    }
    server.wait_for(&outcome("refused"), 1.0).await;
}

#[tokio::test]
async fn a_store_without_a_record_asks_to_come_again() {
    let server = run(Record::empty()).await;
    let response = server.export(&everything("x")).await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "10");
    assert_eq!(
        response.text().await.unwrap(),
        "the store holds no record yet"
    );
}

#[tokio::test]
async fn a_protocol_that_cannot_tell_the_end_from_a_failure_is_refused() {
    let server = run(Record::of_config_maps(1, 10)).await;
    let body = everything("x").to_string();
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = format!(
        "POST /export HTTP/1.0\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.0 505 "), "{response}");
    assert!(response.contains("proxy_http_version"), "{response}");
}

#[tokio::test]
async fn too_many_exports_are_sent_away_until_one_is_done() {
    let mut options = options();
    options.exports_max = 1;
    let server = run_with(Record::large(), options).await;
    let mut first = server.export(&everything("x")).await;
    first.chunk().await.unwrap().unwrap();
    let second = server.export(&everything("x")).await;
    assert_eq!(second.status(), 429);
    assert_eq!(second.headers()["retry-after"], "10");
    assert_eq!(server.metrics().await[&outcome("turned_away")], 1.0);
    drop(first);
    server.wait_for(IN_PROGRESS, 0.0).await;
    assert_eq!(server.export(&everything("x")).await.status(), 200);
}

#[tokio::test]
async fn a_window_that_begins_before_the_horizon_begins_there_and_says_so() {
    let record = Record::of_config_maps(20, 100);
    let (start, end) = (START + 12, START + 30);
    let expected = record.trace(start, end, ExportFilters::default());
    record.drop_before(start);
    let server = run(record).await;
    // As skctl asks: for the last half hour, whatever there is.
    let response = server
        .export(
            &json!({"start_ts": START - 1_800, "end_ts": end, "export_path": "x", "filters": {}}),
        )
        .await;
    assert_eq!(response.status(), 200);
    let warnings: Vec<_> = response
        .headers()
        .get_all("x-sk-tracedb-warning")
        .iter()
        .map(|value| value.to_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        warnings,
        [
            "the window begins at 1970-01-01T00:16:52Z: what was recorded before has been dropped by retention"
        ]
    );
    assert!(response.bytes().await.unwrap() == expected);

    let nothing_left =
        json!({"start_ts": START, "end_ts": START + 5, "export_path": "x", "filters": {}});
    let response = server.export(&nothing_left).await;
    assert_eq!(response.status(), 400);
    let text = response.text().await.unwrap();
    assert!(
        text.contains("nothing of the window is left")
            && text.contains("before 1970-01-01T00:16:52Z has been dropped"),
        "{text}"
    );
    assert!(!text.contains("--"), "{text}");
    let metrics = server.metrics().await;
    assert_eq!(
        metrics["sk_tracedb_horizon_timestamp_seconds"],
        start as f64
    );
}
