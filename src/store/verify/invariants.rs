//! What the tables promise each other. A row that cannot be decoded is a finding of its own.

use redb::{ReadableTable, ReadableTableMetadata};

use super::findings::Findings;
use crate::model::{EventKey, ObjectKey, Timestamp};
use crate::store::codec::{Row, hex};
use crate::store::lookup::{FIRST, Lookup};
use crate::store::progress::Counter;
use crate::store::rows::{
    EventRow, HistoryRow, IncarnationRow, KindRow, ObjectRow, PodRow, WriterRow,
};
use crate::store::tables::{ReadTables, SealedKey, row};
use crate::store::{Snapshot, StoreError, keys};

/// After every event.
const LAST: EventKey = EventKey {
    at: Timestamp::MAX,
    seq: u64::MAX,
};

pub(super) fn check(
    snapshot: &Snapshot,
    counter: &mut Counter<'_>,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let tables = snapshot.tables();
    let total = tables.events.len()?
        + tables.bodies.len()?
        + tables.history.len()?
        + tables.objects.len()?
        + tables.incarnations.len()?
        + tables.alive.len()?
        + tables.alive_pods.len()?
        + tables.pods.len()?;
    counter.begin("checking what tables promise each other", total)?;
    let mut checking = Checking {
        tables,
        writer: *snapshot.writer(),
        snapshot,
        counter,
        findings,
    };
    checking.events()?;
    checking.bodies()?;
    checking.history()?;
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

    fn events(&mut self) -> Result<(), StoreError> {
        let tables = self.tables;
        let mut last_seq = 0;
        for entry in tables.events.iter()? {
            let (key, value) = entry?;
            let event = keys::event_of(key.value());
            let name = hex(key.value());
            if event.seq <= last_seq {
                let what = format!("sequence number {} after {last_seq}", event.seq);
                self.findings.add("event_to_header", &name, what);
            }
            last_seq = event.seq;
            let Some(header) = self.row::<&[u8; 16], EventRow>(key.value(), value.value())? else {
                continue;
            };
            if !self.snapshot.kinds().contains_key(&header.kind) {
                let what = format!("there is no kind {}", header.kind);
                self.findings.add("event_to_header", &name, what);
            }
            if tables.incarnations.get(header.object)?.is_none() {
                let what = format!("there is no object {}", header.object);
                self.findings.add("event_to_header", &name, what);
            }
            let history = keys::history(header.object, event);
            if tables.history.get(&history)?.is_none() {
                let what = format!("it is not in the history of object {}", header.object);
                self.findings.add("event_to_header", &name, what);
            }
            if !header.deleted {
                let body = self.findings.keep(tables.body(event))?;
                if body.is_some_and(|body| body.len() != header.body_len as usize) {
                    self.findings.add(
                        "event_to_body",
                        &name,
                        "the body has another length than its event says",
                    );
                }
            }
        }
        if last_seq > self.writer.last_seq {
            let what = format!(
                "there is event {last_seq}, but the last one given is {}",
                self.writer.last_seq
            );
            self.findings.add("meta", &hex(b"writer"), what);
        }
        Ok(())
    }

    fn bodies(&mut self) -> Result<(), StoreError> {
        for entry in self.tables.bodies.iter()? {
            let (key, _) = entry?;
            self.counter.row()?;
            let event = keys::event_of(key.value());
            let header = self.findings.keep(self.tables.event(event))?;
            if header.is_some_and(|header| header.deleted) {
                self.findings
                    .add("event_to_body", &hex(key.value()), "a deletion has no body");
            }
        }
        Ok(())
    }

    fn history(&mut self) -> Result<(), StoreError> {
        for entry in self.tables.history.iter()? {
            let (key, value) = entry?;
            let Some(version) = self.row::<&[u8; 24], HistoryRow>(key.value(), value.value())?
            else {
                continue;
            };
            let event = keys::history_event(key.value());
            let Some(header) = self.findings.keep(self.tables.event(event))? else {
                continue;
            };
            let object = key
                .value()
                .first_chunk::<8>()
                .map(|id| u64::from_be_bytes(*id));
            if Some(header.object) != object || header.deleted != version.deleted {
                self.findings.add(
                    "object_and_event_to_action",
                    &hex(key.value()),
                    format!("its event is one of object {}", header.object),
                );
            }
        }
        Ok(())
    }

    fn objects(&mut self) -> Result<(), StoreError> {
        const TABLE: &str = "object_to_row";
        let tables = self.tables;
        let mut live = std::collections::BTreeMap::<u64, u64>::new();
        for entry in tables.objects.iter()? {
            let (bytes, value) = entry?;
            let name = hex(bytes.value());
            let parsed = self.findings.keep(keys::object_of(TABLE, bytes.value()))?;
            let found = self.row::<&[u8], ObjectRow>(bytes.value(), value.value())?;
            let (Some((key, id)), Some(object)) = (parsed, found) else {
                continue;
            };
            let incarnation = self.findings.keep(tables.incarnation(id))?.flatten();
            if incarnation.is_none_or(|row| row.key() != key || row.uid != object.uid) {
                let what = format!("id_to_incarnation says otherwise of object {id}");
                self.findings.add(TABLE, &name, what);
            }
            let last = self
                .findings
                .keep(tables.version_before(id, LAST))?
                .flatten();
            let told = (object.last_us, object.last_seq, !object.live);
            if last
                .is_none_or(|(event, deleted)| (event.at.as_micros(), event.seq, deleted) != told)
            {
                self.findings.add(
                    TABLE,
                    &name,
                    "it does not agree with the end of its history",
                );
            }
            if object.live {
                *live.entry(object.kind).or_default() += 1;
                let entry = keys::epoch_object(self.writer.epoch, &key, id);
                if tables.alive.get(entry.as_slice())?.is_none() {
                    let what =
                        format!("it exists and is not listed in epoch {}", self.writer.epoch);
                    self.findings.add(TABLE, &name, what);
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
                        "{} objects of {} exist, {} are counted",
                        counted,
                        kind.gvk(),
                        kind.live
                    ),
                );
            }
        }
        Ok(())
    }

    fn incarnations(&mut self) -> Result<(), StoreError> {
        let tables = self.tables;
        for entry in tables.incarnations.iter()? {
            let (id, value) = entry?;
            let id = id.value();
            let name = hex(&id.to_be_bytes());
            let Some(row) = self.row::<u64, IncarnationRow>(id, value.value())? else {
                continue;
            };
            let key: ObjectKey = row.key();
            if tables
                .objects
                .get(keys::object(&key, id).as_slice())?
                .is_none()
            {
                self.findings.add(
                    IncarnationRow::TABLE,
                    &name,
                    format!("{key} has no row in object_to_row"),
                );
            }
            let first = self
                .findings
                .keep(tables.version_from(id, FIRST, LAST))?
                .flatten();
            if first.is_none_or(|(_, deleted)| deleted) {
                self.findings.add(
                    IncarnationRow::TABLE,
                    &name,
                    format!("the history of {key} has no beginning"),
                );
            }
            if id > self.writer.last_object {
                let what = format!("the last object id given is {}", self.writer.last_object);
                self.findings.add(IncarnationRow::TABLE, &name, what);
            }
        }
        Ok(())
    }

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
            let Some((key, id)) = parsed else { continue };
            if tables
                .objects
                .get(keys::object(&key, id).as_slice())?
                .is_none()
            {
                self.findings.add(
                    TABLE,
                    &hex(bytes.value()),
                    format!("there is no object {id}, {key}"),
                );
            }
        }
        for entry in tables.alive_pods.iter()? {
            let (bytes, _) = entry?;
            self.counter.row()?;
            let parsed = self
                .findings
                .keep(keys::epoch_pod_of(PODS, bytes.value()))?;
            let Some(uid) = parsed else { continue };
            if tables.pods.get(uid.0.as_str())?.is_none() {
                self.findings
                    .add(PODS, &hex(bytes.value()), format!("there is no pod {uid}"));
            }
        }
        Ok(())
    }

    fn pods(&mut self) -> Result<(), StoreError> {
        let tables = self.tables;
        let mut pods = 0;
        for entry in tables.pods.iter()? {
            let (uid, value) = entry?;
            pods += 1;
            let Some(pod) = self.row::<&str, PodRow>(uid.value(), value.value())? else {
                continue;
            };
            if pod.end_us.is_some() {
                continue;
            }
            let listed = keys::epoch_pod(
                self.writer.epoch,
                &pod.namespace,
                &pod.name,
                &crate::model::Uid(uid.value().to_owned()),
            );
            if tables.alive_pods.get(listed.as_slice())?.is_none() {
                self.findings.add(
                    PodRow::TABLE,
                    &hex(uid.value().as_bytes()),
                    format!(
                        "{}/{} has not ended and is not listed in epoch {}",
                        pod.namespace, pod.name, self.writer.epoch
                    ),
                );
            }
        }
        if pods != self.writer.pods {
            let what = format!("there are {pods} pods, {} are counted", self.writer.pods);
            self.findings.add("meta", &hex(b"writer"), what);
        }
        Ok(())
    }
}
