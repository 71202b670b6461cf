//! What epochs list.

use super::Checking;
use crate::store::codec::hex;
use crate::store::lookup::Lookup;
use crate::store::tables::Rows;
use crate::store::{StoreError, keys};

impl Checking<'_, '_> {
    /// What epochs list exists. Retention drops objects and pods before the epochs that list them.
    pub(super) fn alive(&mut self) -> Result<(), StoreError> {
        const TABLE: &str = "epoch_and_object_to_unit";
        const PODS: &str = "epoch_and_pod_to_unit";
        let tables = self.tables;
        for entry in tables.alive.iter()? {
            let (bytes, _) = entry?;
            self.counter.row()?;
            let parsed = self
                .findings
                .keep(keys::epoch_object_of(TABLE, bytes.value()))?;
            let Some(id) = parsed else { continue };
            self.begun(TABLE, bytes.value());
            let object = self.findings.keep(tables.incarnation_object(id))?.flatten();
            if object.is_none() && self.lists_exist() {
                let what = format!("there is no object {id}");
                self.findings.add(TABLE, &hex(bytes.value()), what);
            }
        }
        for entry in tables.alive_pods.iter()? {
            let (bytes, _) = entry?;
            self.counter.row()?;
            let parsed = self
                .findings
                .keep(keys::epoch_pod_of(PODS, bytes.value()))?;
            let Some(number) = parsed else { continue };
            self.begun(PODS, bytes.value());
            if tables.pods.get(number)?.is_none() && self.lists_exist() {
                let what = format!("there is no pod {number}");
                self.findings.add(PODS, &hex(bytes.value()), what);
            }
        }
        Ok(())
    }

    /// Behind the current epoch, only the next one is listed: it is being made, or was when the recorder stopped.
    fn begun(&mut self, table: &'static str, entry: &[u8]) {
        let epoch = entry.first_chunk().map(|epoch| u64::from_be_bytes(*epoch));
        if epoch > Some(self.writer.epoch.saturating_add(1)) {
            let what = "it is of an epoch behind the next one";
            self.findings.add(table, &hex(entry), what);
        }
    }
}
