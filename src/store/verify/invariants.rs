//! What the tables promise each other. A row that cannot be decoded is a finding of its own.

use std::collections::BTreeMap;

use super::findings::Findings;
use crate::model::{EventKey, Timestamp, Uid};
use crate::store::body::compress::Decompressor;
use crate::store::codec::{Row, hex};
use crate::store::lookup::{FIRST, LAST, Lookup};
use crate::store::progress::Counter;
use crate::store::rows::{
    Incarnation, IncarnationRow, KindRow, ObjectRow, PodRow, SiblingRow, WriterRow, identity_kind,
};
use crate::store::tables::{ReadTables, Rows, SealedKey, row};
use crate::store::versions::group::{Group, Keyframe};
use crate::store::versions::{self, base};
use crate::store::{Snapshot, StoreError, headers, keys};

pub(super) fn check(
    snapshot: &Snapshot,
    counter: &mut Counter<'_>,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let tables = snapshot.tables();
    let total = snapshot.writer().changes
        + tables.versions.about()?
        + tables.bases.about()?
        + tables.siblings.about()?
        + tables.objects.about()?
        + tables.incarnations.about()?
        + tables.alive.about()?
        + tables.alive_pods.about()?
        + tables.pods.about()?
        + tables.pod_uids.about()?
        + tables.pod_names.about()?;
    counter.begin("checking what tables promise each other", total)?;
    let mut checking = Checking {
        tables,
        writer: *snapshot.writer(),
        snapshot,
        counter,
        findings,
    };
    let events = checking.events()?;
    checking.versions(events)?;
    checking.objects()?;
    checking.incarnations()?;
    checking.alive()?;
    checking.pods()
}

struct Checking<'a, 'b> {
    tables: &'a ReadTables,
    writer: WriterRow,
    snapshot: &'a Snapshot,
    counter: &'a mut Counter<'b>,
    findings: &'a mut Findings,
}

impl Checking<'_, '_> {
    /// The row of an entry, if it can be read.
    fn row<'k, K, R: Row>(
        &mut self,
        key: K::SelfType<'k>,
        value: &[u8],
    ) -> Result<Option<R>, StoreError>
    where
        K: redb::Key + 'static,
        K::SelfType<'k>: SealedKey,
    {
        self.counter.row()?;
        self.findings.keep(row::<K, R>(key, value))
    }

    /// Whether retention has passed an event.
    fn is_dropped(&self, event: EventKey) -> bool {
        let horizon = EventKey {
            at: Timestamp::from_micros(self.writer.horizon_us),
            seq: self.writer.horizon_seq,
        };
        self.writer.horizon_seq != 0 && event <= horizon
    }

    /// Whether all that an epoch lists must exist: retention drops objects before the epochs that list them.
    fn lists_exist(&self) -> bool {
        self.writer.horizon_seq == 0
    }

    /// Every header has its object and its version. Returns how many there are.
    fn events(&mut self) -> Result<u64, StoreError> {
        let tables = self.tables;
        let (mut events, mut last_seq) = (0, 0);
        // What lies before the horizon shares a chunk with what does not, and is not part of the record.
        let first = self.snapshot.horizon().event();
        for entry in headers::range(tables, first, LAST)? {
            let Some((event, header)) = self.findings.keep(entry)? else {
                // A chunk that cannot be read hides what it holds; the next one is found by its key.
                break;
            };
            events += 1;
            self.counter.row()?;
            let name = hex(&keys::event(event));
            if event.seq <= last_seq {
                let what = format!("sequence number {} after {last_seq}", event.seq);
                self.findings.add(headers::TABLE, &name, what);
            }
            last_seq = event.seq;
            // Headers go in whole chunks, after what they tell of: some of them outlive it.
            if self.is_dropped(event) {
                continue;
            }
            if tables.incarnations.get(header.object)?.is_none() {
                let what = format!("there is no object {}", header.object);
                self.findings.add(headers::TABLE, &name, what);
            }
            let version = self.findings.keep(tables.version(header.object, event))?;
            if version.is_some_and(|version| {
                (version.deleted, version.body_len) != (header.deleted, header.body_len)
            }) {
                let what = format!("the version of object {} says otherwise", header.object);
                self.findings.add(headers::TABLE, &name, what);
            }
        }
        if events != self.writer.changes && self.writer.horizon_seq == 0 {
            let what = format!(
                "there are {events} changes, {} are counted",
                self.writer.changes
            );
            self.findings.add("meta", &hex(b"writer"), what);
        }
        if last_seq > self.writer.last_seq {
            let what = format!(
                "there is change {last_seq}, but the last one given is {}",
                self.writer.last_seq
            );
            self.findings.add("meta", &hex(b"writer"), what);
        }
        Ok(events)
    }

    /// Every body can be made from its keyframe, bases are counted, and no version is without a header.
    fn versions(&mut self, events: u64) -> Result<(), StoreError> {
        let tables = self.tables;
        let decompressor = Decompressor::default();
        let mut count = 0;
        // Bounded by the number of bases, which are few: one for each owner of pods, and for each large object.
        let mut uses = BTreeMap::<u64, u64>::new();
        for entry in tables.versions.iter()? {
            let (key, value) = entry?;
            self.counter.row()?;
            let name = hex(key.value());
            let Some(group) = self
                .findings
                .keep(Group::open(key.value(), value.value()))?
            else {
                continue;
            };
            let mut base = None;
            for entry in group.entries() {
                let Some((version, bytes)) = self.findings.keep(entry)? else {
                    break;
                };
                // Before the horizon: what groups hold besides what was in force there.
                count += u64::from(version.event >= self.snapshot.horizon().event());
                if !self.snapshot.kinds().contains_key(&version.kind) {
                    let what = format!("there is no kind {}", version.kind);
                    self.findings.add(versions::TABLE, &name, what);
                }
                if base.is_none() && !version.deleted {
                    base = Some(match Keyframe::read(bytes) {
                        Some(Keyframe::Delta { base, .. } | Keyframe::Base { base }) => base,
                        _ => 0,
                    });
                }
            }
            let bodies = versions::bodies(tables, &decompressor, &group, |version, body| {
                Ok(body.len() == version.body_len as usize)
            });
            self.findings.keep(bodies)?;
            if let Some(base) = base.filter(|base| *base != 0) {
                *uses.entry(base).or_default() += 1;
            }
        }
        if count != events && self.writer.horizon_seq == 0 {
            self.findings.add(
                versions::TABLE,
                "",
                format!("there are {count} versions of {events} changes"),
            );
        }
        for entry in tables.bases.iter()? {
            let (number, value) = entry?;
            self.counter.row()?;
            let name = hex(&number.value().to_be_bytes());
            let counted = self
                .findings
                .keep(base::uses(number.value(), value.value()))?;
            let found = uses.get(&number.value()).copied().unwrap_or_default();
            if counted.is_some_and(|counted| counted != found) {
                let what = format!(
                    "{found} groups refer to it, {} are counted",
                    counted.unwrap_or_default()
                );
                self.findings.add(base::TABLE, &name, what);
            }
        }
        // Retention drops bases without asking who would be compared with them.
        let nothing_dropped = self.snapshot.horizon().is_none();
        for entry in tables.siblings.iter()? {
            let (key, value) = entry?;
            let sibling = self.row::<&[u8], SiblingRow>(key.value(), value.value())?;
            if let Some(SiblingRow { base, .. }) = sibling
                && base != 0
                && nothing_dropped
                && tables.bases.get(base)?.is_none()
            {
                let what = format!("there is no base {base}");
                self.findings
                    .add(SiblingRow::TABLE, &hex(key.value()), what);
            }
        }
        for kind in self.snapshot.kinds().values() {
            if kind.dictionary != 0 {
                self.findings
                    .keep(base::dictionary(tables, kind.dictionary))?;
            }
        }
        Ok(())
    }

    /// `object_to_row` agrees with the history of each object, with `id_to_incarnation` and with the epoch.
    fn objects(&mut self) -> Result<(), StoreError> {
        let tables = self.tables;
        let mut live = BTreeMap::<u64, u64>::new();
        for entry in tables.objects.iter()? {
            let (bytes, value) = entry?;
            let name = hex(bytes.value());
            let parsed = self
                .findings
                .keep(keys::object_of(ObjectRow::TABLE, bytes.value()))?;
            let found = self.row::<&[u8], ObjectRow>(bytes.value(), value.value())?;
            let (Some((key, id)), Some(object)) = (parsed, found) else {
                continue;
            };
            let incarnation = self.findings.keep(tables.incarnation(id))?.flatten();
            let agrees = incarnation.is_some_and(|row| {
                row.key == key
                    && match &object.uid {
                        Some(uid) => Uid::from(uid) == row.uid,
                        None => !object.live && row.pod.is_some(),
                    }
            });
            if !agrees {
                let what = format!("id_to_incarnation says otherwise of object {id}");
                self.findings.add(ObjectRow::TABLE, &name, what);
            }
            let last = self.findings.keep(versions::last(tables, id))?.flatten();
            let agrees = last.is_some_and(|(last, hash)| {
                let is_of_row = last.event.seq == object.last_seq;
                let told = if object.live {
                    // Later versions have their hashes behind them.
                    last.event.seq >= object.last_seq && (is_of_row || hash.is_some())
                } else {
                    is_of_row && hash.is_none()
                };
                told && last.deleted != object.live && last.kind == object.kind
            });
            if !agrees {
                self.findings.add(
                    ObjectRow::TABLE,
                    &name,
                    "it does not agree with the end of its history",
                );
            }
            if object.live {
                *live.entry(object.kind).or_default() += 1;
                let listed = match identity_kind(self.snapshot.kinds(), &key.group, &key.kind) {
                    Some(kind) => {
                        let entry = keys::epoch_object(self.writer.epoch, kind, id);
                        tables.alive.get(entry.as_slice())?.is_some()
                    }
                    None => false,
                };
                if !listed {
                    let what =
                        format!("it exists and is not listed in epoch {}", self.writer.epoch);
                    self.findings.add(ObjectRow::TABLE, &name, what);
                }
            }
        }
        for (number, kind) in self.snapshot.kinds() {
            let counted = live.get(number).copied().unwrap_or_default();
            if kind.live != counted {
                self.findings.add(
                    KindRow::TABLE,
                    &hex(&number.to_be_bytes()),
                    format!(
                        "{counted} objects of {} exist, {} are counted",
                        kind.gvk(),
                        kind.live
                    ),
                );
            }
        }
        Ok(())
    }

    fn incarnations(&mut self) -> Result<(), StoreError> {
        const TABLE: &str = IncarnationRow::TABLE;
        let tables = self.tables;
        for entry in tables.incarnations.iter()? {
            let (id, value) = entry?;
            let id = id.value();
            let name = hex(&id.to_be_bytes());
            let Some(row) = self.row::<u64, IncarnationRow>(id, value.value())? else {
                continue;
            };
            let incarnation = self.findings.keep(tables.incarnation_of(id, row))?;
            let Some(Incarnation { key, uid, pod }) = incarnation else {
                continue;
            };
            // What a pod is as an owner, its lifecycle tells.
            let is_pod = pod.is_some() || (key.group.is_empty() && key.kind == "Pod");
            if !is_pod && tables.owners.get(keys::uid(&uid).as_slice())?.is_none() {
                let what = format!("{key} has no row in uid_to_owner");
                self.findings.add(TABLE, &name, what);
            }
            if tables
                .objects
                .get(keys::object(&key, id).as_slice())?
                .is_none()
            {
                let what = format!("{key} has no row in object_to_row");
                self.findings.add(TABLE, &name, what);
            }
            let first = self
                .findings
                .keep(tables.version_from(id, FIRST, LAST))?
                .flatten();
            if first.is_none_or(|version| version.deleted) {
                let what = format!("the history of {key} has no beginning");
                self.findings.add(TABLE, &name, what);
            }
            if id > self.writer.last_object {
                let what = format!("the last object id given is {}", self.writer.last_object);
                self.findings.add(TABLE, &name, what);
            }
        }
        Ok(())
    }

    /// What epochs list exists. Retention drops objects and pods before the epochs that list them.
    fn alive(&mut self) -> Result<(), StoreError> {
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
            if tables.pods.get(number)?.is_none() && self.lists_exist() {
                let what = format!("there is no pod {number}");
                self.findings.add(PODS, &hex(bytes.value()), what);
            }
        }
        Ok(())
    }

    /// Lifecycles are found by UID, those of pods that are not gone by name; those that have not ended are listed in the
    /// current epoch.
    fn pods(&mut self) -> Result<(), StoreError> {
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::store::rows::{PodTimes, UidBytes};
    use crate::store::tables::{WriteTables, put};
    use crate::store::{Store, WRITER, pod_index, verify};

    fn pod(uid: &Uid, gone: bool) -> PodRow {
        PodRow {
            uid: UidBytes::from(uid),
            namespace: "ns".to_owned(),
            name: "web-0".to_owned(),
            spec_hash: 1,
            owners: Vec::new(),
            given_owner: None,
            object: None,
            times: PodTimes {
                start_us: Some(1),
                end_us: Some(2),
                ..PodTimes::default()
            },
            gone,
        }
    }

    /// Writes a store with one pod and what belongs to it, and then what `spoil` does. Returns what is found wrong.
    fn found(gone: bool, spoil: impl FnOnce(&mut WriteTables<'_>)) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace.redb");
        let store = Store::create(&path).unwrap();
        let txn = store.begin_write().unwrap();
        {
            let mut tables = WriteTables::open(&txn).unwrap();
            let uid = Uid("pod-1".to_owned());
            let pod = pod(&uid, gone);
            put(&mut tables.pods, 1, &pod).unwrap();
            pod_index::list(&mut tables, 1, &pod).unwrap();
            let writer = WriterRow {
                pods: 1,
                last_pod: 1,
                ..WriterRow::default()
            };
            put(&mut tables.meta, WRITER, &writer).unwrap();
            spoil(&mut tables);
        }
        txn.commit().unwrap();
        store.close().unwrap();
        let verified = verify(&path, &mut |_| true).unwrap();
        let told = verified.findings.iter().map(|found| found.what.clone());
        told.collect()
    }

    #[test]
    fn a_pod_is_found_by_its_uid_and_by_its_name_until_it_is_gone() {
        let uid = Uid("pod-1".to_owned());
        let name = keys::pod_name("ns", "web-0", 1);
        assert_eq!(found(true, |_| {}), [""; 0]);
        assert_eq!(found(false, |_| {}), [""; 0]);
        let unfound = found(true, |tables| {
            let index = keys::pod_uid(&uid, 1);
            assert!(tables.pod_uids.remove(index.as_slice()).unwrap());
        });
        assert_eq!(unfound, ["ns/web-0 is not found by its UID"]);
        let unnamed = ["ns/web-0 is listed by its name and gone, or neither"];
        let gone = found(true, |tables| tables.pod_names.insert(&name, &[]).unwrap());
        assert_eq!(gone, unnamed);
        let there = found(false, |tables| {
            assert!(tables.pod_names.remove(name.as_slice()).unwrap());
        });
        assert_eq!(there, unnamed);
        let of_none = found(true, |tables| {
            let index = keys::pod_uid(&uid, 2);
            tables.pod_uids.insert(&index, &[]).unwrap();
        });
        assert_eq!(of_none, ["there are 2 entries of 1 pods"]);
        let not_given = found(true, |tables| {
            let writer = WriterRow {
                pods: 1,
                ..WriterRow::default()
            };
            put(&mut tables.meta, WRITER, &writer).unwrap();
        });
        assert_eq!(not_given, ["ns/web-0 has a number that was not given"]);
    }
}
