//! The ways to a pod's number: from its UID, and from its name while it is not gone.

use super::rows::PodRow;
use super::tables::WriteTables;
use super::{StoreError, keys};
use crate::model::Uid;

/// Lists a pod where it can be looked for. An imported one is not looked for by name.
pub(crate) fn list(
    tables: &mut WriteTables<'_>,
    number: u64,
    pod: &PodRow,
) -> Result<(), StoreError> {
    let uid = keys::pod_uid(&Uid::from(&pod.uid), number);
    tables.pod_uids.insert(&uid, &[])?;
    if !pod.gone && pod.given_owner.is_none() {
        let name = keys::pod_name(&pod.namespace, &pod.name, number);
        tables.pod_names.insert(&name, &[])?;
    }
    Ok(())
}
