//! Reaching the API server.

use super::WatchError;

/// A client of the cluster that the environment names: a kubeconfig file (`$KUBECONFIG`, then `~/.kube/config`), else the
/// service account of the pod that this runs in. It connects when it is first used.
///
/// # Errors
/// [`WatchError::Config`] when there is neither, or it cannot be used.
pub async fn connect() -> Result<kube::Client, WatchError> {
    // The process has to say which TLS implementation it uses; a second call changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    kube::Client::try_default()
        .await
        .map_err(|error| WatchError::Config(Box::new(error)))
}
