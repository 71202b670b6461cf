//! `GET /backup`.

use http::StatusCode;
use sk_tracedb::Reader;
use sk_tracedb::serve::ServeOptions;
use sk_tracedb::store::verify;

use super::record::Record;
use super::running::{options, run, run_with};

#[tokio::test]
async fn a_backup_over_http_is_whole_and_says_its_length() {
    let running = run(Record::of_config_maps(5, 100)).await;
    let response = running.get("/backup").await;
    assert_eq!(response.status(), StatusCode::OK);
    let name = response.headers()["content-disposition"].to_str().unwrap();
    assert!(
        name.starts_with("attachment; filename=\"sk-tracedb-"),
        "{name}"
    );
    let length = response.content_length().unwrap();
    let bytes = response.bytes().await.unwrap();
    assert_eq!(bytes.len() as u64, length);
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.redb");
    std::fs::write(&copy, &bytes).unwrap();
    assert!(verify(&copy, &mut |_| true).unwrap().intact);
    let snapshot = Reader::open(&copy).unwrap().snapshot().unwrap();
    let live = running.record.reader().snapshot().unwrap();
    assert_eq!(snapshot.info().unwrap(), live.info().unwrap());
    assert!(snapshot.provenance().unwrap().is_some());
    running
        .wait_for("sk_tracedb_backups_total{outcome=\"completed\"}", 1.0)
        .await;
}

#[tokio::test]
async fn a_backup_asks_for_the_token_and_for_room() {
    let folder = tempfile::tempdir().unwrap();
    let closed = run_with(
        Record::of_config_maps(5, 100),
        ServeOptions {
            token: Some("secret".to_owned()),
            ..options()
        },
    )
    .await;
    assert_eq!(
        closed.get("/backup").await.status(),
        StatusCode::UNAUTHORIZED
    );
    let nowhere = run_with(
        Record::of_config_maps(5, 100),
        ServeOptions {
            temp_dir: folder.path().join("no such folder"),
            ..options()
        },
    )
    .await;
    let response = nowhere.get("/backup").await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(response.text().await.unwrap().contains("no such folder"));
    nowhere
        .wait_for("sk_tracedb_backups_total{outcome=\"failed\"}", 1.0)
        .await;
}
