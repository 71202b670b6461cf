//! Exports into an object store.

use std::time::Instant;

use sk_tracedb::export::ExportFilters;
use tokio::time::timeout;

use super::fake_s3::{FakeS3, Mood};
use super::record::Record;
use super::running::{DEADLINE, POLL, Running, everything, options, run_with};

/// A server that may write to `s3://bucket/traces`, and the S3 behind it.
async fn run_beside(mood: Mood, record: Record) -> (Running, FakeS3) {
    let s3 = FakeS3::start(mood).await;
    let mut options = options();
    options.storage = s3.options();
    options.allowed_export_locations = vec!["s3://bucket/traces".parse().unwrap()];
    (run_with(record, options).await, s3)
}

fn whole_trace(server: &Running) -> Vec<u8> {
    let (start, end) = server.record.window();
    server.record.trace(start, end, ExportFilters::default())
}

#[tokio::test]
async fn a_small_trace_is_written_in_one_request_and_the_response_is_empty() {
    let (server, s3) = run_beside(Mood::Fine, Record::of_config_maps(5, 100)).await;
    let response = server
        .export(&everything("s3://bucket/traces/a.sktrace"))
        .await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-sk-tracedb-gaps"], "0");
    assert_eq!(response.bytes().await.unwrap().len(), 0);
    let contents = s3.contents.lock().unwrap();
    assert!(contents.objects["bucket/traces/a.sktrace"] == whole_trace(&server));
    assert_eq!(contents.begun, 0);
}

#[tokio::test]
async fn a_large_trace_is_written_in_equal_parts() {
    let (server, s3) = run_beside(Mood::Fine, Record::large()).await;
    let response = server.export(&everything("s3a://bucket/traces/a")).await;
    assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
    let expected = whole_trace(&server);
    {
        let contents = s3.contents.lock().unwrap();
        assert!(contents.objects["bucket/traces/a"] == expected);
        let (last, full) = contents.part_sizes.split_last().unwrap();
        assert!(
            full.len() >= 2 && full.iter().all(|size| *size == 8 << 20),
            "{full:?}"
        );
        assert!(*last <= 8 << 20);
        assert_eq!((contents.begun, contents.aborted), (1, 0));
    }
    server.wait_for("sk_tracedb_exports_in_progress", 0.0).await;
    assert_eq!(
        server.metrics().await["sk_tracedb_export_bytes_total"],
        expected.len() as f64
    );
}

#[tokio::test]
async fn only_allowed_places_are_written_to() {
    let (server, s3) = run_beside(Mood::Fine, Record::of_config_maps(1, 10)).await;
    for path in [
        "s3://bucket/a",
        "s3://bucket/traces2/a",
        "s3://bucket/traces/../a",
        "s3://other/traces/a",
        "gs://bucket/traces/a",
        "az://bucket/traces/a",
        "https://bucket.s3.test.amazonaws.com/traces/a",
    ] {
        let response = server.export(&everything(path)).await;
        assert_eq!(response.status(), 403, "{path}");
        assert!(
            response.text().await.unwrap().contains("--allow-export-to"),
            "{path}"
        );
    }
    assert!(s3.contents.lock().unwrap().objects.is_empty());
}

#[tokio::test]
async fn a_missing_bucket_is_404_and_a_provider_that_refuses_is_502() {
    for (mood, status, named) in [
        (Mood::NoBucket, 404, "NoSuchBucket"),
        (Mood::Forbidden, 502, "AccessDenied"),
    ] {
        for record in [
            Record::of_config_maps(1, 10),
            Record::of_config_maps(12, 1 << 20),
        ] {
            let (server, _s3) = run_beside(mood, record).await;
            let response = server.export(&everything("s3://bucket/traces/a")).await;
            assert_eq!(response.status().as_u16(), status, "{mood:?}");
            let text = response.text().await.unwrap();
            assert!(
                text.contains("s3://bucket/traces/a") && text.contains(named),
                "{text}"
            );
            server
                .wait_for("sk_tracedb_exports_total{outcome=\"failed\"}", 1.0)
                .await;
            server.wait_for("sk_tracedb_exports_in_progress", 0.0).await;
        }
    }
}

#[tokio::test]
async fn an_upload_that_fails_half_way_is_aborted() {
    for mood in [Mood::RefusesParts, Mood::RefusesCompletion] {
        let (server, s3) = run_beside(mood, Record::large()).await;
        let response = server.export(&everything("s3://bucket/traces/a")).await;
        assert_eq!(response.status(), 502, "{mood:?}");
        {
            let contents = s3.contents.lock().unwrap();
            assert!(
                contents.objects.is_empty() && contents.parts.is_empty(),
                "{mood:?}"
            );
            assert_eq!((contents.begun, contents.aborted), (1, 1), "{mood:?}");
        }
        server.wait_for("sk_tracedb_exports_in_progress", 0.0).await;
    }
}

#[tokio::test]
async fn a_store_that_fails_half_way_leaves_no_object() {
    let record = Record::of_config_maps(12, 1 << 20).with_damaged_last_body();
    let (server, s3) = run_beside(Mood::Fine, record).await;
    let response = server.export(&everything("s3://bucket/traces/a")).await;
    assert_eq!(response.status(), 500);
    let text = response.text().await.unwrap();
    assert!(text.contains("damaged row in table base_to_body"), "{text}");
    let contents = s3.contents.lock().unwrap();
    assert!(contents.objects.is_empty());
    assert_eq!((contents.begun, contents.aborted), (1, 1));
}

/// Waits until the fake has got so far.
async fn wait_until(s3: &FakeS3, what: &str, reached: impl Fn(&super::fake_s3::Contents) -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !reached(&s3.contents.lock().unwrap()) {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(POLL).await;
    }
}

#[tokio::test]
async fn an_upload_is_aborted_when_its_client_goes_away() {
    let (server, s3) = run_beside(Mood::Hangs, Record::large()).await;
    let request = server
        .client
        .post(server.url("/export"))
        .body(everything("s3://bucket/traces/a").to_string());
    let asking = tokio::spawn(request.send());
    wait_until(&s3, "no part was sent", |contents| contents.parts_seen > 0).await;
    asking.abort();
    wait_until(&s3, "the upload was not aborted", |contents| {
        contents.aborted == 1
    })
    .await;
    server
        .wait_for("sk_tracedb_exports_total{outcome=\"cancelled\"}", 1.0)
        .await;
}

#[tokio::test]
async fn an_upload_that_outlasts_the_grace_is_aborted_before_the_server_is_gone() {
    let (server, s3) = {
        let s3 = FakeS3::start(Mood::Hangs).await;
        let mut options = options();
        options.storage = s3.options();
        options.allowed_export_locations = vec!["s3://bucket".parse().unwrap()];
        options.grace = std::time::Duration::from_millis(100);
        (run_with(Record::large(), options).await, s3)
    };
    let request = server
        .client
        .post(server.url("/export"))
        .body(everything("s3://bucket/a").to_string());
    let asking = tokio::spawn(request.send());
    wait_until(&s3, "no part was sent", |contents| contents.parts_seen > 0).await;
    server.stop.send(true).unwrap();
    timeout(DEADLINE, server.task).await.unwrap().unwrap();
    assert_eq!(s3.contents.lock().unwrap().aborted, 1);
    assert!(asking.await.unwrap().is_err());
}
