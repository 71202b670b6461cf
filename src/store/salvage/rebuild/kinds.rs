//! Kinds whose rows are lost.

use super::Rebuild;
use crate::model::Gvk;
use crate::store::rows::KindRow;

impl Rebuild<'_, '_> {
    /// A kind whose row is lost, from an object of it.
    pub(super) fn remake_kind(&mut self, number: u64, body: Option<&[u8]>) -> bool {
        let object: Option<serde_json::Value> =
            body.and_then(|body| rmp_serde::from_slice(body).ok());
        let text = |name: &str| object.as_ref()?.get(name)?.as_str().map(str::to_owned);
        let (Some(api_version), Some(kind)) = (text("apiVersion"), text("kind")) else {
            return false;
        };
        let gvk = Gvk::from_api_version(&api_version, &kind);
        self.kinds.insert(number, KindRow::new(gvk));
        true
    }
}
