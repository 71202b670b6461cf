//! Reaching the API server.

use super::WatchError;

/// A client of the cluster that the environment names: a kubeconfig file (`$KUBECONFIG`, then `~/.kube/config`), else the
/// service account of the pod that this runs in. It connects when it is first used.
///
/// # Errors
/// [`WatchError::Config`] when there is neither, or it cannot be used.
pub async fn connect() -> Result<kube::Client, WatchError> {
    let config = kube::Config::infer()
        .await
        .map_err(|error| WatchError::Config(Box::new(kube::Error::InferConfig(error))))?;
    client(config)
}

fn client(mut config: kube::Config) -> Result<kube::Client, WatchError> {
    // The process has to say which TLS implementation it uses; a second call changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // The client's own retries (15, from 5 ms on, and as long as a Retry-After says) would hide from the watches what
    // the server answers, and make an outage look like a server that is slow.
    config.default_retry = false;
    kube::Client::try_from(config).map_err(|error| WatchError::Config(Box::new(error)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    //! Guards against retries below the watches: bursts at a server that is down, and failures that nobody is told of.

    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::watch::cluster_id;

    #[tokio::test]
    async fn a_refusal_is_passed_on_and_not_retried() {
        let requests = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&requests);
        let app = axum::Router::new().fallback(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            async { http::StatusCode::SERVICE_UNAVAILABLE }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, app).await });

        let client = client(kube::Config::new(url.parse().unwrap())).unwrap();
        let error = cluster_id(&client).await.unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(cause, "HTTP 503: Service Unavailable");
        assert_eq!(requests.load(Ordering::SeqCst), 1);
        server.abort();
    }
}
