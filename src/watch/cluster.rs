//! Which cluster this is.

use serde::Deserialize;

use super::WatchError;
use super::server::{METADATA, RequestError, Server};
use crate::limits::OBJECT_BYTES_MAX;
use crate::model::Uid;

/// The UID of the kube-system namespace, which identifies a cluster (R16).
///
/// # Errors
/// When the API server does not answer within [`crate::limits::REQUEST_SECONDS_MAX`], refuses, or answers something
/// else.
pub async fn cluster_id(client: &kube::Client) -> Result<Uid, WatchError> {
    #[derive(Deserialize)]
    struct Namespace {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    struct Metadata {
        uid: Uid,
    }
    let ask = async {
        let bytes = Server::new_closing(client.clone())
            .fetch_small("/api/v1/namespaces/kube-system", METADATA, OBJECT_BYTES_MAX)
            .await?;
        serde_json::from_slice::<Namespace>(&bytes)
            .map_err(|error| RequestError::garbled("a namespace with a UID", &error))
    };
    ask.await
        .map(|namespace| namespace.metadata.uid)
        .map_err(WatchError::ClusterId)
}
