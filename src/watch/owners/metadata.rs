//! The metadata of an object, and one question for it.

use serde::Deserialize;

use super::WantedOwner;
use crate::limits::{OBJECT_BYTES_MAX, OWNER_LOOKUP_SECONDS_MAX};
use crate::model::{OwnerRef, Uid};
use crate::watch::discover::Resource;
use crate::watch::server::{METADATA, RequestError};
use crate::watch::shared::Shared;

/// What a look-up needs of an object.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    pub(super) uid: Uid,
    pub(super) name: String,
    #[serde(default)]
    pub(super) namespace: String,
    #[serde(default)]
    pub(super) owner_references: Vec<OwnerRef>,
}

impl Metadata {
    pub(super) fn read(json: &[u8]) -> Result<Self, RequestError> {
        #[derive(Deserialize)]
        struct Object {
            metadata: Metadata,
        }
        serde_json::from_slice::<Object>(json)
            .map(|object| object.metadata)
            .map_err(|error| RequestError::garbled("an object's metadata", &error))
    }
}

/// Asks for one owner; `None`: no object of this name has this UID.
pub(super) async fn look_up(
    shared: &Shared,
    resource: &Resource,
    owner: &WantedOwner,
) -> Result<Option<Metadata>, RequestError> {
    // A name that no object can have.
    let Some(path) = resource.object(&owner.namespace, &owner.name) else {
        return Ok(None);
    };
    shared.status.count_owners(|owners| owners.lookups += 1);
    let fetched = shared
        .server
        .fetch(&path, METADATA, OBJECT_BYTES_MAX, OWNER_LOOKUP_SECONDS_MAX)
        .await;
    let bytes = match fetched {
        Ok(bytes) => bytes,
        Err(error) if error.code() == Some(404) => return Ok(None),
        Err(error) => return Err(error),
    };
    let found = Metadata::read(&bytes)?;
    Ok((found.uid == owner.uid).then_some(found))
}
