//! Pods' lifecycles, and the ways to them.

use super::Checking;
use crate::model::Uid;
use crate::store::codec::{Row, hex};
use crate::store::rows::PodRow;
use crate::store::tables::Rows;
use crate::store::{StoreError, keys};

impl Checking<'_, '_> {
    /// Lifecycles are found by UID, those of pods that are not gone by name; those that have not ended are listed in the
    /// current epoch.
    pub(super) fn pods(&mut self) -> Result<(), StoreError> {
        let tables = self.tables;
        let (mut pods, mut named) = (0, 0);
        for entry in tables.pods.iter()? {
            let (number, value) = entry?;
            let number = number.value();
            pods += 1;
            let key = hex(&number.to_be_bytes());
            let Some(pod) = self.row::<u64, PodRow>(number, value.value())? else {
                continue;
            };
            let mut add = |what: &str| {
                let what = format!("{}/{} {what}", pod.namespace, pod.name);
                self.findings.add(PodRow::TABLE, &key, what);
            };
            let uid = keys::pod_uid(&Uid::from(&pod.uid), number);
            if tables.pod_uids.get(uid.as_slice())?.is_none() {
                add("is not found by its UID");
            }
            let name = keys::pod_name(&pod.namespace, &pod.name, number);
            let is_named = tables.pod_names.get(name.as_slice())?.is_some();
            named += u64::from(is_named);
            // An imported pod bears its owner's name, and no other pod takes its place.
            if is_named != (!pod.gone && pod.given_owner.is_none()) {
                add("is listed by its name and gone, or neither");
            }
            let listed = keys::epoch_pod(self.writer.epoch, number);
            if pod.times.end_us.is_none() && tables.alive_pods.get(listed.as_slice())?.is_none() {
                add("has not ended and is not listed in the current epoch");
            }
            if number > self.writer.last_pod {
                add("has a number that was not given");
            }
        }
        // Those that retention dropped stay counted.
        if pods > self.writer.pods || (pods < self.writer.pods && self.writer.horizon_seq == 0) {
            let what = format!("there are {pods} pods, {} are counted", self.writer.pods);
            self.findings.add("meta", &hex(b"writer"), what);
        }
        // Every pod has been asked for its own entries: more than those are of no pod.
        self.no_more_than(&tables.pod_uids, "uid_hash_and_pod_to_unit", pods)?;
        self.no_more_than(&tables.pod_names, "name_and_pod_to_unit", named)
    }

    fn no_more_than(
        &mut self,
        list: &impl Rows<&'static [u8]>,
        table: &'static str,
        expected: u64,
    ) -> Result<(), StoreError> {
        let mut entries = 0;
        for entry in list.iter()? {
            entry?;
            self.counter.row()?;
            entries += 1;
        }
        if entries > expected {
            let what = format!("there are {entries} entries of {expected} pods");
            self.findings.add(table, "", what);
        }
        Ok(())
    }
}
