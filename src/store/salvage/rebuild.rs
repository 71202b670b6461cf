//! Making a store of the rows that were found: versions first, which everything else is made from or measured by.
//! [`events`] makes their headers, [`bases`] counts what they refer to, [`kinds`], [`owners`] and [`runs`] remake rows
//! that are lost, [`horizon`] drops what retention had dropped.

mod bases;
mod events;
mod horizon;
mod kinds;
mod owners;
mod runs;

use std::collections::BTreeMap;

use redb::{Database, ReadableDatabase, ReadableTable};

use super::{Salvage, names};
use crate::limits::SALVAGE_ROWS_PER_COMMIT;
use crate::model::{EventKey, ObjectKey, Uid};
use crate::store::body::compress::Decompressor;
use crate::store::lookup::{FIRST, Lookup};
use crate::store::progress::Counter;
use crate::store::rows::{
    CHANGE_HASH_BYTES, EpochRow, Incarnation, IncarnationRow, KindRow, ObjectRow, PodRow, WatchRow,
    WriterRow, identity_kind,
};
use crate::store::tables::{ReadTables, Rows, WriteTables, get, put, row};
use crate::store::versions::group::{Group, Keyframe, Version};
use crate::store::versions::{self, base};
use crate::store::{StoreError, WRITER, keys, pod_index};

pub(super) fn rebuild(
    database: &Database,
    counter: &mut Counter<'_>,
    salvage: &mut Salvage,
) -> Result<(), StoreError> {
    let mut state = Rebuild {
        database,
        counter,
        salvage,
        kinds: BTreeMap::new(),
        writer: WriterRow::default(),
        writer_lost: false,
    };
    state.load()?;
    names::remake(database)?;
    let uses = state.versions()?;
    state.bases(&uses)?;
    state.supersede()?;
    state.events()?;
    state.objects()?;
    state.remake_owners()?;
    state.sweep()?;
    state.pods()?;
    state.owners_lost()?;
    state.runs()?;
    state.finish()
}

struct Rebuild<'a, 'b> {
    database: &'a Database,
    counter: &'a mut Counter<'b>,
    salvage: &'a mut Salvage,
    kinds: BTreeMap<u64, KindRow>,
    writer: WriterRow,
    /// Its row was not found.
    writer_lost: bool,
}

impl Rebuild<'_, '_> {
    fn read(&self) -> Result<ReadTables, StoreError> {
        ReadTables::open(&self.database.begin_read()?)
    }

    /// Does something to all tables in one transaction.
    fn write<T>(
        &self,
        work: impl FnOnce(&mut WriteTables<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let txn = self.database.begin_write()?;
        let result = work(&mut WriteTables::open(&txn)?)?;
        txn.commit()?;
        Ok(result)
    }

    fn load(&mut self) -> Result<(), StoreError> {
        let tables = self.read()?;
        self.writer = tables.writer_row()?;
        self.writer_lost = get::<_, WriterRow>(&tables.meta, WRITER)?.is_none();
        for entry in tables.kinds.iter()? {
            let (number, value) = entry?;
            let mut kind: KindRow = row::<u64, _>(number.value(), value.value())?;
            (kind.applies, kind.deletes, kind.body_bytes, kind.live) = (0, 0, 0, 0);
            // A new one is trained where it is missing.
            if kind.dictionary != 0 && base::dictionary(&tables, kind.dictionary).is_err() {
                self.salvage.notes.push(format!(
                    "the dictionary of {} is lost, and with it every version that was compressed with it",
                    kind.gvk()
                ));
                kind.dictionary = 0;
            }
            self.kinds.insert(number.value(), kind);
        }
        Ok(())
    }

    /// Keeps the groups that can be read as a whole and whose object is known. Stages their headers. Returns how many
    /// groups refer to each base.
    fn versions(&mut self) -> Result<BTreeMap<u64, u64>, StoreError> {
        let tables = self.read()?;
        self.counter
            .begin("checking versions", tables.versions.about()?)?;
        let decompressor = Decompressor::default();
        let mut uses = BTreeMap::<u64, u64>::new();
        let (mut dropped, mut dropped_versions) = (Vec::new(), 0_u64);
        let mut staged = Vec::new();
        // The last event of the object's groups before: a page of an earlier commit may hold a group that later
        // ones repeat.
        let (mut object, mut last) = (0, FIRST);
        for entry in tables.versions.iter()? {
            let (key, value) = entry?;
            self.counter.row()?;
            let group = Group::open(key.value(), value.value())?;
            if group.object != object {
                (object, last) = (group.object, FIRST);
            }
            let read = self.group(&tables, &decompressor, &group, last);
            match read? {
                Ok((versions, base)) => {
                    if let Some(version) = versions.last() {
                        last = version.event;
                    }
                    if base != 0 {
                        *uses.entry(base).or_default() += 1;
                    }
                    for version in versions {
                        self.count(&version);
                        staged.push((object, version));
                    }
                }
                Err(versions) => {
                    dropped.push(*key.value());
                    dropped_versions += versions;
                }
            }
            if staged.len() >= SALVAGE_ROWS_PER_COMMIT {
                self.stage(&mut staged)?;
            }
        }
        self.stage(&mut staged)?;
        drop(tables);
        if !dropped.is_empty() {
            self.salvage.notes.push(format!(
                "{dropped_versions} versions in {} groups were found, but not the object or the base that they belong to",
                dropped.len()
            ));
        }
        self.write(|tables| {
            for key in &dropped {
                tables.versions.remove(key)?;
            }
            Ok(())
        })?;
        Ok(uses)
    }

    /// The versions of a group and its base (0: none); or how many versions are lost with it.
    #[allow(clippy::type_complexity)]
    fn group(
        &mut self,
        tables: &ReadTables,
        decompressor: &Decompressor,
        group: &Group<'_>,
        last: EventKey,
    ) -> Result<Result<(Vec<Version>, u64), u64>, StoreError> {
        let (mut versions, mut base) = (Vec::new(), None);
        let mut whole = true;
        for entry in group.entries() {
            let Ok((version, bytes)) = entry else {
                whole = false;
                break;
            };
            if base.is_none() && !version.deleted {
                base = Keyframe::read(bytes).map(|keyframe| keyframe.base().unwrap_or(0));
            }
            versions.push(version);
        }
        let lost = versions.len() as u64;
        let first = versions.first().copied();
        // What comes before the first version is lost: a deletion alone tells of nothing.
        let begins =
            first.is_some_and(|first| first.event > last && !(last == FIRST && first.deleted));
        if !whole || !begins || tables.incarnation(group.object)?.is_none() {
            return Ok(Err(lost));
        }
        let mut name = None;
        let bodies = versions::bodies(tables, decompressor, group, |_, body| {
            if name.is_none() {
                name = Some(body.to_vec());
            }
            Ok(true)
        });
        match bodies {
            Ok(()) => {}
            Err(StoreError::Damaged { .. }) => return Ok(Err(lost)),
            Err(error) => return Err(error),
        }
        for version in &versions {
            if !self.kinds.contains_key(&version.kind)
                && !self.remake_kind(version.kind, name.as_deref())
            {
                return Ok(Err(lost));
            }
        }
        Ok(Ok((versions, base.unwrap_or(0))))
    }

    fn count(&mut self, version: &Version) {
        // What stays of the time before the horizon is not part of the record.
        if version.event < self.writer.horizon().event() {
            return;
        }
        if let Some(kind) = self.kinds.get_mut(&version.kind) {
            if version.deleted {
                kind.deletes += 1;
            } else {
                kind.applies += 1;
                kind.body_bytes += u64::from(version.body_len);
            }
        }
    }

    /// One row for each incarnation that has versions, as its last version says; one epoch that lists them all.
    fn objects(&mut self) -> Result<(), StoreError> {
        let tables = self.read()?;
        self.counter
            .begin("making objects", tables.incarnations.about()?)?;
        let mut gone = Vec::new();
        let mut made: Vec<(u64, ObjectKey, ObjectRow)> = Vec::new();
        let (mut objects, mut last_object) = (0, 0);
        // Rows that were found under no known incarnation go with all others.
        self.write(|tables| tables.objects.clear())?;
        for entry in tables.incarnations.iter()? {
            let (id, value) = entry?;
            self.counter.row()?;
            let id = id.value();
            last_object = last_object.max(id);
            let incarnation: IncarnationRow = row::<u64, _>(id, value.value())?;
            let Incarnation { key, uid, pod } = tables.incarnation_of(id, incarnation)?;
            let Some((last, hash)) = versions::last(&tables, id)? else {
                gone.push(id);
                continue;
            };
            let old = tables.object(&key, id)?;
            let hash = hash.or_else(|| {
                old.filter(|old| old.last_seq == last.event.seq)
                    .and_then(|old| old.change_hash)
            });
            if !last.deleted
                && let Some(kind) = self.kinds.get_mut(&last.kind)
            {
                kind.live += 1;
            }
            let object = ObjectRow {
                uid: (!last.deleted || pod.is_none()).then(|| (&uid).into()),
                live: !last.deleted,
                last_seq: last.event.seq,
                // A hash that nothing has: the object is recorded again when it is seen.
                change_hash: (!last.deleted).then(|| hash.unwrap_or([0; CHANGE_HASH_BYTES])),
                kind: last.kind,
            };
            objects += 1;
            made.push((id, key, object));
            if made.len() >= SALVAGE_ROWS_PER_COMMIT {
                self.store_objects(&mut made)?;
            }
        }
        self.store_objects(&mut made)?;
        self.writer.last_object = self.writer.last_object.max(last_object);
        self.writer.epoch = 0;
        self.writer.epoch_rows = objects;
        self.salvage.objects = objects;
        self.write(|tables| {
            for id in &gone {
                tables.incarnations.remove(*id)?;
            }
            let epoch = EpochRow {
                start_us: i64::MIN,
                start_seq: 0,
            };
            put(&mut tables.epochs, 0, &epoch)
        })
    }

    fn store_objects(&self, made: &mut Vec<(u64, ObjectKey, ObjectRow)>) -> Result<(), StoreError> {
        self.write(|tables| {
            for (id, key, object) in made.drain(..) {
                put(
                    &mut tables.objects,
                    keys::object(&key, id).as_slice(),
                    &object,
                )?;
                // Every version has its kind, so the object's group and kind have their number.
                let kind = identity_kind(&self.kinds, &key.group, &key.kind).unwrap_or_default();
                let alive = keys::epoch_object(0, kind, id);
                tables.alive.insert(&alive, &[])?;
            }
            Ok(())
        })
    }

    fn pods(&mut self) -> Result<(), StoreError> {
        let tables = self.read()?;
        self.counter.begin("listing pods", tables.pods.about()?)?;
        let mut found: Vec<(u64, PodRow)> = Vec::new();
        let (mut pods, mut last) = (0, 0);
        let store = |found: &mut Vec<(u64, PodRow)>| {
            self.write(|tables| {
                for (number, pod) in found.drain(..) {
                    tables.alive_pods.insert(&keys::epoch_pod(0, number), &[])?;
                    pod_index::list(tables, number, &pod)?;
                }
                Ok(())
            })
        };
        for entry in tables.pods.iter()? {
            let (number, value) = entry?;
            let pod: PodRow = row::<u64, _>(number.value(), value.value())?;
            last = number.value();
            found.push((last, pod));
            pods += 1;
            if found.len() >= SALVAGE_ROWS_PER_COMMIT {
                store(&mut found)?;
            }
        }
        store(&mut found)?;
        self.salvage.pods_lost = match (self.salvage.is_intact, self.writer_lost) {
            (true, _) => 0,
            // Numbers are given one after the other.
            (false, true) => last.saturating_sub(pods),
            (false, false) => self.writer.pods.saturating_sub(pods),
        };
        self.writer.pods = pods;
        self.writer.last_pod = self.writer.last_pod.max(last);
        self.writer.epoch_rows += pods;
        self.writer.epoch_carried = self.writer.epoch_rows;
        self.salvage.pods = pods;
        Ok(())
    }

    /// The rows that are kept as numbers and as state.
    fn finish(&mut self) -> Result<(), StoreError> {
        let old = self.read()?;
        let mut watches = Vec::new();
        for entry in old.watches.iter()? {
            let (name, value) = entry?;
            let mut watch: WatchRow = row::<&str, _>(name.value(), value.value())?;
            // What the cluster has now is found by a list: versions that were lost may come before this one.
            watch.resource_version = None;
            if let Some(gap) = watch.gap
                && old.gaps.get(gap)?.is_none()
            {
                watch.gap = None;
            }
            watches.push((name.value().to_owned(), watch));
        }
        let mut wanted = Vec::new();
        for entry in old.wanted.iter()? {
            let (uid, _) = entry?;
            // A page of an earlier commit told that it was wanted.
            if old.owner(&Uid(uid.value().to_owned()))?.is_some() {
                wanted.push(uid.value().to_owned());
            }
        }
        if let Some((number, _)) = old.gaps.last()? {
            self.writer.last_gap = self.writer.last_gap.max(number.value());
        }
        drop(old);
        let (writer, kinds) = (self.writer, &self.kinds);
        self.write(|tables| {
            for (name, watch) in &watches {
                put(&mut tables.watches, name.as_str(), watch)?;
            }
            for uid in &wanted {
                tables.wanted.remove(uid.as_str())?;
            }
            for (number, kind) in kinds {
                put(&mut tables.kinds, *number, kind)?;
            }
            put(&mut tables.meta, WRITER, &writer)
        })
    }
}
