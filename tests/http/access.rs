//! Who may ask, and where a server listens.

use sk_tracedb::serve::{ServeError, Server};

use super::record::Record;
use super::running::{everything, options, run_with};

#[tokio::test]
async fn with_a_token_everything_but_the_probes_asks_for_it() {
    let mut options = options();
    options.token = Some("s3cret".to_owned());
    let server = run_with(Record::of_config_maps(1, 10), options).await;
    for path in ["/healthz", "/livez"] {
        assert_eq!(server.get(path).await.status(), 200, "{path}");
    }
    assert_eq!(server.get("/readyz").await.status(), 503);
    for path in ["/metrics", "/", "/healthz/", "/export"] {
        let response = server.get(path).await;
        assert_eq!(response.status(), 401, "{path}");
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
    }
    let refused = server.export(&everything("x")).await;
    assert_eq!(refused.status(), 401);
    assert!(
        refused
            .text()
            .await
            .unwrap()
            .contains("Authorization: Bearer")
    );

    for (header, status) in [
        ("Bearer s3cret", 200),
        ("bearer s3cret", 200),
        ("Bearer s3cre", 401),
        ("Bearer s3cret2", 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        ("Basic s3cret", 401),
        ("s3cret", 401),
    ] {
        let response = server
            .client
            .post(server.url("/export"))
            .header("authorization", header)
            .body(everything("x").to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(response.status().as_u16(), status, "{header}");
    }
}

#[tokio::test]
async fn a_token_that_guards_nothing_is_refused() {
    for token in ["", " ", "a b", "naïve"] {
        let mut options = options();
        options.token = Some(token.to_owned());
        assert!(
            matches!(Server::bind(options).await, Err(ServeError::Token)),
            "{token:?}"
        );
    }
}

#[tokio::test]
async fn options_do_not_show_the_token() {
    let mut options = options();
    options.token = Some("s3cret".to_owned());
    assert!(!format!("{options:?}").contains("s3cret"));
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let first = Server::bind(options()).await.unwrap();
    let mut options = options();
    options.bind = first.local_addr();
    let Err(error) = Server::bind(options).await else {
        panic!("two servers on one address");
    };
    assert!(
        error.to_string().contains(&first.local_addr().to_string()),
        "{error}"
    );
}

#[tokio::test]
async fn an_allowed_place_that_is_none_is_refused() {
    for url in ["file:///tmp", "https://example.com/x", "s3://bucket:9000/x"] {
        let mut options = options();
        options.allowed_export_locations = vec![url.parse().unwrap()];
        match Server::bind(options).await {
            Err(ServeError::Location(error)) => assert_eq!(error.text, url),
            _ => panic!("{url}"),
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found_and_says_what_is() {
    let server = run_with(Record::of_config_maps(1, 10), options()).await;
    let response = server.get("/exports").await;
    assert_eq!(response.status(), 404);
    assert!(response.text().await.unwrap().contains("POST /export"));
    assert_eq!(server.get("/export").await.status(), 405);
}
