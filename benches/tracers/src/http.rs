//! A small HTTP client, one connection a request.

use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode, body::Incoming};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// An answer, and how long it took.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Vec<u8>,
    /// From before the connection was made until the last byte.
    pub took: Duration,
}

impl Answer {
    pub fn bytes(&self) -> u64 {
        self.body.len() as u64
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A GET.
pub async fn get(port: u16, path: &str, most: Duration) -> anyhow::Result<Answer> {
    request(port, Method::GET, path, Bytes::new(), 0, most).await
}

/// A POST of JSON. The memory of an answer of about `room_bytes` is there before it begins: a new page for each four
/// kilobytes of it took this side as long as the rest of the reading. For the same reason one thread reads it, as of any
/// plain client: handed from thread to thread by the kilobyte, it took almost a third of two cores from whom it measured.
pub async fn post(
    port: u16,
    path: &str,
    body: String,
    room_bytes: usize,
    most: Duration,
) -> anyhow::Result<Answer> {
    let (path, body) = (path.to_owned(), Bytes::from(body));
    tokio::task::spawn_blocking(move || {
        let thread = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        thread.block_on(request(port, Method::POST, &path, body, room_bytes, most))
    })
    .await?
}

async fn request(
    port: u16,
    method: Method,
    path: &str,
    body: Bytes,
    room_bytes: usize,
    most: Duration,
) -> anyhow::Result<Answer> {
    // Written to, and not only reserved.
    let mut room = vec![0xff; room_bytes];
    room.clear();
    let began = Instant::now();
    let whole = async {
        let mut connection = Connection::open(&format!("127.0.0.1:{port}")).await?;
        let (status, mut incoming) = connection.send(method, path, "*/*", body).await?;
        let mut body = room;
        while let Some(frame) = incoming.frame().await {
            let frame = frame.context("the answer broke off")?;
            if let Ok(data) = frame.into_data() {
                body.extend_from_slice(&data);
            }
        }
        Ok(Answer {
            status,
            body,
            took: began.elapsed(),
        })
    };
    tokio::time::timeout(most, whole)
        .await
        .with_context(|| format!("no answer from {path} within {most:?}"))?
}

/// A connection that stays open.
pub struct Connection {
    sender: hyper::client::conn::http1::SendRequest<Full<Bytes>>,
    host: String,
}

impl Connection {
    pub async fn open(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("{address} cannot be reached"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self {
            sender,
            host: address.to_owned(),
        })
    }

    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        accept: &str,
        body: Bytes,
    ) -> anyhow::Result<(StatusCode, Incoming)> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.host)
            .header(ACCEPT, accept)
            .header(ACCEPT_ENCODING, "identity")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let (head, body) = response.into_parts();
        Ok((head.status, body))
    }
}
