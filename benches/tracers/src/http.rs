//! A small HTTP client, one connection a request.

use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode, body::Incoming};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// An answer, and when its parts came.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Vec<Bytes>,
    /// From before the connection was made until the last byte.
    pub took: Duration,
}

impl Answer {
    pub fn bytes(&self) -> u64 {
        self.body.iter().map(|piece| piece.len() as u64).sum()
    }

    pub fn text(&self) -> String {
        let whole: Vec<u8> = self.body.concat();
        String::from_utf8_lossy(&whole).into_owned()
    }
}

/// A GET.
pub async fn get(port: u16, path: &str, most: Duration) -> anyhow::Result<Answer> {
    request(port, Method::GET, path, Bytes::new(), most).await
}

/// A POST of JSON.
pub async fn post(port: u16, path: &str, body: String, most: Duration) -> anyhow::Result<Answer> {
    request(port, Method::POST, path, Bytes::from(body), most).await
}

async fn request(
    port: u16,
    method: Method,
    path: &str,
    body: Bytes,
    most: Duration,
) -> anyhow::Result<Answer> {
    let began = Instant::now();
    let whole = async {
        let mut connection = Connection::open(&format!("127.0.0.1:{port}")).await?;
        let (status, mut incoming) = connection.send(method, path, "*/*", body).await?;
        let mut body = Vec::new();
        while let Some(frame) = incoming.frame().await {
            let frame = frame.context("the answer broke off")?;
            if let Ok(data) = frame.into_data() {
                body.push(data);
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
