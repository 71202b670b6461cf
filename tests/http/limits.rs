//! What one client can hold on to.

use std::time::Duration;

use sk_tracedb::limits::HTTP_REQUEST_BYTES_MAX;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::record::Record;
use super::running::{DEADLINE, options, run, run_with};

/// What the server says until it closes the connection.
async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    timeout(DEADLINE, stream.read_to_end(&mut text))
        .await
        .expect("the connection stayed open")
        .unwrap();
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed() {
    let mut options = options();
    options.head_timeout = Duration::from_millis(200);
    let server = run_with(Record::of_config_maps(1, 10), options).await;
    for sent in ["", "GET /healthz HTTP/1.1\r\nhos"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        assert_eq!(read_to_end(&mut stream).await, "", "{sent:?}");
    }
    // An idle connection after a request, too.
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    assert!(read_to_end(&mut stream).await.ends_with("ok"));
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let mut options = options();
    options.request_timeout = Duration::from_millis(200);
    let server = run_with(Record::of_config_maps(1, 10), options).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head =
        b"POST /export HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 100\r\n\r\n{";
    stream.write_all(head).await.unwrap();
    assert!(read_to_end(&mut stream).await.starts_with("HTTP/1.1 408 "));
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused() {
    let server = run(Record::of_config_maps(1, 10)).await;
    let response = server
        .client
        .post(server.url("/export"))
        .body(" ".repeat(HTTP_REQUEST_BYTES_MAX + 1))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 413);

    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "GET /healthz HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n",
        "y".repeat(1 << 20)
    );
    // The server may close before it has read all of it.
    let _ = stream.write_all(head.as_bytes()).await;
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 431");
}

#[tokio::test]
async fn a_connection_beyond_the_bound_waits_until_another_is_closed() {
    let mut options = options();
    options.connections_max = 1;
    let server = run_with(Record::of_config_maps(1, 10), options).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    first.read_u8().await.unwrap();

    let mut second = TcpStream::connect(server.address).await.unwrap();
    second
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let early = timeout(Duration::from_millis(200), second.read_u8()).await;
    assert!(
        early.is_err(),
        "the second connection was answered beside the first"
    );
    drop(first);
    timeout(DEADLINE, second.read_u8()).await.unwrap().unwrap();
}
